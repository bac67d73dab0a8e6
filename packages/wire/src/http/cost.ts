/**
 * Costs of goods as people send them: what one request or outcome cost us.
 */
import { formatAmount, parseAmountRounded, parseInstant } from "@rerate/money";
import { z } from "zod";
import type { CostAccepted } from "../generated/topics.ts";
import { contentHash } from "./content-hash.ts";
import { problemsOfIssues, timeProblem, type Door, type InputProblem } from "./door.ts";
import { accountField, identitySchema, MAX_TEXT, textField, timeField, unitField } from "./fields.ts";
import { correctsSchema, isRecord, MAX_ATTEMPT } from "./usage-event.ts";

/** More would not fit a quantity's 15 digits before the point. */
const MAX_ATOMS = 10n ** 24n;

export const costSchema = z
  .strictObject({
    source: textField,
    id: textField,
    account: accountField,
    time: timeField.optional().describe("When it arose. Default: when the door accepts it."),
    amount: z
      .string()
      .max(MAX_TEXT)
      .refine((text) => readCost(text) !== undefined, {
        error: "must be a decimal amount as a string, plain or with an exponent such as 1.2e-7",
      })
      .meta({
        description: "Cost in major units; the text is kept as it came and booked rounded half-even to nine places.",
        examples: ["0.000812", "1.2e-7"],
      }),
    currency: unitField,
    about: identitySchema.optional().describe("The usage fact or outcome of the same account that it belongs to."),
    corrects: correctsSchema.optional(),
    revision: z.int().min(1).max(MAX_ATTEMPT).optional().describe("Counts the corrections of one cost from 1."),
  })
  .superRefine((cost, context) => {
    if ((cost.corrects === undefined) !== (cost.revision === undefined)) {
      context.addIssue({ code: "custom", path: ["revision"], message: "`corrects` and `revision` belong together" });
    }
    if (cost.corrects?.id === cost.id && (cost.corrects.source ?? cost.source) === cost.source) {
      context.addIssue({
        code: "custom",
        path: ["corrects"],
        message: "is the cost itself: a correction has an identity of its own",
      });
    }
  })
  .meta({
    id: "Cost",
    examples: [
      {
        source: "provider-bill",
        id: "c-1",
        account: "acme",
        amount: "0.000812",
        currency: "USD",
        about: { source: "api", id: "req-1" },
      },
    ],
  });

export type CostBody = z.infer<typeof costSchema>;

/** The fact, or everything that has to be mended. */
export function toCostFact(
  body: unknown,
  door: Door,
): { readonly fact: CostAccepted } | { readonly problems: readonly InputProblem[] } {
  const parsed = costSchema.safeParse(body);
  const problems = [...(parsed.success ? [] : problemsOfIssues(parsed.error.issues)), ...occurredAtProblems(body, door)];
  if (!parsed.success || problems.length > 0) return { problems };
  const { source, id, account, amount, currency, about, corrects, revision } = parsed.data;
  const time = parsed.data.time === undefined ? undefined : parseInstant(parsed.data.time);
  const atoms = (readCost(amount) ?? 0n).toString();
  return {
    fact: {
      kind: "cost",
      ns: door.ns,
      account,
      source,
      id,
      occurredAt: time ?? door.now,
      receivedAt: door.now,
      contentHash: contentHash("cost", [
        time ?? null,
        // The exact value where atoms hold it, so that 1.50 and 1.5 are one content; else the text.
        WHOLE_ATOMS.test(amount) ? formatAmount(BigInt(atoms)) : amount,
        currency,
        about === undefined ? null : [about.source, about.id],
        corrects === undefined ? null : [corrects.source ?? null, corrects.id],
        revision ?? null,
      ]),
      ...(corrects === undefined ? {} : { corrects: { source: corrects.source ?? source, id: corrects.id }, revision }),
      unit: currency,
      atoms,
      text: amount,
      ...(about === undefined ? {} : { about }),
    },
  };
}

/** A time that is no time is a problem of the schema; one out of bounds is a problem here. */
export function occurredAtProblems(body: unknown, door: Door): InputProblem[] {
  const time = isRecord(body) ? body["time"] : undefined;
  const occurredAt = typeof time === "string" && time.length <= 64 ? parseInstant(time) : undefined;
  const detail = occurredAt === undefined ? undefined : timeProblem(occurredAt, door);
  return detail === undefined ? [] : [{ pointer: "/time", detail }];
}

const DECIMAL = /^-?\d{1,60}(?:\.\d{1,60})?(?:[eE]([+-]?\d{1,2}))?$/;
const WHOLE_ATOMS = /^-?\d+(\.\d{1,9})?$/;

/** Atoms, rounded half-even; undefined for what is no amount or far beyond any. */
function readCost(text: string): bigint | undefined {
  const match = DECIMAL.exec(text);
  if (match === null || Math.abs(Number(match[1] ?? "0")) > 30) return undefined;
  const atoms = parseAmountRounded(text);
  return atoms <= MAX_ATOMS && atoms >= -MAX_ATOMS ? atoms : undefined;
}
