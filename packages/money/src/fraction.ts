/**
 * Exact fractions: what a price or a score is before the one rounding step.
 *
 * Owns exact arithmetic on rational numbers. Does not know currencies or rounding rules (see `rounding.ts`).
 * Invariant: the denominator is positive and the fraction is in lowest terms, so equal values have equal fields and
 * one printed form.
 */

export interface Fraction {
  readonly n: bigint;
  readonly d: bigint;
}

export const ZERO: Fraction = { n: 0n, d: 1n };
export const ONE: Fraction = { n: 1n, d: 1n };

/** Builds a fraction in lowest terms. Throws a RangeError when the denominator is zero. */
export function fraction(n: bigint, d: bigint = 1n): Fraction {
  if (d === 1n) return { n, d };
  if (d === 0n) throw new RangeError("a fraction needs a denominator other than zero");
  const g = gcd(n < 0n ? -n : n, d < 0n ? -d : d);
  const sign = d < 0n ? -1n : 1n;
  return { n: (sign * n) / g, d: (sign * d) / g };
}

export function add(a: Fraction, b: Fraction): Fraction {
  if (a.d === 1n && b.d === 1n) return { n: a.n + b.n, d: 1n };
  return a.d === b.d ? fraction(a.n + b.n, a.d) : fraction(a.n * b.d + b.n * a.d, a.d * b.d);
}

export function subtract(a: Fraction, b: Fraction): Fraction {
  return add(a, { n: -b.n, d: b.d });
}

export function multiply(a: Fraction, b: Fraction): Fraction {
  if (a.d === 1n && b.d === 1n) return { n: a.n * b.n, d: 1n };
  return fraction(a.n * b.n, a.d * b.d);
}

/** Throws a RangeError when the divisor is zero. */
export function divide(a: Fraction, b: Fraction): Fraction {
  return fraction(a.n * b.d, a.d * b.n);
}

export function negate(a: Fraction): Fraction {
  return { n: -a.n, d: a.d };
}

/** Negative, zero or positive, like a sort comparator. Exact. */
export function compare(a: Fraction, b: Fraction): -1 | 0 | 1 {
  const left = a.n * b.d;
  const right = b.n * a.d;
  return left < right ? -1 : left > right ? 1 : 0;
}

export function equals(a: Fraction, b: Fraction): boolean {
  return a.n === b.n && a.d === b.d;
}

export function isZero(a: Fraction): boolean {
  return a.n === 0n;
}

export function min(a: Fraction, b: Fraction): Fraction {
  return compare(a, b) <= 0 ? a : b;
}

export function max(a: Fraction, b: Fraction): Fraction {
  return compare(a, b) >= 0 ? a : b;
}

export function clamp(value: Fraction, low: Fraction, high: Fraction): Fraction {
  return max(low, min(high, value));
}

/** Prints `n` for whole numbers and `n/d` otherwise: the form fractions have in every stored event. */
export function formatFraction(a: Fraction): string {
  return a.d === 1n ? a.n.toString() : `${a.n}/${a.d}`;
}

/** Reads `n`, `n/d` or a plain decimal such as `0.25`. Throws a RangeError on anything else. */
export function parseFraction(text: string): Fraction {
  const slash = text.indexOf("/");
  if (slash < 0) return parseDecimal(text);
  const [n, d] = [text.slice(0, slash), text.slice(slash + 1)];
  if (!INTEGER.test(n) || !DIGITS.test(d)) throw new RangeError(`"${text}" is not a fraction`);
  return fraction(BigInt(n), BigInt(d));
}

/** Reads a plain decimal without exponent (`-1.50`) exactly. Throws a RangeError on anything else. */
export function parseDecimal(text: string): Fraction {
  if (INTEGER.test(text)) return { n: BigInt(text), d: 1n };
  const match = DECIMAL.exec(text);
  if (match === null) throw new RangeError(`"${text}" is not a plain decimal number`);
  const [, sign = "", whole = "", places = ""] = match;
  return fraction(BigInt(`${sign}${whole}${places}`), 10n ** BigInt(places.length));
}

/** Prints an exact decimal where one exists, else `places` digits followed by an ellipsis. For people, never for storage. */
export function formatDecimal(a: Fraction, places = 12): string {
  const sign = a.n < 0n ? "-" : "";
  const n = a.n < 0n ? -a.n : a.n;
  let rest = n % a.d;
  let digits = "";
  while (rest !== 0n && digits.length < places) {
    rest *= 10n;
    digits += (rest / a.d).toString();
    rest %= a.d;
  }
  return `${sign}${n / a.d}${digits === "" ? "" : `.${digits}`}${rest === 0n ? "" : "…"}`;
}

const INTEGER = /^-?\d+$/;
const DIGITS = /^\d+$/;
const DECIMAL = /^(-?)(\d+)\.(\d+)$/;

function gcd(a: bigint, b: bigint): bigint {
  while (b !== 0n) [a, b] = [b, a % b];
  return a === 0n ? 1n : a;
}
