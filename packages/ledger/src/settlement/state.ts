/**
 * The folded state of one account's stream, as settlement needs it: bounded by the account's rules, periods and cells, never
 * by its number of facts. What concerns single facts is found in the stream itself (`story.ts`).
 */
import { add, formatFraction, parseFraction, plus, type Instant } from "@rerate/money";
import type {
  AccountEvent,
  CorrectionWaiting,
  Entry,
  PeriodClosed,
  PeriodOpened,
  RulesBound,
  VerdictWaiting,
} from "../account-events.ts";
import type { Recorded } from "../decider.ts";
import { accumulatorKey, EMPTY_ACCUMULATOR, type Accumulator } from "./accumulator.ts";
import { identityKey } from "./keys.ts";

export interface BoundRules extends RulesBound {
  /** Revision of the event in this stream. */
  readonly revision: number;
}

/** Rules that price only what the bound ones cannot. */
export interface RefusedRules extends BoundRules {
  readonly segment: string;
}

export interface PeriodState {
  readonly start: Instant;
  readonly end: Instant;
  readonly dueAt: Instant;
  readonly closedAt?: Instant;
  /** Atoms charged before quality refunds, by unit: what a minimum or maximum compares with. Changes in place. */
  readonly charged: Map<string, bigint>;
  /** Atoms of true-up and cap posted so far, by item. Changes in place. */
  readonly adjusted: Map<string, bigint>;
}

export interface AccountState {
  readonly stream: string;
  rules: readonly BoundRules[];
  refused: readonly RefusedRules[];
  readonly periods: Map<string, PeriodState>;
  readonly accumulators: Map<string, Accumulator>;
  lastEntry: number;
  readonly walletNumbers: Map<string, number>;
  published: number;
  /** Latest `occurredAt` of a recorded fact: rules cannot change at or before it. */
  latestFactAt: Instant | undefined;
  /** Whether outcomes can have several events that are not found under the usage's own key. */
  outcomesAreShared: boolean;
  /** Whether any fact of the account was ever parked (and so noted under a key of its own). */
  anyParked: boolean;
  readonly sources: Map<string, { readonly number: number; readonly revision: number }>;
  readonly waitingCorrections: Map<string, readonly CorrectionWaiting[]>;
  readonly waitingVerdicts: Map<string, VerdictWaiting>;
  /** Imports that hold this account's deadlines, with their expiry. */
  readonly imports: Map<string, Instant>;
  /** When the last import ended. A period that it held back falls due then, so that it waits for the verdicts that were held too. */
  heldUntil: Instant | undefined;
}

export function initialState(stream: string): AccountState {
  return {
    stream,
    rules: [],
    refused: [],
    periods: new Map(),
    accumulators: new Map(),
    lastEntry: 0,
    walletNumbers: new Map(),
    published: 0,
    latestFactAt: undefined,
    outcomesAreShared: false,
    anyParked: false,
    sources: new Map(),
    waitingCorrections: new Map(),
    waitingVerdicts: new Map(),
    imports: new Map(),
    heldUntil: undefined,
  };
}

/** The rules that price facts of this time; undefined before the first binding. */
export function rulesAt(bound: readonly BoundRules[], occurredAt: Instant): BoundRules | undefined {
  for (let i = bound.length - 1; i >= 0; i--) {
    const rules = bound[i];
    if (rules !== undefined && rules.from <= occurredAt) return rules;
  }
  return undefined;
}

/** A binding replaces every binding from its start on. */
export function withBinding(bound: readonly BoundRules[], rules: BoundRules): readonly BoundRules[] {
  return [...bound.filter((other) => other.from < rules.from), rules];
}

/** Folds one event. Changes and returns the same state; throws when an event contradicts it (a broken invariant). */
export function evolve(state: AccountState, event: AccountEvent, recorded: Recorded): AccountState {
  switch (event.type) {
    case "RulesBound":
      state.rules = withBinding(state.rules, { ...event.data, revision: recorded.revision });
      return state;
    case "RulesRefused":
      state.refused = [...state.refused, { ...event.data, revision: recorded.revision }];
      return state;
    case "UsageRecorded": {
      const { data } = event;
      if (state.latestFactAt === undefined || data.occurredAt > state.latestFactAt) state.latestFactAt = data.occurredAt;
      if (data.outcome !== undefined || data.link !== undefined) state.outcomesAreShared = true;
      if (data.published !== undefined) state.published = expectNext("usage.recorded", state.published, data.published);
      if (data.corrected !== undefined) state.waitingCorrections.delete(identityKey(data));
      applyEntries(state, data.entries, data.wallets);
      return state;
    }
    case "UsageCorrected":
      state.outcomesAreShared = true;
      applyEntries(state, event.data.entries, event.data.wallets);
      return state;
    case "CorrectionWaiting": {
      const key = identityKey(event.data.corrects);
      state.waitingCorrections.set(key, [...(state.waitingCorrections.get(key) ?? []), event.data]);
      return state;
    }
    case "CostRecorded":
      if (event.data.corrected !== undefined) state.waitingCorrections.delete(identityKey(event.data));
      return state;
    case "CostCorrected":
      return state;
    case "VerdictApplied":
      state.outcomesAreShared = true;
      if (event.data.source !== undefined) followSource(state, event.data.source);
      state.waitingVerdicts.delete(identityKey(event.data.outcome));
      applyEntries(state, event.data.entries, event.data.wallets);
      return state;
    case "VerdictWaiting":
      followSource(state, event.data.source);
      state.waitingVerdicts.set(identityKey(event.data.outcome), event.data);
      return state;
    case "PeriodOpened":
      state.periods.set(event.data.period, openedPeriod(event.data));
      return state;
    case "PeriodClosed":
      closePeriod(state, event.data, recorded);
      return state;
    case "ImportStarted":
      state.imports.set(identityKey(event.data), event.data.expiresAt);
      return state;
    case "ImportEnded":
      state.imports.delete(identityKey(event.data));
      state.heldUntil = recorded.recordedAt;
      return state;
    case "FactParked":
      state.anyParked = true;
      return state;
  }
}

function openedPeriod(data: PeriodOpened): PeriodState {
  return { start: data.start, end: data.end, dueAt: data.dueAt, charged: new Map(), adjusted: new Map() };
}

function closePeriod(state: AccountState, data: PeriodClosed, recorded: Recorded): void {
  applyEntries(state, data.entries, data.wallets);
  const period = state.periods.get(data.period);
  if (period === undefined) throw new Error(`${state.stream}: period ${data.period} closes without having been opened`);
  state.periods.set(data.period, { ...period, closedAt: recorded.recordedAt });
  if (data.forgets !== undefined) for (const old of data.forgets) forgetPeriod(state, old);
}

/** A period beyond its late limit takes no more facts: its accumulators are no longer needed. */
function forgetPeriod(state: AccountState, period: string): void {
  for (const key of state.accumulators.keys()) if (key.split("|")[1] === period) state.accumulators.delete(key);
}

function followSource(
  state: AccountState,
  source: { readonly stream: string; readonly revision: number; readonly number: number },
): void {
  const known = state.sources.get(source.stream)?.number ?? 0;
  expectNext(source.stream, known, source.number);
  state.sources.set(source.stream, { number: source.number, revision: source.revision });
}

function applyEntries(
  state: AccountState,
  entries: readonly Entry[],
  wallets: Readonly<Record<string, number>> | undefined,
): void {
  for (const entry of entries) {
    state.lastEntry = expectNext("entry", state.lastEntry, entry.n);
    if (entry.role === "quality") applyQuality(state, entry);
    else {
      if (entry.role === "measured") applyMeasured(state, entry);
      applyPeriod(state, entry);
    }
  }
  if (wallets === undefined) return;
  for (const [wallet, number] of Object.entries(wallets)) {
    state.walletNumbers.set(wallet, expectNext(`wallet ${wallet}`, state.walletNumbers.get(wallet) ?? 0, number));
  }
}

function applyQuality(state: AccountState, entry: Entry): void {
  const key = entry.average?.accumulator ?? accumulatorKey(entry);
  const accumulator = state.accumulators.get(key) ?? EMPTY_ACCUMULATOR;
  state.accumulators.set(key, {
    ...accumulator,
    refundedMeasure:
      entry.average === undefined
        ? accumulator.refundedMeasure
        : add(accumulator.refundedMeasure, parseFraction(entry.average.refundedMeasure)),
    refunded: entry.kind === "bonus" ? accumulator.refunded : accumulator.refunded - BigInt(entry.atoms),
  });
}

function applyMeasured(state: AccountState, entry: Entry): void {
  const key = accumulatorKey(entry);
  const accumulator = state.accumulators.get(key) ?? EMPTY_ACCUMULATOR;
  if (formatFraction(accumulator.quantity) !== entry.before) {
    throw new Error(
      `entry ${entry.n} starts at ${entry.before}, but its accumulator stands at ${formatFraction(accumulator.quantity)}`,
    );
  }
  state.accumulators.set(key, {
    ...accumulator,
    quantity: parseFraction(entry.after),
    booked: accumulator.booked + BigInt(entry.atoms),
  });
}

function applyPeriod(state: AccountState, entry: Entry): void {
  const period = state.periods.get(entry.period);
  if (period === undefined) throw new Error(`entry ${entry.n} belongs to period ${entry.period}, which was never opened`);
  const atoms = BigInt(entry.atoms);
  if (entry.kind === "true-up" || entry.kind === "cap")
    period.adjusted.set(entry.item, (period.adjusted.get(entry.item) ?? 0n) + atoms);
  else period.charged.set(entry.unit, (period.charged.get(entry.unit) ?? 0n) + atoms);
}

function expectNext(what: string, last: number, next: number): number {
  if (next !== last + 1) throw new Error(`${what}: ${next} follows ${last}, but numbers have no gaps`);
  return next;
}

/** Until when late facts of a closed period are still rated. */
export function lateUntil(period: PeriodState, lateLimitNanos: bigint): Instant | undefined {
  return period.closedAt === undefined ? undefined : plus(period.closedAt, lateLimitNanos);
}

/** JSON of the whole state: snapshots are caches, so the form may change with any release. */
export function snapshot(state: AccountState): string {
  return JSON.stringify({
    ...state,
    periods: [...state.periods].map(([key, period]) => [
      key,
      { ...period, charged: texts(period.charged), adjusted: texts(period.adjusted) },
    ]),
    accumulators: [...state.accumulators].map(([key, a]) => [
      key,
      formatFraction(a.quantity),
      a.booked.toString(),
      formatFraction(a.refundedMeasure),
      a.refunded.toString(),
    ]),
    walletNumbers: [...state.walletNumbers],
    sources: [...state.sources],
    waitingCorrections: [...state.waitingCorrections],
    waitingVerdicts: [...state.waitingVerdicts],
    imports: [...state.imports],
  });
}

export function revive(text: string): AccountState {
  const json = JSON.parse(text) as SnapshotForm;
  const { rules, refused, lastEntry, published, latestFactAt, outcomesAreShared, anyParked, heldUntil } = json;
  return {
    stream: json.stream,
    rules,
    lastEntry,
    published,
    latestFactAt,
    outcomesAreShared,
    anyParked,
    heldUntil,
    refused,
    periods: new Map(
      json.periods.map(([key, period]) => [key, { ...period, charged: atoms(period.charged), adjusted: atoms(period.adjusted) }]),
    ),
    accumulators: new Map(
      json.accumulators.map(([key, quantity, booked, refundedMeasure, refunded]) => [
        key,
        {
          quantity: parseFraction(quantity),
          booked: BigInt(booked),
          refundedMeasure: parseFraction(refundedMeasure),
          refunded: BigInt(refunded),
        },
      ]),
    ),
    walletNumbers: new Map(json.walletNumbers),
    sources: new Map(json.sources),
    waitingCorrections: new Map(json.waitingCorrections),
    waitingVerdicts: new Map(json.waitingVerdicts),
    imports: new Map(json.imports),
  };
}

type Pairs<T> = readonly (readonly [string, T])[];

interface SnapshotForm extends Pick<
  AccountState,
  "stream" | "rules" | "refused" | "lastEntry" | "published" | "outcomesAreShared" | "anyParked" | "latestFactAt" | "heldUntil"
> {
  readonly periods: Pairs<
    Omit<PeriodState, "charged" | "adjusted"> & { readonly charged: Pairs<string>; readonly adjusted: Pairs<string> }
  >;
  readonly accumulators: readonly (readonly [string, string, string, string, string])[];
  readonly walletNumbers: Pairs<number>;
  readonly sources: Pairs<{ readonly number: number; readonly revision: number }>;
  readonly waitingCorrections: Pairs<readonly CorrectionWaiting[]>;
  readonly waitingVerdicts: Pairs<VerdictWaiting>;
  readonly imports: Pairs<Instant>;
}

function texts(map: ReadonlyMap<string, bigint>): Pairs<string> {
  return [...map].map(([key, value]) => [key, value.toString()]);
}

function atoms(pairs: Pairs<string>): Map<string, bigint> {
  return new Map(pairs.map(([key, value]) => [key, BigInt(value)]));
}
