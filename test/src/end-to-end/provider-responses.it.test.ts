/**
 * Real provider responses, each priced by a third party, as usage facts under the published price catalogue: every entry's exact amount
 * is what the third party computed.
 */
import { streamName } from "@rerate/ledger";
import { add, atomsExactly, formatDecimal, formatFraction, fraction, parseFraction, ZERO, type Fraction } from "@rerate/money";
import { importCatalogue } from "@rerate/pricing";
import { verify } from "@rerate/replay";
import type { UsageEventBody } from "@rerate/wire";
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { expectSameAfterRebuild, expectSameWithoutCache, expectVerified } from "./audit.ts";
import { coveredPairs, type CoveredPair } from "./covered-pairs.ts";
import { bundled, publishedTotals } from "./published-totals.ts";
import { everyEntry, type EntryRow } from "./reads.ts";
import { SINCE, startLedger, type TestLedger } from "./start-ledger.ts";

const published = publishedTotals("usage_provider_responses.jsonl.gz").simple_rule;
const pairs = coveredPairs();

let ledger: TestLedger;
let entries: readonly EntryRow[];

beforeAll(async () => {
  ledger = await startLedger();
  const catalogue: unknown = JSON.parse(readFileSync(bundled("prices_catalog_2026-08-21.json"), "utf8"));
  await ledger.client.publishDocument(JSON.stringify(importCatalogue(catalogue)), { effectiveFrom: SINCE });
  await ledger.client.publishDocument(PLAN, { effectiveFrom: SINCE });
  await ledger.open("responses", "list-prices");
  await ledger.importFacts({ usage: pairs.map(usageOf) });
  entries = await everyEntry(ledger.client, "responses");
});

afterAll(() => ledger.remove());

const PLAN = `
kind: plan
id: list-prices
title: Tokens at the providers' prices
currency: USD
items: [{ id: tokens, model: tokens, priceList: genai-prices }]
`;

/** The third party's names of two quantities. */
const QUANTITIES: Readonly<Record<string, string>> = {
  cache_read_tokens: "cached_input_tokens",
  output_reasoning_tokens: "reasoning_tokens",
};

function usageOf({ id, provider, flavor, model, usage }: CoveredPair): UsageEventBody {
  const quantities = Object.fromEntries(Object.entries(usage).map(([name, value]) => [QUANTITIES[name] ?? name, value]));
  return {
    specversion: "1.0",
    type: "llm.completion",
    source: "genai-prices",
    id,
    subject: "responses",
    time: "2026-08-21T00:00:00Z",
    data: { provider, model, quantities, dimensions: { flavor } },
  };
}

/** Exact atoms of a price that may be written with an exponent. */
function atomsOf(text: string): Fraction {
  const [digits = "", exponent = "0"] = text.toLowerCase().split("e");
  const value = atomsExactly(digits);
  const scale = 10n ** BigInt(exponent.replace(/^[+-]/, ""));
  return exponent.startsWith("-") ? fraction(value.n, value.d * scale) : fraction(value.n * scale, value.d);
}

function dollars(exact: Fraction): string {
  return formatDecimal(fraction(exact.n, exact.d * 1_000_000_000n), 30);
}

function totalOf(some: readonly EntryRow[]): string {
  return dollars(some.reduce((sum, { exact }) => add(sum, parseFraction(exact)), ZERO));
}

test("every pair that the published rule covers has one entry, whose exact amount is input price + output price", () => {
  expect(pairs).toHaveLength(published.pairs);
  const found = new Map(entries.map(({ id, exact }) => [id, exact]));
  const expected = new Map(
    pairs.map(({ id, inputPrice, outputPrice }) => [id, formatFraction(add(atomsOf(inputPrice), atomsOf(outputPrice)))]),
  );
  expect(found).toEqual(expected);
  expect(entries).toHaveLength(published.pairs);
});

test("the exact amounts add up to the published sums, in all and for every provider and flavour", () => {
  expect(totalOf(entries)).toBe(published.total_usd);
  const flavors = new Map(pairs.map(({ id, provider, flavor }) => [id, `${provider}/${flavor}`]));
  const groups = Object.entries(Object.groupBy(entries, ({ id }) => flavors.get(id ?? "") ?? ""));
  expect(Object.fromEntries(groups.map(([name, some = []]) => [name, { pairs: some.length, total_usd: totalOf(some) }]))).toEqual(
    published.by_provider_and_flavor,
  );
});

test("verify names the place where somebody changed a stored amount", async () => {
  const forged = streamName("account", "default", "responses");
  const { eventStore, alteration, close } = await ledger.openAltered(({ stream, data }) =>
    stream === forged
      ? data.replace(/("atoms":")(\d)/, (_, head: string, digit: string) => `${head}${(Number(digit) % 9) + 1}`)
      : undefined,
  );
  try {
    expect(alteration?.stream).toBe(forged);
    const report = await verify({ eventStore });
    expect(report.ok).toBe(false);
    const places = report.problems.map(({ kind, stream, revision }) => ({ kind, stream, revision }));
    // Deciding again differs in the changed event itself; the chain breaks at the link after it.
    expect(places).toContainEqual({ kind: "decision", stream: alteration?.stream, revision: alteration?.revision });
    expect(places).toContainEqual({ kind: "chain", stream: alteration?.stream, revision: (alteration?.revision ?? 0) + 1 });
    expect(report.problems.find(({ kind }) => kind === "decision")?.field).toMatch(/atoms$/);
  } finally {
    await close();
  }
});

test("nothing was parked, verify accepts the ledger, and the log alone serves the same answers", async () => {
  expect((await ledger.client.parked()).parked).toEqual([]);
  await expectVerified(ledger);
  await expectSameWithoutCache(ledger);
  await expectSameAfterRebuild(ledger);
});
