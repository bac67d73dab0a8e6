/**
 * The oracle's own prices: what a content measures under a plan of the pool, and what a quantity costs in all.
 *
 * Written from DESIGN section 5 and the plans' meaning, with fractions of its own; imports nothing that it is to check.
 */
import { floor, isLess, minus, NOTHING, over, plus, rational, smaller, times, type Rational } from "./rational.ts";
import type { PoolItem, PoolOutcome, PoolPlan, PoolTier } from "./plan-pool.ts";

export interface OracleContent {
  readonly type: string;
  readonly model?: string | undefined;
  readonly quantities: Readonly<Record<string, string>>;
}

export interface OracleMeasure {
  readonly item: string;
  readonly unit: string;
  readonly cell: string;
  readonly amount: Rational;
  readonly price: (quantity: Rational) => Rational;
}

const ATOMS: Rational = [1_000_000_000n, 1n];
const PER_MILLION: Rational = [1_000n, 1n];

export function atoms(money: string): Rational {
  return times(rational(money), ATOMS);
}

/** What a content measures under every item; undefined when one of them has no price for it. */
export function measuresUnder(plan: PoolPlan, content: OracleContent): readonly OracleMeasure[] | undefined {
  const measures: OracleMeasure[] = [];
  for (const item of plan.items ?? []) {
    const found = measureOf(item, content);
    if (found === undefined) return undefined;
    measures.push({ item: item.id, unit: item.unit ?? plan.currency, ...found });
  }
  return measures;
}

function measureOf(item: PoolItem, { model, quantities }: OracleContent): Omit<OracleMeasure, "item" | "unit"> | undefined {
  const pages = quantities["pages"];
  switch (item.model) {
    case "tokens": {
      if (!("byModel" in item)) throw new Error(`the oracle was not told the prices of ${item.priceList}`);
      const prices = item.byModel[model ?? ""];
      const { input_tokens: input = "0", cached_input_tokens: cached = "0", output_tokens: output = "0" } = quantities;
      // One side is enough (an embedding has no output), but a part needs the whole that it is part of.
      const sides = [quantities["input_tokens"], quantities["output_tokens"]].filter((side) => side !== undefined);
      if (prices === undefined || sides.length === 0 || Number(cached) > Number(input)) return undefined;
      const fresh = minus(rational(input), rational(cached));
      const parts: readonly (readonly [Rational, string])[] = [
        [fresh, prices.input],
        [rational(cached), prices.cachedInput ?? prices.input],
        [rational(output), prices.output],
      ];
      const amount = parts.reduce((sum, [count, price]) => plus(sum, times(count, times(rational(price), PER_MILLION))), NOTHING);
      const cell = item.provider === undefined ? (model ?? "") : `${item.provider}/${model ?? ""}`;
      return { cell, amount, price: (total) => total };
    }
    case "per-request":
      return { cell: "", amount: rational(quantities["requests"] ?? "1"), price: (total) => times(total, atoms(item.price)) };
    case "credits":
      return { cell: "", amount: atoms(item.perRequest), price: (total) => total };
    case "graduated":
      return pages === undefined
        ? undefined
        : { cell: "", amount: rational(pages), price: (total) => graduated(item.tiers, total) };
    case "volume":
      return pages === undefined ? undefined : { cell: "", amount: rational(pages), price: (total) => volume(item.tiers, total) };
    case "package":
      return pages === undefined ? undefined : { cell: "", amount: rational(pages), price: (total) => packages(item, total) };
  }
}

/** The price of so many outcomes. */
export function outcomePrice({ price, tiers }: PoolOutcome, quantity: Rational): Rational {
  return tiers === undefined ? times(quantity, atoms(price ?? "0")) : graduated(tiers, quantity);
}

function graduated(tiers: readonly PoolTier[], total: Rational): Rational {
  let sum = NOTHING;
  let from = NOTHING;
  for (const { upTo, price, fee } of tiers) {
    if (!isLess(from, total)) break;
    const to = upTo === undefined ? total : smaller(total, [BigInt(upTo), 1n]);
    sum = plus(sum, plus(times(minus(to, from), atoms(price)), atoms(fee ?? "0")));
    from = to;
  }
  return sum;
}

function volume(tiers: readonly PoolTier[], total: Rational): Rational {
  const tier = tiers.find(({ upTo }) => upTo === undefined || !isLess([BigInt(upTo), 1n], total));
  return tier === undefined ? NOTHING : times(total, atoms(tier.price));
}

function packages({ size, price }: { readonly size: number; readonly price: string }, total: Rational): Rational {
  const begun = -floor(over(minus(NOTHING, total), [BigInt(size), 1n]));
  return times([begun, 1n], atoms(price));
}
