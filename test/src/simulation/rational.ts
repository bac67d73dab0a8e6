/**
 * Exact fractions of the oracle's own. Nothing here may come from `@rerate/money`: the oracle must not repeat its mistakes.
 */

/** Numerator and denominator; the denominator is positive. Not reduced until somebody compares texts. */
export type Rational = readonly [n: bigint, d: bigint];

export const NOTHING: Rational = [0n, 1n];

/** Reads "12", "-0.5" or "3/4". */
export function rational(text: string): Rational {
  const [above = "0", below] = text.split("/");
  if (below !== undefined) return [BigInt(above), BigInt(below)];
  const negative = above.startsWith("-");
  const [whole = "0", places = ""] = above.replace("-", "").split(".");
  const n = BigInt(whole + places);
  return [negative ? -n : n, 10n ** BigInt(places.length)];
}

export function plus([a, b]: Rational, [c, d]: Rational): Rational {
  return [a * d + c * b, b * d];
}

export function minus(a: Rational, [c, d]: Rational): Rational {
  return plus(a, [-c, d]);
}

export function times([a, b]: Rational, [c, d]: Rational): Rational {
  return [a * c, b * d];
}

/** The divisor is not zero. */
export function over([a, b]: Rational, [c, d]: Rational): Rational {
  return c < 0n ? [-a * d, b * -c] : [a * d, b * c];
}

export function isLess([a, b]: Rational, [c, d]: Rational): boolean {
  return a * d < c * b;
}

export function smaller(a: Rational, b: Rational): Rational {
  return isLess(b, a) ? b : a;
}

export function larger(a: Rational, b: Rational): Rational {
  return isLess(a, b) ? b : a;
}

/** Towards minus infinity. */
export function floor([n, d]: Rational): bigint {
  return n >= 0n ? n / d : -((-n + d - 1n) / d);
}

/** To the nearest whole number; exactly between two, to the even one. */
export function halfEven(value: Rational): bigint {
  const below = floor(value);
  const [n, d] = minus(value, [below, 1n]);
  const twice = 2n * n;
  if (twice < d || (twice === d && below % 2n === 0n)) return below;
  return below + 1n;
}

/** "3" or "3/4", in lowest terms. */
export function text([n, d]: Rational): string {
  let [a, b] = [n < 0n ? -n : n, d];
  while (b !== 0n) [a, b] = [b, a % b];
  const g = a === 0n ? 1n : a;
  return d / g === 1n ? String(n / g) : `${n / g}/${d / g}`;
}
