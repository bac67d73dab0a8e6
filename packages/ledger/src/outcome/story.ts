/**
 * The story of one outcome: its requests, its signals, its timeout and its last verdict, read back from the events that
 * link to each other. So a signal of any age is judged from the full set, and the stream's state stays small.
 */
import { formatFraction, type Instant } from "@rerate/money";
import { judge, settleableUntil, timeoutDueAt, type Judgement, type OutcomeDefinition, type Signal } from "@rerate/outcomes";
import type { History } from "../decider.ts";
import type { Identity } from "../messages.ts";
import type { OutcomeEvent, VerdictGiven } from "../outcome-events.ts";
import { identityKey } from "../settlement/keys.ts";

export interface Story {
  /** Revision of its last event; what the next one links to. */
  readonly head: number | undefined;
  /** The earliest request by (occurredAt, id): it binds definition and time. Undefined while only signals have come. */
  readonly bound: BoundRequest | undefined;
  readonly signals: readonly Signal[];
  readonly verdict: VerdictGiven | undefined;
  /** Latest timeout that has fired. */
  readonly passed: Instant | undefined;
}

export interface BoundRequest {
  readonly usage: Identity;
  readonly occurredAt: Instant;
  readonly definition: string;
}

/** The key under which the last event of an outcome is found. */
export function storyKey(outcome: Identity): string {
  return `o${identityKey(outcome)}`;
}

/** The recorded story of an outcome; needs its chain loaded. */
export function storyOf(outcome: Identity, history: History<OutcomeEvent>): Story {
  const head = history.find(storyKey(outcome))?.revision;
  const signals: Signal[] = [];
  let bound: BoundRequest | undefined;
  let verdict: VerdictGiven | undefined;
  let passed: Instant | undefined;
  for (let revision = head; revision !== undefined;) {
    const event = history.at(revision);
    switch (event.type) {
      case "OutcomeOpened":
      case "RequestAdded":
        bound = earlier(event.data, bound);
        break;
      case "SignalRecorded":
        signals.push(event.data);
        break;
      case "TimeoutPassed":
        if (passed === undefined || event.data.dueAt > passed) passed = event.data.dueAt;
        break;
      case "ImportStarted":
      case "ImportEnded":
      case "FactParked":
        throw new Error(`${event.type} belongs to no outcome`);
    }
    verdict ??= event.data.decided;
    revision = event.data.link;
  }
  return { head, bound, signals, verdict, passed };
}

/** The request that binds: the earlier by own time, then id, then source. */
export function earlier(request: BoundRequest, other: BoundRequest | undefined): BoundRequest {
  if (other === undefined) return request;
  if (request.occurredAt !== other.occurredAt) return request.occurredAt < other.occurredAt ? request : other;
  if (request.usage.id !== other.usage.id) return request.usage.id < other.usage.id ? request : other;
  return request.usage.source <= other.usage.source ? request : other;
}

/** What follows from a story: a verdict that differs from the one in force, and the timeout that is still ahead. */
export interface Consequence {
  readonly decided?: VerdictGiven;
  readonly dueAt?: Instant;
  /** The last own time at which a further signal has an effect. */
  readonly until: Instant | undefined;
}

/** Judges a story with a bound request. `published` is the last number given towards `outcome.decided`. */
export function consequenceOf(story: Story, bound: BoundRequest, definition: OutcomeDefinition, published: number): Consequence {
  const judgement = judge(definition, bound.occurredAt, story.signals, story.passed);
  if (judgement === undefined) {
    const dueAt = timeoutDueAt(definition, bound.occurredAt);
    return { ...(dueAt === undefined ? {} : { dueAt }), until: settleableUntil(definition, bound.occurredAt) };
  }
  const until = judgement.revisableUntil;
  const given = verdictOf(judgement, bound.definition);
  if (story.verdict !== undefined && sameVerdict(given, story.verdict)) return { until };
  return { decided: { ...given, number: published + 1, revision: (story.verdict?.revision ?? 0) + 1 }, until };
}

type Given = Omit<VerdictGiven, "number" | "revision">;

function verdictOf(judgement: Judgement, definition: string): Given {
  const { verdict, score, reason, decidedAt } = judgement;
  const evidence = judgement.evidence.map((each) => ({ ...each, contribution: formatFraction(each.contribution) }));
  return { verdict, score: formatFraction(score), reason, definition, decidedAt, evidence };
}

/**
 * Whether a verdict says what the one in force says, evidence included: the one published last must be the one that anyone
 * recomputes from the recorded signals.
 */
function sameVerdict(a: Given, b: Given): boolean {
  return (
    a.verdict === b.verdict &&
    a.score === b.score &&
    a.reason === b.reason &&
    a.definition === b.definition &&
    a.decidedAt === b.decidedAt &&
    a.evidence.length === b.evidence.length &&
    a.evidence.every((each, index) => each.source === b.evidence[index]?.source && each.id === b.evidence[index].id)
  );
}
