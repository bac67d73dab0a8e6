/** The published JSON Schemas of the documents, for editors. Generated from the schemas that read them, so the two cannot differ. */
import { z } from "zod";
import { planSchema } from "./plan-document.ts";
import { priceListSchema } from "./price-list-document.ts";

/** JSON Schema (draft 2020-12) of plan documents. Cross-field checks are beyond it. */
export function planJsonSchema(): Readonly<Record<string, unknown>> {
  return { title: "Rerate plan", ...z.toJSONSchema(planSchema) };
}

/** JSON Schema (draft 2020-12) of price lists. */
export function priceListJsonSchema(): Readonly<Record<string, unknown>> {
  return { title: "Rerate price list", ...z.toJSONSchema(priceListSchema) };
}
