/**
 * Prices the content of one usage fact: each charge item that applies turns it into a measure, and each measure is booked on
 * its accumulator. A correction books new minus replaced.
 */
import { add, isZero, negate, ZERO, type Fraction, type Instant } from "@rerate/money";
import type { CompiledItem, CompiledPlan, Measured, PricedFact } from "@rerate/pricing";
import type { Entry, UsageContent } from "../account-events.ts";
import type { ParkReason } from "../decider.ts";
import { accumulatorKey, type AccumulatorPlace } from "./accumulator.ts";
import type { Draft, Posting } from "./draft.ts";
import { averageUpkeep } from "./settle.ts";

export interface Unrated {
  readonly kind: "unrated";
  readonly reason: ParkReason;
  readonly detail: string;
}

/** What an item measures of a content. */
interface ItemMeasure {
  readonly item: CompiledItem;
  readonly measured: Measured;
}

/** The measures of a content under every item that applies; a missing price or quantity is a rejection, never zero. */
export function measuresOf(plan: CompiledPlan, content: UsageContent, occurredAt: Instant): readonly ItemMeasure[] | Unrated {
  const fact = pricedFact(content, occurredAt);
  const items = plan.itemsFor(fact);
  if (items.length === 0 && !plan.recordsOnly(content.type) && plan.outcome?.types(content.type) !== true) {
    return { kind: "unrated", reason: "no-charge-item", detail: `plan ${plan.id} has no charge item for "${content.type}"` };
  }
  const measures: ItemMeasure[] = [];
  for (const item of items) {
    const measured = item.measure(fact);
    if (measured.kind === "unpriced") {
      return { kind: "unrated", reason: measured.reason, detail: `item ${item.id}: ${measured.detail}` };
    }
    measures.push({ item, measured });
  }
  return measures;
}

/** Books the measures of a new fact, one entry per item. */
export function bookMeasures(draft: Draft, plan: CompiledPlan, measures: readonly ItemMeasure[], posting: Posting): Entry[] {
  const entries: Entry[] = [];
  for (const { item, measured } of measures) {
    const place = placeFor(item, measured, posting.period);
    const fields = {
      kind: "charge",
      place,
      model: `${item.model}@${item.revision}`,
      measure: measured.measure,
      measureUnit: measured.measureUnit,
      posting,
      steps: measured.steps,
    } as const;
    entries.push(draft.bookMeasured(fields, (quantity) => item.price(measured.version, measured.cell, quantity)));
    entries.push(...averageUpkeep(draft, plan, item, place, posting));
  }
  return entries;
}

/**
 * Books what changes when a fact's content changes: per accumulator, new measure minus replaced, at its present quantity.
 * `original` are the entries of the fact that is corrected.
 */
export function bookChange(
  draft: Draft,
  plan: CompiledPlan,
  change: { readonly from: readonly ItemMeasure[]; readonly to: readonly ItemMeasure[]; readonly original: readonly Entry[] },
  posting: Posting,
): Entry[] {
  const changes = new Map<
    string,
    { item: CompiledItem; measured: Measured; place: AccumulatorPlace; measure: Fraction; steps: string[] }
  >();
  const collect = ({ item, measured }: ItemMeasure, sign: 1 | -1): void => {
    const place = placeFor(item, measured, posting.period);
    const key = accumulatorKey(place);
    const known = changes.get(key) ?? { item, measured, place, measure: ZERO, steps: [] };
    const measure = sign === 1 ? measured.measure : negate(measured.measure);
    const steps = [...known.steps, ...measured.steps.map((step) => (sign === 1 ? `now: ${step}` : `was: ${step}`))];
    changes.set(key, { ...known, measure: add(known.measure, measure), steps });
  };
  for (const measure of change.from) collect(measure, -1);
  for (const measure of change.to) collect(measure, 1);
  const entries: Entry[] = [];
  for (const { item, measured, place, measure, steps } of changes.values()) {
    if (isZero(measure)) continue;
    const corrected = change.original.find(
      (entry) => entry.role === "measured" && accumulatorKey(entry) === accumulatorKey(place),
    );
    const fields = {
      kind: "correction",
      place,
      model: `${item.model}@${item.revision}`,
      measure,
      measureUnit: measured.measureUnit,
      posting,
      corrects: corrected?.n,
      steps,
    } as const;
    entries.push(draft.bookMeasured(fields, (quantity) => item.price(measured.version, measured.cell, quantity)));
    entries.push(...averageUpkeep(draft, plan, item, place, posting));
  }
  return entries;
}

function placeFor(item: CompiledItem, measured: Measured, period: string): AccumulatorPlace {
  return { item: item.id, unit: item.unit, version: measured.version, period, cell: measured.cell };
}

const NO_DIMENSIONS: Readonly<Record<string, string>> = {};

function pricedFact(content: UsageContent, occurredAt: Instant): PricedFact {
  return {
    type: content.type,
    occurredAt,
    quantities: content.quantities,
    dimensions: content.dimensions ?? NO_DIMENSIONS,
    ...(content.provider === undefined ? {} : { provider: content.provider }),
    ...(content.model === undefined ? {} : { model: content.model }),
    ...(content.attempt === undefined ? {} : { attempt: content.attempt }),
  };
}
