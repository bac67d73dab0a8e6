import { add, equals, fraction, type Fraction } from "@rerate/money";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { asFraction, exact, exactText, minus, plus, quantityText, type Exact } from "./exact.ts";
import { SUM } from "./fields.ts";

const fractions = fc
  .tuple(fc.bigInt(-(2n ** 80n), 2n ** 80n), fc.oneof(fc.constant(1n), fc.bigInt(1n, 10n ** 9n)))
  .map(([n, d]) => fraction(n, d));
const nearTheLimit = fc.bigInt(2n ** 53n - 5n, 2n ** 53n + 5n).map((n) => fraction(n));

function text({ n, d }: Fraction): string {
  return d === 1n ? `${n}` : `${n}/${d}`;
}

test("sums are exact for values of any size, in whatever order", () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(fractions, nearTheLimit), { maxLength: 20 }), (values) => {
      const expected = values.reduce((sum, value) => add(sum, value), fraction(0n));
      const forwards = values.reduce<Exact>((sum, value) => plus(sum, exact(text(value))), 0);
      const backwards = values.reduceRight<Exact>((sum, value) => plus(sum, exact(text(value))), 0);
      expect(equals(asFraction(forwards), expected)).toBe(true);
      // One form per value: equal sums are stored as equal columns.
      expect(backwards).toEqual(forwards);
      expect(plus(forwards, minus(forwards))).toBe(0);
    }),
  );
});

test("sums beyond 2^63 atoms are stored and read back exactly", () => {
  const large = exact((2n ** 70n).toString());
  const stored = SUM.encode(plus(large, large));
  expect(stored).toBe((2n ** 71n).toString());
  expect(exactText(SUM.decode(stored))).toBe((2n ** 71n).toString());
  expect(SUM.encode(plus(large, minus(large)))).toBe(0);
});

test.each([
  ["9007199254740991", 9007199254740991],
  ["9007199254740992", { n: 9007199254740992n, d: 1n }],
  ["9007199254740993", { n: 9007199254740993n, d: 1n }],
  ["-0", 0],
  ["12.50", { n: 25n, d: 2n }],
  ["12.00", 12],
  ["999999999999999.000000001", { n: 999999999999999000000001n, d: 1000000000n }],
  ["4/2", 2],
])("%s is read exactly", (given, expected) => {
  expect(exact(given)).toEqual(expected);
});

test("quantities print as decimals where they can and as fractions where they must", () => {
  expect(["1/8", "-5/2", "7", "1/3", "3/1000000000"].map((given) => quantityText(exact(given)))).toEqual([
    "0.125",
    "-2.5",
    "7",
    "1/3",
    "0.000000003",
  ]);
});

test("what is no number is refused", () => {
  for (const given of ["", " ", "x", "1e400", "0x10/2"]) expect(() => exact(given)).toThrow(RangeError);
});
