/**
 * The oracle's own verdicts: SYSTEMS S2, S4 and S5 over a set of signals, long after everything has arrived.
 *
 * Written from the description of the systems; imports nothing that it is to check.
 */
import { isLess, larger, over, plus, rational, smaller, text, times, type Rational } from "./rational.ts";
import type { PoolDefinition } from "./plan-pool.ts";

export interface OracleSignal {
  readonly source: string;
  readonly id: string;
  readonly signal: string;
  readonly ownMs: number;
  readonly confidence?: string | undefined;
  readonly value?: string | undefined;
}

export interface OracleVerdict {
  readonly verdict: "success" | "partial" | "failure";
  /** Exact, in lowest terms. */
  readonly score: string;
}

/** The verdict that stands once every timeout has passed; undefined when nothing settles the outcome. */
export function finalVerdict(
  definition: PoolDefinition,
  requestMs: number,
  all: readonly OracleSignal[],
): OracleVerdict | undefined {
  const timeout = milliseconds(definition.timeout);
  const window = milliseconds(definition.reversalWindow) ?? 0;
  const known = all.filter(({ signal }) => signal in definition.signals).toSorted(byOwnTime);
  const reachable = known.filter(({ ownMs }) => timeout === undefined || ownMs <= requestMs + timeout + window);
  for (let length = 1; length <= reachable.length; length++) {
    const prefix = reachable.slice(0, length);
    const last = prefix.at(-1);
    if (last === undefined || !settles(definition, prefix, last)) continue;
    const revising = known
      .slice(length)
      .findLast(({ signal, ownMs }) => (definition.reversal ?? []).includes(signal) && ownMs <= last.ownMs + window);
    return concluded(
      definition,
      revising === undefined ? scoreOf(definition, prefix, last) : scoreOf(definition, [revising], revising),
    );
  }
  if (timeout === undefined || definition.onTimeout === undefined) return undefined;
  const inTime = known.filter(({ ownMs }) => ownMs <= requestMs + timeout);
  const last = inTime.at(-1);
  if (definition.onTimeout.use === "fixed" || last === undefined)
    return concluded(definition, rational(definition.onTimeout.score));
  return concluded(definition, scoreOf(definition, inTime, last));
}

function settles(definition: PoolDefinition, prefix: readonly OracleSignal[], last: OracleSignal): boolean {
  const kind = definition.signals[last.signal];
  if (kind === undefined) return false;
  if ("score" in kind || kind.explicit === true) return true;
  return definition.minimumSignals !== undefined && prefix.length >= definition.minimumSignals;
}

/** A score signal says its number; weighted ones average to a half when they say nothing. */
function scoreOf(definition: PoolDefinition, counting: readonly OracleSignal[], last: OracleSignal): Rational {
  const kind = definition.signals[last.signal];
  if (kind !== undefined && "score" in kind) return within01(over(rational(last.value ?? "0"), rational(kind.scale)));
  const n = BigInt(counting.length);
  let sum: Rational = [n, 1n];
  for (const { signal, confidence } of counting) {
    const weighted = definition.signals[signal];
    if (weighted !== undefined && "weight" in weighted)
      sum = plus(sum, times(rational(weighted.weight), within01(rational(confidence ?? "1"))));
  }
  return within01(over(sum, [2n * n, 1n]));
}

function concluded({ thresholds }: PoolDefinition, score: Rational): OracleVerdict {
  const verdict = !isLess(score, rational(thresholds.success))
    ? "success"
    : !isLess(score, rational(thresholds.partial))
      ? "partial"
      : "failure";
  return { verdict, score: text(score) };
}

function within01(value: Rational): Rational {
  return larger([0n, 1n], smaller(value, [1n, 1n]));
}

function byOwnTime(a: OracleSignal, b: OracleSignal): number {
  if (a.ownMs !== b.ownMs) return a.ownMs - b.ownMs;
  const [left, right] = a.source === b.source ? [a.id, b.id] : [a.source, b.source];
  return left < right ? -1 : left > right ? 1 : 0;
}

/** The pool says its durations in whole hours or days. */
function milliseconds(duration: string | undefined): number | undefined {
  if (duration === undefined) return undefined;
  const match = /^P(?:(\d+)D|T(\d+)H)$/.exec(duration);
  if (match === null) throw new Error(`the oracle cannot read the duration ${duration}`);
  return (Number(match[1] ?? 0) * 24 + Number(match[2] ?? 0)) * 3_600_000;
}
