/**
 * An hour of a production chat service, with the outcome of every request, through services that are processes of their own. The
 * whole of `azure-conversation.it.test.ts` runs on them, too, and takes a quarter of an hour: this is its first part.
 */
import { readRows, TRACES, traceUsage, zipfAccounts } from "@rerate/cli";
import type { UsageEventBody } from "@rerate/wire";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { expectVerified } from "../end-to-end/audit.ts";
import { bundled, publishedTotals } from "../end-to-end/published-totals.ts";
import { everyEntry, everyOutcome, invoicedOf, netOf, sumOf } from "../end-to-end/reads.ts";
import { startStackLedger } from "../end-to-end/stack-harness.ts";
import type { TestLedger } from "../end-to-end/test-ledger.ts";

const FILE = "usage_azure_conversation_2023.csv.gz";
const published = publishedTotals(FILE);
const expected = published["cost openai/gpt-4o-mini"].exact_usd;
const account = zipfAccounts(5, "mini");

let ledger: TestLedger;

beforeAll(async () => {
  ({ ledger } = await startStackLedger());
  await ledger.publish("outcomes/chat-feedback.yaml", "plans/chat-gpt-4o-mini.yaml");
  for (const name of account.names) await ledger.open(name, "chat-gpt-4o-mini");
  const { source, model } = TRACES.azure;
  const toUsage = traceUsage("azure", { account, source, model });
  const usage: UsageEventBody[] = [];
  for await (const row of readRows(fileURLToPath(bundled(FILE)))) usage.push(toUsage(row));
  await ledger.importFacts({ usage });
});

afterAll(() => ledger.remove());

test("costs in balances, invoices and entries what it should", async () => {
  expect(await netOf(ledger.client, account.names)).toBe(expected);
  expect((await invoicedOf(ledger.client, account.names)).exact).toBe(expected);
  const entries = (await Promise.all(account.names.map((name) => everyEntry(ledger.client, name)))).flat();
  expect(entries).toHaveLength(published.rows);
  expect(sumOf(entries.map(({ amount }) => amount))).toBe(expected);
});

test("every request has its verdict", async () => {
  const outcomes = (await Promise.all(account.names.map((name) => everyOutcome(ledger.client, name)))).flat();
  expect(outcomes).toHaveLength(published.rows);
  expect(new Set(outcomes.map(({ status, reason }) => `${status} ${reason}`))).toEqual(new Set(["decided timeout"]));
});

test("verify accepts the ledger", async () => {
  const report = await expectVerified(ledger);
  expect(report.entries).toBe(published.rows);
});
