/** The charge models. Adding one: its file in this folder, and its line here. */
import { z } from "zod";
import type { ChargeModel, PlanItem } from "../charge-model.ts";
import { credits } from "./credits.ts";
import { flat } from "./flat.ts";
import { graduated } from "./graduated.ts";
import { packages } from "./package.ts";
import { perRequest } from "./per-request.ts";
import { perUnit } from "./per-unit.ts";
import { stairstep } from "./stairstep.ts";
import { tieredMultiplier } from "./tiered-multiplier.ts";
import { tokens } from "./tokens.ts";
import { volume } from "./volume.ts";

export const chargeModels: readonly [ChargeModel, ...ChargeModel[]] = [
  flat,
  perUnit,
  perRequest,
  tokens,
  tieredMultiplier,
  graduated,
  volume,
  packages,
  stairstep,
  credits,
];

/** The model that an item names; an item without a revision means the first. Undefined when there is none. */
export function modelOf(item: Pick<PlanItem, "model" | "revision">): ChargeModel | undefined {
  return chargeModels.find((model) => model.name === item.model && model.revision === (item.revision ?? 1));
}

/** Any charge item. The model decides which terms it has. */
export const itemSchema: z.ZodType<PlanItem> = z.discriminatedUnion("model", schemas(), {
  error: (issue) => `model is one of ${names().join(", ")}${seen(issue.input)}`,
});

type ItemSchema = ChargeModel["schema"] | z.ZodDiscriminatedUnion<ChargeModel["schema"][], "revision">;

/** One schema for each name; where a model has several revisions, the item's `revision` tells them apart. */
function schemas(): [ItemSchema, ...ItemSchema[]] {
  const [first, ...others] = names().map((name): ItemSchema => {
    const [schema, ...later] = chargeModels.filter((model) => model.name === name).map((model) => model.schema);
    if (schema === undefined) throw new Error(`no charge model is named ${name}`);
    return later.length === 0 ? schema : z.discriminatedUnion("revision", [schema, ...later]);
  });
  if (first === undefined) throw new Error("there are no charge models");
  return [first, ...others];
}

function names(): string[] {
  return [...new Set(chargeModels.map((model) => model.name))];
}

function seen(input: unknown): string {
  return typeof input === "object" && input !== null && "model" in input ? `, not "${String(input.model)}"` : "";
}
