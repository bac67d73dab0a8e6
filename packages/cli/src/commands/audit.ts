/**
 * `rerate verify`, `compare`, `projections rebuild`, `demo tamper`: open a log themselves, read-only, so that nobody has to trust the server.
 */
import { formatAmount } from "@rerate/money";
import {
  planSchema,
  priceListSchema,
  readDocument,
  type PlanDocument,
  type PriceListDocument,
  type ReadDocument,
} from "@rerate/pricing";
import {
  compare,
  describeProblem,
  readModelsOf,
  rebuildReadModels,
  verify,
  type CompareReport,
  type ComparedUnit,
  type VerifyReport,
} from "@rerate/replay";
import { copyAndAlter, openEventStoreLog, openForRebuild, openLogDirectory, type AuditLog } from "@rerate/runtime";
import type { Command } from "commander";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { examples, whole, type Act, type Run } from "../command-line.ts";
import { EXIT, Failure, type ExitCode } from "../failure.ts";
import { table } from "../terminal.ts";

interface LogOption {
  readonly log?: string;
}

interface CompareOptions extends LogOption {
  readonly plan: string;
  readonly prices?: readonly string[];
  readonly accounts?: readonly string[];
  readonly largest: number;
}

const LOG_HELP = "the log: file:DIR (default: the data directory, RERATE_DATA)";
const ANY_LOG_HELP = "the log: file:DIR or esdb://HOST:PORT (default: the data directory, RERATE_DATA)";

export function addAuditCommands(program: Command, act: Act): void {
  program
    .command("verify")
    .description(
      "check the hash chain, decide everything again, add up the books, compare the read models; ends with 1 for any difference",
    )
    .option("--log <place>", ANY_LOG_HELP)
    .option("--no-projections", "leave out the read models")
    .addHelpText(
      "after",
      examples("verify", "verify --log file:/var/lib/rerate --json", "verify --log 'esdb://127.0.0.1:2113?tls=false'"),
    )
    .action(async (options: LogOption & { readonly projections: boolean }, command: Command) =>
      act(command, async (run) => verifyLog(run, await openLog(run, options), options.projections)),
    );

  program
    .command("compare")
    .description(
      "price the whole history by another plan and show who would have paid what; writes nothing; ends with 1 when anything differs",
    )
    .requiredOption("--plan <file>", "the other plan, YAML or JSON")
    .option("--prices <file>", "a price list that it uses (default: the published one); repeatable", collect)
    .option("--account <name>", "only this account; `azure-*` for all that begin so; repeatable", collect)
    .option("--largest <n>", "explain so many of the largest differences", whole, 5)
    .option("--log <place>", ANY_LOG_HELP)
    .addHelpText(
      "after",
      examples(
        "compare --plan examples/plans/chat-gpt-4o-mini.yaml",
        "compare --plan examples/plans/chat-gpt-4o-mini.yaml --account 'azure-*'",
        "compare --plan plan.yaml --account acme --largest 20",
      ),
    )
    .action(
      async (
        { account, ...options }: Omit<CompareOptions, "accounts"> & { readonly account?: readonly string[] },
        command: Command,
      ) => act(command, async (run) => compareLog(run, { ...options, ...(account === undefined ? {} : { accounts: account }) })),
    );

  program
    .command("projections")
    .description("the read models: balances, invoices, usage, outcomes")
    .command("rebuild")
    .description("delete the read models and fold the log again; the server must not be running")
    .option("--log <place>", LOG_HELP)
    .addHelpText("after", examples("projections rebuild"))
    .action(async (options: LogOption, command: Command) =>
      act(command, async (run) => {
        const opened = openForRebuild(directoryOf(run, options));
        try {
          const pace = paceOf(run);
          const events = await rebuildReadModels(opened.views, opened.eventStore, (done) =>
            run.terminal.progress(`${done} events, ${pace(done)} a second`),
          );
          run.terminal.result({ events, perSecond: pace(events) }, () => [
            `The read models are built again from ${events} events (${pace(events)} a second).`,
          ]);
          return undefined;
        } finally {
          await opened.close();
        }
      }),
    );

  program
    .command("demo")
    .description("demonstrations")
    .command("tamper")
    .description("copy the log, change one digit of one booked amount in the copy with plain SQL, and let `verify` find it")
    .option("--log <place>", LOG_HELP)
    .option("--to <directory>", "where the copy goes (default: demo-tamper in the data directory)")
    .addHelpText("after", examples("demo tamper"))
    .action(async (options: LogOption & { readonly to?: string }, command: Command) =>
      act(command, async (run) => tamper(run, directoryOf(run, options), options.to)),
    );
}

async function verifyLog(run: Run, log: AuditLog, withProjections: boolean): Promise<ExitCode | undefined> {
  const { terminal } = run;
  const { report, perSecond } = await verifyOpened(run, log, withProjections);
  terminal.result({ ...report, eventsPerSecond: perSecond }, () => verifyLines(report, perSecond));
  return report.ok ? undefined : EXIT.difference;
}

async function openLog(run: Run, options: LogOption): Promise<AuditLog> {
  const { log } = options;
  if (log !== undefined && EVENT_STORE.test(log)) return await openEventStoreLog(log);
  return openLogDirectory(directoryOf(run, options));
}

const EVENT_STORE = /^(?:esdb|kurrentdb)(?:\+discover)?:\/\//;

async function verifyOpened(
  run: Run,
  { eventStore, openReadModels, close }: AuditLog,
  withProjections: boolean,
): Promise<{ readonly report: VerifyReport; readonly perSecond: number }> {
  const cache = withProjections ? openReadModels() : undefined;
  const pace = paceOf(run);
  try {
    const report = await verify({
      eventStore,
      ...(cache === undefined ? {} : { projections: readModelsOf(cache) }),
      onProgress: ({ phase, events, of }) =>
        run.terminal.progress(`${phase}: ${events}${of === undefined ? "" : ` of ${of}`} events`),
    });
    return { report, perSecond: pace(report.events) };
  } finally {
    cache?.close();
    await close();
  }
}

async function compareLog(run: Run, options: CompareOptions): Promise<ExitCode | undefined> {
  const { plan, prices = [], accounts, largest } = options;
  const other: PlanDocument = documentOf(plan, readDocument(await readFile(plan, "utf8"), planSchema));
  const lists: PriceListDocument[] = [];
  for (const file of prices) lists.push(documentOf(file, readDocument(await readFile(file, "utf8"), priceListSchema)));
  const { eventStore, close } = await openLog(run, options);
  try {
    const report = await compare({
      eventStore,
      plan: other,
      priceLists: Object.fromEntries(lists.map((list) => [list.id, list])),
      largest,
      ...(accounts === undefined ? {} : { accounts }),
      onProgress: ({ events, accounts: done, of }) => run.terminal.progress(`${done} of ${of} accounts, ${events} facts`),
    });
    run.terminal.result(report, () => compareLines(report));
    return report.differingFacts === 0 && report.unpriced.count === 0 ? undefined : EXIT.difference;
  } finally {
    await close();
  }
}

async function tamper(run: Run, directory: string, to: string | undefined): Promise<ExitCode | undefined> {
  const copy = to ?? join(directory, "demo-tamper");
  await rm(join(copy, "ledger.db"), { force: true });
  const altered = copyAndAlter(directory, copy, ({ stream, data }) =>
    stream.startsWith("account-") ? changedAmount(data) : undefined,
  );
  if (altered === undefined)
    throw new Failure(EXIT.notFound, "No event of this log books an amount yet. Send some usage first: rerate usage send …");
  const place = `${altered.stream}, revision ${altered.revision}`;
  const { report, perSecond } = await verifyOpened(run, openLogDirectory(copy), false);
  const [before, after] = [amountIn(altered.before), amountIn(altered.after)];
  run.terminal.result({ copy, changed: { stream: altered.stream, revision: altered.revision, before, after }, report }, () => [
    `Copied the log to ${copy} and changed one booked amount there with plain SQL:`,
    `  ${place}: ${before} atoms became ${after}`,
    "",
    ...verifyLines(report, perSecond),
    "",
    report.ok ? "verify did not notice." : "The log itself is untouched: `rerate verify` still passes.",
  ]);
  // The demonstration succeeds when the forgery is found.
  return report.ok ? EXIT.difference : undefined;
}

const AMOUNT = /("atoms":"-?)(\d+)(?=")/;

/** One digit of the first booked amount, changed; undefined for an event without any. */
function changedAmount(data: string): string | undefined {
  const digits = AMOUNT.exec(data)?.[2];
  if (digits === undefined || digits === "0") return undefined;
  const first = Number(digits[0]);
  return data.replace(AMOUNT, (_, head: string) => `${head}${first === 9 ? 8 : first + 1}${digits.slice(1)}`);
}

function amountIn(data: string): string {
  return AMOUNT.exec(data)?.[2] ?? "";
}

function directoryOf({ surroundings }: Run, { log }: LogOption): string {
  if (log === undefined) return surroundings.config.dataDirectory;
  if (log.startsWith("file:") && log.length > "file:".length) return log.slice("file:".length);
  throw new Failure(
    EXIT.usage,
    `--log "${log}" is not known. Write file: and the data directory, for example --log file:/var/lib/rerate, or an event store's address, esdb://….`,
  );
}

function documentOf<Document>(file: string, read: ReadDocument<Document>): Document {
  if (read.ok) return read.value;
  const problems = read.problems.map(
    ({ line, column, path, message }) => `${file}:${line}:${column}: ${path === "" ? "" : `${path}: `}${message}`,
  );
  throw new Failure(EXIT.usage, problems.join("\n"));
}

function verifyLines(report: VerifyReport, perSecond: number): string[] {
  const { pending } = report;
  const waiting = pending.usage + pending.verdicts + pending.entries;
  return [
    `${report.events} events in ${report.streams} streams, ${report.decided} decided again, ${report.entries} ledger entries (${perSecond} events a second)`,
    `log ${report.head}`,
    "",
    ...table(
      ["account", "unit", "debit", "credit"],
      report.trialBalance.map((row) => [
        row.account,
        row.unit,
        formatAmount(BigInt(row.debitAtoms)),
        formatAmount(BigInt(row.creditAtoms)),
      ]),
    ),
    "",
    ...(waiting === 0
      ? []
      : [
          `On their way between streams: ${pending.usage} usage, ${pending.verdicts} verdicts, ${pending.entries} entries (no error).`,
        ]),
    ...(report.projections === "not checked" ? ["Read models: not checked (none are there, or another version made them)."] : []),
    ...report.problems.flatMap((problem) => [
      describeProblem(problem),
      ...(problem.explanation ?? []).map((line) => `    ${line}`),
    ]),
    report.ok ? "OK: the ledger is what its facts and rules say, to the last atom." : `FAILED: ${countsText(report)}.`,
  ];
}

function countsText({ counts, problems }: VerifyReport): string {
  const found = Object.entries(counts).filter(([, count]) => count > 0);
  const all = found.reduce((sum, [, count]) => sum + count, 0);
  const more = all > problems.length ? `, of which the first ${problems.length} are listed` : "";
  return `${found.map(([kind, count]) => `${count} ${kind}`).join(", ")}${more}`;
}

function compareLines(report: CompareReport): string[] {
  return [
    `${report.facts} ${report.facts === 1 ? "fact" : "facts"} under plan ${report.planId} instead of the recorded rules; ${report.differingFacts} would cost something else`,
    ...table(["unit", "recorded", "compared", "difference"], report.totals.map(amounts)),
    "",
    ...accountLines(report),
    ...report.largest.flatMap((fact) => [
      "",
      `${fact.account}, ${fact.type} ${fact.id ?? ""} (revision ${fact.revision}): ${formatAmount(BigInt(fact.differenceAtoms))} ${fact.unit}`,
      ...fact.recorded.map((line) => `  recorded: ${line}`),
      ...fact.compared.map((line) => `  compared: ${line}`),
    ]),
    ...(report.unpriced.count === 0
      ? []
      : [
          "",
          `${report.unpriced.count} facts have no price under this plan:`,
          ...report.unpriced.examples.map((line) => `  ${line}`),
        ]),
    ...(report.chainProblems === 0
      ? []
      : ["", `The log's hash chain is broken in ${report.chainProblems} places: run \`rerate verify\` first.`]),
    "",
    `log ${report.log}`,
    `plan ${report.plan}`,
    `engine ${report.engine}`,
  ];
}

function accountLines({ accounts }: CompareReport): string[] {
  const rows = accounts.flatMap(({ account, facts, units }) => units.map((row) => [account, String(facts), ...amounts(row)]));
  const more =
    rows.length > SHOWN_ACCOUNTS ? [`and ${rows.length - SHOWN_ACCOUNTS} more with smaller differences: --json lists all`] : [];
  return [...table(["account", "facts", "unit", "recorded", "compared", "difference"], rows.slice(0, SHOWN_ACCOUNTS)), ...more];
}

const SHOWN_ACCOUNTS = 20;

function amounts({ unit, recordedAtoms, comparedAtoms, differenceAtoms }: ComparedUnit): string[] {
  return [unit, ...[recordedAtoms, comparedAtoms, differenceAtoms].map((atoms) => formatAmount(BigInt(atoms)))];
}

/** Events a second since now. */
function paceOf({ surroundings }: Run): (events: number) => number {
  const startMs = surroundings.elapsedMs();
  return (events) => Math.round(events / Math.max((surroundings.elapsedMs() - startMs) / 1000, 0.001));
}

function collect(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text];
}
