/**
 * Outcome signals as producers send them: one observation about a result, such as "accepted", "edited", "reopened".
 */
import { canonicalQuantity, parseInstant } from "@rerate/money";
import { z } from "zod";
import type { SignalAccepted } from "../generated/topics.ts";
import { contentHash } from "./content-hash.ts";
import { occurredAtProblems } from "./cost.ts";
import { problemsOfIssues, type Door, type InputProblem } from "./door.ts";
import { accountField, identitySchema, textField, timeField } from "./fields.ts";
import { isName } from "./usage-event.ts";

const CONFIDENCE_RULE = "must be a decimal from 0 to 1";
const VALUE_RULE = "must be a decimal that is not negative, with at most 9 decimal places";

export const signalSchema = z
  .strictObject({
    source: textField.describe("Where the signal comes from. Identity is (source, id) within the account."),
    id: textField,
    account: accountField,
    outcome: z
      .union([textField, identitySchema], { error: "must be an outcome's id, or its source and id" })
      .describe(
        "The usage's source with its outcome reference (or its id). A plain text is an id under the signal's own source.",
      ),
    signal: z
      .string()
      .refine(isName, { error: "must start with a letter, then at most 63 letters, digits, _, . or -" })
      .meta({ examples: ["explicit_accept", "edit", "quality"] }),
    confidence: z
      .union([z.number(), z.string()], { error: CONFIDENCE_RULE })
      .refine(isShare, { error: CONFIDENCE_RULE })
      .optional()
      .describe("0 to 1; default 1."),
    value: z
      .union([z.number(), z.string()], { error: VALUE_RULE })
      .refine((value) => canonicalQuantity(value) !== undefined, { error: VALUE_RULE })
      .optional()
      .describe("The signal's number where it has one, such as a quality score."),
    time: timeField.optional().describe("When it was observed. Default: when the door accepts it."),
    validatorHash: textField.optional().describe("Hash of the validator that made the finding."),
  })
  .meta({ id: "Signal", examples: [{ source: "api", id: "s-1", account: "acme", outcome: "req-1", signal: "explicit_accept" }] });

export type SignalBody = z.infer<typeof signalSchema>;

/** The signal, or everything that has to be mended. */
export function toSignal(
  body: unknown,
  door: Door,
): { readonly fact: SignalAccepted } | { readonly problems: readonly InputProblem[] } {
  const parsed = signalSchema.safeParse(body);
  const problems = [...(parsed.success ? [] : problemsOfIssues(parsed.error.issues)), ...occurredAtProblems(body, door)];
  if (!parsed.success || problems.length > 0) return { problems };
  const { source, id, account, outcome, signal, validatorHash } = parsed.data;
  const time = parsed.data.time === undefined ? undefined : parseInstant(parsed.data.time);
  const confidence = canonical(parsed.data.confidence);
  const value = canonical(parsed.data.value);
  return {
    fact: {
      kind: "signal",
      ns: door.ns,
      account,
      source,
      id,
      outcome: typeof outcome === "string" ? { source, id: outcome } : outcome,
      signal,
      ...(confidence === undefined ? {} : { confidence }),
      ...(value === undefined ? {} : { value }),
      occurredAt: time ?? door.now,
      receivedAt: door.now,
      contentHash: contentHash("signal", [
        typeof outcome === "string" ? outcome : [outcome.source, outcome.id],
        signal,
        confidence ?? null,
        value ?? null,
        time ?? null,
        validatorHash ?? null,
      ]),
      ...(validatorHash === undefined ? {} : { validatorHash }),
    },
  };
}

function canonical(value: number | string | undefined): string | undefined {
  return value === undefined ? undefined : canonicalQuantity(value);
}

/** Decided on the text: nothing is rounded. */
function isShare(value: number | string): boolean {
  const text = canonicalQuantity(value);
  return text !== undefined && (text === "1" || text === "0" || text.startsWith("0."));
}
