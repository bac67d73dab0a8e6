/**
 * Plan documents: a versioned rule book a customer is on.
 *
 * Owns the document's schema; the items' terms come from the charge models. What single fields cannot show is in `plan-problems.ts`.
 * Nothing here fills in defaults: the document stays as it was written, because its hash is its identity.
 */
import { z } from "zod";
import { booked, duration, factor, money, name, share, count, unit, value } from "./document-fields.ts";
import { itemSchema } from "./models/all.ts";
import { problemsInPlan } from "./plan-problems.ts";

/** Graduated prices: each tier prices the part of the quantity that falls into it. */
const outcomeTier = z.strictObject({
  upTo: count.optional().describe("Where the tier ends, inclusive; the last tier has no end."),
  price: money,
});

const outcome = z.strictObject({
  id: name.describe("The charge item of outcome entries: never reused."),
  title: z.string().optional(),
  definition: name.describe("The outcome definition document that decides verdicts."),
  price: money.optional().describe("What a whole outcome costs."),
  tiers: z.array(outcomeTier).min(1).optional().describe("In place of one price: graduated over the period's outcomes."),
  unit: unit.optional(),
  shares: z
    .strictObject({ success: share, partial: share, failure: share })
    .partial()
    .optional()
    .describe("How much of an outcome each verdict counts. If absent: success 1, partial 0, failure 0."),
  types: z.array(value).min(1).optional().describe("Event types that open an outcome; all but the record-only ones if absent."),
  countedAt: z
    .enum(["request", "settlement"])
    .optional()
    .describe("Whether price and period follow the request's time (if absent) or the verdict's."),
});

const quality = z.strictObject({
  id: name,
  title: z.string().optional(),
  base: z
    .enum(["marginal", "fixed", "average"])
    .optional()
    .describe("What shares are taken of: the fact's own charge, a fixed amount, or the accumulator's average price."),
  amount: money.optional().describe("The fixed base."),
  scale: z
    .int()
    .min(1)
    .max(1_000_000)
    .optional()
    .describe("The score's upper end in this policy: 100 means 0 to 100. 1 if absent."),
  refund: z
    .strictObject({
      below: factor.describe("Scores below this one are refunded."),
      share: z
        .union([z.literal("linear"), share])
        .describe("`linear`: (below − score) / below. Or the share of the base that is given back."),
    })
    .optional(),
  bonus: z.strictObject({ above: factor.describe("Scores above this one earn a bonus."), share }).optional(),
  rounding: z.enum(["half-even", "half-up", "floor", "ceiling"]).optional().describe("half-even if absent."),
  step: booked.optional().describe("Refunds and bonuses come in multiples of this; an atom if absent."),
});

const amount = z.strictObject({ id: name, title: z.string().optional(), amount: booked, unit: unit.optional() });

const shape = z.strictObject({
  kind: z.literal("plan"),
  id: name,
  title: z.string(),
  description: z.string().optional(),
  currency: unit.describe("The unit of everything that does not name its own."),
  period: z.enum(["month", "week", "day"]).optional().describe("month if absent; in the account's time zone."),
  lateLimit: duration.optional().describe("How long after a period's close its late facts are still rated; P35D if absent."),
  closeAfter: duration.optional().describe("How long after a period's end it is closed; PT1H if absent."),
  baseFee: amount.optional().describe("Charged once per period, also without usage."),
  minimum: amount.optional().describe("A period's charges before quality refunds are lifted to this."),
  maximum: amount.optional().describe("A period's charges stop at this."),
  items: z.array(itemSchema).optional(),
  outcome: outcome.optional().describe("What verdicts cost."),
  quality: quality.optional().describe("Refunds for poor results and bonuses for excellent ones."),
  recordOnly: z.array(value).min(1).optional().describe("Event types that are recorded without a charge."),
});

export type PlanDocument = z.infer<typeof shape>;
export type OutcomePolicy = z.infer<typeof outcome>;
export type QualityPolicy = z.infer<typeof quality>;
export type PlanAmount = z.infer<typeof amount>;

export const planSchema: z.ZodType<PlanDocument> = shape
  .superRefine((document, context) => {
    for (const { path, message } of problemsInPlan(document)) context.addIssue({ code: "custom", path: [...path], message });
  })
  .describe("A versioned rule book: what is charged, refunded and given.");
