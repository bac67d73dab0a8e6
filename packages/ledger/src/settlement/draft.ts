/**
 * A decision in the making: entries and events are added one by one, each seeing what the earlier ones did, while the
 * folded state stays untouched until the events are recorded.
 *
 * Owns numbering, accumulators and periods of one decision. Decides no business question itself.
 */
import { formatFraction, plus, type Fraction, type Instant } from "@rerate/money";
import { nextPeriod, periodOf, type CompiledPlan, type Period } from "@rerate/pricing";
import type { AccountEvent, Entry, EntryRole, RulesBound, RulesRefused, RulesUsed, WalletNumbers } from "../account-events.ts";
import type { RulesSegment } from "../catalogue.ts";
import type { Recorded } from "../decider.ts";
import type { EntryKind } from "../messages.ts";
import { accumulatorKey, EMPTY_ACCUMULATOR, stepOf, type Accumulator, type AccumulatorPlace } from "./accumulator.ts";
import { lateUntil, withBinding, type AccountState, type BoundRules, type PeriodState, type RefusedRules } from "./state.ts";

/** Documents and contracts, as far as the service knows them. */
export interface SettlementContext {
  /** Undefined while the account is unknown. Replays give none: they use the rules that the stream binds. */
  readonly timeline: (ns: string, account: string) => readonly RulesSegment[] | undefined;
  /** Revision of the account's last contract event that the catalogue has read. */
  readonly contractRevision: (ns: string, account: string) => number | undefined;
  readonly plan: (planHash: string, priceLists: Readonly<Record<string, string>>) => CompiledPlan | undefined;
}

/** Where a fact's entries go: its own period, and the open one if that has closed. */
export interface Posting {
  readonly period: string;
  readonly postedIn?: string;
}

interface EntryFields {
  readonly kind: EntryKind;
  readonly place: AccumulatorPlace;
  /** For example `tokens@1`. */
  readonly model: string;
  readonly measure: Fraction;
  readonly measureUnit: string;
  readonly posting: Posting;
  readonly corrects?: number | undefined;
  readonly steps: readonly string[];
}

export class Draft {
  readonly events: AccountEvent[] = [];
  readonly state: AccountState;
  readonly at: Recorded;
  readonly context: SettlementContext;
  #rules: readonly BoundRules[];
  #refused: readonly RefusedRules[];
  #lastEntry: number;
  // Made when they are first written to: a draft lives for one message, and most need only some of them.
  #accumulators: Map<string, Accumulator> | undefined;
  #opened: Map<string, Period> | undefined;
  #walletNumbers: Map<string, number> | undefined;
  #published: number;

  constructor(state: AccountState, at: Recorded, context: SettlementContext) {
    this.state = state;
    this.at = at;
    this.context = context;
    this.#rules = state.rules;
    this.#refused = state.refused;
    this.#lastEntry = state.lastEntry;
    this.#published = state.published;
  }

  /** The revision that the next event added will have. */
  get nextRevision(): number {
    return this.at.revision + this.events.length;
  }

  add(event: AccountEvent): void {
    this.events.push(event);
  }

  /** The bindings of the stream, with those that this draft adds. */
  get rules(): readonly BoundRules[] {
    return this.#rules;
  }

  /** Rules that price only what the bound ones cannot, in the order of their refusal. */
  get refused(): readonly RefusedRules[] {
    return this.#refused;
  }

  refuse(rules: RulesRefused): void {
    this.#refused = [...this.#refused, { ...rules, revision: this.nextRevision }];
    this.add({ type: "RulesRefused", data: rules });
  }

  bind(rules: RulesBound): void {
    this.#rules = withBinding(this.#rules, { ...rules, revision: this.nextRevision });
    this.add({ type: "RulesBound", data: rules });
  }

  accumulator(key: string): Accumulator {
    return this.#accumulators?.get(key) ?? this.state.accumulators.get(key) ?? EMPTY_ACCUMULATOR;
  }

  /** Books a measure on its accumulator by the law of cumulative pricing. */
  bookMeasured(fields: EntryFields, price: (quantity: Fraction) => Fraction): Entry {
    const key = accumulatorKey(fields.place);
    const accumulator = this.accumulator(key);
    const step = stepOf(accumulator, fields.measure, price);
    (this.#accumulators ??= new Map()).set(key, {
      ...accumulator,
      quantity: step.after,
      booked: accumulator.booked + step.atoms,
    });
    return this.#entry("measured", fields, step.atoms, {
      exact: formatFraction(step.exact),
      before: formatFraction(step.before),
      after: formatFraction(step.after),
    });
  }

  /** Books money beside the quantities: `refunded` counts up what refunds have given back on the accumulator named by `key`. */
  bookQuality(
    fields: EntryFields,
    atoms: bigint,
    average?: { readonly accumulator: string; readonly refundedMeasure: Fraction; readonly newRefundedMeasure: Fraction },
  ): Entry {
    const key = average?.accumulator ?? accumulatorKey(fields.place);
    const accumulator = this.accumulator(key);
    const refunded = fields.kind === "bonus" ? accumulator.refunded : accumulator.refunded - atoms;
    (this.#accumulators ??= new Map()).set(key, {
      ...accumulator,
      refunded,
      refundedMeasure: average?.newRefundedMeasure ?? accumulator.refundedMeasure,
    });
    const entry = this.#entry("quality", fields, atoms, {
      exact: atoms.toString(),
      before: accumulator.refunded.toString(),
      after: refunded.toString(),
    });
    if (average === undefined) return entry;
    return { ...entry, average: { accumulator: key, refundedMeasure: formatFraction(average.refundedMeasure) } };
  }

  /** Books what a period adds by itself. */
  bookPeriod(fields: EntryFields, exact: Fraction, atoms: bigint): Entry {
    return this.#entry("period", fields, atoms, { exact: formatFraction(exact), before: "0", after: "0" });
  }

  #entry(
    role: EntryRole,
    fields: EntryFields,
    atoms: bigint,
    numbers: { readonly exact: string; readonly before: string; readonly after: string },
  ): Entry {
    this.#lastEntry += 1;
    const { place, posting, corrects } = fields;
    return {
      n: this.#lastEntry,
      role,
      kind: fields.kind,
      item: place.item,
      model: fields.model,
      unit: place.unit,
      atoms: atoms.toString(),
      exact: numbers.exact,
      measure: formatFraction(fields.measure),
      measureUnit: fields.measureUnit,
      version: place.version,
      period: place.period,
      cell: place.cell,
      before: numbers.before,
      after: numbers.after,
      ...(posting.postedIn === undefined ? {} : { postedIn: posting.postedIn }),
      ...(corrects === undefined ? {} : { corrects }),
      steps: fields.steps,
    };
  }

  /** The number under which an event's entries reach their wallet; undefined for no entries. */
  walletNumbers(entries: readonly Entry[], wallet: string): WalletNumbers | undefined {
    if (entries.length === 0) return undefined;
    const number = (this.#walletNumbers?.get(wallet) ?? this.state.walletNumbers.get(wallet) ?? 0) + 1;
    (this.#walletNumbers ??= new Map()).set(wallet, number);
    return { [wallet]: number };
  }

  /** The number under which a usage fact reaches outcome-signal. */
  nextPublished(): number {
    this.#published += 1;
    return this.#published;
  }

  period(key: string): PeriodState | undefined {
    return this.state.periods.get(key);
  }

  isOpen(key: string): boolean {
    return (
      this.#opened?.has(key) === true || (this.state.periods.has(key) && this.state.periods.get(key)?.closedAt === undefined)
    );
  }

  /** Adds `PeriodOpened` unless the period is known. */
  open(period: Period, plan: CompiledPlan): void {
    if (this.#opened?.has(period.key) === true || this.state.periods.has(period.key)) return;
    (this.#opened ??= new Map()).set(period.key, period);
    const dueAt = plus(period.end, plan.closeAfterNanos);
    this.add({ type: "PeriodOpened", data: { period: period.key, start: period.start, end: period.end, dueAt } });
  }

  /**
   * Where a fact of this time posts: its own period, opened if need be; or, when that has closed, the period of the
   * recording, marked with the original. Undefined beyond the plan's late limit.
   */
  postingFor(rules: BoundRules, plan: CompiledPlan, time: Instant): Posting | undefined {
    const own = periodOf(plan.period, rules.timeZone, time);
    const known = this.period(own.key);
    if (known?.closedAt === undefined) {
      this.open(own, plan);
      return { period: own.key };
    }
    const until = lateUntil(known, plan.lateLimitNanos);
    if (until !== undefined && this.at.recordedAt > until) return undefined;
    let into = periodOf(plan.period, rules.timeZone, this.at.recordedAt);
    if (into.start <= own.start) into = nextPeriod(plan.period, rules.timeZone, own);
    while (this.period(into.key)?.closedAt !== undefined) into = nextPeriod(plan.period, rules.timeZone, into);
    this.open(into, plan);
    return { period: own.key, postedIn: into.key };
  }
}

/** The hashes that an event cites. */
export function rulesUsed(rules: BoundRules): RulesUsed {
  return {
    bound: rules.revision,
    plan: rules.plan,
    ...(Object.keys(rules.priceLists).length === 0 ? {} : { prices: rules.priceLists }),
    ...(rules.outcomeDefinition === undefined ? {} : { outcome: rules.outcomeDefinition }),
  };
}
