import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  add,
  clamp,
  compare,
  divide,
  equals,
  formatDecimal,
  formatFraction,
  fraction,
  isZero,
  max,
  min,
  multiply,
  negate,
  ONE,
  parseDecimal,
  parseFraction,
  subtract,
  ZERO,
  type Fraction,
} from "./fraction.ts";

const whole = fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n });
const anyFraction = fc.tuple(whole, fc.bigInt({ min: 1n, max: 10n ** 20n })).map(([n, d]) => fraction(n, d));

describe("fractions", () => {
  test("are in lowest terms with a positive denominator, so equal values have equal fields", () => {
    fc.assert(
      fc.property(whole, whole, whole, (n, d, factor) => {
        fc.pre(d !== 0n && factor !== 0n);
        expect(fraction(n * factor, d * factor)).toEqual(fraction(n, d));
        expect(fraction(n, d).d > 0n).toBe(true);
      }),
    );
    expect(fraction(6n, -4n)).toEqual({ n: -3n, d: 2n });
    expect(fraction(0n, -7n)).toEqual(ZERO);
  });

  test("obey the laws of arithmetic", () => {
    fc.assert(
      fc.property(anyFraction, anyFraction, anyFraction, (a, b, c) => {
        expect(add(a, b)).toEqual(add(b, a));
        expect(add(add(a, b), c)).toEqual(add(a, add(b, c)));
        expect(multiply(a, b)).toEqual(multiply(b, a));
        expect(multiply(multiply(a, b), c)).toEqual(multiply(a, multiply(b, c)));
        expect(multiply(a, add(b, c))).toEqual(add(multiply(a, b), multiply(a, c)));
        expect(add(a, ZERO)).toEqual(a);
        expect(multiply(a, ONE)).toEqual(a);
        expect(subtract(a, a)).toEqual(ZERO);
        expect(add(a, negate(a))).toEqual(ZERO);
        if (!isZero(b)) expect(multiply(divide(a, b), b)).toEqual(a);
      }),
    );
  });

  test("compare as their values do", () => {
    fc.assert(
      fc.property(anyFraction, anyFraction, (a, b) => {
        const sign = subtract(a, b).n;
        expect(compare(a, b)).toBe(sign < 0n ? -1 : sign > 0n ? 1 : 0);
        expect(equals(a, b)).toBe(sign === 0n);
        expect([min(a, b), max(a, b)]).toEqual(compare(a, b) <= 0 ? [a, b] : [b, a]);
      }),
    );
    expect([fraction(-1n), fraction(1n, 3n), fraction(7n)].map((value) => clamp(value, ZERO, ONE))).toEqual([
      ZERO,
      fraction(1n, 3n),
      ONE,
    ]);
  });

  test("have one printed form, and it reads back", () => {
    fc.assert(
      fc.property(anyFraction, (a) => {
        expect(parseFraction(formatFraction(a))).toEqual(a);
      }),
    );
    expect([fraction(3n), fraction(-7n, 3n)].map(formatFraction)).toEqual(["3", "-7/3"]);
  });

  test("refuse a denominator of zero", () => {
    expect(() => fraction(1n, 0n)).toThrow(RangeError);
    expect(() => divide(ONE, ZERO)).toThrow(RangeError);
    expect(() => parseFraction("1/0")).toThrow(RangeError);
  });
});

describe("decimals", () => {
  test("are read exactly", () => {
    expect(parseDecimal("-1.50")).toEqual(fraction(-3n, 2n));
    expect(parseDecimal("-0.5")).toEqual(fraction(-1n, 2n));
    expect(parseDecimal("007")).toEqual(fraction(7n));
    expect(add(parseDecimal("0.1"), parseDecimal("0.2"))).toEqual(parseDecimal("0.3"));
  });

  test("anything else is refused", () => {
    for (const text of ["", "-", ".5", "5.", "1e3", "+1", "1,5", " 1", "1 ", "0x1", "Infinity", "NaN", "1.2.3", "--1", "١"]) {
      expect(() => parseDecimal(text)).toThrow(RangeError);
      expect(() => parseFraction(text)).toThrow(RangeError);
    }
    for (const text of ["1/-2", "1/2/3", "/2", "1/", "1.5/2"]) expect(() => parseFraction(text)).toThrow(RangeError);
  });

  test("print exactly where they end, and with an ellipsis where they do not", () => {
    const prints = (value: Fraction, places?: number) => formatDecimal(value, places);
    expect(prints(fraction(-3n, 8n))).toBe("-0.375");
    expect(prints(fraction(7n, 12n), 5)).toBe("0.58333…");
    expect(prints(fraction(2n, 3n), 0)).toBe("0…");
    expect(prints(fraction(5n))).toBe("5");
    fc.assert(
      fc.property(whole, fc.integer({ min: 0, max: 20 }), (n, places) => {
        const value = fraction(n, 10n ** BigInt(places));
        expect(parseDecimal(formatDecimal(value, 20))).toEqual(value);
      }),
    );
  });
});
