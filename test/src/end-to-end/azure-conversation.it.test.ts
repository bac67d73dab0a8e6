/**
 * An hour of a production chat service (Azure, 2023) through the whole ledger: at three price sets, and across a price change that is
 * made once by moving the accounts to another plan and once by a new version of their plan.
 */
import { readRows, TRACES, traceUsage, zipfAccounts } from "@rerate/cli";
import { formatAmount, instant } from "@rerate/money";
import { compare } from "@rerate/replay";
import type { UsageEventBody } from "@rerate/wire";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { expectSameWithoutCache, expectVerified } from "./audit.ts";
import { bundled, publishedTotals } from "./published-totals.ts";
import { examplePlan, everyEntry, invoicedOf, netOf, sumOf, type EntryRow } from "./reads.ts";
import { SINCE, startLedger, type TestLedger } from "./start-ledger.ts";

const FILE = "usage_azure_conversation_2023.csv.gz";
const published = publishedTotals(FILE);
const CHANGE = "2023-11-16T18:45:00Z";
/** Of each import. The account of a row depends on the row alone, so account 3 has the same usage in every import. */
const ACCOUNTS = 5;

const names = (prefix: string): readonly string[] => zipfAccounts(ACCOUNTS, prefix).names;

let ledger: TestLedger;

beforeAll(async () => {
  ledger = await startLedger();
  await ledger.publish(
    "outcomes/chat-feedback.yaml",
    "plans/chat-gpt-4-turbo.yaml",
    "plans/chat-gpt-3.5-turbo.yaml",
    "plans/chat-gpt-4o-mini.yaml",
    "plans/chat-gpt-4o.yaml",
  );
  const { client } = ledger;
  await client.publishDocument(chatPlan({ input: "10", output: "30" }), { effectiveFrom: SINCE });
  await client.publishDocument(chatPlan({ input: "2.50", output: "10" }), { effectiveFrom: CHANGE });
  for (const account of names("turbo")) await ledger.open(account, "chat-gpt-4-turbo");
  for (const account of names("gpt-3.5")) await ledger.open(account, "chat-gpt-3.5-turbo");
  for (const account of names("mini")) await ledger.open(account, "chat-gpt-4o-mini");
  for (const account of names("versions")) await ledger.open(account, "chat");
  for (const account of names("moved")) {
    await ledger.open(account, "chat-gpt-4-turbo");
    await client.assignPlan(account, { planId: "chat-gpt-4o", from: CHANGE });
  }
  const usage: UsageEventBody[] = [];
  for (const prefix of ["turbo", "gpt-3.5", "mini", "moved", "versions"]) usage.push(...(await traceOf(prefix)));
  await ledger.importFacts({ usage });
});

afterAll(() => ledger.remove());

async function traceOf(prefix: string): Promise<UsageEventBody[]> {
  const { source, model } = TRACES.azure;
  const toUsage = traceUsage("azure", { account: zipfAccounts(ACCOUNTS, prefix), source, model });
  const usage: UsageEventBody[] = [];
  for await (const row of readRows(fileURLToPath(bundled(FILE)))) usage.push(toUsage(row));
  return usage;
}

function chatPlan(prices: { readonly input: string; readonly output: string }): string {
  const items = [{ id: "chat-tokens", model: "tokens", prices }];
  return JSON.stringify({ kind: "plan", id: "chat", title: "Chat", currency: "USD", items });
}

async function entriesOf(prefix: string): Promise<EntryRow[]> {
  return (await Promise.all(names(prefix).map((account) => everyEntry(ledger.client, account)))).flat();
}

function amounts(entries: readonly EntryRow[]): string {
  return sumOf(entries.map(({ amount }) => amount));
}

describe("an hour of chat requests", () => {
  test.each([
    ["turbo", published["cost openai/gpt-4-turbo"].exact_usd],
    ["gpt-3.5", published["cost openai/gpt-3.5-turbo-1106"].exact_usd],
    ["mini", published["cost openai/gpt-4o-mini"].exact_usd],
  ])("costs in balances, invoices and entries what it should at the prices of %s", async (prefix, expected) => {
    expect(await netOf(ledger.client, names(prefix))).toBe(expected);
    expect((await invoicedOf(ledger.client, names(prefix))).exact).toBe(expected);
    const entries = await entriesOf(prefix);
    expect(entries).toHaveLength(published.rows);
    expect(amounts(entries)).toBe(expected);
  });

  test("costs in every ten minutes what it should", async () => {
    const buckets = Object.groupBy(await entriesOf("turbo"), ({ occurredAt }) => `${occurredAt.slice(0, 15)}0:00Z`);
    const found = Object.entries(buckets).map(([start, entries = []]) => [
      start,
      { events: entries.length, cost_usd: amounts(entries) },
    ]);
    const expected = Object.entries(published["per_10_minutes_gpt-4-turbo"]).map(([start, { events, cost_usd }]) => [
      start,
      { events, cost_usd },
    ]);
    expect(Object.fromEntries(found)).toEqual(Object.fromEntries(expected));
  });

  test("has the published tokens in the usage breakdown", async () => {
    const reads = await Promise.all(names("turbo").map((account) => ledger.client.usage(account, { by: "model" })));
    const rows = reads.flatMap(({ rows }) => rows);
    const sum = (quantity: string): number => rows.reduce((total, { quantities }) => total + Number(quantities[quantity]), 0);
    expect([sum("input_tokens"), sum("output_tokens")]).toEqual([published.input_tokens, published.output_tokens]);
    expect(rows.reduce((total, { events }) => total + events, 0)).toBe(published.rows);
  });

  test.each([
    ["the accounts move to another plan", "moved"],
    ["their plan gets a new version", "versions"],
  ])("costs what it should before and from a price change in mid-trace, when %s", async (_how, prefix) => {
    const { price_switch: expected } = published;
    const entries = await entriesOf(prefix);
    const before = entries.filter(({ occurredAt }) => occurredAt < instant(CHANGE));
    const from = entries.filter(({ occurredAt }) => occurredAt >= instant(CHANGE));
    expect([before.length, from.length]).toEqual([expected.events_before, expected.events_from]);
    expect([amounts(before), amounts(from)]).toEqual([expected.cost_before_usd, expected.cost_from_usd]);
    expect(await netOf(ledger.client, names(prefix))).toBe(expected.cost_total_usd);
    expect((await invoicedOf(ledger.client, names(prefix))).exact).toBe(expected.cost_total_usd);
  });
});

describe("an auditor", () => {
  test("finds the ledger to be what its facts and rules say", async () => {
    const report = await expectVerified(ledger);
    expect(report.entries).toBe(5 * published.rows);
  });

  test("sees who would have paid what at the prices of gpt-4o-mini", async () => {
    const plan = examplePlan("chat-gpt-4o-mini");
    const report = await compare({ eventStore: ledger.eventStore, plan, accounts: names("turbo") });
    const usd = ({
      units,
    }: {
      readonly units: readonly { readonly unit: string; readonly recordedAtoms: string; readonly comparedAtoms: string }[];
    }) =>
      units.map(({ unit, recordedAtoms, comparedAtoms }) => [
        unit,
        formatAmount(BigInt(recordedAtoms)),
        formatAmount(BigInt(comparedAtoms)),
      ]);
    expect(usd({ units: report.totals })).toEqual([
      ["USD", published["cost openai/gpt-4-turbo"].exact_usd, published["cost openai/gpt-4o-mini"].exact_usd],
    ]);
    expect(report).toMatchObject({
      facts: published.rows,
      differingFacts: published.rows,
      unpriced: { count: 0 },
      chainProblems: 0,
    });
    // The accounts that are on that plan already have the same usage: each must have paid what the comparison says.
    const found = new Map(report.accounts.map((account) => [account.account, usd(account)]));
    for (const [index, account] of names("turbo").entries()) {
      const twin = names("mini")[index] ?? "";
      expect(found.get(account)).toEqual([["USD", await netOf(ledger.client, [account]), await netOf(ledger.client, [twin])]]);
    }
  });
});

test("the log serves the same answers without the read models", async () => {
  await expectSameWithoutCache(ledger);
});
