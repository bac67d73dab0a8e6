import * as fc from "fast-check";
import { expect, test } from "vitest";
import {
  atomsExactly,
  ATOMS_PER_UNIT,
  formatAmount,
  formatMinor,
  minorUnitAtoms,
  parseAmount,
  parseAmountRounded,
  roundToMinor,
} from "./amount.ts";
import { fraction } from "./fraction.ts";

test("every amount prints as a plain decimal that reads back", () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(10n ** 40n), max: 10n ** 40n }), (atoms) => {
      const text = formatAmount(atoms);
      expect(parseAmount(text)).toBe(atoms);
      expect(text).toMatch(/^-?(0|[1-9]\d*)(\.\d{0,8}[1-9])?$/);
    }),
  );
});

test("amounts print without trailing zeros", () => {
  const atoms = [0n, 1n, -1n, 10_500_000n, ATOMS_PER_UNIT, -12n * ATOMS_PER_UNIT, 100n * ATOMS_PER_UNIT, 1_000_000_001n];
  expect(atoms.map(formatAmount)).toEqual(["0", "0.000000001", "-0.000000001", "0.0105", "1", "-12", "100", "1.000000001"]);
});

test("an amount has at most nine places; a price has as many as it needs", () => {
  expect(parseAmount("0.0105")).toBe(10_500_000n);
  expect(parseAmount("1.0000000000")).toBe(ATOMS_PER_UNIT);
  expect(() => parseAmount("0.0000000001")).toThrow(RangeError);
  expect(() => parseAmount("1e-3")).toThrow(RangeError);
  expect(atomsExactly("0.0000000000375")).toEqual(fraction(3n, 80n));
});

test("costs published by others are rounded half-even to atoms, exponents included", () => {
  expect(parseAmountRounded("1.2e-7")).toBe(120n);
  expect(parseAmountRounded("15E2")).toBe(1500n * ATOMS_PER_UNIT);
  expect(parseAmountRounded("0.0000000005")).toBe(0n);
  expect(parseAmountRounded("0.0000000015")).toBe(2n);
  expect(parseAmountRounded("-0.0000000015")).toBe(-2n);
  expect(parseAmountRounded("161.3464939239999986665")).toBe(161_346_493_924n);
  for (const text of ["", "e5", "1e99", "NaN", "0x10"]) expect(() => parseAmountRounded(text)).toThrow(RangeError);
});

test("people see at least the minor unit's places", () => {
  expect(formatMinor(parseAmount("12"), "USD")).toBe("12.00");
  expect(formatMinor(parseAmount("345.3"), "USD")).toBe("345.30");
  expect(formatMinor(parseAmount("0.000018"), "USD")).toBe("0.000018");
  expect(formatMinor(parseAmount("12"), "JPY")).toBe("12");
  expect(formatMinor(parseAmount("1.5"), "KWD")).toBe("1.500");
  expect(formatMinor(parseAmount("-7"), "credits")).toBe("-7");
  expect(formatMinor(parseAmount("2.5"), "credits")).toBe("2.5");
});

test("an invoice rounds to the minor unit: cents, whole yen, whole credits", () => {
  expect([minorUnitAtoms("USD"), minorUnitAtoms("JPY"), minorUnitAtoms("BHD"), minorUnitAtoms("credits")]).toEqual([
    10_000_000n,
    ATOMS_PER_UNIT,
    1_000_000n,
    ATOMS_PER_UNIT,
  ]);
  expect(formatAmount(roundToMinor(parseAmount("0.125"), "USD"))).toBe("0.12");
  expect(formatAmount(roundToMinor(parseAmount("0.125"), "USD", "half-up"))).toBe("0.13");
  expect(formatAmount(roundToMinor(parseAmount("1.5"), "JPY"))).toBe("2");
});
