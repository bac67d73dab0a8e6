/**
 * Turns a plan document and the price lists it names into what deciders call.
 *
 * Pure: the same documents always give the same prices. Compiling is slow and pricing is fast, so a service compiles each plan
 * once and keeps it by hash.
 */
import { parseAmount, parseDuration } from "@rerate/money";
import { compileItem, looksBeyondType } from "./compile-item.ts";
import { modelOf } from "./models/all.ts";
import { compileOutcome } from "./outcome-policy.ts";
import type { PlanAmount, PlanDocument } from "./plan-document.ts";
import type { PriceListDocument } from "./price-list-document.ts";
import type { PriceList } from "./price-list.ts";
import { compileQuality } from "./quality-policy.ts";
import type { CompiledAmount, CompiledItem, CompiledPlan, PricedFact } from "./rate.ts";

/** A plan that cannot be compiled: it names a price list that is not there, or one in another unit. */
export class PlanError extends Error {
  override readonly name = "PlanError";
}

export interface PlanSource {
  readonly document: PlanDocument;
  /** The hash the document is published under. */
  readonly hash: string;
  /** By name: all that `priceListNames(document)` lists. */
  readonly priceLists: ReadonlyMap<string, { readonly hash: string; readonly document: PriceListDocument }>;
}

/** The price lists that a plan names. */
export function priceListNames(document: PlanDocument): string[] {
  return [...new Set((document.items ?? []).flatMap((item) => modelOf(item)?.priceLists(item) ?? []))];
}

/** Compiles a plan. Throws a PlanError when a price list is missing or is in another unit than the item that uses it. */
export function compilePlan({ document, hash, priceLists }: PlanSource): CompiledPlan {
  const recordOnly = new Set(document.recordOnly);
  const sources = document.items ?? [];
  const items = sources.map((item) => {
    const unit = item.unit ?? document.currency;
    return compileItem(item, document.currency, (listName) => priceListIn(unit, priceLists, listName));
  });
  const conditional = new Set(items.filter((_, index) => looksBeyondType(sources[index]?.when)));
  const outcome = document.outcome === undefined ? undefined : compileOutcome(document.outcome, document.currency, recordOnly);
  const refundBase = items.some((item) => item.refundBase === "average") ? "average" : "marginal";
  const quality = document.quality === undefined ? undefined : compileQuality(document.quality, refundBase);
  return {
    hash,
    id: document.id,
    document,
    items,
    itemsFor: selector(items, conditional, recordOnly),
    recordsOnly: (type) => recordOnly.has(type),
    period: { every: document.period ?? "month" },
    lateLimitNanos: nanos(document.lateLimit ?? "P35D"),
    closeAfterNanos: nanos(document.closeAfter ?? "PT1H"),
    ...(outcome === undefined ? {} : { outcome }),
    ...(quality === undefined ? {} : { quality }),
    ...(document.baseFee === undefined ? {} : { baseFee: amountOf(document.baseFee, document.currency) }),
    ...(document.minimum === undefined ? {} : { minimum: amountOf(document.minimum, document.currency) }),
    ...(document.maximum === undefined ? {} : { maximum: amountOf(document.maximum, document.currency) }),
  };
}

/** More types than this are not kept: they come from outside. */
const MOST_TYPES = 1000;

/** Which items a type may concern is worked out once per type; only items with further conditions look at each fact. */
function selector(
  items: readonly CompiledItem[],
  conditional: ReadonlySet<CompiledItem>,
  recordOnly: ReadonlySet<string>,
): (fact: PricedFact) => readonly CompiledItem[] {
  const byType = new Map<string, { readonly items: readonly CompiledItem[]; readonly all: boolean }>();
  return (fact) => {
    let known = byType.get(fact.type);
    if (known === undefined) {
      const concerned = recordOnly.has(fact.type) ? [] : items.filter((item) => conditional.has(item) || item.applies(fact));
      known = { items: concerned, all: !concerned.some((item) => conditional.has(item)) };
      if (byType.size >= MOST_TYPES) byType.clear();
      byType.set(fact.type, known);
    }
    return known.all ? known.items : known.items.filter((item) => item.applies(fact));
  };
}

function priceListIn(unit: string, priceLists: PlanSource["priceLists"], listName: string): PriceList {
  const list = priceLists.get(listName);
  if (list === undefined) throw new PlanError(`the price list "${listName}" is missing`);
  if (list.document.currency !== unit) {
    throw new PlanError(`the price list "${listName}" is in ${list.document.currency}, and the item that uses it in ${unit}`);
  }
  return list;
}

function amountOf(amount: PlanAmount, currency: string): CompiledAmount {
  return { id: amount.id, unit: amount.unit ?? currency, atoms: parseAmount(amount.amount) };
}

function nanos(duration: string): bigint {
  const parsed = parseDuration(duration);
  if (parsed === undefined) throw new PlanError(`"${duration}" is not a duration of fixed length`);
  return parsed;
}
