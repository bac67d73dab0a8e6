/**
 * The outcome decider: the verdict on each outcome of one account, under the definition that settlement bound to its usage.
 *
 * Owns `outcome-…` streams. Moves no money and judges by no rule of its own: `@rerate/outcomes` does, always from the full set of
 * recorded signals, so the final verdict does not depend on what arrived first. Invariant: every change of a verdict is an
 * event with the next revision of its outcome and the next number towards `outcome.decided`.
 */
import { parseDecimal } from "@rerate/money";
import type { OutcomeDefinition } from "@rerate/outcomes";
import type { Decider, Decision, EventKey, History, Needs, ParkReason, Recorded } from "./decider.ts";
import type {
  Identity,
  ImportCommand,
  OutcomeDecidedMessage,
  SignalAccepted,
  SignalMessage,
  UsageRecordedMessage,
} from "./messages.ts";
import type { OutcomeEvent, OutcomeOpened, VerdictGiven } from "./outcome-events.ts";
import {
  deadlines,
  evolve,
  initial,
  revive,
  snapshot,
  type ImportExpired,
  type OutcomeState,
  type TimeoutDue,
} from "./outcome/state.ts";
import { consequenceOf, earlier, storyKey, storyOf, type BoundRequest } from "./outcome/story.ts";
import { identityKey, importKey, parkedKey, tagOf } from "./settlement/keys.ts";
import { parseStreamName, partitionKey } from "./stream-name.ts";

export type { ImportExpired, OutcomeState, TimeoutDue } from "./outcome/state.ts";

export type OutcomeMessage = SignalMessage | UsageRecordedMessage | TimeoutDue | ImportExpired;

export interface OutcomeContext {
  /** The published definition with this content hash; undefined while it is not known here yet. */
  definition(hash: string): OutcomeDefinition | undefined;
}

export const outcome: Decider<OutcomeState, OutcomeMessage, OutcomeEvent, OutcomeContext> = {
  name: "outcome",
  initial,
  evolve,
  needs,
  decide,
  keysOf,
  linkOf,
  deadlines,
  snapshot,
  revive,
};

/** What an event of an outcome stream publishes to `outcome.decided`, as a pure function of the stored event and its place. */
export function outcomeDecidedMessages(
  event: OutcomeEvent,
  place: { readonly stream: string; readonly revision: number },
): readonly { readonly key: string; readonly shard: number; readonly body: OutcomeDecidedMessage }[] {
  const verdict = decidedIn(event);
  if (verdict === undefined) return [];
  const { ns, name, shard } = parseStreamName(place.stream);
  const { decided } = verdict;
  const body: OutcomeDecidedMessage = {
    kind: "outcome-decided",
    ns,
    account: name,
    sourceStream: place.stream,
    sourceRevision: place.revision,
    number: decided.number,
    outcome: verdict.outcome,
    verdict: decided.verdict,
    score: decided.score,
    reason: decided.reason,
    verdictRevision: decided.revision,
    definition: decided.definition,
    decidedAt: decided.decidedAt,
  };
  return [{ key: partitionKey(ns, name), shard, body }];
}

function needs(state: OutcomeState, message: OutcomeMessage): Needs {
  switch (message.kind) {
    case "signal": {
      const story = storyKey(message.outcome);
      return { keys: [signalKey(message), parkedKey(message, message.contentHash), story], chains: [story] };
    }
    case "usage-recorded": {
      if (message.number !== lastNumber(state, message) + 1) return NOTHING;
      const story = storyKey(message.outcome);
      return { keys: [story], chains: [story] };
    }
    case "timeout": {
      const story = storyKey(message.outcome);
      return { keys: [story], chains: [story] };
    }
    case "import":
      return { keys: [importKey(message, "started"), importKey(message, "ended")], chains: [] };
    case "expire-import":
      return NOTHING;
  }
}

function decide(
  state: OutcomeState,
  message: OutcomeMessage,
  context: OutcomeContext,
  history: History<OutcomeEvent>,
  at: Recorded,
): Decision<OutcomeEvent> {
  switch (message.kind) {
    case "signal":
      return recordSignal(state, message, context, history);
    case "usage-recorded":
      return addRequest(state, message, context, history);
    case "timeout":
      return passTimeout(state, message, context, history, at);
    case "import":
      return holdTimeouts(message, history);
    case "expire-import":
      return endImport(state, message, at);
  }
}

function recordSignal(
  state: OutcomeState,
  message: SignalAccepted,
  context: OutcomeContext,
  history: History<OutcomeEvent>,
): Decision<OutcomeEvent> {
  const known = history.find(signalKey(message));
  if (known !== undefined) {
    if (known.tag === tagOf(message.contentHash))
      return { kind: "skip", answer: { status: "duplicate", revision: known.revision } };
    return park(
      message,
      history,
      "conflict",
      `${message.source} ${message.id} was recorded with other content at revision ${known.revision}`,
    );
  }
  const problem = problemOf(message);
  if (problem !== undefined) return park(message, history, "malformed", problem);

  const before = storyOf(message.outcome, history);
  const { source, id, signal, occurredAt, contentHash, confidence, value, validatorHash } = message;
  const recorded = {
    outcome: message.outcome,
    source,
    id,
    signal,
    ...(confidence === undefined ? {} : { confidence }),
    ...(value === undefined ? {} : { value }),
    occurredAt,
    contentHash,
    ...(validatorHash === undefined ? {} : { validatorHash }),
    ...linkTo(before.head),
  };
  const { bound } = before;
  if (bound === undefined) return record({ type: "SignalRecorded", data: recorded }, "waits for its usage");
  const definition = context.definition(bound.definition);
  if (definition === undefined) return unknownDefinition(bound.definition);
  const story = { ...before, signals: [...before.signals, recorded] };
  const { decided, until } = consequenceOf(story, bound, definition, state.published);
  const late = decided === undefined && until !== undefined && occurredAt > until ? { tooLate: true as const } : {};
  return record({ type: "SignalRecorded", data: { ...recorded, ...(decided === undefined ? {} : { decided }), ...late } });
}

function addRequest(
  state: OutcomeState,
  message: UsageRecordedMessage,
  context: OutcomeContext,
  history: History<OutcomeEvent>,
): Decision<OutcomeEvent> {
  const { sourceStream, sourceRevision, number, occurredAt, definition: definitionHash } = message;
  const last = lastNumber(state, message);
  if (number <= last) return { kind: "skip", answer: { status: "duplicate" } };
  if (number > last + 1) {
    const applied = state.sources.get(sourceStream);
    return { kind: "gap", sourceStream, fromRevision: applied === undefined ? 0 : applied.revision + 1 };
  }
  const before = storyOf(message.outcome, history);
  const request: BoundRequest = {
    usage: { source: message.source, id: message.id },
    occurredAt,
    definition: definitionHash,
  };
  const bound = earlier(request, before.bound);
  const definition = context.definition(bound.definition);
  if (definition === undefined) return unknownDefinition(bound.definition);
  const { decided, dueAt } = consequenceOf(before, bound, definition, state.published);
  const data: OutcomeOpened = {
    outcome: message.outcome,
    ...request,
    source: { stream: sourceStream, revision: sourceRevision, number },
    ...(dueAt === undefined ? {} : { dueAt }),
    ...(decided === undefined ? {} : { decided }),
    ...linkTo(before.head),
  };
  if (before.bound === undefined) return record({ type: "OutcomeOpened", data });
  const rebinds = bound === request ? { rebinds: { occurredAt, definition: definitionHash } } : {};
  return record({ type: "RequestAdded", data: { ...data, ...rebinds } });
}

function passTimeout(
  state: OutcomeState,
  message: TimeoutDue,
  context: OutcomeContext,
  history: History<OutcomeEvent>,
  at: Recorded,
): Decision<OutcomeEvent> {
  const open = state.open.get(identityKey(message.outcome));
  // Decided meanwhile, moved by an earlier request, held by an import, or fired too soon: a deadline that still holds fires again.
  if (open?.dueAt !== message.dueAt || state.imports.size > 0 || at.recordedAt < open.dueAt) return IGNORED;
  const before = storyOf(message.outcome, history);
  if (before.bound === undefined) throw new Error(`${state.stream}: an outcome with a timeout has no request`);
  const definition = context.definition(before.bound.definition);
  if (definition === undefined) return unknownDefinition(before.bound.definition);
  const { decided } = consequenceOf({ ...before, passed: message.dueAt }, before.bound, definition, state.published);
  const { outcome, dueAt } = message;
  return record({
    type: "TimeoutPassed",
    data: { outcome, dueAt, ...(decided === undefined ? {} : { decided }), ...linkTo(before.head) },
  });
}

/** An end that overtook its start is recorded too, so that the start which comes after it holds nothing. */
function holdTimeouts(message: ImportCommand, history: History<OutcomeEvent>): Decision<OutcomeEvent> {
  if (history.find(importKey(message, message.phase)) !== undefined) return { kind: "skip", answer: { status: "duplicate" } };
  if (message.phase === "started" && history.find(importKey(message, "ended")) !== undefined) return IGNORED;
  const { source, id, expiresAt } = message;
  return record({ type: message.phase === "started" ? "ImportStarted" : "ImportEnded", data: { source, id, expiresAt } });
}

function endImport(state: OutcomeState, message: ImportExpired, at: Recorded): Decision<OutcomeEvent> {
  const held = state.imports.get(identityKey(message));
  if (held === undefined || at.recordedAt < held.expiresAt) return IGNORED;
  const { source, id, expiresAt } = held;
  return record({ type: "ImportEnded", data: { source, id, expiresAt } });
}

/** Parks a signal and notes it in the stream, once per content and reason. */
function park(
  message: SignalAccepted,
  history: History<OutcomeEvent>,
  reason: ParkReason,
  detail: string,
): Decision<OutcomeEvent> {
  const { source, id, contentHash } = message;
  const noted = history.find(parkedKey(message, contentHash))?.tag === reason;
  const events: OutcomeEvent[] = noted ? [] : [{ type: "FactParked", data: { source, id, contentHash, reason } }];
  return { kind: "park", reason, detail, events, answer: { status: reason === "conflict" ? "conflict" : "parked", detail } };
}

/** What keeps a signal from ever being judged; undefined when nothing does. */
function problemOf({ confidence, value }: SignalAccepted): string | undefined {
  if (confidence !== undefined && !/^(0(\.\d{1,18})?|1(\.0{1,18})?)$/.test(confidence)) {
    return `confidence "${confidence}" is no decimal from 0 to 1`;
  }
  if (value !== undefined && !(value.length <= 40 && isDecimal(value)))
    return `value "${value.slice(0, 40)}" is no plain decimal`;
  return undefined;
}

function isDecimal(text: string): boolean {
  try {
    parseDecimal(text);
    return true;
  } catch {
    return false;
  }
}

function record(event: OutcomeEvent, detail?: string): Decision<OutcomeEvent> {
  return { kind: "record", events: [event], answer: { status: "recorded", ...(detail === undefined ? {} : { detail }) } };
}

function unknownDefinition(hash: string): Decision<OutcomeEvent> {
  return { kind: "wait", reason: `outcome definition ${hash} is not known here yet` };
}

function linkTo(head: number | undefined): { readonly link?: number } {
  return head === undefined ? {} : { link: head };
}

function lastNumber(state: OutcomeState, message: UsageRecordedMessage): number {
  return state.sources.get(message.sourceStream)?.number ?? 0;
}

function signalKey(identity: Identity): string {
  return `s${identityKey(identity)}`;
}

function keysOf(event: OutcomeEvent): readonly EventKey[] {
  switch (event.type) {
    case "SignalRecorded":
      return [
        { key: signalKey(event.data), tag: tagOf(event.data.contentHash) },
        { key: storyKey(event.data.outcome), tag: "" },
      ];
    case "OutcomeOpened":
    case "RequestAdded":
    case "TimeoutPassed":
      return [{ key: storyKey(event.data.outcome), tag: "" }];
    case "ImportStarted":
      return [{ key: importKey(event.data, "started"), tag: "" }];
    case "ImportEnded":
      return [{ key: importKey(event.data, "ended"), tag: "" }];
    case "FactParked":
      return [{ key: parkedKey(event.data, event.data.contentHash), tag: event.data.reason }];
  }
}

function linkOf(event: OutcomeEvent): number | undefined {
  return "link" in event.data ? event.data.link : undefined;
}

function decidedIn(event: OutcomeEvent): { readonly outcome: Identity; readonly decided: VerdictGiven } | undefined {
  switch (event.type) {
    case "OutcomeOpened":
    case "RequestAdded":
    case "SignalRecorded":
    case "TimeoutPassed":
      return event.data.decided === undefined ? undefined : { outcome: event.data.outcome, decided: event.data.decided };
    case "ImportStarted":
    case "ImportEnded":
    case "FactParked":
      return undefined;
  }
}

const NOTHING: Needs = { keys: [], chains: [] };
const IGNORED: Decision<OutcomeEvent> = { kind: "skip", answer: { status: "ignored" } };
