import { expect, test } from "vitest";
import { bundledCatalogue } from "../test/bundled-data.ts";
import { importCatalogue, plainDecimal } from "./catalogue.ts";

const imported = importCatalogue(bundledCatalogue(), { id: "genai-prices", source: "pydantic/genai-prices" });

test("imports every provider and model of the bundled catalogue", () => {
  expect(imported.providers.length).toBe(36);
  expect(imported.providers.flatMap(({ models }) => models).length).toBe(1466);
  const prices = imported.providers.flatMap(({ models }) => models.flatMap((model) => model.prices));
  const values = prices.flatMap(({ from: _from, daily: _daily, other, ...prices }) => [
    ...Object.values(prices),
    ...Object.values(other ?? {}),
  ]);
  expect(values.filter((price) => typeof price === "object").length).toBe(88);
  expect(imported.providers.flatMap(({ models }) => models).filter(({ prices }) => prices.length > 1).length).toBe(15);
});

test("keeps names, matches, dates, hours, tiers and what token rating does not use", () => {
  const model = (provider: string, id: string) =>
    imported.providers.find((candidate) => candidate.id === provider)?.models.find((candidate) => candidate.id === id);
  expect(model("deepseek", "deepseek-chat")?.prices.map(({ daily }) => daily)).toContainEqual({
    from: "00:30:00Z",
    to: "16:30:00Z",
  });
  expect(model("openai", "o3")?.prices.map(({ from }) => from)).toEqual([undefined, "2025-06-10"]);
  expect(model("anthropic", "claude-opus-4-6")?.prices).toEqual([
    {
      input: { base: "5", tiers: [{ above: 200_000, price: "10" }] },
      cacheWrite: { base: "6.25", tiers: [{ above: 200_000, price: "12.5" }] },
      cachedInput: { base: "0.5", tiers: [{ above: 200_000, price: "1" }] },
      output: { base: "25", tiers: [{ above: 200_000, price: "37.5" }] },
      other: { cache_write_1h_tokens: { base: "10", tiers: [{ above: 200_000, price: "20" }] }, web_searches: "10" },
    },
    {
      from: "2026-03-13",
      input: "5",
      cacheWrite: "6.25",
      cachedInput: "0.5",
      output: "25",
      other: { cache_write_1h_tokens: "10", web_searches: "10" },
    },
  ]);
  expect(JSON.stringify(imported)).toContain('{"pattern":"gemini-3.5-flash-#*"}');
  expect(JSON.stringify(imported)).toContain('{"pattern":"gpt-5.6-luna-####-##-##"}');
  expect(JSON.stringify(imported)).toContain('{"pattern":"google/gemini-3.5-flash-########"}');
});

test("a model without prices is free only where its id says so", () => {
  const prices = (id: string) =>
    importCatalogue([{ id: "p", name: "P", models: [{ id, match: { equals: id }, prices: {} }] }]).providers[0]?.models[0]
      ?.prices;
  expect(prices("gemini:free")).toEqual([{ input: "0", output: "0" }]);
  expect(prices("gemma")).toEqual([{}]);
});

test("writes numbers as the decimals they print as, without exponents", () => {
  expect([0.8, 24, 5e-7, 1.25e-7, 0.000001].map(plainDecimal)).toEqual(["0.8", "24", "0.0000005", "0.000000125", "0.000001"]);
  expect(() => plainDecimal(-1)).toThrow(RangeError);
  expect(() => plainDecimal(1e21)).toThrow(RangeError);
  expect(() => plainDecimal(Number.NaN)).toThrow(RangeError);
});

test("refuses what it cannot express instead of dropping it", () => {
  const catalogue = (match: object, prices: object = { input_mtok: 1 }) => [
    { id: "p", name: "P", models: [{ id: "m", match, prices }] },
  ];
  expect(importCatalogue(catalogue({ regex: "^m-\\d{2}$" })).providers[0]?.models[0]?.match).toEqual({ pattern: "m-##" });
  const refused = ["m-\\d", "^m.x$", "^m-[0-9]$", "^m-\\d+$", "^(a|b)$", "^m#$", "^m-\\w$"];
  for (const regex of refused) expect(() => importCatalogue(catalogue({ regex }))).toThrow(`the regex ${regex}`);
  expect(() => importCatalogue(catalogue({ fuzzy: "m" }))).toThrow("match");
  expect(() => importCatalogue(catalogue({ equals: "m" }, { input_gallons: 1 }))).toThrow("unknown unit");
  expect(() => importCatalogue(catalogue({ equals: "m" }, [{ constraint: { weekday: 1 }, prices: {} }]))).toThrow("constraint");
});
