/**
 * What people tell the catalogue: accounts, plan assignments, documents, API keys; and what it answers.
 */
import { z } from "zod";
import { accountField, hashField, instantField, textField, timeField, unitField } from "./fields.ts";

/** POST /v1/accounts */
export const openAccountSchema = z
  .strictObject({
    account: accountField,
    currency: unitField,
    timeZone: z
      .string()
      .max(64)
      .refine(isTimeZone, { error: "must be an IANA time zone such as Europe/Berlin" })
      .optional()
      .describe("Where the account's billing periods begin and end. Default UTC."),
    wallet: textField.optional().describe("The paying wallet. Default: the account's own name."),
  })
  .meta({ id: "OpenAccount", examples: [{ account: "acme", currency: "USD" }] });

/** PUT /v1/accounts/{account}/plan */
export const assignPlanSchema = z
  .strictObject({
    planId: textField,
    planHash: textField.optional().describe("One version of the plan. Default: the version in force at each time."),
    from: timeField.optional().describe("Facts that occurred from here on are priced by it. Default: now."),
  })
  .meta({ id: "AssignPlan", examples: [{ planId: "starter", from: "2026-03-01T00:00:00Z" }] });

/** POST /v1/documents */
export const documentKindSchema = z.enum(["plan", "price-list", "outcome-definition"]);
/** What a document says of itself first; its kind's own schema reads the rest. */
export const documentHeadSchema = z.looseObject({ kind: documentKindSchema });
export const publishQuery = z.object({
  effectiveFrom: timeField.optional().describe("From when facts use this version. Default: now."),
});
export const documentTextSchema = z.string().min(1).max(1_000_000).describe("The document as YAML or JSON text.");

export const documentSummarySchema = z.object({
  kind: documentKindSchema,
  id: z.string(),
  hash: hashField,
  effectiveFrom: instantField,
  recordedAt: instantField,
});
export const documentSchema = documentSummarySchema.extend({ document: z.unknown() });
export const documentsSchema = z.object({ documents: z.array(documentSummarySchema) });
export const documentsQuery = z.object({ kind: documentKindSchema.optional(), id: z.string().max(256).optional() });
export const documentParams = z.object({ hash: z.string().min(1).max(128) });
export const publishedSchema = z.object({
  status: z.enum(["published", "unchanged"]),
  kind: documentKindSchema,
  id: z.string(),
  hash: hashField,
  effectiveFrom: instantField,
});

export const documentProblemSchema = z.object({
  path: z.string(),
  line: z.int().describe("Counts from 1."),
  column: z.int().describe("Counts from 1."),
  message: z.string(),
});
export const documentCheckSchema = z.object({
  valid: z.boolean(),
  kind: documentKindSchema.optional(),
  id: z.string().optional(),
  hash: hashField.optional(),
  problems: z.array(documentProblemSchema),
});

/** /v1/keys */
export const roleSchema = z.enum(["emit", "read-account", "read", "operate", "audit"]);
const namespaceField = z
  .string()
  .regex(/^[a-z0-9][a-z0-9_-]{0,62}$/, "must be at most 63 lower-case letters, digits, - or _, beginning with a letter or digit");

export const createKeySchema = z
  .strictObject({
    role: roleSchema,
    account: accountField.optional().describe("Needed for, and only for, read-account keys."),
    label: textField.describe("For people; not secret."),
    namespace: namespaceField
      .optional()
      .describe("The books that the key opens. Default: the caller's own. Another one only from a server without keys."),
  })
  .superRefine(({ role, account }, context) => {
    if ((role === "read-account") !== (account !== undefined)) {
      context.addIssue({ code: "custom", path: ["account"], message: "belongs to a read-account key, and only there" });
    }
  })
  .meta({ id: "CreateKey", examples: [{ role: "emit", label: "production api" }] });
export const keySummarySchema = z.object({
  id: z.string(),
  role: roleSchema,
  account: z.string().optional(),
  label: z.string(),
  revoked: z.boolean(),
  createdAt: instantField,
});
export const keysSchema = z.object({ keys: z.array(keySummarySchema) });
export const createdKeySchema = z.object({
  id: z.string(),
  key: z.string().describe("The whole key, shown this once."),
  role: roleSchema,
});
export const keyParams = z.object({ id: z.string().min(1).max(64) });

export const recordedSchema = z.object({ status: z.enum(["recorded", "duplicate", "ignored"]), revision: z.int().optional() });

export type OpenAccountBody = z.infer<typeof openAccountSchema>;
export type AssignPlanBody = z.infer<typeof assignPlanSchema>;
export type PublishQuery = z.infer<typeof publishQuery>;
export type DocumentsQuery = z.infer<typeof documentsQuery>;
export type DocumentSummaryRead = z.infer<typeof documentSummarySchema>;
export type DocumentRead = z.infer<typeof documentSchema>;
export type DocumentsRead = z.infer<typeof documentsSchema>;
export type PublishedRead = z.infer<typeof publishedSchema>;
export type DocumentCheckRead = z.infer<typeof documentCheckSchema>;
export type CreateKeyBody = z.infer<typeof createKeySchema>;
export type KeySummaryRead = z.infer<typeof keySummarySchema>;
export type KeysRead = z.infer<typeof keysSchema>;
export type CreatedKeyRead = z.infer<typeof createdKeySchema>;
export type RecordedRead = z.infer<typeof recordedSchema>;

function isTimeZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat("en", { timeZone: name }).resolvedOptions().timeZone !== "";
  } catch {
    return false;
  }
}
