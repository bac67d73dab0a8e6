/**
 * What one round has to do for one stream: the messages in their order, and what was decided about them so far.
 *
 * Owns no I/O. The invariant: messages before `settled` are done for good; those up to `next` are decided, and their events
 * wait in `events` to be appended in order; nothing after `next` has touched the state.
 */
import type { Append, NewEvent } from "@rerate/event-store";
import type { ParkedRecord } from "@rerate/message-bus";
import type { Answer, Decision, DomainEvent, EventKey, KeyEntry } from "./decider.ts";
import type { Held } from "./state-cache.ts";
import type { Input } from "./worker-options.ts";

/** A message on its way to a decision. */
export interface Intake<Message> {
  readonly message: Message;
  /** The bus key it came under; empty for what did not come from the bus. */
  readonly key: string;
  /** Where it came from, so that it can be parked; undefined for deadlines and direct submissions. */
  readonly input: Input<Message> | undefined;
  readonly body: unknown;
  readonly from: "topic" | "gap" | "deadline" | "submission" | "retry" | "sweep";
  /** Somebody waits for an answer about it. */
  readonly awaited: boolean;
  /** The parked record that holds its bytes. */
  parkedAs: string | undefined;
  readonly answered: ((answer: Answer) => void) | undefined;
}

/** What became of messages that were decided together. */
export interface Decided {
  /** Why those that are not decided have to wait; undefined when all are. */
  readonly late: Error | undefined;
  /** How many events they added to the log. */
  readonly events: number;
}

/** One decided message, or several merged into one. */
export interface Step<Event> {
  /** Messages of the queue before this index are decided. */
  readonly until: number;
  /** Events of this work up to and including this step. */
  readonly events: number;
  readonly decision: Extract<Decision<Event>, { readonly answer: Answer }>;
}

export interface Work<State, Message, Event extends DomainEvent> {
  readonly stream: string;
  readonly queue: Intake<Message>[];
  held: Held<State> | undefined;
  /** Revision of the stream before the first of `events`. */
  base: number;
  next: number;
  settled: number;
  /** Index of the first message that `steps` decide. */
  from: number;
  steps: Step<Event>[];
  /** Steps that are settled. */
  stepsSettled: number;
  events: PendingEvent<Event>[];
  bytes: number;
  /** Events that are in the log. */
  appended: number;
  /** Keys of events that are decided and not in the index yet. */
  keys: Map<string, KeyEntry>;
  /** Earlier events that decisions look at, by revision. */
  loaded: Map<number, Event>;
  /** Messages before this index are decided one by one. */
  unmergedUntil: number;
  /** Records of messages that are parked and not kept yet. */
  readonly parked: ParkedRecord[];
  /** Parked records whose messages are recorded by now, or known as without effect: to be erased. */
  mended: string[];
  /** The gap that was filled last, so that one that stays is noticed. */
  lastGap: string;
  /** open: goes on. waiting: something outside is not far enough. broken: an invariant does not hold. */
  standing: "open" | "waiting" | "broken";
  problem: string;
  /** For due deadlines: fires what is due before this time, once the state is at hand. */
  readonly fireBefore: string | undefined;
}

export interface PendingEvent<Event> {
  readonly event: Event;
  readonly sealed: NewEvent;
  readonly bytes: number;
  readonly keys: readonly EventKey[];
}

export function newWork<State, Message, Event extends DomainEvent>(
  stream: string,
  fireBefore?: string,
): Work<State, Message, Event> {
  return {
    stream,
    queue: [],
    held: undefined,
    base: -1,
    next: 0,
    settled: 0,
    from: 0,
    steps: [],
    stepsSettled: 0,
    events: [],
    bytes: 0,
    appended: 0,
    keys: new Map(),
    loaded: new Map(),
    unmergedUntil: 0,
    parked: [],
    mended: [],
    lastGap: "",
    standing: "open",
    problem: "",
    fireBefore,
  };
}

/** Forgets everything that is decided and not in the log, so that it can be decided again. */
export function undecide<State, Message, Event extends DomainEvent>(work: Work<State, Message, Event>): void {
  work.next = work.settled;
  work.from = work.settled;
  work.steps = [];
  work.stepsSettled = 0;
  work.events = [];
  work.bytes = 0;
  work.appended = 0;
  work.keys = new Map();
}

/**
 * The next append of a work: its first events that are not in the log, whole decisions only, within the limits. A decision
 * that is larger by itself goes alone. Undefined when everything is appended.
 */
export function nextAppend<State, Message, Event extends DomainEvent>(
  work: Work<State, Message, Event>,
  limits: { readonly appendEvents: number; readonly appendBytes: number },
): Append | undefined {
  const start = work.appended;
  if (start >= work.events.length) return undefined;
  let end = work.events.length;
  if (end - start > limits.appendEvents || work.bytes > limits.appendBytes) {
    end = start;
    let bytes = 0;
    for (const step of work.steps) {
      if (step.events <= end) continue;
      for (let i = end; i < step.events; i++) bytes += work.events[i]?.bytes ?? 0;
      if (end > start && (step.events - start > limits.appendEvents || bytes > limits.appendBytes)) break;
      end = step.events;
    }
  }
  return {
    stream: work.stream,
    expectedRevision: work.base + start,
    events: (start === 0 && end === work.events.length ? work.events : work.events.slice(start, end)).map(({ sealed }) => sealed),
  };
}
