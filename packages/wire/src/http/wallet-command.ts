/**
 * Commands to a wallet as people send them: grant credits, void what is left of a grant.
 */
import { parseAmount, parseInstant } from "@rerate/money";
import { z } from "zod";
import type { GrantCredits, VoidGrant } from "../generated/topics.ts";
import { contentHash } from "./content-hash.ts";
import type { Door } from "./door.ts";
import { textField, timeField, unitField } from "./fields.ts";

export const grantBodySchema = z
  .strictObject({
    id: textField.describe("Identity of the command and of the grant. Sending it again has no effect."),
    amount: z
      .string()
      .regex(/^\d{1,15}(\.\d{1,9})?$/, "must be a positive decimal amount as a string, with at most nine decimal places")
      .refine((text) => /[1-9]/.test(text), { error: "must be more than zero" })
      .meta({ examples: ["100"] }),
    unit: unitField,
    source: z.enum(["purchase", "promotion", "rollover", "adjustment"]).optional().describe("Default: purchase."),
    priority: z.int().min(0).max(1_000_000).optional().describe("Lower is drawn first; then the sooner expiry. Default 100."),
    effectiveAt: timeField.optional().describe("Default: when the door accepts it."),
    expiresAt: timeField.optional(),
  })
  .superRefine(({ effectiveAt, expiresAt }, context) => {
    const from = effectiveAt === undefined ? undefined : parseInstant(effectiveAt);
    const to = expiresAt === undefined ? undefined : parseInstant(expiresAt);
    if (from !== undefined && to !== undefined && to <= from) {
      context.addIssue({ code: "custom", path: ["expiresAt"], message: "must lie after effectiveAt" });
    }
  })
  .meta({ id: "Grant", examples: [{ id: "g-1", amount: "100", unit: "USD" }] });

export const walletParams = z.object({ wallet: textField });
export const grantParams = z.object({ wallet: textField, grant: textField });

export type GrantBody = z.infer<typeof grantBodySchema>;

export const voidBodySchema = z
  .strictObject({ id: textField.optional().describe("Identity of the command. Default: `void:` and the grant's id.") })
  .nullish();

export type VoidBody = z.infer<typeof voidBodySchema>;

export function toGrantCommand(wallet: string, body: GrantBody, door: Door): GrantCredits {
  const atoms = parseAmount(body.amount).toString();
  const effectiveAt = body.effectiveAt === undefined ? undefined : parseInstant(body.effectiveAt);
  const expiresAt = body.expiresAt === undefined ? undefined : parseInstant(body.expiresAt);
  return {
    kind: "grant",
    ns: door.ns,
    wallet,
    id: body.id,
    unit: body.unit,
    atoms,
    source: body.source ?? "purchase",
    priority: body.priority ?? 100,
    effectiveAt: effectiveAt ?? door.now,
    ...(expiresAt === undefined ? {} : { expiresAt }),
    contentHash: contentHash("grant", [
      body.unit,
      atoms,
      body.source ?? null,
      body.priority ?? null,
      effectiveAt ?? null,
      expiresAt ?? null,
    ]),
    receivedAt: door.now,
  };
}

export function toVoidCommand(wallet: string, grant: string, body: VoidBody, door: Door): VoidGrant {
  return {
    kind: "void-grant",
    ns: door.ns,
    wallet,
    id: body?.id ?? `void:${grant}`,
    grant,
    contentHash: contentHash("void-grant", [grant]),
    receivedAt: door.now,
  };
}
