import * as fc from "fast-check";
import { expect, test } from "vitest";
import { allocate } from "./allocation.ts";

const weights = fc
  .array(fc.bigInt({ min: 0n, max: 10n ** 12n }), { minLength: 1, maxLength: 12 })
  .filter((list) => list.some((weight) => weight > 0n));
const total = fc.bigInt({ min: -(10n ** 24n), max: 10n ** 24n });

test("parts sum to the whole, also for negative totals", () => {
  fc.assert(
    fc.property(total, weights, (whole, by) => {
      expect(allocate(whole, by).reduce((a, b) => a + b, 0n)).toBe(whole);
    }),
  );
});

test("each part is within one of its exact share, and a weight of zero gets nothing", () => {
  fc.assert(
    fc.property(total, weights, (whole, by) => {
      const sum = by.reduce((a, b) => a + b, 0n);
      for (const [index, part] of allocate(whole, by).entries()) {
        const weight = by[index] ?? 0n;
        const off = part * sum - whole * weight;
        expect(off < sum && off > -sum).toBe(true);
        if (weight === 0n) expect(part).toBe(0n);
      }
    }),
  );
});

test("splitting a debt mirrors splitting a credit", () => {
  fc.assert(
    fc.property(total, weights, (whole, by) => {
      expect(allocate(-whole, by)).toEqual(allocate(whole, by).map((part) => -part));
    }),
  );
});

test("what is left goes to the largest remainders, ties to the earlier part", () => {
  expect(allocate(100n, [1n, 1n, 1n])).toEqual([34n, 33n, 33n]);
  expect(allocate(-100n, [1n, 1n, 1n])).toEqual([-34n, -33n, -33n]);
  expect(allocate(10n, [1n, 5n, 6n])).toEqual([1n, 4n, 5n]);
  expect(allocate(2n, [1n, 1n, 1n])).toEqual([1n, 1n, 0n]);
});

test("weights that split nothing are refused", () => {
  for (const by of [[], [0n, 0n], [1n, -1n, 5n]]) expect(() => allocate(1n, by)).toThrow(RangeError);
});
