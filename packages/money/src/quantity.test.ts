import * as fc from "fast-check";
import { expect, test } from "vitest";
import { fraction, parseDecimal } from "./fraction.ts";
import { canonicalQuantity, quantityFraction } from "./quantity.ts";

test("one value has one canonical text", () => {
  expect(["0", "000", "007.500", "1.0", "0.10", "12"].map((text) => canonicalQuantity(text))).toEqual([
    "0",
    "0",
    "7.5",
    "1",
    "0.1",
    "12",
  ]);
  expect([0, 812, 0.5, 1e14].map((value) => canonicalQuantity(value))).toEqual(["0", "812", "0.5", "100000000000000"]);
});

test("what is negative, too long, or no plain decimal is refused, never rounded", () => {
  for (const text of ["", "-1", "+1", "1e3", ".5", "5.", "1 ", "1000000000000000", "0.0000000001", "one", "1,5"]) {
    expect([text, canonicalQuantity(text)]).toEqual([text, undefined]);
  }
  for (const value of [-1, 2 ** 60, 1e15, 1e21, 1e-7, Number.NaN, Number.POSITIVE_INFINITY, -0.5]) {
    expect([value, canonicalQuantity(value)]).toEqual([value, undefined]);
  }
});

test("fifteen digits and nine places are kept exactly", () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 10n ** 15n - 1n }), fc.bigInt({ min: 0n, max: 10n ** 9n - 1n }), (whole, places) => {
      const text = `${whole}.${places.toString().padStart(9, "0")}`;
      const canonical = canonicalQuantity(text) ?? "refused";
      expect(canonicalQuantity(canonical)).toBe(canonical);
      expect(quantityFraction(canonical)).toEqual(parseDecimal(text));
    }),
  );
  expect(quantityFraction("0.5")).toEqual(fraction(1n, 2n));
});
