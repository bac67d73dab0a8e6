/**
 * An hour of requests with a prefix cache (Mooncake) through the whole ledger: cached input at its own price, a price cut at its date
 * and a price by the time of day, from a plan and from a public price catalogue.
 */
import { readRows, traceUsage, zipfAccounts } from "@rerate/cli";
import { instant } from "@rerate/money";
import { importCatalogue } from "@rerate/pricing";
import type { UsageEventBody } from "@rerate/wire";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { expectSameWithoutCache, expectVerified } from "./audit.ts";
import { bundled, publishedTotals } from "./published-totals.ts";
import { everyEntry, invoicedOf, netOf, sumOf, type EntryRow } from "./reads.ts";
import { SINCE, startLedger, type TestLedger } from "./start-ledger.ts";

const FILE = "usage_mooncake_conversation.csv.gz";
const published = publishedTotals(FILE);
const PRICE_CUT = instant("2025-06-10T00:00:00Z");

interface Import {
  readonly prefix: string;
  readonly planId: string;
  readonly provider: string;
  readonly model: string;
  /** Where the trace's offset 0 is placed. */
  readonly at: string;
}

const IMPORTS: readonly Import[] = [
  { prefix: "4o", planId: "chat-gpt-4o", provider: "openai", model: "gpt-4o", at: "2025-03-04T10:00:00Z" },
  { prefix: "mini", planId: "list-prices", provider: "openai", model: "gpt-4o-mini", at: "2025-03-04T10:00:00Z" },
  { prefix: "o3", planId: "list-prices", provider: "openai", model: "o3", at: "2025-06-09T23:30:00Z" },
  { prefix: "deepseek", planId: "list-prices", provider: "deepseek", model: "deepseek-chat", at: "2026-01-15T16:00:00Z" },
];

const names = (prefix: string): readonly string[] => zipfAccounts(3, prefix).names;

let ledger: TestLedger;

beforeAll(async () => {
  ledger = await startLedger();
  await ledger.publish("outcomes/chat-feedback.yaml", "plans/chat-gpt-4o.yaml");
  const catalogue: unknown = JSON.parse(readFileSync(bundled("prices_catalog_2026-08-21.json"), "utf8"));
  await ledger.client.publishDocument(JSON.stringify(importCatalogue(catalogue)), { effectiveFrom: SINCE });
  await ledger.client.publishDocument(LIST_PRICES, { effectiveFrom: SINCE });
  const usage: UsageEventBody[] = [];
  for (const each of IMPORTS) {
    for (const account of names(each.prefix)) await ledger.open(account, each.planId);
    usage.push(...(await traceOf(each)));
  }
  await ledger.importFacts({ usage });
});

afterAll(() => ledger.remove());

const LIST_PRICES = `
kind: plan
id: list-prices
title: Tokens at the providers' prices
currency: USD
items:
  - id: tokens
    model: tokens
    priceList: genai-prices
`;

async function traceOf({ prefix, provider, model, at }: Import): Promise<UsageEventBody[]> {
  const account = zipfAccounts(3, prefix);
  const toUsage = traceUsage("mooncake", { account, source: "mooncake-trace", provider, model, at: instant(at) });
  const usage: UsageEventBody[] = [];
  for await (const row of readRows(fileURLToPath(bundled(FILE)))) usage.push(toUsage(row));
  return usage;
}

async function entriesOf(prefix: string): Promise<EntryRow[]> {
  return (await Promise.all(names(prefix).map((account) => everyEntry(ledger.client, account)))).flat();
}

function amounts(entries: readonly EntryRow[]): string {
  return sumOf(entries.map(({ amount }) => amount));
}

test.each([
  ["4o", "the prices of a plan", published["cost openai/gpt-4o with cache"].exact_usd],
  ["mini", "the prices of a catalogue", published["cost openai/gpt-4o-mini with cache"].exact_usd],
  ["o3", "a price cut at its date", published["o3 price cut"].cost_total_usd],
  ["deepseek", "prices by the time of day", published["deepseek-chat time of day"].cost_total_usd],
])("costs for %s, with %s, what it should in balances, invoices and entries", async (prefix, _prices, expected) => {
  expect(await netOf(ledger.client, names(prefix))).toBe(expected);
  expect((await invoicedOf(ledger.client, names(prefix))).exact).toBe(expected);
  const entries = await entriesOf(prefix);
  expect(entries).toHaveLength(published.rows);
  expect(amounts(entries)).toBe(expected);
});

test("costs before and from the price cut of o3 what it should", async () => {
  const expected = published["o3 price cut"];
  const entries = await entriesOf("o3");
  const before = entries.filter(({ occurredAt }) => occurredAt < PRICE_CUT);
  const from = entries.filter(({ occurredAt }) => occurredAt >= PRICE_CUT);
  expect([before.length, from.length]).toEqual([expected.events_before, expected.events_from]);
  expect([amounts(before), amounts(from)]).toEqual([expected.cost_before_usd, expected.cost_from_usd]);
});

test("costs in and out of deepseek's peak hours what it should", async () => {
  const expected = published["deepseek-chat time of day"];
  const entries = await entriesOf("deepseek");
  const isPeak = ({ occurredAt }: EntryRow): boolean => occurredAt.slice(11, 16) >= "00:30" && occurredAt.slice(11, 16) < "16:30";
  const peak = entries.filter(isPeak);
  const offPeak = entries.filter((entry) => !isPeak(entry));
  expect([peak.length, offPeak.length]).toEqual([expected.events_peak, expected.events_off_peak]);
  expect([amounts(peak), amounts(offPeak)]).toEqual([expected.cost_peak_usd, expected.cost_off_peak_usd]);
});

test("verify accepts the ledger, and the log alone serves the same answers", async () => {
  const report = await expectVerified(ledger);
  expect(report.entries).toBe(IMPORTS.length * published.rows);
  await expectSameWithoutCache(ledger);
});
