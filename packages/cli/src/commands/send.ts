/**
 * `rerate usage send` and `rerate signal send`: one fact from the command line, and what the ledger made of it.
 */
import type { RerateClient } from "@rerate/client";
import type { AnswerRead, EntryRead, ExplanationRead, ReceiptRead } from "@rerate/wire";
import type { Command } from "commander";
import { examples, pairs, type Act, type Run } from "../command-line.ts";
import { EXIT, type ExitCode } from "../failure.ts";
import { explanationLines } from "./reads.ts";

interface UsageOptions {
  readonly account: string;
  readonly source: string;
  readonly id?: string;
  readonly type: string;
  readonly provider?: string;
  readonly model?: string;
  readonly input?: string;
  readonly cached?: string;
  readonly output?: string;
  readonly quantity?: Readonly<Record<string, string>>;
  readonly dim?: Readonly<Record<string, string>>;
  readonly outcome?: string;
  readonly time?: string;
}

interface SignalOptions {
  readonly account: string;
  readonly source: string;
  readonly id?: string;
  readonly outcome: string;
  readonly signal: string;
  readonly confidence?: string;
  readonly value?: string;
  readonly time?: string;
}

const WAIT_SECONDS = 10;
const SOURCE = "rerate-cli";

export function addSendCommands(program: Command, usage: Command, act: Act): void {
  usage
    .command("send")
    .description("send one usage event and print what it cost, with the arithmetic")
    .requiredOption("--account <name>", "the account")
    .option("--model <name>", "the AI model")
    .option("--provider <name>", "who runs the model")
    .option("--input <tokens>", "input tokens, cached ones included")
    .option("--cached <tokens>", "of these, cached")
    .option("--output <tokens>", "output tokens")
    .option("--quantity <name=number>", "any other quantity; repeatable", pairs)
    .option("--dim <name=value>", "a dimension such as feature=chat; repeatable", pairs)
    .option("--outcome <id>", "the outcome it belongs to (default: its own)")
    .option("--type <type>", "CloudEvents type", "llm.completion")
    .option("--source <name>", "CloudEvents source", SOURCE)
    .option("--id <id>", "its identity; the same one again has no effect (default: a new one)")
    .option("--time <time>", "when it happened (default: now)")
    .addHelpText("after", examples("usage send --account demo --model gpt-4-turbo --input 812 --output 204"))
    .action(async (options: UsageOptions, command: Command) => act(command, async (run) => sendUsage(run, options)));

  program
    .command("signal")
    .description("send outcome signals")
    .command("send")
    .description("send one observation about a result")
    .requiredOption("--account <name>", "the account")
    .requiredOption("--outcome <id>", "the usage's id, or its outcome reference")
    .requiredOption("--signal <name>", "for example explicit_accept, edit, resolved")
    .option("--confidence <number>", "0 to 1 (default: 1)")
    .option("--value <number>", "the signal's number, such as a quality score")
    .option("--source <name>", "source of the usage and of the signal", SOURCE)
    .option("--id <id>", "its identity (default: a new one)")
    .option("--time <time>", "when it was observed (default: now)")
    .addHelpText("after", examples("signal send --account demo --outcome req-1 --signal explicit_accept"))
    .action(async (options: SignalOptions, command: Command) => act(command, async (run) => sendSignal(run, options)));
}

async function sendUsage(run: Run, options: UsageOptions): Promise<ExitCode | undefined> {
  const { account, source, type, provider, model, input, cached, output, quantity, dim, outcome, time } = options;
  const id = options.id ?? run.surroundings.newId();
  const receipt = await run.client.sendUsage(
    {
      specversion: "1.0",
      type,
      source,
      id,
      subject: account,
      // Left out when nobody said: what the door fills in is no part of the content, so the same command again is a duplicate.
      ...(time === undefined ? {} : { time }),
      data: {
        ...(provider === undefined ? {} : { provider }),
        ...(model === undefined ? {} : { model }),
        ...(input === undefined ? {} : { input_tokens: input }),
        ...(cached === undefined ? {} : { cached_input_tokens: cached }),
        ...(output === undefined ? {} : { output_tokens: output }),
        ...(quantity === undefined ? {} : { quantities: quantity }),
        ...(dim === undefined ? {} : { dimensions: dim }),
        ...(outcome === undefined ? {} : { outcome }),
      },
    },
    { waitSeconds: WAIT_SECONDS },
  );
  const answer = receipt.answers?.[0];
  const explained =
    answer?.status === "recorded" || answer?.status === "duplicate" ? await explanationsOf(run, account, source, id) : [];
  run.terminal.result({ account, source, id, answer, explanations: explained }, () => [
    ...answerLines(answer, `${source} ${id}`),
    ...explained.flatMap((read) => ["", ...explanationLines(read)]),
    ...(explained.length === 0 && answer?.status === "recorded" ? ["It moved no money so far."] : []),
  ]);
  return exitOf(answer);
}

async function sendSignal(run: Run, options: SignalOptions): Promise<ExitCode | undefined> {
  const { account, source, outcome, signal, confidence, value, time } = options;
  const id = options.id ?? run.surroundings.newId();
  const before = (await entriesOf(run.client, account, source, outcome)).length;
  const receipt: ReceiptRead = await run.client.sendSignals(
    {
      source,
      id,
      account,
      outcome,
      signal,
      ...(confidence === undefined ? {} : { confidence }),
      ...(value === undefined ? {} : { value }),
      ...(time === undefined ? {} : { time }),
    },
    { waitSeconds: WAIT_SECONDS },
  );
  const answer = receipt.answers?.[0];
  const explained = answer?.status === "recorded" ? await explanationsOf(run, account, source, outcome, before) : [];
  run.terminal.result({ account, source, id, answer, explanations: explained }, () => [
    ...answerLines(answer, `${source} ${id}`),
    ...explained.flatMap((read) => ["", ...explanationLines(read)]),
    ...(explained.length === 0 && answer?.status === "recorded" ? ["It moved no money so far."] : []),
    "",
    `The outcome with its signals: rerate outcome ${account} ${source} ${outcome}`,
  ]);
  return exitOf(answer);
}

/**
 * The entries about a fact beyond those that were there `before`, explained. Entries reach the read models a moment after they
 * are recorded: looks a few times, for two seconds in all.
 */
async function explanationsOf(run: Run, account: string, source: string, id: string, before = 0): Promise<ExplanationRead[]> {
  const { client, surroundings } = run;
  for (const pauseMs of [0, 50, 100, 250, 600, 1_000]) {
    if (pauseMs > 0) await surroundings.sleep(pauseMs);
    const found = (await entriesOf(client, account, source, id)).slice(before);
    if (found.length > 0) return Promise.all(found.map(async ({ n }) => client.explain(account, n)));
  }
  return [];
}

async function entriesOf(client: RerateClient, account: string, source: string, id: string): Promise<EntryRead[]> {
  const { entries } = await client.entries(account, { order: "newest", limit: 100 });
  return entries.filter((entry) => entry.source === source && entry.id === id).toSorted((a, b) => a.n - b.n);
}

function answerLines(answer: AnswerRead | undefined, what: string): string[] {
  const detail = answer?.detail === undefined ? "" : `: ${answer.detail}`;
  switch (answer?.status) {
    case "recorded":
      return [`${what} is recorded${detail}.`];
    case "duplicate":
      return [`${what} was recorded before; it has no further effect.`];
    case "conflict":
      return [`${what} was recorded before with other content${detail}. It is parked: see \`rerate parked list\`.`];
    case "parked":
      return [`${what} is parked${detail}. Mend the cause and run \`rerate parked retry\`.`];
    case "ignored":
      return [`${what} has no effect${detail}.`];
    case "pending":
    case undefined:
      return [`${what} is accepted; the ledger has not answered yet.`];
  }
}

function exitOf(answer: AnswerRead | undefined): ExitCode | undefined {
  return answer?.status === "parked" || answer?.status === "conflict" ? EXIT.refused : undefined;
}
