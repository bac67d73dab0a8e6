/**
 * Exact sums of atoms, quantities and fractions, fast where they are small.
 *
 * An `Exact` is a safe integer as long as the value is one, and a fraction in lowest terms otherwise, so equal values have
 * one form in memory, in a column and in a dump. The invariant: every operation is exact for values of any size; a number
 * is used only where `Number.isSafeInteger` proves that nothing was rounded.
 */
import { add, formatFraction, fraction, parseFraction, type Fraction } from "@rerate/money";

export type Exact = number | Fraction;

/** A decimal, a whole number or a fraction `n/d`, as stored events print them. Throws a RangeError on anything else. */
export function exact(text: string): Exact {
  if (text.length <= SAFE_LENGTH && INTEGER.test(text)) {
    const number = Number(text);
    if (Number.isSafeInteger(number)) return number === 0 ? 0 : number;
  }
  return canonical(parseFraction(text));
}

export function plus(a: Exact, b: Exact): Exact {
  if (typeof a === "number" && typeof b === "number") {
    // Two safe integers add up to less than 2^54 in size; a sum that is safe again is exact.
    const sum = a + b;
    if (Number.isSafeInteger(sum)) return sum;
  }
  return canonical(add(asFraction(a), asFraction(b)));
}

export function minus(a: Exact): Exact {
  if (typeof a === "number") return a === 0 ? 0 : -a;
  return { n: -a.n, d: a.d };
}

export function asFraction(value: Exact): Fraction {
  return typeof value === "number" ? { n: BigInt(value), d: 1n } : value;
}

/** Whole atoms of a sum of booked entries. Throws a RangeError for a fraction: booked entries are whole. */
export function asAtoms(value: Exact): bigint {
  if (typeof value === "number") return BigInt(value);
  if (value.d !== 1n) throw new RangeError(`${formatFraction(value)} is not a whole number of atoms`);
  return value.n;
}

/** `n` or `n/d`. */
export function exactText(value: Exact): string {
  return typeof value === "number" ? String(value) : formatFraction(value);
}

/** A plain decimal where the value has one (denominators of twos and fives only), else `n/d`. */
export function quantityText(value: Exact): string {
  if (typeof value === "number") return String(value);
  if (value.d === 1n) return value.n.toString();
  let places = 0;
  let scaled = value;
  for (; scaled.d !== 1n && places < MOST_PLACES; places += 1) scaled = fraction(scaled.n * 10n, scaled.d);
  if (scaled.d !== 1n) return formatFraction(value);
  const sign = scaled.n < 0n ? "-" : "";
  const digits = (scaled.n < 0n ? -scaled.n : scaled.n).toString().padStart(places + 1, "0");
  return `${sign}${digits.slice(0, -places)}.${digits.slice(-places)}`;
}

function canonical(value: Fraction): Exact {
  return value.d === 1n && value.n >= -MAX_SAFE && value.n <= MAX_SAFE ? Number(value.n) : value;
}

const SAFE_LENGTH = 17;
const INTEGER = /^-?\d+$/;
const MOST_PLACES = 24;
const MAX_SAFE = BigInt(Number.MAX_SAFE_INTEGER);
