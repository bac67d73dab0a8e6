/**
 * What the reads across accounts answer: totals of a namespace, parked messages, the audit of shared identities, status.
 */
import { z } from "zod";
import { accountField, amountField, asOfSchema, cursorField, instantField, limitField, unitField } from "./fields.ts";

/** GET /v1/totals */
export const totalsQuery = z.object({ limit: limitField.describe("At most so many accounts, largest net amount first.") });

export const unitTotalsSchema = z.object({
  unit: unitField,
  charged: amountField,
  refunded: amountField,
  bonus: amountField,
  net: amountField,
});

export const totalsSchema = z.object({
  facts: z.int().describe("Recorded facts of every kind: usage, corrections, costs."),
  entries: z.int(),
  signals: z.int(),
  verdicts: z.int(),
  parked: z.int().describe("Messages that were ever noted as parked."),
  units: z.array(unitTotalsSchema),
  accountCount: z.int(),
  accounts: z.array(z.object({ account: accountField, facts: z.int(), entries: z.int(), units: z.array(unitTotalsSchema) })),
  asOf: asOfSchema.pick({ recordedAt: true }),
});

/** GET /: the page, or one account's part of it. */
export const pageQuery = z.object({ account: accountField.optional(), period: z.string().max(64).optional() });

export const pageSchema = z.string().describe("HTML.");

/** GET /v1/parked and …/parked/{id}, POST …/retry, DELETE */
export const parkedQuery = z.object({
  account: accountField.optional(),
  reason: z.string().max(64).optional(),
  service: z.string().max(64).optional(),
  limit: limitField,
});
export const parkedParams = z.object({ id: z.string().min(1).max(128) });

export const parkedSummarySchema = z.object({
  id: z.string(),
  service: z.string(),
  account: z.string().describe('"" where the bytes could not be read.'),
  topic: z.string(),
  reason: z.string().meta({ examples: ["unknown-account", "missing-price"] }),
  detail: z.string(),
  parkedAt: instantField,
});
export const parkedListSchema = z.object({
  parked: z.array(parkedSummarySchema),
  count: z.int().describe("All that are parked, listed or not."),
});
export const parkedSchema = parkedSummarySchema.extend({
  bytesBase64: z.string().describe("The message exactly as it came."),
  body: z.unknown().optional().describe("The decoded message, where it decodes."),
});
export const parkedRetrySchema = z.object({
  id: z.string(),
  status: z.enum(["recorded", "parked", "erased"]).describe("`recorded`: no longer parked. `parked`: the cause is not mended."),
});

/** GET /v1/audit/shared-identities: the same source and id under several accounts. */
export const sharedIdentitiesQuery = z.object({ cursor: cursorField.optional(), limit: limitField });
export const sharedIdentitiesSchema = z.object({
  identities: z.array(z.object({ source: z.string(), id: z.string(), accounts: z.array(accountField) })),
  next: z.string().optional(),
});

/** What one process says about itself. */
export const serviceStatusSchema = z.object({
  service: z.string(),
  instance: z.string(),
  startedAt: instantField,
  at: instantField.describe("When it said so."),
  ready: z.boolean(),
  checks: z.array(z.object({ name: z.string(), ok: z.boolean(), detail: z.string().optional() })),
  quarantined: z.array(z.object({ stream: z.string(), reason: z.string() })),
  waiting: z
    .array(z.object({ stream: z.string(), reason: z.string() }))
    .describe("Streams that wait for something outside; some of them."),
  openDeadlines: z.int(),
});

/** GET /v1/status */
export const statusSchema = z.object({
  version: z.string(),
  namespace: z.string(),
  ready: z.boolean(),
  checks: z.array(z.object({ name: z.string(), ok: z.boolean(), detail: z.string().optional() })),
  lag: z.array(z.object({ group: z.string(), topic: z.string(), partition: z.int(), lag: z.int() })),
  services: z
    .array(serviceStatusSchema)
    .optional()
    .describe("Where services are processes of their own: each that spoke lately."),
  oldestUnrecordedAt: instantField.optional().describe("When the oldest fact was accepted that is not recorded yet."),
  checkpoints: z
    .array(z.object({ name: z.string(), partition: z.int(), position: z.string() }))
    .optional()
    .describe("Up to where in the log each relay has published, and the read models have folded."),
  parked: z.int(),
  quarantined: z.array(z.object({ stream: z.string(), reason: z.string() })),
  startedAt: instantField,
});

/** GET /v1/reconciliation: every message that a door accepted, and what became of it. */
export const reconciliationSchema = z.object({
  ok: z.boolean().describe("Nothing is missing, and nothing is in the log twice."),
  topics: z.array(
    z.object({
      topic: z.string(),
      deliveries: z.int().describe("Messages in the topic, each as often as it was delivered."),
      accepted: z.int().describe("Distinct ones: recorded + parked + erased + waiting + missing."),
      recorded: z.int().describe("In the log, or known to be without effect."),
      parked: z.int(),
      erased: z.int().describe("Noted as parked, and erased since."),
      waiting: z.int().describe("Not handled yet, by the group's offsets."),
      missing: z.int().describe("Handled, and neither in the log nor parked: must be 0."),
      twice: z.int().describe("In the log more than once: must be 0."),
      older: z.int().describe("In the log, and no longer in the topic."),
      mended: z.int().describe("In the log, and still kept as parked: a retry erases them."),
    }),
  ),
  problems: z
    .array(
      z.object({
        kind: z.enum(["missing", "twice"]),
        topic: z.string(),
        identity: z.string().describe("What makes deliveries of it the same, or the hash of bytes that cannot be read."),
        at: z.string().describe("Topic, partition and offset, or the place in the log."),
      }),
    )
    .describe("At most twenty of each kind."),
});

export type ReconciliationRead = z.infer<typeof reconciliationSchema>;
export type PageQuery = z.infer<typeof pageQuery>;
export type UnitTotalsRead = z.infer<typeof unitTotalsSchema>;
export type TotalsRead = z.infer<typeof totalsSchema>;
export type ParkedSummaryRead = z.infer<typeof parkedSummarySchema>;
export type ParkedListRead = z.infer<typeof parkedListSchema>;
export type ParkedRead = z.infer<typeof parkedSchema>;
export type ParkedRetryRead = z.infer<typeof parkedRetrySchema>;
export type SharedIdentitiesRead = z.infer<typeof sharedIdentitiesSchema>;
export type ServiceStatus = z.infer<typeof serviceStatusSchema>;
export type StatusRead = z.infer<typeof statusSchema>;
