/**
 * `rerate import`: usage files, task outcomes with their costs, price catalogues.
 */
import { parseInstant, type Instant } from "@rerate/money";
import { importCatalogue } from "@rerate/pricing";
import type { Command } from "commander";
import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { examples, pairs, whole, type Act, type Run } from "../command-line.ts";
import { EXIT, Failure, type ExitCode } from "../failure.ts";
import { oneAccount, zipfAccounts, type AccountRule } from "../import/account-rule.ts";
import { agentTaskFacts, type AgentTaskFacts } from "../import/agent-tasks.ts";
import type { CsvRow } from "../import/csv.ts";
import { readRows } from "../import/read-file.ts";
import {
  addCounts,
  createImportHold,
  NO_COUNTS,
  sendInBatches,
  type ImportCounts,
  type ImportHold,
} from "../import/send-batches.ts";
import { mappedUsage, TRACES, traceUsage, type UsageMapper } from "../import/usage-rows.ts";

interface FileOptions {
  readonly preset?: string;
  readonly account?: string;
  readonly accounts?: number;
  readonly at?: string;
  readonly source?: string;
  readonly plan?: string;
  readonly wait: boolean;
}

interface UsageOptions extends FileOptions {
  readonly model?: string;
  readonly provider?: string;
  readonly map?: Readonly<Record<string, string>>;
  readonly set?: Readonly<Record<string, string>>;
}

const DEFAULT_ACCOUNTS = 50;
/** First publication of the bundled task results, which do not say when the tasks ran. */
const TASKS_PUBLISHED = "2026-06-18T23:14:29Z";

export function addImportCommands(program: Command, act: Act): void {
  const imports = program
    .command("import")
    .description("bring in usage, outcomes, costs and prices from files; doing it again has no effect");

  fileOptions(imports.command("usage <file>"))
    .description("import usage from a CSV file (.gz too)")
    .option("--preset <name>", "a known file: azure or mooncake")
    .option("--model <name>", "the model of every row, with a preset")
    .option("--provider <name>", "the provider of every row, with a preset")
    .option("--map <field=column>", "fill a field from a column; repeatable", pairs)
    .option("--set <field=value>", "fill a field with the same value on every row; repeatable", pairs)
    .addHelpText(
      "after",
      examples(
        "import usage usage.csv --map id=request_id --map account=tenant --map input_tokens=prompt_toks --set model=gpt-4o",
        "import usage examples/data/usage_mooncake_conversation.csv.gz --preset mooncake --at 2025-06-09T23:30:00Z --model o3 --accounts 50",
      ),
    )
    .action(async (file: string, options: UsageOptions, command: Command) =>
      act(command, async (run) => importUsage(run, file, options)),
    );

  for (const [name, what] of [
    ["outcomes", "import task outcomes: each task as a usage, its judgement as a signal"],
    ["costs", "import what tasks cost: as published, then restated as corrections"],
  ] as const) {
    fileOptions(imports.command(`${name} <file>`))
      .description(`${what} (.gz too)`)
      .option("--preset <name>", "the file's form", "agent-tasks")
      .addHelpText(
        "after",
        examples(`import ${name} examples/data/outcomes_agent_tasks.csv.gz --preset agent-tasks --accounts 20`),
      )
      .action(async (file: string, options: FileOptions, command: Command) =>
        act(command, async (run) => importTasks(run, file, options, name)),
      );
  }

  imports
    .command("prices <file>")
    .description("publish a public price catalogue (genai-prices JSON) as a price list")
    .option("--id <id>", "id of the price list", "genai-prices")
    .option("--source <text>", "where the catalogue comes from, and when")
    .option(
      "--effective-from <time>",
      "from when facts use it (default: a first version from the beginning, another shortly from now)",
    )
    .addHelpText("after", examples("import prices examples/data/prices_catalog_2026-08-21.json --id genai-prices"))
    .action(
      async (
        file: string,
        options: { readonly id: string; readonly source?: string; readonly effectiveFrom?: string },
        command: Command,
      ) =>
        act(command, async ({ client, terminal }) => {
          const { id, source, effectiveFrom } = options;
          const json: unknown = JSON.parse(await readFile(file, "utf8"));
          const list = importCatalogue(json, { id, ...(source === undefined ? {} : { source }) });
          const read = await client.publishDocument(JSON.stringify(list), effectiveFrom === undefined ? {} : { effectiveFrom });
          const models = list.providers.reduce((sum, provider) => sum + provider.models.length, 0);
          terminal.result({ ...read, providers: list.providers.length, models }, () => [
            `price list ${read.id}: ${models} models of ${list.providers.length} providers, ${read.status}, effective from ${read.effectiveFrom}`,
            `hash ${read.hash}`,
          ]);
          return undefined;
        }),
    );
}

function fileOptions(command: Command): Command {
  return command
    .option(
      "--accounts <n>",
      `spread the rows over n accounts by the hash of their id, a few large, most small (default: ${DEFAULT_ACCOUNTS})`,
      whole,
    )
    .option("--account <name>", "put every row on one account")
    .option("--plan <id>", "open accounts that do not exist yet, on this plan (default: their facts wait, parked)")
    .option("--at <time>", "where the file's beginning is placed in time")
    .option("--source <name>", "CloudEvents source of the facts")
    .option("--no-wait", "do not wait for what the ledger decided: faster, but the summary knows less");
}

async function importUsage(run: Run, file: string, options: UsageOptions): Promise<ExitCode | undefined> {
  const mapper = usageMapper(options);
  const counts = await importing(run, file, options, async (hold) => {
    return sendAll(
      run,
      "usage",
      mapped(readRows(file), mapper),
      (body) => body.subject,
      run.client.sendUsage,
      hold,
      options.wait,
    );
  });
  return summary(run, file, { usage: counts });
}

function usageMapper(options: UsageOptions): UsageMapper {
  const { preset, map = {}, set = {}, model, provider, source } = options;
  const at = timeOf(options.at);
  if (preset === undefined) {
    const account = options.account === undefined && options.accounts === undefined ? undefined : accountRule(options);
    return mappedUsage({ columns: map, fixed: set, source: source ?? "import", ...(account === undefined ? {} : { account }) });
  }
  if (preset !== "azure" && preset !== "mooncake")
    throw new Failure(
      EXIT.usage,
      `There is no preset "${preset}"; there are azure and mooncake. Any other CSV works with --map.`,
    );
  const known = TRACES[preset];
  return traceUsage(preset, {
    account: accountRule(options),
    source: source ?? known.source,
    model: model ?? known.model,
    ...(provider === undefined ? {} : { provider }),
    ...(at === undefined ? {} : { at }),
  });
}

async function importTasks(
  run: Run,
  file: string,
  options: FileOptions,
  what: "outcomes" | "costs",
): Promise<ExitCode | undefined> {
  if (options.preset !== "agent-tasks")
    throw new Failure(EXIT.usage, `There is no preset "${options.preset ?? ""}"; there is agent-tasks.`);
  const { source } = options;
  const toFacts = agentTaskFacts({
    account: accountRule(options),
    at: timeOf(options.at ?? TASKS_PUBLISHED) as Instant,
    ...(source === undefined ? {} : { source }),
  });
  const pick = <Body>(choose: (facts: AgentTaskFacts) => Body | undefined): AsyncGenerator<Body> =>
    mapped(readRows(file), (row) => choose(toFacts(row)));
  const { client } = run;
  const kinds = await importing(run, file, options, async (hold): Promise<Record<string, ImportCounts>> => {
    if (what === "outcomes") {
      const usage = await sendAll(
        run,
        "tasks",
        pick((facts) => facts.usage),
        (body) => body.subject,
        client.sendUsage,
        hold,
        options.wait,
      );
      const signals = await sendAll(
        run,
        "signals",
        pick((facts) => facts.signal),
        (body) => body.account,
        client.sendSignals,
        hold,
        options.wait,
      );
      return { usage, signals };
    }
    const published = await sendAll(
      run,
      "costs",
      pick((facts) => facts.published),
      (body) => body.account,
      client.sendCosts,
      hold,
      options.wait,
    );
    const restated = await sendAll(
      run,
      "restatements",
      pick((facts) => facts.restated),
      (body) => body.account,
      client.sendCosts,
      hold,
      options.wait,
    );
    return { published, restated };
  });
  return summary(run, file, kinds);
}

/** Opens and announces accounts as they come up, and ends the hold of their deadlines whatever happens. */
async function importing<Result>(
  { client }: Run,
  file: string,
  { plan }: FileOptions,
  work: (hold: Pick<ImportHold, "start">) => Promise<Result>,
): Promise<Result> {
  const hold = createImportHold(client.sendImport, { source: "rerate-import", id: basename(file) });
  const opened = new Map<string, Promise<void>>();
  const start = async (account: string): Promise<void> => {
    if (plan !== undefined) {
      let opening = opened.get(account);
      if (opening === undefined) opened.set(account, (opening = openOn(client, account, plan)));
      await opening;
    }
    await hold.start(account);
  };
  try {
    return await work({ start });
  } finally {
    await hold.end();
  }
}

/** Before everything that an import can bring. */
const SINCE = "2000-01-01T00:00:00Z";

async function openOn(client: Run["client"], account: string, planId: string): Promise<void> {
  const { status } = await client.openAccount({ account, currency: "USD" });
  if (status === "recorded") await client.assignPlan(account, { planId, from: SINCE });
}

async function sendAll<Body>(
  run: Run,
  what: string,
  bodies: AsyncIterable<Body>,
  accountOf: (body: Body) => string,
  send: (batch: readonly Body[], options: { readonly waitSeconds?: number }) => ReturnType<Run["client"]["sendUsage"]>,
  hold: Pick<ImportHold, "start">,
  wait: boolean,
): Promise<ImportCounts> {
  const { terminal, surroundings } = run;
  const startMs = surroundings.elapsedMs();
  return sendInBatches(bodies, {
    send: async (batch) => send(batch, wait ? { waitSeconds: 30 } : {}),
    accountOf,
    beforeAccount: hold.start,
    sleep: surroundings.sleep,
    onProgress: ({ sent }) => {
      const seconds = Math.max((surroundings.elapsedMs() - startMs) / 1000, 0.001);
      terminal.progress(`${what}: ${sent} sent, ${Math.round(sent / seconds)} a second`);
    },
  });
}

function summary({ terminal }: Run, file: string, kinds: Readonly<Record<string, ImportCounts>>): ExitCode | undefined {
  const total = Object.values(kinds).reduce(addCounts, NO_COUNTS);
  terminal.result({ file, ...kinds, total }, () => [
    ...Object.entries(kinds).map(([kind, counts]) => `${kind}: ${countsText(counts)}`),
    ...total.reasons.map((reason) => `  ${reason}`),
    ...(total.parked === 0
      ? []
      : ["Parked facts wait: see `rerate parked list`, mend the cause, then `rerate parked retry --all`."]),
  ]);
  return total.parked === 0 ? undefined : EXIT.difference;
}

function countsText({ sent, recorded, duplicates, parked, unanswered }: ImportCounts): string {
  const later = unanswered === 0 ? "" : `, ${unanswered} accepted and not answered yet`;
  return `${sent} sent: ${recorded} recorded, ${duplicates} duplicates, ${parked} parked${later}`;
}

async function* mapped<Body>(rows: AsyncIterable<CsvRow>, map: (row: CsvRow) => Body | undefined): AsyncGenerator<Body> {
  for await (const row of rows) {
    const body = map(row);
    if (body !== undefined) yield body;
  }
}

function accountRule({ account, accounts }: FileOptions): AccountRule {
  if (account !== undefined && accounts !== undefined) throw new Failure(EXIT.usage, "Give --account or --accounts, not both.");
  return account === undefined ? zipfAccounts(accounts ?? DEFAULT_ACCOUNTS) : oneAccount(account);
}

function timeOf(text: string | undefined): Instant | undefined {
  if (text === undefined) return undefined;
  const time = parseInstant(text);
  if (time === undefined) throw new Failure(EXIT.usage, `--at "${text}" is no RFC 3339 time such as 2025-06-09T23:30:00Z`);
  return time;
}
