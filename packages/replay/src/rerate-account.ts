/**
 * What one account would have been charged under another plan: its recorded facts and verdicts, in recorded order, decided by the
 * live decider on a stream of its own in memory.
 *
 * A consequence keeps the place of its recorded counterpart. A period that only the other plan has closes when it falls due, before
 * the next recorded event. Verdicts are applied as recorded. Keeps the other stream's events in memory: one account at a time.
 */
import { later, type Instant } from "@rerate/money";
import {
  entriesOf,
  parseStreamName,
  settlement,
  type AccountEvent,
  type AccountState,
  type Decision,
  type Entry,
  type ParkReason,
  type RulesSegment,
  type SettlementContext,
  type SettlementMessage,
} from "@rerate/ledger";
import { accountCause } from "./causes.ts";
import { createKeyIndex } from "./key-index.ts";
import type { ReadEvent, StreamWindow } from "./stream-window.ts";

/** A recorded cause of entries, with what it books under either plan. */
export interface ReratedFact {
  /** Revision of the recorded event. */
  readonly revision: number;
  /** For example `UsageRecorded`, or `PeriodClosed` also for closes that only the other plan has. */
  readonly type: string;
  readonly source: string | undefined;
  readonly id: string | undefined;
  readonly recorded: readonly Entry[];
  readonly rerated: readonly Entry[];
  /** Why the other plan has no price for it. */
  readonly unpriced: { readonly reason: ParkReason; readonly detail: string } | undefined;
}

export interface ReratePlan {
  readonly hash: string;
  readonly id: string;
  readonly priceLists: Readonly<Record<string, string>>;
  readonly plan: SettlementContext["plan"];
}

/** What a first reading of the recorded stream tells: since when there are rules, and which periods were closed. */
export interface RecordedFrame {
  readonly from: Instant;
  readonly timeZone: string;
  readonly currency: string;
  readonly wallet: string;
  readonly outcomeDefinition: string | undefined;
  readonly closed: ReadonlySet<string>;
}

/** Undefined for a stream that never bound rules: it has no facts. */
export async function readFrame(window: StreamWindow<AccountEvent>): Promise<RecordedFrame | undefined> {
  const closed = new Set<string>();
  let frame: RecordedFrame | undefined;
  for (let [head] = await window.ahead(1); head !== undefined; [head] = await window.ahead(1)) {
    const { event } = head;
    if (event.type === "PeriodClosed") closed.add(event.data.period);
    if (event.type === "RulesBound") {
      const { from, timeZone, currency, wallet, outcomeDefinition } = event.data;
      frame =
        frame === undefined
          ? { from, timeZone, currency, wallet, outcomeDefinition, closed }
          : { ...frame, from: from < frame.from ? from : frame.from };
    }
    window.pass();
  }
  return frame;
}

/** Calls `onFact` for every recorded cause, in order. */
export async function rerateAccount(
  stream: string,
  window: StreamWindow<AccountEvent>,
  frame: RecordedFrame,
  plan: ReratePlan,
  onFact: (fact: ReratedFact) => void,
): Promise<void> {
  const { ns, name } = parseStreamName(stream);
  const owner = { ns, account: name };
  const other = createOtherStream(stream, frame, plan);
  let pending: Pending | undefined;
  const flush = (): void => {
    if (pending !== undefined) onFact(pending);
    pending = undefined;
  };

  for (let [head] = await window.ahead(1); head !== undefined; [head] = await window.ahead(1)) {
    const { event } = head;
    if (event.type === "VerdictApplied" && event.data.source === undefined && pending !== undefined) {
      // A waiting verdict was applied with its usage: one cause.
      pending.recorded.push(...event.data.entries);
    } else {
      flush();
      for (const closed of other.closeUnrecorded(head.recordedAt))
        onFact({ ...NOBODY, revision: head.revision, type: "PeriodClosed", id: closed.period, rerated: closed.entries });
      pending = rerate(head);
    }
    window.pass();
  }
  flush();

  function rerate(head: ReadEvent<AccountEvent>): Pending | undefined {
    const { event, revision, recordedAt } = head;
    if (event.type === "RulesBound") {
      other.deliver([{ kind: "rules-changed", ...owner, sourceRevision: 0 }], recordedAt);
      return undefined;
    }
    const causes = accountCause(owner, event, recordedAt);
    if (causes === "given" || causes.length === 0) return undefined;
    const decided = other.deliver(causes, recordedAt);
    return { revision, type: event.type, ...identityOf(event), recorded: [...(entriesOf(event)?.entries ?? [])], ...decided };
  }
}

interface Pending extends ReratedFact {
  readonly recorded: Entry[];
}

const NOBODY = { source: undefined, id: undefined, recorded: [], unpriced: undefined } as const;

interface OtherStream {
  /** Decides the first of the messages that the other stream records; all are forms of the same cause. */
  deliver(messages: readonly SettlementMessage[], at: Instant): Pick<ReratedFact, "rerated" | "unpriced">;
  /** Closes what fell due until then and was never closed in the recorded stream. */
  closeUnrecorded(until: Instant): { readonly period: string; readonly entries: readonly Entry[] }[];
}

function createOtherStream(stream: string, frame: RecordedFrame, { hash, id, priceLists, plan }: ReratePlan): OtherStream {
  const { from, timeZone, currency, wallet, outcomeDefinition, closed } = frame;
  const segment: RulesSegment = {
    from,
    plan: hash,
    planId: id,
    priceLists,
    ...(outcomeDefinition === undefined ? {} : { outcomeDefinition }),
    timeZone,
    currency,
    wallet,
    contractRevision: 0,
  };
  const timeline = [segment];
  const context: SettlementContext = { timeline: () => timeline, contractRevision: () => 0, plan };
  const events: AccountEvent[] = [];
  const index = createKeyIndex<AccountEvent>(settlement);
  const history = index.history((revision) => events[revision]);
  let state: AccountState = settlement.initial(stream);
  let latest: Instant | undefined;

  function decide(message: SettlementMessage, at: Instant): Decision<AccountEvent> {
    return settlement.decide(state, message, context, history, { revision: events.length, recordedAt: at });
  }

  function record(decision: Decision<AccountEvent>, at: Instant): readonly Entry[] {
    if (decision.kind !== "record" && decision.kind !== "park") return [];
    const entries: Entry[] = [];
    for (const event of decision.events) {
      const revision = events.push(event) - 1;
      state = settlement.evolve(state, event, { revision, recordedAt: at });
      index.add(event, revision);
      entries.push(...(entriesOf(event)?.entries ?? []));
    }
    return entries;
  }

  return {
    deliver(messages, recordedAt) {
      const at = latest === undefined ? recordedAt : later(latest, recordedAt);
      latest = at;
      const decisions = messages.map((message) => decide(message, at));
      const decision = decisions.find(({ kind }) => kind === "record") ?? decisions[0];
      if (decision === undefined) return { rerated: [], unpriced: undefined };
      if (decision.kind === "wait" || decision.kind === "gap") throw new Error(`${stream}: ${JSON.stringify(decision)}`);
      const unpriced = decision.kind === "park" ? { reason: decision.reason, detail: decision.detail } : undefined;
      return { rerated: record(decision, at), unpriced };
    },
    closeUnrecorded(until) {
      const done: { period: string; entries: readonly Entry[] }[] = [];
      for (;;) {
        const due = dueClose(state, closed, until);
        if (due === undefined) return done;
        const at = latest === undefined ? due.dueAt : later(latest, due.dueAt);
        latest = at;
        const decision = decide({ kind: "close-period", period: due.period }, at);
        if (decision.kind !== "record") return done;
        done.push({ period: due.period, entries: record(decision, at) });
      }
    },
  };
}

/** The period that falls due first, of those that have no recorded close. An import holds them all. */
function dueClose(
  state: AccountState,
  closed: ReadonlySet<string>,
  until: Instant,
): { readonly period: string; readonly dueAt: Instant } | undefined {
  if (state.imports.size > 0) return undefined;
  let first: { readonly period: string; readonly dueAt: Instant } | undefined;
  for (const [period, { dueAt, closedAt }] of state.periods) {
    if (closedAt !== undefined || dueAt > until || closed.has(period)) continue;
    if (first === undefined || dueAt < first.dueAt) first = { period, dueAt };
  }
  return first;
}

function identityOf(event: AccountEvent): { readonly source: string | undefined; readonly id: string | undefined } {
  if (event.type === "PeriodClosed") return { source: undefined, id: event.data.period };
  if (event.type === "VerdictApplied") return event.data.outcome;
  return "id" in event.data ? { source: event.data.source, id: event.data.id } : { source: undefined, id: undefined };
}
