/**
 * What doors answer: what was accepted, and with `Prefer: wait` what the owner decided.
 */
import { z } from "zod";

export const answerStatusSchema = z.enum(["recorded", "duplicate", "conflict", "parked", "ignored", "pending"]);

export const answerSchema = z.object({
  source: z.string(),
  id: z.string(),
  status: answerStatusSchema.describe("`pending`: accepted, and the owner had not answered in time."),
  detail: z.string().optional(),
  revision: z.int().optional().describe("Revision of the recorded event in its stream."),
});

export const inputProblemSchema = z.object({ pointer: z.string(), detail: z.string() });

export const receiptSchema = z.object({
  accepted: z.int().describe("So many facts are durable now and will be recorded or parked."),
  answers: z.array(answerSchema).optional().describe("Present with `Prefer: wait`."),
  refused: z.array(inputProblemSchema).optional().describe("Present with `?partial=true`: what was left out, and why."),
});

export const partialQuery = z.object({
  partial: z
    .enum(["true", "false"])
    .optional()
    .describe("true: accept the good facts of a batch and list the bad ones. Default: one bad fact refuses the whole batch."),
});

/** RFC 9457. */
export const problemSchema = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    instance: z.string(),
    errors: z
      .array(z.object({ pointer: z.string().optional(), parameter: z.string().optional(), detail: z.string() }))
      .optional(),
    traceId: z.string(),
  })
  .meta({ id: "Problem", description: "RFC 9457 problem details. `errors` lists everything that has to be mended." });

export type AnswerRead = z.infer<typeof answerSchema>;
export type ReceiptRead = z.infer<typeof receiptSchema>;
export type PartialQuery = z.infer<typeof partialQuery>;
export type ProblemRead = z.infer<typeof problemSchema>;

/** One value or an array of such values: what doors take. */
export function oneOrMany<Schema extends z.ZodType>(schema: Schema): z.ZodUnion<[Schema, z.ZodArray<Schema>]> {
  return z.union([schema, z.array(schema)]);
}
