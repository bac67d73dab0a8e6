/**
 * Real agent tasks paid by the resolved task, through the whole ledger: verdicts and timeouts, and what the tasks cost, as published
 * and as restated twelve days later.
 */
import { agentTaskFacts, readRows, zipfAccounts, type AgentTaskFacts } from "@rerate/cli";
import { instant, parseAmount } from "@rerate/money";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { expectSameWithoutCache, expectVerified } from "./audit.ts";
import { bundled, publishedTotals } from "./published-totals.ts";
import { everyCost, everyEntry, everyOutcome, invoicedOf, netOf, sumOf, type CostRow } from "./reads.ts";
import { startLedger, type TestLedger } from "./start-ledger.ts";

const FILE = "outcomes_agent_tasks.csv.gz";
const published = publishedTotals(FILE);
const account = zipfAccounts(6, "agents");
/** When the results were published: the file has no times of its own. */
const AT = instant("2026-06-18T23:14:29Z");
/** Of the restated tasks, so many had no published cost: their restatement is a cost of its own. */
const NEW_COSTS = published.cost_missing_published - published.cost_missing_restated;

let ledger: TestLedger;
let tasks: AgentTaskFacts[];
/** The costs as the reads show them before and after the restatement. */
let asPublished: CostRow[];
let asRestated: CostRow[];

beforeAll(async () => {
  ledger = await startLedger();
  await ledger.publish("outcomes/agent-task-resolved.yaml", "plans/agent-tasks.yaml");
  for (const name of account.names) await ledger.open(name, "agent-tasks");
  const factsOf = agentTaskFacts({ account, at: AT });
  tasks = [];
  for await (const row of readRows(fileURLToPath(bundled(FILE)))) tasks.push(factsOf(row));
  await ledger.importFacts({
    usage: tasks.map(({ usage }) => usage),
    signals: tasks.flatMap(({ signal }) => signal ?? []),
    costs: tasks.flatMap(({ published }) => published ?? []),
  });
  asPublished = await allCosts();
  await ledger.importFacts({ costs: tasks.flatMap(({ restated }) => restated ?? []) });
  asRestated = await allCosts();
});

afterAll(() => ledger.remove());

async function allCosts(): Promise<CostRow[]> {
  return (await Promise.all(account.names.map((name) => everyCost(ledger.client, name)))).flat();
}

function nanos(amounts: Iterable<string>): number {
  return Number(parseAmount(sumOf(amounts)));
}

describe("paid by the resolved task", () => {
  test("every resolved task costs 0.99 and nothing else costs anything", async () => {
    const entries = (await Promise.all(account.names.map((name) => everyEntry(ledger.client, name)))).flat();
    expect(entries).toHaveLength(published.total.resolved);
    expect(new Set(entries.map(({ amount }) => amount))).toEqual(new Set(["0.99"]));
    const expected = published.total["outcome_revenue_usd_at_0.99"];
    expect(await netOf(ledger.client, account.names)).toBe(expected);
    expect(await invoicedOf(ledger.client, account.names)).toEqual({
      exact: expected,
      billed: expected,
      credits: "0",
      due: expected,
    });
  });

  test("unresolved tasks failed by their signal, unjudged ones by the timeout", async () => {
    const outcomes = (await Promise.all(account.names.map((name) => everyOutcome(ledger.client, name)))).flat();
    const counts: Record<string, number> = {};
    for (const { status, verdict, reason, score } of outcomes) {
      const key = `${status} ${verdict} ${reason} ${score}`;
      counts[key] = (counts[key] ?? 0) + 1;
    }
    expect(counts).toEqual({
      "decided success explicit-signal 1": published.total.resolved,
      "decided failure explicit-signal 0": published.total.unresolved,
      "decided failure timeout 0": published.total.unknown,
    });
  });

  test("the usage breakdown shows the published revenue and costs of every benchmark", async () => {
    const reads = await Promise.all(account.names.map((name) => ledger.client.usage(name, { by: "benchmark" })));
    const groups = Object.groupBy(
      reads.flatMap(({ rows }) => rows),
      ({ group }) => group,
    );
    const found = Object.entries(groups).map(([benchmark, rows = []]) => [
      benchmark,
      {
        tasks: rows.reduce((sum, { events }) => sum + events, 0),
        revenue: sumOf(rows.map(({ amounts }) => amounts["USD"] ?? "0")),
        costNanos: nanos(rows.map(({ costs }) => costs["USD"] ?? "0")),
      },
    ]);
    const expected = Object.entries(published.by_benchmark).map(([benchmark, totals]) => [
      benchmark,
      { tasks: totals.rows, revenue: totals["outcome_revenue_usd_at_0.99"], costNanos: totals.cost_restated_nano_sum },
    ]);
    expect(Object.fromEntries(found)).toEqual(Object.fromEntries(expected));
  });
});

describe("what the tasks cost", () => {
  test("is, before the restatement, the published sum", () => {
    expect(asPublished).toHaveLength(published.rows - published.cost_missing_published);
    expect(asPublished.every(({ corrected }) => corrected === undefined)).toBe(true);
    expect(nanos(asPublished.map(({ amount }) => amount))).toBe(published.total.cost_published_nano_sum);
  });

  test("was restated by a correcting fact where it was published, and by a new one where it was not", () => {
    const known = new Set(asPublished.map(({ id }) => id));
    const corrected = asRestated.filter((cost) => cost.corrected !== undefined);
    const added = asRestated.filter(({ id }) => !known.has(id));
    expect([corrected.length, added.length]).toEqual([published.rows_restated - NEW_COSTS, NEW_COSTS]);
    expect([corrected.length, added.length]).toEqual([5_752, 158]);
    expect(asRestated).toHaveLength(published.rows - published.cost_missing_restated);
  });

  test("shows both states: the restated sum counts, the published one stays", () => {
    expect(nanos(asRestated.map(({ amount }) => amount))).toBe(published.total.cost_restated_nano_sum);
    const known = new Set(asPublished.map(({ id }) => id));
    const before = asRestated.filter(({ id }) => known.has(id)).map(({ published }) => published.amount);
    expect(nanos(before)).toBe(published.total.cost_published_nano_sum);
  });

  test("keeps the texts of both states as they came", () => {
    const texts = new Map(
      tasks.flatMap(({ published, restated }) =>
        [published, restated].flatMap((cost) => (cost === undefined ? [] : [[cost.id, cost.amount] as const])),
      ),
    );
    for (const { id, published, corrected } of asRestated) {
      expect(published.text).toBe(texts.get(id));
      if (corrected !== undefined) expect(corrected).toMatchObject({ text: texts.get(corrected.id), revision: 1 });
    }
  });
});

test("verify accepts the ledger, and the log alone serves the same answers", async () => {
  const report = await expectVerified(ledger);
  expect(report.entries).toBe(published.total.resolved);
  const totals = await ledger.client.totals();
  expect(totals).toMatchObject({
    facts: published.rows + asPublished.length + published.rows_restated,
    signals: published.total.resolved + published.total.unresolved,
    verdicts: published.rows,
    parked: 0,
  });
  await expectSameWithoutCache(ledger);
});
