/**
 * Turns a charge item into functions: which facts it prices, their measure, and P.
 *
 * Everything that can be worked out from the terms alone is worked out here, once, so that pricing a fact only reads and multiplies.
 */
import { ZERO } from "@rerate/money";
import { cellOf } from "./cell.ts";
import { measured, type Meter, type ModelContext, type PlanItem } from "./charge-model.ts";
import { modelOf } from "./models/all.ts";
import type { CompiledItem, Measured, PricedFact, Unpriced } from "./rate.ts";
import { termsHash } from "./terms-hash.ts";

/** Compiles one item. `currency` is the plan's; throws an Error for an unknown model or a missing price list. */
export function compileItem(item: PlanItem, currency: string, priceList: ModelContext["priceList"]): CompiledItem {
  const model = modelOf(item);
  if (model === undefined) throw new Error(`no charge model is named "${item.model}" in revision ${item.revision ?? 1}`);
  const unit = item.unit ?? currency;
  const version = versionOf(item, unit, model.revision);
  const meter = withAttempts(model.compile(item, { unit, version, priceList }), item.when?.maxAttempt);
  const dated = model.priceLists(item).length > 0;
  return {
    id: item.id,
    unit,
    model: model.name,
    revision: model.revision,
    refundBase: model.refundBase,
    applies: condition(item.when),
    measure: splitBy(item.cellBy, meter),
    price(asked, cell, quantity) {
      if (asked !== version && !dated) throw new RangeError(`item ${item.id} never gave out the price version ${asked}`);
      return meter.price(cell, quantity);
    },
  };
}

/** Whether the item looks at more of a fact than its type. */
export function looksBeyondType(when: PlanItem["when"]): boolean {
  return when?.models !== undefined || when?.dimensions !== undefined;
}

/** All that P depends on. Not the title, and not which facts are counted: those do not change what a quantity costs. */
function versionOf(item: PlanItem, unit: string, revision: number): string {
  const { id: _id, title: _title, when: _when, revision: _revision, ...terms } = item;
  return termsHash({ ...terms, unit, revision });
}

function condition(when: PlanItem["when"]): (fact: PricedFact) => boolean {
  const types = when?.types === undefined ? undefined : new Set(when.types);
  const models = when?.models === undefined ? undefined : new Set(when.models.map((model) => model.toLowerCase()));
  const dimensions = Object.entries(when?.dimensions ?? {}).map(
    ([dimension, allowed]) => [dimension, new Set(typeof allowed === "string" ? [allowed] : allowed)] as const,
  );
  return (fact) =>
    (types === undefined || types.has(fact.type)) &&
    (models === undefined || models.has((fact.model ?? "").toLowerCase())) &&
    dimensions.every(([dimension, allowed]) => allowed.has(fact.dimensions[dimension] ?? ""));
}

function splitBy(cellBy: readonly string[] | undefined, meter: Meter): CompiledItem["measure"] {
  if (cellBy === undefined) return (fact) => meter.measure(fact, "");
  return (fact) => {
    const cell = cellOf(cellBy, fact);
    return typeof cell === "string" ? meter.measure(fact, cell) : cell;
  };
}

/** Attempts beyond the limit stay in the accumulator's books with a measure of nothing, so that they are recorded and explained. */
function withAttempts(meter: Meter, most: number | undefined): Meter {
  if (most === undefined) return meter;
  return {
    price: meter.price,
    measure(fact, cell): Measured | Unpriced {
      const result = meter.measure(fact, cell);
      const attempt = fact.attempt ?? 1;
      if (attempt <= most || result.kind === "unpriced") return result;
      const steps = [`attempt ${attempt} is beyond the ${most} that are charged: recorded, not charged`];
      return measured(result.cell, result.version, ZERO, result.measureUnit, () => steps);
    },
  };
}
