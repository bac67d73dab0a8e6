/** Real usage under real prices, against totals that were computed independently of this project. */
import { add, atomsExactly, formatDecimal, fraction, fromMilliseconds, instant, ONE, toMilliseconds, ZERO } from "@rerate/money";
import type { Fraction, Instant } from "@rerate/money";
import { describe, expect, test } from "vitest";
import { bundledCatalogue, bundledLines } from "../test/bundled-data.ts";
import { importCatalogue } from "./catalogue.ts";
import { compilePlan } from "./compile-plan.ts";
import { planSchema } from "./plan-document.ts";
import { findRates } from "./price-list.ts";
import type { CompiledItem, Measured, PricedFact, Unpriced } from "./rate.ts";

const catalogue = importCatalogue(bundledCatalogue());

function item(terms: object): CompiledItem {
  const [compiled] = compilePlan({
    hash: "h",
    document: planSchema.parse({
      kind: "plan",
      id: "p",
      title: "P",
      currency: "USD",
      items: [{ id: "t", model: "tokens", ...terms }],
    }),
    priceLists: new Map([["catalogue", { hash: "c", document: catalogue }]]),
  }).items;
  if (compiled === undefined) throw new Error("the plan has an item");
  return compiled;
}

interface Row {
  readonly at: Instant | undefined;
  readonly offsetMs: number;
  readonly quantities: Readonly<Record<string, string>>;
}

function rows(file: string): Row[] {
  return bundledLines(file)
    .slice(1)
    .map((line) => {
      const [, at = "", offset = "", , input = "", cached = "", output = ""] = line.split(",");
      const quantities = {
        input_tokens: input,
        output_tokens: output,
        ...(cached === "" ? {} : { cached_input_tokens: cached }),
      };
      return { at: at === "" ? undefined : instant(at), offsetMs: Number(offset), quantities };
    });
}

function atoms(result: Measured | Unpriced): Fraction {
  if (result.kind === "unpriced") throw new Error(result.detail);
  return result.measure;
}

function dollars(sum: Fraction): string {
  return formatDecimal(fraction(sum.n, sum.d * 1_000_000_000n), 30);
}

function total(priced: CompiledItem, facts: readonly PricedFact[]): string {
  return dollars(facts.reduce((sum, fact) => add(sum, atoms(priced.measure(fact))), ZERO));
}

describe("an hour of chat requests (Azure, 2023)", () => {
  const facts = rows("usage_azure_conversation_2023.csv.gz").map(({ at, quantities }): PricedFact => ({
    type: "chat",
    occurredAt: at ?? instant(""),
    quantities,
    dimensions: {},
  }));

  test.each([
    ["gpt-4-turbo", { input: "10", output: "30" }, "346.27865"],
    ["gpt-3.5-turbo-1106", { input: "1", output: "2" }, "30.5392"],
    ["gpt-4o-mini", { input: "0.15", output: "0.60" }, "5.8074795"],
  ])("costs what it should at the prices of %s", (_model, prices, expected) => {
    expect(total(item({ prices }), facts)).toBe(expected);
  });

  test("costs what it should across a change of plan in mid-trace", () => {
    const change = instant("2023-11-16T18:45:00Z");
    const before = item({ prices: { input: "10", output: "30" } });
    const after = item({ prices: { input: "2.5", output: "10" } });
    const sum = facts.reduce((sum, fact) => add(sum, atoms((fact.occurredAt < change ? before : after).measure(fact))), ZERO);
    expect(dollars(sum)).toBe("230.4662725");
  });
});

describe("an hour of chat requests with cached input (Mooncake)", () => {
  const facts = (start: string, provider: string, model: string) =>
    rows("usage_mooncake_conversation.csv.gz").map(({ offsetMs, quantities }): PricedFact => ({
      type: "chat",
      occurredAt: fromMilliseconds(toMilliseconds(instant(start)) + offsetMs),
      provider,
      model,
      quantities,
      dimensions: {},
    }));
  const listed = item({ priceList: "catalogue" });

  test("charges cached input at its own price", () => {
    const prices = { input: "2.50", cachedInput: "1.25", output: "10" };
    expect(total(item({ prices }), facts("2025-01-01T00:00:00Z", "openai", "gpt-4o"))).toBe("335.58202375");
    expect(total(listed, facts("2025-01-01T00:00:00Z", "openai", "gpt-4o"))).toBe("335.58202375");
    expect(total(listed, facts("2025-01-01T00:00:00Z", "openai", "gpt-4o-mini"))).toBe("20.134921425");
  });

  test("charges all input alike where cached input has no price of its own", () => {
    expect(total(item({ prices: { input: "2.50", output: "10" } }), facts("2025-01-01T00:00:00Z", "x", "y"))).toBe("403.2050375");
  });

  test("follows the real price cut of o3, at its date", () => {
    const o3 = {
      byModel: { o3: { input: "10", cachedInput: "0.5", output: "40" } },
    };
    const before = facts("2025-06-09T23:30:00Z", "openai", "o3").filter(({ occurredAt }) => occurredAt < "2025-06-10");
    expect(total(item(o3), before)).toBe("572.355453");
    expect(total(listed, facts("2025-06-09T23:30:00Z", "openai", "o3"))).toBe("689.0786855");
  });

  test("follows the time-of-day price of deepseek-chat", () => {
    expect(total(listed, facts("2026-01-15T16:00:00Z", "deepseek", "deepseek-chat"))).toBe("24.872957195");
  });

  test("applies a cliff tier to no request below its start", () => {
    const prices = {
      input: { base: "1.25", tiers: [{ above: 128_000, price: "2.5" }] },
      output: { base: "5", tiers: [{ above: 128_000, price: "10" }] },
    };
    expect(total(item({ prices }), facts("2025-01-01T00:00:00Z", "google", "gemini-1.5-pro"))).toBe("201.60251875");
  });
});

test("1,369 provider responses cost exactly what somebody else computed", () => {
  const listed = item({ priceList: "catalogue" });
  let exact = 0;
  let sum = ZERO;
  for (const line of bundledLines("usage_provider_responses.jsonl.gz")) {
    const response: Response = JSON.parse(line);
    for (const pair of response.priced) {
      const usage = Object.entries(pair.usage);
      const fact: PricedFact = {
        type: "response",
        occurredAt: instant("2026-08-21T00:00:00Z"),
        provider: pair.provider_id,
        ...(response.model === null ? {} : { model: response.model }),
        quantities: Object.fromEntries(usage.map(([name, value]) => [QUANTITIES[name] ?? name, String(value)])),
        dimensions: {},
      };
      if (!coveredByTheRule(fact)) continue;
      const result = listed.measure(fact);
      if (result.kind === "unpriced") throw new Error(`${response.response_id}: ${result.detail}`);
      expect([response.response_id, result.measure]).toEqual([
        response.response_id,
        add(atomsOf(pair.input_price), atomsOf(pair.output_price)),
      ]);
      exact += 1;
      sum = add(sum, result.measure);
    }
  }
  expect(exact).toBe(1369);
  expect(dollars(sum)).toBe("9.4435949404");
});

interface Response {
  readonly response_id: string;
  readonly model: string | null;
  readonly priced: readonly {
    readonly provider_id: string;
    readonly usage: Readonly<Record<string, number>>;
    readonly input_price: string;
    readonly output_price: string;
  }[];
}

const QUANTITIES: Readonly<Record<string, string>> = {
  cache_read_tokens: "cached_input_tokens",
  output_reasoning_tokens: "reasoning_tokens",
};

/** The published rule covers models with a single undated price, and usage of text alone. */
function coveredByTheRule(fact: PricedFact): boolean {
  const dated = findRates(catalogue, fact.provider ?? "", fact.model ?? "", { version: "", multiplier: ONE });
  return dated?.length === 1 && Object.keys(fact.quantities).every((quantity) => TEXT.has(quantity));
}

const TEXT = new Set([
  "input_tokens",
  "cached_input_tokens",
  "cache_write_tokens",
  "output_tokens",
  "reasoning_tokens",
  "input_text_tokens",
  "output_text_tokens",
]);

/** The third party prints prices with exponents. */
function atomsOf(text: string): Fraction {
  const [digits = "", exponent = "0"] = text.toLowerCase().split("e");
  const value = atomsExactly(digits);
  const scale = 10n ** BigInt(exponent.replace(/^[+-]/, ""));
  return exponent.startsWith("-") ? fraction(value.n, value.d * scale) : fraction(value.n * scale, value.d);
}
