/**
 * The small pieces that HTTP bodies are made of. Money, quantities and instants are strings on every wire.
 */
import { parseInstant } from "@rerate/money";
import { z } from "zod";

/** Longest text of an id, a name or a dimension value, in UTF-16 units. */
export const MAX_TEXT = 256;

const CONTROL = /\p{Cc}/u;

/** True for a text of 1 to 256 printable characters: what ids, names and dimension values may be. */
export function isText(value: unknown): value is string {
  return (
    typeof value === "string" && value.length > 0 && value.length <= MAX_TEXT && !CONTROL.test(value) && value.isWellFormed()
  );
}

export const TEXT_RULE = `a text of 1 to ${MAX_TEXT} characters without control characters`;

export const textField = z
  .string()
  .min(1)
  .max(MAX_TEXT)
  .refine(isText, { error: `must be ${TEXT_RULE}` });

export const accountField = textField.describe("The customer account.");

/** A signed decimal amount in major units (dollars, credits), at most nine decimal places. */
export const amountField = z
  .string()
  .regex(/^-?\d{1,40}(\.\d{1,9})?$/, "must be a decimal amount as a string, with at most nine decimal places")
  .meta({
    description: "Decimal amount in major units (dollars, credits). Never a floating-point number.",
    examples: ["0.0105"],
  });

export const unitField = z
  .string()
  .regex(/^[A-Za-z][A-Za-z0-9_-]{0,31}$/, "must be an ISO 4217 code or the name of a credit unit")
  .meta({ description: "ISO 4217 code or credit unit.", examples: ["USD"] });

export const quantityField = z.string().meta({ description: "Exact decimal quantity.", examples: ["812"] });

/** A canonical instant, as every answer prints it. */
export const instantField = z.string().meta({
  description: "UTC instant with nanoseconds; texts compare as times do.",
  examples: ["2026-03-01T09:30:00.000000000Z"],
});

/** Any RFC 3339 time, as requests may write it. */
export const timeField = z
  .string()
  .max(64)
  .refine((text) => parseInstant(text) !== undefined, { error: "must be an RFC 3339 time such as 2026-03-01T09:30:00Z" })
  .meta({ description: "RFC 3339 time, at most nine fractional digits.", examples: ["2026-03-01T09:30:00Z"] });

export const hashField = z.string().meta({ description: "Content hash of an immutable document version." });

export const identitySchema = z
  .strictObject({ source: textField, id: textField })
  .describe("Identity of a fact within its account.");

/** Where a read model stood when it answered. Absent fields: nothing has been recorded yet. */
export const asOfSchema = z.object({
  recordedAt: instantField.optional(),
  revision: z.int().optional().describe("Revision of the account's stream."),
});

export const cursorField = z.string().max(512).describe("Where the page before ended (`next`).");

export const limitField = z.coerce.number().int().min(1).max(1000).default(100);
