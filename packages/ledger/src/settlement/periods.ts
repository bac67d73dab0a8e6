/**
 * The close of a period: base fee, true-up to a minimum and cap, as entries of their own. Charge models price nothing at a
 * quantity of zero: a fee without usage is the plan's base fee.
 *
 * Entries for late facts re-open nothing: their true-up difference is posted with them (`adjustLate`).
 */
import { later, round, ZERO, type Fraction } from "@rerate/money";
import { nextPeriod, periodOf, type CompiledAmount, type CompiledPlan } from "@rerate/pricing";
import type { AccountEvent, Entry } from "../account-events.ts";
import { FROM_THE_BEGINNING } from "../contract-events.ts";
import type { Deadline, Decision } from "../decider.ts";
import { rulesUsed, type Draft, type Posting } from "./draft.ts";
import { lateUntil, rulesAt, type AccountState, type PeriodState } from "./state.ts";

/** The deadline message of an open period. */
export interface ClosePeriod {
  readonly kind: "close-period";
  readonly period: string;
}

/** The deadline message of an import that nobody ended. */
export interface ExpireImport {
  readonly kind: "expire-import";
  readonly source: string;
  readonly id: string;
}

/** Open periods fall due unless an import holds the account; a forgotten import falls due itself. */
export function* openDeadlines(state: AccountState): Iterable<Deadline> {
  if (state.imports.size > 0) {
    for (const [key, expiresAt] of state.imports) {
      const [length = "0", ...rest] = key.split(":");
      const text = rest.join(":");
      const source = text.slice(0, Number(length));
      const message: ExpireImport = { kind: "expire-import", source, id: text.slice(Number(length) + 1) };
      yield { key: `import:${key}`, dueAt: expiresAt, message };
    }
    return;
  }
  for (const [key, period] of state.periods) {
    if (period.closedAt !== undefined) continue;
    const message: ClosePeriod = { kind: "close-period", period: key };
    yield { key: `period:${key}`, dueAt: later(period.dueAt, state.heldUntil ?? period.dueAt), message };
  }
}

export function closePeriod(draft: Draft, message: ClosePeriod): Decision<AccountEvent> {
  const { state } = draft;
  const period = state.periods.get(message.period);
  if (period === undefined || period.closedAt !== undefined || state.imports.size > 0)
    return { kind: "skip", answer: { status: "ignored" } };
  const rules = rulesAt(draft.rules, period.start) ?? draft.rules[0];
  const plan = rules === undefined ? undefined : draft.context.plan(rules.plan, rules.priceLists);
  if (rules === undefined || plan === undefined) return { kind: "wait", reason: "the plan of the period is not known here yet" };
  const posting: Posting = { period: message.period };
  const fees = bookFees(draft, plan, posting);
  const entries = [...fees, ...bookAdjustments(draft, plan, period, fees, posting)];
  const wallets = draft.walletNumbers(entries, rules.wallet);
  const forgets = expiredPeriods(draft, plan);
  draft.add({
    type: "PeriodClosed",
    data: {
      period: message.period,
      start: period.start,
      end: period.end,
      dueAt: period.dueAt,
      entries,
      ...(wallets === undefined ? {} : { wallets }),
      rules: rulesUsed(rules),
      ...(forgets.length === 0 ? {} : { forgets }),
    },
  });
  openSuccessor(draft, period);
  return { kind: "record", events: draft.events, answer: { status: "recorded" } };
}

function bookFees(draft: Draft, plan: CompiledPlan, posting: Posting): Entry[] {
  const entries: Entry[] = [];
  if (plan.baseFee !== undefined) {
    const { id, unit, atoms } = plan.baseFee;
    entries.push(bookAmount(draft, { id, unit }, "fee", { n: atoms, d: 1n }, posting, ["base fee of the period"]));
  }
  return entries;
}

function bookAmount(
  draft: Draft,
  item: { readonly id: string; readonly unit: string },
  kind: "fee" | "true-up" | "cap",
  exact: Fraction,
  posting: Posting,
  steps: readonly string[],
): Entry {
  const place = { item: item.id, unit: item.unit, version: "", period: posting.period, cell: "" };
  return draft.bookPeriod(
    { kind, place, model: `${kind}@1`, measure: ZERO, measureUnit: "periods", posting, steps },
    exact,
    round(exact),
  );
}

/** True-up to the minimum and cap to the maximum, each as the difference to what is posted already. */
function bookAdjustments(
  draft: Draft,
  plan: CompiledPlan,
  period: PeriodState,
  added: readonly Entry[],
  posting: Posting,
): Entry[] {
  const entries: Entry[] = [];
  const adjust = (amount: CompiledAmount | undefined, kind: "true-up" | "cap"): void => {
    if (amount === undefined) return;
    const charged = chargedSoFar(period, added, amount.unit);
    const short = amount.atoms - charged;
    const target = kind === "true-up" ? (short > 0n ? short : 0n) : short < 0n ? short : 0n;
    const change = target - (period.adjusted.get(amount.id) ?? 0n) - adjustedIn(added, amount.id);
    if (change === 0n) return;
    const steps = [
      `${kind === "true-up" ? "minimum" : "maximum"} ${amount.atoms} atoms − charged ${charged} atoms = ${target} atoms`,
    ];
    entries.push(bookAmount(draft, amount, kind, { n: change, d: 1n }, posting, steps));
  };
  adjust(plan.minimum, "true-up");
  adjust(plan.maximum, "cap");
  return entries;
}

function chargedSoFar(period: PeriodState, added: readonly Entry[], unit: string): bigint {
  let sum = period.charged.get(unit) ?? 0n;
  for (const entry of added)
    if (entry.unit === unit && entry.role !== "quality" && !isAdjustment(entry)) sum += BigInt(entry.atoms);
  return sum;
}

function adjustedIn(added: readonly Entry[], item: string): bigint {
  let sum = 0n;
  for (const entry of added) if (entry.item === item && isAdjustment(entry)) sum += BigInt(entry.atoms);
  return sum;
}

function isAdjustment({ kind }: Entry): boolean {
  return kind === "true-up" || kind === "cap";
}

/**
 * After entries of closed periods, whatever caused them: the difference to the true-up and cap of each, posted with them. The
 * plan that closed a period says its minimum and maximum. `before` are the entries of earlier events of the same decision.
 */
export function adjustLate(draft: Draft, added: readonly Entry[], before: readonly Entry[] = []): Entry[] {
  let late: Map<string, string | undefined> | undefined;
  for (const { role, period, postedIn } of added) {
    if (role === "measured" && draft.period(period)?.closedAt !== undefined) (late ??= new Map()).set(period, postedIn);
  }
  return late === undefined
    ? []
    : [...late].flatMap(([key, postedIn]) => {
        const period = draft.period(key);
        const rules = period === undefined ? undefined : (rulesAt(draft.rules, period.start) ?? draft.rules[0]);
        const plan = rules === undefined ? undefined : draft.context.plan(rules.plan, rules.priceLists);
        if (period?.closedAt === undefined || plan === undefined) return [];
        const entries = [...before, ...added].filter((entry) => entry.period === key);
        return bookAdjustments(draft, plan, period, entries, { period: key, ...(postedIn === undefined ? {} : { postedIn }) });
      });
}

/** A plan with recurring amounts keeps its periods coming, also without usage. */
function openSuccessor(draft: Draft, period: PeriodState): void {
  const rules = rulesAt(draft.rules, period.end);
  const next = rules === undefined ? undefined : draft.context.plan(rules.plan, rules.priceLists);
  if (rules === undefined || next === undefined || !isRecurring(next)) return;
  const successor = nextPeriod(next.period, rules.timeZone, { key: "", start: period.start, end: period.end });
  if (successor.start <= draft.at.recordedAt) draft.open(successor, next);
}

/**
 * The period in which each of the account's rules begin, where they have recurring amounts: ahead of time, so that it closes also
 * when nothing is ever used.
 */
export function openFirstPeriods(draft: Draft): void {
  for (const { from, plan: hash, priceLists, timeZone } of draft.rules) {
    // Rules without a start of their own charge no fees for the time before anybody knew them.
    const start = from === FROM_THE_BEGINNING ? draft.at.recordedAt : from;
    const plan = draft.context.plan(hash, priceLists);
    if (plan !== undefined && isRecurring(plan)) draft.open(periodOf(plan.period, timeZone, start), plan);
  }
}

function isRecurring(plan: CompiledPlan): boolean {
  return plan.baseFee !== undefined || plan.minimum !== undefined;
}

/** Closed periods whose late limit has passed by now and whose accumulators are still kept. */
function expiredPeriods(draft: Draft, plan: CompiledPlan): string[] {
  const kept = new Set<string>();
  for (const key of draft.state.accumulators.keys()) kept.add(key.split("|")[1] ?? "");
  return [...kept].filter((key) => {
    const period = draft.state.periods.get(key);
    const until = period === undefined ? undefined : lateUntil(period, plan.lateLimitNanos);
    return until !== undefined && draft.at.recordedAt > until;
  });
}
