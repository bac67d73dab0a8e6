/**
 * The first start: publishes the example documents, imports the bundled real history through the HTTP doors like any producer
 * would, and compares the ledger's totals with the published expectations. A later start finds the history and sends nothing.
 */
import {
  agentTaskFacts,
  createImportHold,
  readRows,
  sendInBatches,
  TRACES,
  traceUsage,
  zipfAccounts,
  type AgentTaskFacts,
  type CsvRow,
} from "@rerate/cli";
import { createClient, type RerateClient } from "@rerate/client";
import { formatAmount, instant, parseAmount } from "@rerate/money";
import { elapsedMs, sleep } from "@rerate/runtime";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Standalone } from "./compose.ts";

export interface TotalCheck {
  readonly name: string;
  readonly unit: string;
  readonly expected: string;
  readonly actual: string;
  readonly equal: boolean;
}

export interface FirstRunResult {
  /** Facts sent by this start: 0 when the history was there already. */
  readonly imported: number;
  readonly milliseconds: number;
  readonly totals: readonly TotalCheck[];
}

export interface Progress {
  step(name: string, total?: number): void;
  at(count: number): void;
}

const EXAMPLES = new URL("../../../examples/", import.meta.url);
const TRACE = "data/usage_azure_conversation_2023.csv.gz";
const TASKS = "data/outcomes_agent_tasks.csv.gz";
const DOCUMENTS = [
  "outcomes/agent-task-resolved.yaml",
  "outcomes/chat-feedback.yaml",
  "plans/chat-gpt-4-turbo.yaml",
  "plans/chat-gpt-4o.yaml",
  "plans/agent-tasks.yaml",
];
/** Before everything in the bundled history. */
const SINCE = "2000-01-01T00:00:00Z";
const TRACE_ACCOUNTS = 50;
const TASK_ACCOUNTS = 26;
/** When the task results were first published: the file has no times of its own. */
const TASKS_AT = instant("2026-06-18T23:14:29Z");
const IMPORT = { source: "import", id: "first-run" };
const DEMO_ACCOUNT = "demo";

/** Imports what is missing and checks the totals. */
export async function firstRun(url: string, standalone: Standalone, progress: Progress): Promise<FirstRunResult> {
  const started = elapsedMs();
  const client = createClient({ url });
  await settled(standalone);
  const expected = readExpectations();
  let imported = 0;
  if (!(await isThere(client, expected))) {
    progress.step("publishing the example documents");
    await publishDocuments(client);
    imported += await importTrace(client, expected.traceRows, progress);
    imported += await importTasks(client, expected.taskRows, progress);
    progress.step("settling");
    await settled(standalone);
  }
  return { imported, milliseconds: Math.round(elapsedMs() - started), totals: await checkTotals(client, expected) };
}

/** False also after a start that died on its way: sending everything again records only what is missing. */
async function isThere(client: RerateClient, expected: Expectations): Promise<boolean> {
  const { accounts, signals } = await client.totals({ limit: 1_000 });
  const facts = (prefix: string): number =>
    accounts.filter(({ account }) => account.startsWith(prefix)).reduce((sum, account) => sum + account.facts, 0);
  return facts("azure-") >= expected.traceRows && facts("agents-") >= expected.taskRows && signals >= expected.taskSignals;
}

async function publishDocuments(client: RerateClient): Promise<void> {
  for (const path of DOCUMENTS) await client.publishDocument(readExample(path), { effectiveFrom: SINCE });
}

async function importTrace(client: RerateClient, rows: number, progress: Progress): Promise<number> {
  progress.step("importing the Azure conversation trace", rows);
  const account = zipfAccounts(TRACE_ACCOUNTS, "azure");
  await openAll(client, account.names, "chat-gpt-4-turbo");
  await openAll(client, [DEMO_ACCOUNT], "chat-gpt-4o");
  const hold = createImportHold((command) => client.sendImport(command), IMPORT);
  const { source, model } = TRACES.azure;
  const { accepted } = await sendInBatches(mapRows(TRACE, traceUsage("azure", { account, source, model })), {
    send: (batch) => client.sendUsage(batch),
    accountOf: ({ subject }) => subject,
    beforeAccount: (name) => hold.start(name),
    onProgress: ({ sent }) => progress.at(sent),
    sleep,
  });
  await hold.end();
  return accepted;
}

async function importTasks(client: RerateClient, rows: number, progress: Progress): Promise<number> {
  progress.step("importing agent tasks and their outcomes", 2 * rows);
  const account = zipfAccounts(TASK_ACCOUNTS, "agents");
  await openAll(client, account.names, "agent-tasks");
  const hold = createImportHold((command) => client.sendImport(command), IMPORT);
  const factsOf = agentTaskFacts({ account, at: TASKS_AT });
  const common = { beforeAccount: (name: string) => hold.start(name), sleep };
  const usage = await sendInBatches(
    mapRows(TASKS, (row) => factsOf(row).usage),
    {
      ...common,
      send: (batch) => client.sendUsage(batch),
      accountOf: ({ subject }) => subject,
      onProgress: ({ sent }) => progress.at(sent),
    },
  );
  const signals = await sendInBatches<NonNullable<AgentTaskFacts["signal"]>>(
    mapRows(TASKS, (row) => factsOf(row).signal),
    {
      ...common,
      send: (batch) => client.sendSignals(batch),
      accountOf: (signal) => signal.account,
      onProgress: ({ sent }) => progress.at(usage.sent + sent),
    },
  );
  await hold.end();
  return usage.accepted + signals.accepted;
}

async function openAll(client: RerateClient, accounts: readonly string[], planId: string): Promise<void> {
  for (const account of accounts) {
    await client.openAccount({ account, currency: "USD" });
    await client.assignPlan(account, { planId, from: SINCE });
  }
}

async function* mapRows<Body>(path: string, map: (row: CsvRow) => Body | undefined): AsyncGenerator<Body> {
  for await (const row of readRows(fileURLToPath(new URL(path, EXAMPLES)))) {
    const body = map(row);
    if (body !== undefined) yield body;
  }
}

/** Waits until every message has been decided and every event is in the read models. */
async function settled({ engines, workers, projector }: Standalone): Promise<void> {
  for (let quiet = 0; quiet < 2;) {
    const lags = await Promise.all(Object.keys(workers).map((group) => engines.bus.lag(group)));
    const behind = lags.flat().reduce((sum, { lag }) => sum + lag, 0);
    quiet = behind === 0 ? quiet + 1 : 0;
    await sleep(behind > 0 ? 200 : 20);
  }
  await projector.caughtUp();
}

interface Expectations {
  readonly traceRows: number;
  readonly taskRows: number;
  /** Tasks that somebody judged. */
  readonly taskSignals: number;
  readonly traceUsd: string;
  readonly tasksUsd: string;
}

/** The published totals: computed by others with exact arithmetic, bundled with the data. */
function readExpectations(): Expectations {
  const { totals } = JSON.parse(readExample("data/expected_totals.json")) as {
    readonly totals: {
      readonly "usage_azure_conversation_2023.csv.gz": {
        readonly rows: number;
        readonly "cost openai/gpt-4-turbo": { readonly exact_usd: string };
      };
      readonly "outcomes_agent_tasks.csv.gz": {
        readonly rows: number;
        readonly total: {
          readonly resolved: number;
          readonly unresolved: number;
          readonly "outcome_revenue_usd_at_0.99": string;
        };
      };
    };
  };
  const trace = totals["usage_azure_conversation_2023.csv.gz"];
  const tasks = totals["outcomes_agent_tasks.csv.gz"];
  return {
    traceRows: trace.rows,
    taskRows: tasks.rows,
    taskSignals: tasks.total.resolved + tasks.total.unresolved,
    traceUsd: trace["cost openai/gpt-4-turbo"].exact_usd,
    tasksUsd: tasks.total["outcome_revenue_usd_at_0.99"],
  };
}

async function checkTotals(client: RerateClient, expected: Expectations): Promise<TotalCheck[]> {
  const { accounts } = await client.totals({ limit: 1_000 });
  const sum = (prefix: string): bigint =>
    accounts
      .filter(({ account }) => account.startsWith(prefix))
      .flatMap(({ units }) => units.filter(({ unit }) => unit === "USD"))
      .reduce((total, { net }) => total + parseAmount(net), 0n);
  const check = (name: string, prefix: string, text: string): TotalCheck => {
    const actual = sum(prefix);
    return { name, unit: "USD", expected: text, actual: formatAmount(actual), equal: actual === parseAmount(text) };
  };
  return [
    check("Azure conversation trace at gpt-4-turbo prices", "azure-", expected.traceUsd),
    check("Agent tasks at 0.99 per resolved task", "agents-", expected.tasksUsd),
  ];
}

function readExample(path: string): string {
  return readFileSync(new URL(path, EXAMPLES), "utf8");
}
