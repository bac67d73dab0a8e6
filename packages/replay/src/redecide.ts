/**
 * Decides a recorded stream again, decision by decision, with the decider that serves live traffic, and compares what comes
 * out with what is recorded, text by text.
 *
 * What a stream takes as given (bound rules, notes of parked messages) is folded; everything else must follow from it. After the
 * first difference the rest of the stream is a consequence of it, so it is left alone.
 */
import { encodeEvent, type Decider, type Decision, type DomainEvent } from "@rerate/ledger";
import { firstDifference } from "./difference.ts";
import { createKeyIndex } from "./key-index.ts";
import type { Problem } from "./problem.ts";
import { UnreadableEvent, type ReadEvent, type StreamWindow } from "./stream-window.ts";

export interface Redeciding<State, Message, Event extends DomainEvent, Context> {
  readonly decider: Decider<State, Message, Event, Context>;
  readonly context: Context;
  /**
   * The messages that can have caused the decision which begins with the first event: tried in order, the first that gives
   * what is recorded counts. "given" for an event that is an input itself. May read more (another stream's entries).
   */
  readonly causesOf: (
    ahead: readonly ReadEvent<Event>[],
    state: State,
  ) => Promise<readonly Message[]> | readonly Message[] | "given";
  /** Called for every event after it was folded. */
  readonly onEvent: (read: ReadEvent<Event>, state: State) => void;
}

export interface Redecided<State> {
  readonly state: State;
  readonly events: number;
  /** The first difference of the stream; undefined when it is as recorded to its end. */
  readonly problem: Problem | undefined;
}

/** As far as the cause of a decision is looked for. */
const LOOK_AHEAD = 6;

export async function redecide<State, Message, Event extends DomainEvent, Context>(
  stream: string,
  window: StreamWindow<Event>,
  options: Redeciding<State, Message, Event, Context>,
): Promise<Redecided<State>> {
  const { decider, context, causesOf, onEvent } = options;
  const index = createKeyIndex<Event>(decider);
  let state = decider.initial(stream);
  let events = 0;

  function fold(read: ReadEvent<Event>): void {
    state = decider.evolve(state, read.event, { revision: read.revision, recordedAt: read.recordedAt });
    index.add(read.event, read.revision);
    window.pass();
    events += 1;
    onEvent(read, state);
  }

  function decideAgain(message: Message, head: ReadEvent<Event>): Decision<Event> {
    const at = { revision: head.revision, recordedAt: head.recordedAt };
    return decider.decide(state, message, context, index.history(window.kept), at);
  }

  async function fetchMissing(message: Message): Promise<void> {
    const needs = decider.needs(state, message, context);
    for (let missing = index.missing(needs, window.kept); missing.size > 0; missing = index.missing(needs, window.kept))
      await window.fetch(missing);
  }

  /** Tries the causes one after the other: how many events the right one explains, or what the first one has against it. */
  async function explain(ahead: readonly ReadEvent<Event>[], messages: readonly Message[]): Promise<number | Problem> {
    const [head] = ahead;
    let against: Problem | undefined;
    for (const message of messages) {
      if (head === undefined) break;
      // Waiting only where there is something to wait for: most decisions need nothing that is not at hand.
      if (index.missing(decider.needs(state, message, context), window.kept).size > 0) await fetchMissing(message);
      const decision = decideAgain(message, head);
      const more = decision.kind === "record" && decision.events.length > ahead.length;
      const recorded = more ? await window.ahead(decision.events.length) : ahead;
      const compared = compareDecision(stream, head, recorded, decision);
      if (typeof compared === "number") return compared;
      against ??= compared;
    }
    return (
      against ?? {
        kind: "decision",
        stream,
        revision: head?.revision,
        message: `nothing recorded before can have caused this ${head?.event.type}`,
      }
    );
  }

  try {
    for (;;) {
      const ahead = await window.ahead(LOOK_AHEAD);
      const [head] = ahead;
      if (head === undefined) return { state, events, problem: undefined };
      if (head.revision !== events)
        return {
          state,
          events,
          problem: { kind: "decision", stream, revision: events, message: `revision ${events} is missing` },
        };
      const causes = await causesOf(ahead, state);
      const explained = causes === "given" ? 1 : await explain(ahead, causes);
      if (typeof explained !== "number") return { state, events, problem: explained };
      for (const read of explained <= ahead.length ? ahead.slice(0, explained) : await window.ahead(explained)) fold(read);
    }
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    if (error instanceof UnreadableEvent)
      return { state, events, problem: { kind: "unreadable", stream, revision: error.revision, message } };
    return { state, events, problem: { kind: "decision", stream, revision: events, message } };
  }
}

/** The number of events that a decision explains, or the first difference. */
function compareDecision<Event extends DomainEvent>(
  stream: string,
  head: ReadEvent<Event>,
  recorded: readonly ReadEvent<Event>[],
  decision: Decision<Event>,
): number | Problem {
  if (decision.kind !== "record") {
    return {
      kind: "decision",
      stream,
      revision: head.revision,
      message: `deciding this ${head.event.type} again records nothing: ${reasonOf(decision)}`,
    };
  }
  for (const [index, event] of decision.events.entries()) {
    const read = recorded[index];
    if (read === undefined) {
      const message = `the decision of revision ${head.revision} recorded a ${event.type} too, which is missing at the end`;
      return { kind: "decision", stream, revision: head.revision + index, message };
    }
    const problem = compareEvent(stream, read, event);
    if (problem !== undefined) return problem;
    if (read.recordedAt !== head.recordedAt)
      return {
        kind: "decision",
        stream,
        revision: read.revision,
        field: "metadata.at",
        message: "one decision has two times of recording",
        recorded: read.recordedAt,
        recomputed: head.recordedAt,
      };
  }
  return decision.events.length;
}

function compareEvent(stream: string, read: ReadEvent<DomainEvent>, event: DomainEvent): Problem | undefined {
  const { revision } = read;
  if (read.event.type !== event.type) {
    return {
      kind: "decision",
      stream,
      revision,
      message: "another event should stand here",
      recorded: read.event.type,
      recomputed: event.type,
    };
  }
  const recomputed = encodeEvent(event).data;
  if (recomputed === read.data) return undefined;
  const again: unknown = JSON.parse(recomputed);
  const difference = firstDifference(JSON.parse(read.data), again);
  if (difference === undefined) return undefined;
  return {
    kind: "decision",
    stream,
    revision,
    ...entryOf(difference.path, again),
    field: difference.path,
    recorded: difference.recorded,
    recomputed: difference.recomputed,
    message: `this ${event.type} does not follow from the facts and rules recorded before it`,
  };
}

/** Number and arithmetic of the recomputed entry that a path leads into. */
function entryOf(path: string, data: unknown): { readonly entry?: number; readonly explanation?: readonly string[] } {
  const index = /^(?:entries|lines)\[(\d+)\]/.exec(path)?.[1];
  if (index === undefined || typeof data !== "object" || data === null) return {};
  const list: unknown = "entries" in data ? data.entries : "lines" in data ? data.lines : undefined;
  const entry: unknown = Array.isArray(list) ? list[Number(index)] : undefined;
  if (typeof entry !== "object" || entry === null) return {};
  const number = "n" in entry ? entry.n : "entry" in entry ? entry.entry : undefined;
  const steps = "steps" in entry && Array.isArray(entry.steps) ? entry.steps.filter((step) => typeof step === "string") : [];
  const booked =
    "exact" in entry && "atoms" in entry ? [`exact ${String(entry.exact)} atoms, booked ${String(entry.atoms)}`] : [];
  return { ...(typeof number === "number" ? { entry: number } : {}), explanation: [...steps, ...booked] };
}

function reasonOf(decision: Decision<DomainEvent>): string {
  switch (decision.kind) {
    case "record":
      return "recorded";
    case "skip":
      return decision.answer.status;
    case "park":
      return `${decision.reason}, ${decision.detail}`;
    case "gap":
      return `messages of ${decision.sourceStream} are missing from revision ${decision.fromRevision} on`;
    case "wait":
      return decision.reason;
  }
}
