import { formatAmount, instant, ONE, type Instant } from "@rerate/money";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compilePlan } from "./compile-plan.ts";
import { planSchema } from "./plan-document.ts";
import { priceListProblems, priceListSchema, type PriceListDocument } from "./price-list-document.ts";
import { findRates, matches, ratesAt } from "./price-list.ts";
import type { Measured, Unpriced } from "./rate.ts";

const list = priceListSchema.parse({
  kind: "price-list",
  id: "list",
  currency: "USD",
  providers: [
    {
      id: "openai",
      models: [
        {
          id: "o3",
          prices: [
            { input: "10", output: "40" },
            { from: "2025-06-10", input: "2", output: "8" },
          ],
        },
        { id: "gpt-4o-mini", match: { startsWith: "gpt-4o-mini" }, prices: [{ input: "0.15", output: "0.6" }] },
        {
          id: "gpt-4o",
          match: { any: [{ equals: "gpt-4o" }, { pattern: "gpt-4o-####-##-##" }] },
          prices: [{ input: "2.5", output: "10" }],
        },
        { id: "future", prices: [{ from: "2030-01-01T12:00:00Z", input: "1" }] },
        { id: "audio", prices: [{ input: "1", other: { input_audio_tokens: "40", web_searches: "10" } }] },
        { id: "per-call", prices: [{ input: "1", output: "1", request: "12" }] },
      ],
    },
    {
      id: "deepseek",
      models: [
        {
          id: "deepseek-chat",
          prices: [{ input: "0.135" }, { daily: { from: "00:30:00Z", to: "16:30" }, input: "0.27" }],
        },
        { id: "night", prices: [{ input: "2" }, { daily: { from: "22:00", to: "06:00" }, input: "1" }] },
      ],
    },
  ],
});

const plan = compilePlan({
  hash: "h",
  document: planSchema.parse({
    kind: "plan",
    id: "p",
    title: "P",
    currency: "USD",
    items: [{ id: "tokens", model: "tokens", priceList: "list", byModel: { "gpt-5": { input: "7" } } }],
  }),
  priceLists: new Map([["list", { hash: "l", document: list }]]),
});

function price(
  model: string | undefined,
  at: string,
  quantities: Record<string, string>,
  provider = "openai",
): Measured | Unpriced {
  const [item] = plan.items;
  if (item === undefined) throw new Error("the plan has an item");
  return item.measure({
    type: "usage",
    occurredAt: instant(at),
    ...(provider === "" ? {} : { provider }),
    ...(model === undefined ? {} : { model }),
    quantities,
    dimensions: {},
  });
}

function dollars(result: Measured | Unpriced): string {
  return result.kind === "measured" && result.measure.d === 1n ? formatAmount(result.measure.n) : JSON.stringify(result);
}

describe("a dated price", () => {
  const million = { input_tokens: "1000000" };

  test("applies from its start, inclusive", () => {
    expect(dollars(price("o3", "2025-06-09T23:59:59.999999999Z", million))).toBe("10");
    expect(dollars(price("o3", "2025-06-10T00:00:00Z", million))).toBe("2");
    expect(dollars(price("o3", "2025-06-10T01:00:00+02:00", million))).toBe("10");
  });

  test("has a version of its own, so that accumulators of two prices never mix", () => {
    const before = price("o3", "2025-06-09T00:00:00Z", million);
    const after = price("o3", "2025-06-11T00:00:00Z", million);
    if (before.kind === "unpriced" || after.kind === "unpriced") throw new Error("both are priced");
    expect(before.version).toMatch(/^[0-9a-f]{12}$/);
    expect(after.version).toMatch(/^[0-9a-f]{12}@2025-06-10$/);
    expect(before.cell).toBe("openai/o3");
    expect(after.cell).toBe("openai/o3");
  });

  test("that has not started is a missing price, not a price of zero", () => {
    expect(price("future", "2030-01-01T11:59:59Z", million)).toMatchObject({ kind: "unpriced", reason: "missing-price" });
    expect(dollars(price("future", "2030-01-01T12:00:00Z", million))).toBe("1");
  });

  test("may hold in some hours of the day, also over midnight", () => {
    const at = (time: string) => dollars(price("deepseek-chat", `2026-01-15T${time}Z`, million, "deepseek"));
    expect([at("00:29:59.999999999"), at("00:30:00"), at("16:29:59.999"), at("16:30:00")]).toEqual([
      "0.135",
      "0.27",
      "0.27",
      "0.135",
    ]);
    const night = (time: string) => dollars(price("night", `2026-01-15T${time}Z`, million, "deepseek"));
    expect([night("21:59:59"), night("22:00:00"), night("05:59:59"), night("06:00:00")]).toEqual(["2", "1", "1", "2"]);
  });
});

describe("finding a model", () => {
  const one = { input_tokens: "1000000" };
  const at = "2026-01-01T00:00:00Z";

  test("takes the first entry that matches, without regard to case", () => {
    expect(dollars(price("GPT-4o-MINI-2024-07-18", at, one, "OpenAI"))).toBe("0.15");
    expect(dollars(price("gpt-4o", at, one))).toBe("2.5");
    expect(dollars(price("gpt-4o-2024-08-06", at, one))).toBe("2.5");
  });

  test("does not guess: an unknown model, provider or pattern has no price", () => {
    expect(price("gpt-4o-2024-08-6x", at, one)).toMatchObject({ reason: "unknown-model" });
    expect(price("gpt-4o", at, one, "nobody")).toMatchObject({ reason: "unknown-model" });
    expect(price("gpt-4o", at, one, "")).toMatchObject({
      reason: "missing-dimension",
      detail: 'the fact has no dimension "provider"',
    });
    expect(price(undefined, at, one)).toMatchObject({ reason: "missing-dimension", detail: 'the fact has no dimension "model"' });
  });

  test("prefers the plan's own price over the list's", () => {
    expect(dollars(price("gpt-5", at, one, "anybody"))).toBe("7");
  });

  test("takes the plan's provider where the fact names none, and scales the list by the plan's multiplier", () => {
    const terms = { id: "tokens", model: "tokens", priceList: "list", provider: "openai", multiplier: "1.2" };
    const [scaled] = compilePlan({
      hash: "h",
      document: planSchema.parse({ kind: "plan", id: "p", title: "P", currency: "USD", items: [terms] }),
      priceLists: new Map([["list", { hash: "l", document: list }]]),
    }).items;
    const result = scaled?.measure({ type: "usage", occurredAt: instant(at), model: "gpt-4o", quantities: one, dimensions: {} });
    expect(result).toMatchObject({ cell: "openai/gpt-4o", measure: { n: 3_000_000_000n, d: 1n } });
    const plain = price("gpt-4o", at, one);
    expect(result?.kind === "measured" && plain.kind === "measured" && result.version !== plain.version).toBe(true);
  });

  test("gives the same answer from its cache", () => {
    expect(price("gpt-4o", at, one)).toEqual(price("gpt-4o", at, one));
    expect(price("nothing", at, one)).toEqual(price("nothing", at, one));
  });

  test("refuses tokens that the provider prices apart, and leaves other quantities to other items", () => {
    expect(price("audio", at, { input_tokens: "10", input_audio_tokens: "5" })).toMatchObject({ reason: "missing-price" });
    expect(price("audio", at, { input_tokens: "10", input_audio_tokens: "0", web_searches: "1" })).toMatchObject({
      kind: "measured",
    });
  });

  test("adds a price per request where the provider has one", () => {
    const result = price("per-call", at, { input_tokens: "1000000", output_tokens: "0" });
    expect(dollars(result)).toBe("1.012");
    expect(result.kind === "measured" && result.steps).toEqual([
      "1000000 input_tokens × 0.000001 USD = 1 USD",
      "1 request × 0.012 USD = 0.012 USD",
    ]);
  });
});

test("a match combines tests with any and all", () => {
  const match = { all: [{ startsWith: "Claude" }, { any: [{ contains: "sonnet" }, { endsWith: "OPUS" }] }] };
  expect(["claude-sonnet-4", "claude-opus", "claude-opus-4", "gpt-sonnet"].map((name) => matches(match, name))).toEqual([
    true,
    true,
    false,
    false,
  ]);
  expect(["gpt-5-1", "gpt-5-12", "gpt-5-x"].map((name) => matches({ pattern: "gpt-5-#*" }, name))).toEqual([true, true, false]);
  expect(["gpt-5-1", "gpt-5-12"].map((name) => matches({ pattern: "gpt-5-#" }, name))).toEqual([true, false]);
});

test("exactly one of the prices holds at every time", () => {
  const dated = findRates(list, "openai", "o3", { version: "v", multiplier: ONE }) ?? [];
  fc.assert(
    fc.property(fc.integer({ min: 2000, max: 2099 }), fc.integer({ min: 1, max: 28 }), (year, day) => {
      const at: Instant = instant(`${year}-06-${String(day).padStart(2, "0")}T00:00:00Z`);
      expect(ratesAt(dated, at)?.from).toBe(at < "2025-06-10" ? undefined : instant("2025-06-10T00:00:00Z"));
    }),
  );
});

describe("a price list document", () => {
  const withPrices = (...prices: object[]) => ({
    kind: "price-list",
    id: "l",
    currency: "USD",
    providers: [{ id: "p", models: [{ id: "m", prices }] }],
  });
  const messages = (document: object) => {
    const result = priceListSchema.safeParse(document);
    return result.success ? [] : result.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
  };

  test("refuses numbers for prices, and prices out of order", () => {
    expect(messages(withPrices({ input: 1 }))).toEqual([
      'providers.0.models.0.prices.0.input: a price is a quoted decimal such as "0.50", or a base with tiers',
    ]);
    expect(messages(withPrices({ from: "2025-01-01", input: "1" }, { from: "2024-01-01", input: "2" }))).toHaveLength(1);
    expect(messages(withPrices({ from: "2025-02-30", input: "1" }))).toHaveLength(1);
    expect(messages(withPrices({ daily: { from: "08:00", to: "08:00" }, input: "1" }))).toHaveLength(1);
  });

  test("refuses tiers out of order or between tokens", () => {
    const tier = (...above: (number | string)[]) =>
      messages(withPrices({ input: { base: "1", tiers: above.map((start) => ({ above: start, price: "2" })) } }));
    expect(tier(100, 200)).toEqual([]);
    expect(tier(200, 100)).toHaveLength(1);
    expect(tier("0.5")).toHaveLength(1);
  });

  test("names a provider once", () => {
    const [provider] = withPrices({ input: "1" }).providers;
    const twice: PriceListDocument = { kind: "price-list", id: "l", currency: "USD", providers: [] };
    expect(messages({ ...twice, providers: [provider, { ...provider, id: "P" }] })).toEqual([
      'providers.1.id: provider "P" appears twice',
    ]);
    expect(priceListProblems(list)).toEqual([]);
  });
});
