/**
 * Imports as commands: while one runs, the deadlines of its account wait, so that history comes in before timeouts fire.
 */
import { parseInstant, plus, HOUR } from "@rerate/money";
import { z } from "zod";
import type { ImportCommand } from "../generated/topics.ts";
import type { Door } from "./door.ts";
import { accountField, textField, timeField } from "./fields.ts";

export const importSchema = z
  .strictObject({
    account: accountField,
    source: textField,
    id: textField.describe("Identity of the import, the same at start and end."),
    phase: z.enum(["started", "ended"]),
    expiresAt: timeField.optional().describe("When a forgotten import stops holding deadlines. Default: in 24 hours."),
  })
  .meta({ id: "Import", examples: [{ account: "acme", source: "import", id: "2026-03", phase: "started" }] });

export type ImportBody = z.infer<typeof importSchema>;

export function toImportCommand(body: ImportBody, door: Door): ImportCommand {
  const { account, source, id, phase, expiresAt } = body;
  const expiry = expiresAt === undefined ? undefined : parseInstant(expiresAt);
  return {
    kind: "import",
    ns: door.ns,
    account,
    source,
    id,
    phase,
    expiresAt: expiry ?? plus(door.now, 24n * HOUR),
    receivedAt: door.now,
  };
}
