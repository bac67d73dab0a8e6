import * as fc from "fast-check";
import { expect, test } from "vitest";
import { compare, fraction, negate, subtract } from "./fraction.ts";
import { round, roundToMultiple, type RoundingMode } from "./rounding.ts";

const anyFraction = fc
  .tuple(fc.bigInt({ min: -(10n ** 25n), max: 10n ** 25n }), fc.bigInt({ min: 1n, max: 10n ** 12n }))
  .map(([n, d]) => fraction(n, d));
const MODES: readonly RoundingMode[] = ["half-even", "half-up", "floor", "ceiling"];

test("each mode rounds halves, quarters and negatives its own way", () => {
  const quarters = [-7n, -6n, -5n, -3n, -2n, -1n, 0n, 1n, 2n, 3n, 5n, 6n, 7n, 10n];
  const rounded = (mode: RoundingMode) => quarters.map((n) => Number(round(fraction(n, 4n), mode)));
  expect(rounded("half-even")).toEqual([-2, -2, -1, -1, 0, 0, 0, 0, 0, 1, 1, 2, 2, 2]);
  expect(rounded("half-up")).toEqual([-2, -2, -1, -1, -1, 0, 0, 0, 1, 1, 1, 2, 2, 3]);
  expect(rounded("floor")).toEqual([-2, -2, -2, -1, -1, -1, 0, 0, 0, 0, 1, 1, 1, 2]);
  expect(rounded("ceiling")).toEqual([-1, -1, -1, 0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 3]);
});

test("a rounded value is a neighbour, and to the nearest is within a half", () => {
  fc.assert(
    fc.property(anyFraction, fc.constantFrom(...MODES), (value, mode) => {
      const error = subtract(fraction(round(value, mode)), value);
      const bound = mode === "half-even" || mode === "half-up" ? fraction(1n, 2n) : fraction(1n);
      expect(compare(error, bound) <= 0 && compare(error, negate(bound)) >= 0).toBe(true);
      if (mode === "floor") expect(error.n <= 0n).toBe(true);
      if (mode === "ceiling") expect(error.n >= 0n).toBe(true);
    }),
  );
});

test("whole numbers stay as they are under every mode", () => {
  fc.assert(
    fc.property(fc.bigInt(), fc.constantFrom(...MODES), (n, mode) => {
      expect(round(fraction(n), mode)).toBe(n);
    }),
  );
});

test("half-even and half-up treat both signs alike; floor mirrors ceiling", () => {
  fc.assert(
    fc.property(anyFraction, (value) => {
      expect(round(negate(value), "half-even")).toBe(-round(value, "half-even"));
      expect(round(negate(value), "half-up")).toBe(-round(value, "half-up"));
      expect(round(negate(value), "floor")).toBe(-round(value, "ceiling"));
    }),
  );
});

test("half-even is what rounding means when no mode is named", () => {
  expect([round(fraction(1n, 2n)), round(fraction(3n, 2n)), round(fraction(5n, 2n))]).toEqual([0n, 2n, 2n]);
});

test("rounds to multiples, for example atoms to cents", () => {
  const cent = 10_000_000n;
  expect(roundToMultiple(15_000_000n, cent)).toBe(20_000_000n);
  expect(roundToMultiple(25_000_000n, cent)).toBe(20_000_000n);
  expect(roundToMultiple(25_000_000n, cent, "half-up")).toBe(30_000_000n);
  expect(roundToMultiple(-25_000_001n, cent)).toBe(-30_000_000n);
  expect(roundToMultiple(19_999_999n, cent, "floor")).toBe(10_000_000n);
});
