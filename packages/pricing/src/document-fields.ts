/**
 * The fields that documents share: money, quantities, names, units.
 *
 * Money is always a quoted decimal. A number would pass through floating point before anyone could see it, so the schema (and the
 * JSON Schema that editors use) refuses numbers, and the message says what to write instead.
 */
import { canonicalQuantity, parseDecimal, parseDuration, parseInstant, quantityFraction, type Fraction } from "@rerate/money";
import { z } from "zod";

// Before the fields, because they are built from it.
const DECIMAL = /^\d{1,15}(\.\d{1,18})?$/;

/** An amount or price in major units, never negative: at most 15 digits and 18 places. */
export const money = decimalText("money");

/** An amount that is booked as it stands: money in whole atoms, so at most nine places. */
export const booked = money.regex(/^\d+(\.\d{1,9})?$/, "an amount that is booked has at most nine decimal places");

/** A plain factor such as a multiplier or a rate: a quoted decimal like money, so that it is exact. */
export const factor = decimalText("a factor");

/** A factor from 0 to 1, for example the part of a charge that is given back. */
export const share = decimalText("a share").refine(
  (text) => !DECIMAL.test(text) || parseDecimal(text).n <= parseDecimal(text).d,
  {
    error: "a share lies between 0 and 1",
  },
);

/** A count or size, for example `1000` or `"0.5"`. Whole numbers may stand without quotes. */
export const count = z.union([z.int().min(0).max(999_999_999_999_999), z.string().regex(/^\d{1,15}(\.\d{1,9})?$/)], {
  error: 'a whole number such as 1000, or a quoted decimal such as "0.5"',
});

/** The name of a document, an item or a policy. Lower case, so that it is the same in a path, a stream and a report. */
export const name = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,99}$/, "a name has lower-case letters, digits, and . _ -, at most 100");

/** A key of a fact's quantities or dimensions, for example `input_tokens`. */
export const key = z
  .string()
  .regex(/^[A-Za-z_][A-Za-z0-9_.-]{0,99}$/, "a key starts with a letter and has letters, digits, and _ . -");

/** Free text that a fact carries, such as a dimension's value or a model's name. */
export const value = z.string().min(1).max(200);

/** An ISO 4217 currency (`USD`) or a credit unit (`credits`). Whether a currency exists is a cross-field check. */
export const unit = z
  .string()
  .regex(/^([A-Z]{3}|[a-z][a-z0-9-]{0,49})$/, "a unit is an ISO 4217 currency such as USD, or a credit unit in lower case");

/** A duration of fixed length, such as `PT24H` or `P35D`. */
export const duration = z.string().refine((text) => parseDuration(text) !== undefined, {
  error: "an ISO 8601 duration of fixed length, such as PT24H or P35D",
});

/** A day (its first instant in UTC) or an instant. */
export const start = z.string().refine((text) => parseStart(text) !== undefined, {
  error: "a day such as 2025-06-10 (UTC) or a time such as 2025-06-10T00:00:00Z",
});

/** A time of day in UTC: `16:30` or `16:30:00`. */
export const timeOfDay = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?Z?$/, "a time of day in UTC, such as 16:30");

/** A daily window: from its start, before its end; over midnight when the end is earlier. */
export const dailyWindow = z.strictObject({ from: timeOfDay, to: timeOfDay });

/** The canonical instant that a `start` field means; undefined when it is none. */
export function parseStart(text: string): ReturnType<typeof parseInstant> {
  return parseInstant(/^\d{4}-\d\d-\d\d$/.test(text) ? `${text}T00:00:00Z` : text);
}

/** The exact value of a `count` field. */
export function countFraction(field: string | number): Fraction {
  const canonical = canonicalQuantity(field);
  if (canonical === undefined) throw new RangeError(`"${field}" is not a quantity`);
  return quantityFraction(canonical);
}

function decimalText(what: string): z.ZodString {
  return z.string({ error: (issue) => quoteIt(what, issue.input) }).regex(DECIMAL, `${what} is a plain decimal such as "0.50"`);
}

function quoteIt(what: string, input: unknown): string {
  if (input === undefined) return `${what} is missing: write a quoted decimal such as "0.50"`;
  return typeof input === "number"
    ? `${what} is a quoted decimal: write "${input}", not ${input}`
    : `${what} is a quoted decimal`;
}
