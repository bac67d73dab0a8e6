/**
 * The rounding rules. Money is rounded in two places only: to atoms when an entry is booked (half-even, the law of
 * cumulative pricing) and to the currency's minor unit on an invoice. Plans may name another mode for a stated step.
 */
import type { Fraction } from "./fraction.ts";

export type RoundingMode = "half-even" | "half-up" | "floor" | "ceiling";

/** Rounds to a whole number. `half-up` rounds halves away from zero; `floor` and `ceiling` go towards ∓∞. */
export function round(value: Fraction, mode: RoundingMode = "half-even"): bigint {
  if (value.d === 1n) return value.n;
  const down = floor(value);
  if (mode === "floor") return down;
  if (mode === "ceiling") return down + 1n;
  const twice = 2n * (value.n - down * value.d);
  if (twice !== value.d) return twice > value.d ? down + 1n : down;
  if (mode === "half-even") return down % 2n === 0n ? down : down + 1n;
  return value.n < 0n ? down : down + 1n;
}

/** Rounds a whole number to a multiple of `step`, for example atoms to cents (step 10,000,000). */
export function roundToMultiple(value: bigint, step: bigint, mode: RoundingMode = "half-even"): bigint {
  return round({ n: value, d: step }, mode) * step;
}

function floor(value: Fraction): bigint {
  const quotient = value.n / value.d;
  return value.n < 0n && quotient * value.d !== value.n ? quotient - 1n : quotient;
}
