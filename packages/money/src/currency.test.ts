import * as independent from "dinero.js/currencies";
import { expect, test } from "vitest";
import { currencyCodes, currencyExponent, isCurrency } from "./currency.ts";

interface Currency {
  readonly code: string;
  readonly base: number | readonly number[];
  readonly exponent: number;
}

test("exponents agree with an independent table", () => {
  const others: readonly Currency[] = Object.values(independent);
  expect(others.length).toBeGreaterThan(150);
  const known = others.filter(({ code }) => isCurrency(code));
  // The ariary and the ouguiya divide by five; ISO 4217 gives them two places all the same, the other table base 5 and one place.
  const fifths = new Set(["MGA", "MRU"]);
  const differing = known.filter(({ code, exponent }) => currencyExponent(code) !== exponent && !fifths.has(code));
  expect(differing).toEqual([]);
  expect([...fifths].map((code) => currencyExponent(code))).toEqual([2, 2]);
  expect(known.filter(({ base }) => base !== 10).map(({ code }) => code)).toEqual([...fifths]);
  expect(others.filter(({ code }) => !isCurrency(code)).map(({ code }) => code)).toEqual([]);
  expect(currencyCodes().filter((code) => !others.some((other) => other.code === code))).toEqual([]);
});

test("a credit unit has no exponent", () => {
  expect([currencyExponent("credits"), isCurrency("credits"), isCurrency("usd")]).toEqual([undefined, false, false]);
});
