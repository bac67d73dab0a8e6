/**
 * What the reads about one account answer: balance, entries, explanation, invoices, usage, outcomes, contract.
 *
 * Owns shapes only; `projections` fills them. Every amount is a decimal string, every list says how to go on.
 */
import { z } from "zod";
import {
  accountField,
  amountField,
  asOfSchema,
  cursorField,
  hashField,
  identitySchema,
  instantField,
  limitField,
  quantityField,
  timeField,
  unitField,
} from "./fields.ts";

export const accountParams = z.object({ account: accountField });

/** GET /v1/accounts */
export const accountsQuery = z.object({ cursor: cursorField.optional(), limit: limitField });

export const accountSummarySchema = z.object({
  account: accountField,
  currency: unitField,
  timeZone: z.string().meta({ examples: ["UTC", "Europe/Berlin"] }),
  wallet: z.string().describe("The wallet that pays; by default the account's own name."),
  planId: z.string().optional().describe("Plan in force now; absent before the first assignment."),
});
export const accountsSchema = z.object({ accounts: z.array(accountSummarySchema), next: z.string().optional() });

/** GET /v1/accounts/{account} */
export const accountSchema = accountSummarySchema.extend({
  contract: z.object({
    openedAt: instantField,
    assignments: z.array(
      z.object({
        planId: z.string(),
        planHash: hashField.optional().describe("Absent: whichever version is in force at each time."),
        from: instantField,
        recordedAt: instantField,
      }),
    ),
  }),
  rules: z
    .array(
      z.object({
        from: instantField,
        planId: z.string(),
        plan: hashField,
        priceLists: z.record(z.string(), hashField),
        outcomeDefinition: hashField.optional(),
        decider: z.int(),
        revision: z.int().describe("Revision of the event that bound them in the account's stream."),
      }),
    )
    .describe("Rules that settlement bound, oldest first."),
  standing: z
    .object({ standing: z.enum(["good", "low", "exhausted"]), unit: unitField, balance: amountField })
    .optional()
    .describe("A hint from the paying wallet; absent for a wallet without grants."),
  asOf: asOfSchema,
});

/** GET /v1/accounts/{account}/balance */
export const grantSchema = z.object({
  id: z.string(),
  unit: unitField,
  source: z.string().meta({ examples: ["purchase", "promotion"] }),
  granted: amountField,
  remaining: amountField,
  priority: z.int().describe("Lower is drawn first."),
  effectiveAt: instantField,
  expiresAt: instantField.optional(),
});

export const unitBalanceSchema = z.object({
  unit: unitField,
  charged: amountField.describe("Charges, fees, true-ups, caps and corrections of these."),
  refunded: amountField.describe("Given back for poor results: not negative."),
  bonus: amountField.describe("Given for excellent results: not negative."),
  net: amountField.describe("charged − refunded − bonus."),
  unpaid: amountField.describe("What no grant has paid."),
  grants: z.array(grantSchema),
});

export const balanceSchema = z.object({
  account: accountField,
  currency: unitField,
  wallet: z.string(),
  units: z.array(unitBalanceSchema),
  asOf: asOfSchema,
});

/** GET /v1/accounts/{account}/entries */
export const entriesQuery = z.object({
  cursor: cursorField.optional(),
  limit: limitField,
  period: z.string().max(64).optional(),
  item: z.string().max(256).optional(),
  order: z.enum(["oldest", "newest"]).default("oldest"),
});

export const entryKindSchema = z.enum(["charge", "refund", "bonus", "fee", "true-up", "correction", "cap"]);

export const entrySchema = z.object({
  n: z.int().min(1).describe("Counts from 1 without gaps within the account."),
  kind: entryKindSchema,
  item: z.string().describe("Charge item of the plan."),
  unit: unitField,
  amount: amountField.describe("Booked amount: positive is owed by the customer, negative goes to the customer."),
  exact: z.string().meta({
    description: "Exact amount in atoms (10⁻⁹ of a unit) as a fraction, before rounding to whole atoms.",
    examples: ["10500000", "31/3"],
  }),
  source: z.string().optional().describe("Identity of the fact that caused it; absent for fees and true-ups of a period."),
  id: z.string().optional(),
  occurredAt: instantField,
  recordedAt: instantField,
  period: z.string().describe("Billing period that the fact belongs to."),
  postedIn: z.string().optional().describe("Period whose invoice carries it, where that is another (a late fact)."),
  corrects: z.int().optional().describe("Number of the entry that it takes back, wholly or partly."),
  model: z.string().meta({ description: "Charge model and its revision.", examples: ["tokens@1"] }),
  provider: z.string().optional(),
  llmModel: z.string().optional().describe("The AI model that was used."),
  revision: z.int().describe("Revision of the deciding event in the account's stream."),
});
export const entriesSchema = z.object({ entries: z.array(entrySchema), next: z.string().optional() });

/** GET /v1/accounts/{account}/entries/{n}/explanation */
export const entryParams = z.object({ account: accountField, n: z.coerce.number().int().min(1) });

export const factSchema = z.object({
  source: z.string(),
  id: z.string(),
  occurredAt: instantField,
  recordedAt: instantField,
  type: z.string(),
  provider: z.string().optional(),
  model: z.string().optional(),
  quantities: z.record(z.string(), quantityField),
  dimensions: z.record(z.string(), z.string()),
  outcome: z.string().optional(),
  attempt: z.int().optional(),
  parent: z.string().optional(),
  corrects: identitySchema.optional(),
  correctionRevision: z.int().optional(),
});

export const verdictKindSchema = z.enum(["success", "partial", "failure"]);

export const verdictSchema = z.object({
  outcome: identitySchema,
  verdict: verdictKindSchema,
  score: z.string().describe("Exact fraction from 0 to 1."),
  reason: z.string().meta({ examples: ["explicit-signal", "timeout"] }),
  verdictRevision: z.int().min(1),
  definition: hashField,
  decidedAt: instantField,
});

export const explanationSchema = z.object({
  entry: entrySchema,
  lines: z.array(z.string()).describe("The arithmetic, one step a line, for people."),
  fact: factSchema.optional().describe("Absent for fees and true-ups of a period."),
  rules: z
    .object({
      plan: hashField,
      planId: z.string(),
      priceLists: z.record(z.string(), hashField),
      outcomeDefinition: hashField.optional(),
    })
    .optional(),
  accumulator: z.object({
    item: z.string(),
    version: z.string(),
    period: z.string(),
    cell: z.string(),
    measure: z.string(),
    measureUnit: z.string(),
    before: z.string(),
    after: z.string(),
  }),
  exact: z.string().describe("Exact amount in atoms as a fraction."),
  amount: amountField,
  verdict: verdictSchema.optional(),
});

/** GET /v1/accounts/{account}/invoices and …/invoices/{period} */
export const invoiceParams = z.object({ account: accountField, period: z.string().min(1).max(64) });

export const invoiceStatusSchema = z.enum(["open", "final"]);

export const invoiceLineSchema = z.object({
  item: z.string(),
  kind: entryKindSchema,
  quantity: quantityField.describe("Sum of the measures: an exact decimal, or a fraction n/d."),
  measureUnit: z.string(),
  exactAmount: amountField.describe("Sum of the booked entries, to the atom."),
  amount: amountField.describe("Rounded half-even to the currency's minor unit."),
  entries: z.int(),
  originalPeriod: z.string().optional().describe("Present on lines of late facts: the period they belong to."),
});

export const invoiceSectionSchema = z.object({
  unit: unitField,
  lines: z.array(invoiceLineSchema),
  rounding: amountField.describe("Makes the sum of the rounded lines the rounded exact total."),
  total: amountField.describe("Sum of the line amounts and the rounding line."),
  credits: amountField.describe("What grants paid of it: not negative."),
  due: amountField.describe("total − credits."),
});

export const invoiceSchema = z.object({
  account: accountField,
  period: z.string(),
  start: instantField,
  end: instantField.describe("Exclusive."),
  status: invoiceStatusSchema,
  sections: z.array(invoiceSectionSchema),
  asOf: asOfSchema,
});

export const invoicesSchema = z.object({
  invoices: z.array(
    z.object({
      period: z.string(),
      start: instantField,
      end: instantField,
      status: invoiceStatusSchema,
      totals: z.array(z.object({ unit: unitField, total: amountField, credits: amountField, due: amountField })),
    }),
  ),
});

/** GET /v1/accounts/{account}/usage */
export const usageQuery = z.object({
  by: z
    .string()
    .min(1)
    .max(256)
    .default("model")
    .describe("model, provider, type, item, day, hour, or the name of a dimension such as feature, key, user."),
  from: timeField.optional().describe("First occurredAt, inclusive."),
  to: timeField.optional().describe("Last occurredAt, exclusive."),
});

export const usageSchema = z.object({
  account: accountField,
  by: z.string(),
  rows: z.array(
    z.object({
      group: z.string().describe('The value that the row is about; "" where facts have none.'),
      events: z.int(),
      quantities: z.record(z.string(), quantityField),
      amounts: z.record(z.string(), amountField).describe("Net amount by unit."),
      costs: z.record(z.string(), amountField).describe("What it cost us, by unit."),
    }),
  ),
  asOf: asOfSchema,
});

/** GET /v1/accounts/{account}/outcomes and …/outcomes/{source}/{id} */
export const outcomesQuery = z.object({
  cursor: cursorField.optional(),
  limit: limitField,
  verdict: verdictKindSchema.or(z.literal("pending")).optional(),
});
export const outcomeParams = z.object({
  account: accountField,
  source: z.string().min(1).max(256),
  id: z.string().min(1).max(256),
});

export const outcomeSummarySchema = z.object({
  source: z.string(),
  id: z.string(),
  status: z.enum(["pending", "decided"]),
  verdict: verdictKindSchema.optional(),
  score: z.string().optional(),
  reason: z.string().optional(),
  verdictRevision: z.int().optional(),
  occurredAt: instantField.optional().describe("Time of the request; absent while only signals have come."),
  dueAt: instantField.optional().describe("When a pending outcome times out."),
  decidedAt: instantField.optional(),
});

export const outcomeSchema = outcomeSummarySchema.extend({
  account: accountField,
  definition: hashField.optional(),
  requests: z.array(z.object({ source: z.string(), id: z.string(), occurredAt: instantField })),
  signals: z.array(
    z.object({
      source: z.string(),
      id: z.string(),
      signal: z.string(),
      confidence: z.string().optional(),
      value: z.string().optional(),
      occurredAt: instantField,
      recordedAt: instantField,
      effect: z.enum(["counted", "waiting", "without-effect"]),
    }),
  ),
  verdicts: z.array(
    verdictSchema.omit({ outcome: true }).extend({
      evidence: z.array(z.object({ source: z.string(), id: z.string(), signal: z.string(), contribution: z.string() })),
    }),
  ),
  entries: z.array(entrySchema).describe("Charges, refunds and bonuses that the outcome caused."),
  asOf: asOfSchema,
});
export const outcomesSchema = z.object({ outcomes: z.array(outcomeSummarySchema), next: z.string().optional() });

/** GET /v1/accounts/{account}/costs: what was published and what a correction made of it; both stay visible. */
export const costsQuery = z.object({ cursor: cursorField.optional(), limit: limitField });
const costStateSchema = z.object({ amount: amountField, text: z.string().describe("As it came.") });
export const costsSchema = z.object({
  costs: z.array(
    z.object({
      source: z.string(),
      id: z.string(),
      occurredAt: instantField,
      unit: unitField,
      published: costStateSchema,
      corrected: costStateSchema
        .extend({ revision: z.int().min(1), source: z.string(), id: z.string() })
        .optional()
        .describe("The correction that holds, with its own identity."),
      amount: amountField.describe("What counts now: the corrected amount, or else the published one."),
      about: identitySchema.optional().describe("The usage or outcome that it is a cost of."),
    }),
  ),
  next: z.string().optional(),
  asOf: asOfSchema,
});

export type CostsRead = z.infer<typeof costsSchema>;
export type AccountSummary = z.infer<typeof accountSummarySchema>;
export type AccountsRead = z.infer<typeof accountsSchema>;
export type AccountRead = z.infer<typeof accountSchema>;
export type BalanceRead = z.infer<typeof balanceSchema>;
export type UnitBalanceRead = z.infer<typeof unitBalanceSchema>;
export type GrantRead = z.infer<typeof grantSchema>;
export type EntriesQuery = z.infer<typeof entriesQuery>;
export type EntryRead = z.infer<typeof entrySchema>;
export type EntriesRead = z.infer<typeof entriesSchema>;
export type FactRead = z.infer<typeof factSchema>;
export type VerdictRead = z.infer<typeof verdictSchema>;
export type ExplanationRead = z.infer<typeof explanationSchema>;
export type InvoiceRead = z.infer<typeof invoiceSchema>;
export type InvoiceSectionRead = z.infer<typeof invoiceSectionSchema>;
export type InvoiceLineRead = z.infer<typeof invoiceLineSchema>;
export type InvoicesRead = z.infer<typeof invoicesSchema>;
export type UsageQuery = z.infer<typeof usageQuery>;
export type UsageRead = z.infer<typeof usageSchema>;
export type OutcomesQuery = z.infer<typeof outcomesQuery>;
export type OutcomeSummaryRead = z.infer<typeof outcomeSummarySchema>;
export type OutcomeRead = z.infer<typeof outcomeSchema>;
export type OutcomesRead = z.infer<typeof outcomesSchema>;
