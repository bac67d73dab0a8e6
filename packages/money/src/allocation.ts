/**
 * Splits an amount into parts that always sum to the whole, by largest remainder; ties go to the earlier part.
 */

/** Parts proportional to `weights` (all ≥ 0, not all zero). Throws a RangeError otherwise. The parts sum to `total` exactly. */
export function allocate(total: bigint, weights: readonly bigint[]): bigint[] {
  const sum = weights.reduce((a, b) => a + b, 0n);
  if (sum <= 0n || weights.some((weight) => weight < 0n)) throw new RangeError("weights must be ≥ 0 and not all zero");
  const sign = total < 0n ? -1n : 1n;
  const absolute = total * sign;
  const parts = weights.map((weight) => (absolute * weight) / sum);
  const remainders = weights.map((weight, index) => ({ index, rest: (absolute * weight) % sum }));
  remainders.sort((a, b) => (a.rest === b.rest ? a.index - b.index : a.rest > b.rest ? -1 : 1));
  let left = absolute - parts.reduce((a, b) => a + b, 0n);
  for (const { index } of remainders) {
    if (left === 0n) break;
    parts[index] = (parts[index] ?? 0n) + 1n;
    left -= 1n;
  }
  return parts.map((part) => part * sign);
}
