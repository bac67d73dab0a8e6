/**
 * The law of cumulative pricing, in one place: an entry is round(P(Q + q)) − round(P(Q)).
 *
 * So in any order of arrival the entries of an accumulator sum to the rounded price of the whole, and rounding never drifts.
 */
import { add, formatFraction, round, subtract, ZERO, type Fraction } from "@rerate/money";
import type { Entry } from "../account-events.ts";

/** Where measures add up. `booked` is what the entries of the accumulator sum to: round(P(quantity)) as long as nothing else is posted on it. */
export interface Accumulator {
  readonly quantity: Fraction;
  readonly booked: bigint;
  /** W = Σ refunded share × measure, under an average quality policy. */
  readonly refundedMeasure: Fraction;
  /** What quality refunds of this accumulator have given back, ≥ 0. */
  readonly refunded: bigint;
}

export const EMPTY_ACCUMULATOR: Accumulator = { quantity: ZERO, booked: 0n, refundedMeasure: ZERO, refunded: 0n };

/** What names an accumulator within an account. */
export interface AccumulatorPlace {
  readonly item: string;
  readonly unit: string;
  readonly version: string;
  readonly period: string;
  readonly cell: string;
}

/** The period comes second, so that everything of a period can be dropped by key. Items and periods contain no `|`. */
export function accumulatorKey(place: AccumulatorPlace): string {
  return `${place.item}|${place.period}|${place.version}|${place.unit}|${place.cell}`;
}

/** What adding a measure to an accumulator books. */
export interface Step {
  readonly before: Fraction;
  readonly after: Fraction;
  /** P(Q + q) − P(Q), exact. */
  readonly exact: Fraction;
  /** round(P(Q + q)) − what is booked so far. */
  readonly atoms: bigint;
}

/** `price` is the item's P. A quantity below zero is a broken invariant: more was taken back than was ever measured. */
export function stepOf(accumulator: Accumulator, measure: Fraction, price: (quantity: Fraction) => Fraction): Step {
  const before = accumulator.quantity;
  const after = add(before, measure);
  if (after.n < 0n) throw new Error(`an accumulator would fall to ${formatFraction(after)}`);
  const priceAfter = price(after);
  const priceBefore = price(before);
  return { before, after, exact: subtract(priceAfter, priceBefore), atoms: round(priceAfter) - round(priceBefore) };
}

export function placeOf(entry: Entry): AccumulatorPlace {
  return { item: entry.item, unit: entry.unit, version: entry.version, period: entry.period, cell: entry.cell };
}
