/**
 * The JSON Schemas of the HTTP bodies, for `schemas/generated/http-bodies.schema.json`.
 */
import { z } from "zod";
import { assignPlanSchema, createKeySchema, openAccountSchema } from "./catalog.ts";
import { costSchema } from "./cost.ts";
import { importSchema } from "./import-command.ts";
import { signalSchema } from "./signal.ts";
import { usageEventSchema } from "./usage-event.ts";
import { grantBodySchema } from "./wallet-command.ts";

/** JSON Schema 2020-12 with one definition per body. */
export function httpBodyJsonSchemas(): Readonly<Record<string, unknown>> {
  const bodies = {
    usageEventSchema,
    costSchema,
    signalSchema,
    importSchema,
    grantBodySchema,
    openAccountSchema,
    assignPlanSchema,
    createKeySchema,
  };
  // A schema with an id of its own comes out as a reference and its definition.
  const definitions = Object.values(bodies).map((schema) => z.toJSONSchema(schema, { io: "input" }).$defs ?? {});
  return { $schema: "https://json-schema.org/draft/2020-12/schema", $defs: Object.assign({}, ...definitions) as unknown };
}
