/** The charge models. Adding one: its file in this folder, and its line here. */
import { z } from "zod";
import type { ChargeModel, PlanItem } from "../charge-model.ts";
import { costPlus } from "./cost-plus.ts";
import { credits } from "./credits.ts";
import { flat } from "./flat.ts";
import { graduated } from "./graduated.ts";
import { matrix } from "./matrix.ts";
import { packages } from "./package.ts";
import { perRequest } from "./per-request.ts";
import { perUnit } from "./per-unit.ts";
import { percentage } from "./percentage.ts";
import { sizeBands } from "./size-bands.ts";
import { stairstep } from "./stairstep.ts";
import { tieredMultiplier } from "./tiered-multiplier.ts";
import { timeOfDayModel } from "./time-of-day.ts";
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
  percentage,
  costPlus,
  timeOfDayModel,
  matrix,
  sizeBands,
];

/** The model that an item names; an item without a revision means the first. Undefined when there is none. */
export function modelOf(item: Pick<PlanItem, "model" | "revision">): ChargeModel | undefined {
  return chargeModels.find((model) => model.name === item.model && model.revision === (item.revision ?? 1));
}

/** Any charge item. The model decides which terms it has. */
export const itemSchema: z.ZodType<PlanItem> = schemaOf(chargeModels);

type ItemSchema = ChargeModel["schema"] | z.ZodDiscriminatedUnion<ChargeModel["schema"][], "revision">;

/** The items that some models allow. Where a model has several revisions, the item's `revision` tells them apart. */
export function schemaOf(models: readonly ChargeModel[]): z.ZodType<PlanItem> {
  const names = [...new Set(models.map((model) => model.name))];
  const [first, ...others] = names.map((name): ItemSchema => {
    const [schema, ...later] = models.filter((model) => model.name === name).map((model) => model.schema);
    if (schema === undefined) throw new Error(`no charge model is named ${name}`);
    return later.length === 0 ? schema : z.discriminatedUnion("revision", [schema, ...later]);
  });
  if (first === undefined) throw new Error("there are no charge models");
  return z.discriminatedUnion("model", [first, ...others], {
    error: (issue) => `model is one of ${names.join(", ")}${seen(issue.input)}`,
  });
}

function seen(input: unknown): string {
  return typeof input === "object" && input !== null && "model" in input ? `, not "${String(input.model)}"` : "";
}
