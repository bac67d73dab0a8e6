/**
 * Tokens: input, cached input, cache write, output and reasoning, each at its price per million, for all models, by model, or
 * from a dated price list.
 *
 * The measure is the exact money, so P is the identity: a price change, a tier or the time of day acts on one request alone
 * and never on others.
 */
import { ONE, parseDecimal, type Fraction } from "@rerate/money";
import { z } from "zod";
import { joinCells, missingDimension } from "../cell.ts";
import { chargeModel, identity, measured, type Meter, type ModelContext } from "../charge-model.ts";
import { factor, name, value } from "../document-fields.ts";
import { findRates, ratesAt, type DatedRates } from "../price-list.ts";
import type { PricedFact, Unpriced } from "../rate.ts";
import { compileTokenRates, rateTokens, tokenPrices } from "../token-rates.ts";

const terms = {
  prices: tokenPrices.optional().describe("Per million tokens, for every model that byModel does not name."),
  byModel: z
    .record(value, tokenPrices)
    .optional()
    .describe("Per million tokens, by `model` or `provider/model`, compared without case."),
  priceList: name.optional().describe("The price list for every model that byModel does not name."),
  provider: value.optional().describe("The provider of facts that name none."),
  multiplier: factor.optional().describe("Scales all prices: 1.2 adds a fifth, 0.9 takes off a tenth."),
};
type Terms = z.infer<z.ZodObject<typeof terms>>;

/** What is known about one (provider, model): its prices and its cell. */
interface KnownModel {
  readonly cell: string;
  readonly dated: readonly DatedRates[] | Unpriced;
}

/** More names than this are not kept: they come from outside, and a made-up name must not cost memory for ever. */
const MOST_MODELS = 20_000;

export const tokens = chargeModel({
  name: "tokens",
  title: "Tokens by kind and model, from prices in the plan or from a dated price list.",
  revision: 1,
  measures: "atoms",
  refundBase: "marginal",
  monotone: true,
  terms,
  problems({ prices, byModel, priceList }) {
    if (prices !== undefined && priceList !== undefined) {
      return [{ path: ["priceList"], message: "prices and priceList exclude each other: both would price every model" }];
    }
    if (prices === undefined && priceList === undefined && byModel === undefined) {
      return [{ path: [], message: "tokens need prices, byModel or a priceList" }];
    }
    return [];
  },
  priceLists: ({ priceList }) => (priceList === undefined ? [] : [priceList]),
  compile: (terms, context) => tokenMeter(modelLookup(terms, context)),
  examples: [
    {
      title: "S1: 3 and 15 USD per million",
      terms: { prices: { input: "3", output: "15" } },
      facts: [
        { quantities: { input_tokens: "1000", output_tokens: "500" } },
        { quantities: { input_tokens: "1", output_tokens: "1" } },
      ],
      entries: ["0.0105", "0.000018"],
    },
    {
      title: "cached and cache-write tokens are part of the input, reasoning is part of the output",
      terms: { prices: { input: "10", cachedInput: "1", cacheWrite: "12.5", output: "30", reasoning: "60" } },
      facts: [
        {
          quantities: {
            input_tokens: "1000",
            cached_input_tokens: "600",
            cache_write_tokens: "300",
            output_tokens: "100",
            reasoning_tokens: "40",
          },
        },
      ],
      entries: ["0.00955"],
    },
    {
      title: "a part without its own price costs what the whole costs",
      terms: { prices: { input: "10", output: "30" } },
      facts: [{ quantities: { input_tokens: "1000", cached_input_tokens: "600", output_tokens: "100", reasoning_tokens: "40" } }],
      entries: ["0.013"],
    },
    {
      title: "beyond 200,000 input tokens every token of the request costs more",
      terms: { prices: { input: { base: "3", tiers: [{ above: 200_000, price: "6" }] }, output: "15" } },
      facts: [{ quantities: { input_tokens: "200000" } }, { quantities: { input_tokens: "200001", output_tokens: "1" } }],
      entries: ["0.6", "1.200021"],
    },
    {
      title: "prices finer than an atom stay exact",
      terms: { prices: { input: "0.0000375", output: "0" } },
      facts: [{ quantities: { input_tokens: "1", output_tokens: "1" } }],
      entries: ["0.0000000000375"],
    },
    {
      title: "by model, with a markup",
      terms: {
        byModel: { "gpt-4o": { input: "2.5", output: "10" }, "azure/gpt-4o": { input: "2", output: "8" } },
        multiplier: "1.2",
      },
      facts: [
        { provider: "openai", model: "GPT-4o", quantities: { input_tokens: "1000000" } },
        { provider: "azure", model: "gpt-4o", quantities: { input_tokens: "1000000" } },
        { provider: "openai", model: "gpt-5", quantities: { input_tokens: "1000000" } },
        { quantities: { input_tokens: "1" } },
      ],
      entries: ["3", "2.4", { refused: "unknown-model" }, { refused: "missing-dimension" }],
    },
    {
      title: "what cannot be is refused",
      terms: { prices: { input: "1" } },
      facts: [
        { quantities: { input_tokens: "10", cached_input_tokens: "11" } },
        { quantities: { input_tokens: "1.5" } },
        { quantities: { output_tokens: "1" } },
        { quantities: { characters: "1" } },
        { quantities: { input_tokens: "10", output_tokens: "1", reasoning_tokens: "2" } },
      ],
      entries: [
        { refused: "parts-exceed-total" },
        { refused: "bad-quantity" },
        { refused: "missing-price" },
        { refused: "missing-quantity" },
        { refused: "parts-exceed-total" },
      ],
    },
  ],
});

function tokenMeter(find: (fact: PricedFact) => KnownModel): Meter {
  return {
    measure(fact, cell) {
      const known = find(fact);
      if ("kind" in known.dated) return known.dated;
      const dated = ratesAt(known.dated, fact.occurredAt);
      if (dated === undefined) return noPrice(`no price of ${known.cell} holds at ${fact.occurredAt}`);
      for (const quantity of dated.unrated) {
        if ((fact.quantities[quantity] ?? "0") !== "0") {
          return noPrice(`${known.cell} has a price of its own for ${quantity}, which token rating does not use`);
        }
      }
      const cost = rateTokens(dated.rates, fact);
      if (cost.kind === "unpriced") return cost;
      return measured(joinCells(known.cell, cell), dated.version, cost.atoms, "atoms", cost.steps);
    },
    price: identity,
  };
}

/** Looks a model up once per (provider, model) and plan. */
function modelLookup(terms: Terms, context: ModelContext): (fact: PricedFact) => KnownModel {
  const multiplier = terms.multiplier === undefined ? ONE : parseDecimal(terms.multiplier);
  const byModel = namedPrices(terms, context, multiplier);
  const general = terms.prices === undefined ? undefined : inline(terms.prices, context, multiplier);
  const list = terms.priceList === undefined ? undefined : context.priceList(terms.priceList).document;
  const known = new Map<string, Map<string, KnownModel>>();
  let size = 0;

  const resolve = (provider: string, model: string): KnownModel => {
    const cell = provider === "" ? model : `${provider}/${model}`;
    const named = byModel.get(cell.toLowerCase()) ?? byModel.get(model.toLowerCase());
    if (named !== undefined) return { cell, dated: named };
    if (general !== undefined) return { cell, dated: general };
    if (model === "") return { cell, dated: missingDimension("model") };
    if (list !== undefined) {
      if (provider === "") return { cell, dated: missingDimension("provider") };
      const found = findRates(list, provider, model, { version: context.version, multiplier });
      if (found !== undefined) return { cell, dated: found };
    }
    return { cell, dated: { kind: "unpriced", reason: "unknown-model", detail: `no price for the model ${cell}` } };
  };

  return (fact) => {
    const provider = fact.provider ?? terms.provider ?? "";
    const model = fact.model ?? "";
    const cached = known.get(provider)?.get(model);
    if (cached !== undefined) return cached;
    if (size >= MOST_MODELS) {
      known.clear();
      size = 0;
    }
    const resolved = resolve(provider, model);
    const models = known.get(provider) ?? new Map<string, KnownModel>();
    known.set(provider, models.set(model, resolved));
    size += 1;
    return resolved;
  };
}

function namedPrices(terms: Terms, context: ModelContext, multiplier: Fraction): ReadonlyMap<string, readonly DatedRates[]> {
  return new Map(
    Object.entries(terms.byModel ?? {}).map(([model, prices]) => [model.toLowerCase(), inline(prices, context, multiplier)]),
  );
}

function inline(prices: z.infer<typeof tokenPrices>, context: ModelContext, multiplier: Fraction): readonly DatedRates[] {
  const rates = compileTokenRates(prices, context.unit, multiplier);
  return [{ version: context.version, rates, from: undefined, hours: undefined, unrated: [] }];
}

function noPrice(detail: string): Unpriced {
  return { kind: "unpriced", reason: "missing-price", detail };
}
