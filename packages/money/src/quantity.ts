/**
 * Quantities: decimals of at most 15 digits before and 9 after the point, never negative, never rounded.
 *
 * Owns the canonical text of a quantity. More digits are refused, so that sums stay exact and comparable everywhere.
 */
import { fraction, type Fraction } from "./fraction.ts";

/** The canonical text of a quantity (no sign, no leading or trailing zeros), or undefined when it is not one. */
export function canonicalQuantity(value: string | number): string | undefined {
  if (typeof value === "number") {
    return Number.isSafeInteger(value) && value >= 0 && value < 1e15 ? value.toString() : canonicalDecimalNumber(value);
  }
  const match = QUANTITY.exec(value);
  if (match === null) return undefined;
  const whole = (match[1] ?? "").replace(/^0+(?=\d)/, "");
  const places = (match[2] ?? "").replace(/0+$/, "");
  if (whole.length > 15 || places.length > 9) return undefined;
  return places === "" ? whole : `${whole}.${places}`;
}

/** The exact value of a canonical quantity. */
export function quantityFraction(canonical: string): Fraction {
  const point = canonical.indexOf(".");
  if (point < 0) return { n: BigInt(canonical), d: 1n };
  const places = canonical.length - point - 1;
  return fraction(BigInt(canonical.slice(0, point) + canonical.slice(point + 1)), 10n ** BigInt(places));
}

const QUANTITY = /^(\d{1,40})(?:\.(\d{1,40}))?$/;

/** A JSON number is taken for the decimal it prints as; one that prints with an exponent is refused. */
function canonicalDecimalNumber(value: number): string | undefined {
  const text = String(value);
  return text.includes("e") || value < 0 ? undefined : canonicalQuantity(text);
}
