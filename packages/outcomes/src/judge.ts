/**
 * The verdict on one outcome: a pure function of the set of its signals.
 *
 * Owns the rules that turn signals into success, partial or failure. Knows no clock (the caller says which timeouts have passed),
 * no accounts and no money. Invariant: neither the order in which signals arrived nor how often changes a judgement; a score
 * is an exact fraction until the end.
 */
import {
  add,
  clamp,
  compare,
  DAY,
  divide,
  fraction,
  fromNanos,
  instant,
  multiply,
  ONE,
  parseDecimal,
  parseDuration,
  toNanos,
  ZERO,
  type Fraction,
  type Instant,
} from "@rerate/money";
import type { OutcomeDefinition } from "./definition.ts";

/** One observation about a result. `signal` names its kind. */
export interface Signal {
  readonly source: string;
  readonly id: string;
  readonly signal: string;
  /** The signal's own time. */
  readonly occurredAt: Instant;
  /** Plain decimal, 0 to 1; 1 when absent. Values outside are taken for the nearest bound. */
  readonly confidence?: string | undefined;
  /** Plain decimal: the number of a score signal. A score signal without one counts as not sent. */
  readonly value?: string | undefined;
}

export type JudgementReason = "explicit-signal" | "score-signal" | "minimum-signals" | "timeout" | "reversal";

export interface Judgement {
  readonly verdict: "success" | "partial" | "failure";
  /** 0 to 1, exact. */
  readonly score: Fraction;
  readonly reason: JudgementReason;
  /** The signals that make the score, in their own order. */
  readonly evidence: readonly Evidence[];
  /** Own time of the deciding signal, or the timeout. */
  readonly decidedAt: Instant;
  /** Signals with a later time of their own have no effect any more. */
  readonly revisableUntil: Instant;
}

export interface Evidence {
  readonly source: string;
  readonly id: string;
  readonly signal: string;
  /** Weight × confidence; of a score signal its value ÷ scale, within 0 to 1. */
  readonly contribution: Fraction;
}

/**
 * Judges an outcome whose request happened at `requestAt`. Undefined: still pending.
 *
 * Signals are taken by their own time, then identity. The shortest prefix that settles decides (an explicit signal, a score, or
 * enough weighted signals), unless it ends later than the reversal window after the timeout. After it, only the definition's
 * reversal kinds revise, each alone, the latest within the window last. Without such a prefix the timeout decides once
 * `upTo`, a time that is known to have passed, lies strictly after it. Kinds that the definition does not name have no effect.
 * Throws a RangeError for a confidence or value that is no plain decimal.
 */
export function judge(
  definition: OutcomeDefinition,
  requestAt: Instant,
  signals: readonly Signal[],
  upTo: Instant | undefined,
): Judgement | undefined {
  const rules = rulesOf(definition);
  const ordered = inOwnOrder(rules, signals);
  const timeoutAt = rules.timeout === undefined ? undefined : plusClamped(requestAt, rules.timeout);
  const until = timeoutAt === undefined ? END_OF_TIME : plusClamped(timeoutAt, rules.window);
  const settled = settle(rules, ordered, until);
  if (settled !== undefined) return reverse(rules, ordered, settled);
  if (timeoutAt === undefined || upTo === undefined || upTo <= timeoutAt) return undefined;
  return timeOut(rules, ordered, timeoutAt, until);
}

/** The first instant at which the timeout counts: one nanosecond after it, since exactly at the timeout the outcome is pending. */
export function timeoutDueAt(definition: OutcomeDefinition, requestAt: Instant): Instant | undefined {
  const { timeout } = rulesOf(definition);
  return timeout === undefined ? undefined : plusClamped(requestAt, timeout + 1n);
}

/** The last own time at which a signal can still settle an outcome without a verdict; undefined without a timeout. */
export function settleableUntil(definition: OutcomeDefinition, requestAt: Instant): Instant | undefined {
  const { timeout, window } = rulesOf(definition);
  return timeout === undefined ? undefined : plusClamped(requestAt, timeout + window);
}

type Kind =
  | { readonly kind: "weighted"; readonly weight: Fraction; readonly explicit: boolean }
  | { readonly kind: "score"; readonly scale: Fraction; readonly settlesBelowSuccess: boolean };

/** A definition with its texts parsed. */
interface Rules {
  readonly kinds: ReadonlyMap<string, Kind>;
  readonly minimum: number;
  readonly timeout: bigint | undefined;
  readonly onTimeout: OutcomeDefinition["onTimeout"];
  readonly success: Fraction;
  readonly partial: Fraction;
  readonly window: bigint;
  readonly reversal: ReadonlySet<string>;
  readonly explicitAlone: boolean;
}

/** A signal that counts, with its contribution. */
interface Counted extends Evidence {
  readonly occurredAt: Instant;
  readonly kind: Kind;
}

interface Settled {
  /** How many of the ordered signals the prefix has. */
  readonly length: number;
  readonly judgement: Judgement;
}

function settle(rules: Rules, ordered: readonly Counted[], until: Instant): Settled | undefined {
  let weighted = 0;
  for (const [index, last] of ordered.entries()) {
    if (last.occurredAt > until) return undefined;
    if (last.kind.kind === "weighted") weighted += 1;
    const reason = settlingReason(rules, last, weighted);
    if (reason === undefined) continue;
    const alone = reason === "score-signal" || (reason === "explicit-signal" && rules.explicitAlone);
    const counting = alone ? [last] : ordered.slice(0, index + 1).filter(({ kind }) => kind.kind === "weighted");
    const revisableUntil = plusClamped(last.occurredAt, rules.window);
    return { length: index + 1, judgement: conclude(rules, counting, reason, last.occurredAt, revisableUntil) };
  }
  return undefined;
}

function settlingReason(rules: Rules, last: Counted, weighted: number): JudgementReason | undefined {
  if (last.kind.kind === "score") {
    return last.kind.settlesBelowSuccess || compare(last.contribution, rules.success) >= 0 ? "score-signal" : undefined;
  }
  if (last.kind.explicit) return "explicit-signal";
  return weighted >= rules.minimum ? "minimum-signals" : undefined;
}

/** A reversal speaks for itself: "reopened" is not averaged with the acceptance that it takes back. */
function reverse(rules: Rules, ordered: readonly Counted[], { length, judgement }: Settled): Judgement {
  const reversal = ordered
    .slice(length)
    .findLast(({ signal, occurredAt }) => rules.reversal.has(signal) && occurredAt <= judgement.revisableUntil);
  return reversal === undefined
    ? judgement
    : conclude(rules, [reversal], "reversal", reversal.occurredAt, judgement.revisableUntil);
}

function timeOut(rules: Rules, ordered: readonly Counted[], timeoutAt: Instant, revisableUntil: Instant): Judgement {
  const inTime = rules.onTimeout?.use === "signals" ? ordered.filter(({ occurredAt }) => occurredAt <= timeoutAt) : [];
  const weighted = inTime.filter(({ kind }) => kind.kind === "weighted");
  const counting = weighted.length > 0 ? weighted : inTime.slice(-1);
  if (counting.length > 0) return conclude(rules, counting, "timeout", timeoutAt, revisableUntil);
  const score = parseDecimal(rules.onTimeout?.score ?? "0");
  const verdict = rules.onTimeout?.verdict ?? verdictOf(rules, score);
  return { verdict, score, reason: "timeout", evidence: [], decidedAt: timeoutAt, revisableUntil };
}

function conclude(
  rules: Rules,
  counting: readonly Counted[],
  reason: JudgementReason,
  decidedAt: Instant,
  revisableUntil: Instant,
): Judgement {
  const score = scoreOf(counting);
  const evidence = counting.map(({ source, id, signal, contribution }) => ({ source, id, signal, contribution }));
  return { verdict: verdictOf(rules, score), score, reason, evidence, decidedAt, revisableUntil };
}

/** (Σ weight·confidence + n) ÷ 2n within 0 to 1; of a lone score signal its own score. `counting` is not empty. */
function scoreOf(counting: readonly Counted[]): Fraction {
  const [first] = counting;
  if (first?.kind.kind === "score") return first.contribution;
  const n = BigInt(counting.length);
  const sum = counting.reduce((total, { contribution }) => add(total, contribution), ZERO);
  return clamp(divide(add(sum, fraction(n)), fraction(2n * n)), ZERO, ONE);
}

function verdictOf(rules: Rules, score: Fraction): Judgement["verdict"] {
  if (compare(score, rules.success) >= 0) return "success";
  return compare(score, rules.partial) >= 0 ? "partial" : "failure";
}

/** The signals that count, each once, by own time, then source, then id. */
function inOwnOrder(rules: Rules, signals: readonly Signal[]): Counted[] {
  const counted: Counted[] = [];
  for (const signal of signals) {
    const kind = rules.kinds.get(signal.signal);
    if (kind === undefined) continue;
    const contribution = contributionOf(kind, signal);
    if (contribution !== undefined) counted.push({ ...signal, kind, contribution });
  }
  counted.sort((a, b) => byText(a.occurredAt, b.occurredAt) || byText(a.source, b.source) || byText(a.id, b.id));
  return counted.filter((signal, index) => {
    const before = counted[index - 1];
    return before === undefined || before.source !== signal.source || before.id !== signal.id;
  });
}

function contributionOf(kind: Kind, signal: Signal): Fraction | undefined {
  if (kind.kind === "weighted") return multiply(kind.weight, clamp(parseDecimal(signal.confidence ?? "1"), ZERO, ONE));
  return signal.value === undefined ? undefined : clamp(divide(parseDecimal(signal.value), kind.scale), ZERO, ONE);
}

/** By UTF-16 code units: the same everywhere, unlike a locale's order. */
function byText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function rulesOf(definition: OutcomeDefinition): Rules {
  let rules = COMPILED.get(definition);
  if (rules === undefined) {
    rules = compile(definition);
    COMPILED.set(definition, rules);
  }
  return rules;
}

function compile(definition: OutcomeDefinition): Rules {
  const kinds = Object.entries(definition.signals).map(([name, terms]): [string, Kind] => [
    name,
    terms.score === true
      ? { kind: "score", scale: parseDecimal(terms.scale ?? "1"), settlesBelowSuccess: terms.settles !== "success" }
      : { kind: "weighted", weight: parseDecimal(terms.weight ?? "0"), explicit: terms.explicit === true },
  ]);
  return {
    kinds: new Map(kinds),
    minimum: definition.minimumSignals ?? Infinity,
    timeout: definition.timeout === undefined ? undefined : parseDuration(definition.timeout),
    onTimeout: definition.onTimeout,
    success: parseDecimal(definition.thresholds.success),
    partial: parseDecimal(definition.thresholds.partial),
    window:
      definition.reversalWindow === undefined ? DEFAULT_WINDOW : (parseDuration(definition.reversalWindow) ?? DEFAULT_WINDOW),
    reversal: new Set(definition.reversal),
    explicitAlone: definition.explicitDecides === "last",
  };
}

/** Times near the end of the calendar stop there instead of overflowing, so that a wild timestamp cannot stop an account. */
function plusClamped(value: Instant, nanos: bigint): Instant {
  const sum = toNanos(value) + nanos;
  return sum > toNanos(END_OF_TIME) ? END_OF_TIME : fromNanos(sum);
}

const COMPILED = new WeakMap<OutcomeDefinition, Rules>();
const DEFAULT_WINDOW = 30n * DAY;
const END_OF_TIME = instant("9999-12-31T23:59:59.999999999Z");
