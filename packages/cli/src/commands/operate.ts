/**
 * `rerate status` and `rerate parked`: is everything well, and what waits for people.
 */
import type { ReconciliationRead, StatusRead } from "@rerate/wire";
import type { Command } from "commander";
import { examples, whole, type Act } from "../command-line.ts";
import { EXIT } from "../failure.ts";
import { table } from "../terminal.ts";

interface ParkedOptions {
  readonly account?: string;
  readonly reason?: string;
  readonly service?: string;
  readonly limit: number;
}

/** Where services are processes of their own: each of them, and how far their relays and the read models are. */
function processLines({ services = [], checkpoints = [], oldestUnrecordedAt }: StatusRead): string[] {
  if (services.length === 0) return [];
  return [
    ...table(
      ["service", "instance", "state", "since", "said", "open deadlines"],
      services.map((row) => [
        row.service,
        row.instance,
        row.ready
          ? "ready"
          : `NOT READY: ${row.checks.flatMap(({ name, ok, detail }) => (ok ? [] : [`${name} ${detail ?? ""}`])).join(", ")}`,
        row.startedAt,
        row.at,
        String(row.openDeadlines),
      ]),
    ),
    ...services.flatMap(({ waiting }) => waiting.map(({ stream, reason }) => `WAITING ${stream}: ${reason}`)),
    ...(checkpoints.length === 0
      ? []
      : table(
          ["reader of the log", "partitions", "least position", "greatest"],
          [...Map.groupBy(checkpoints, ({ name }) => name)].map(([name, all]) => {
            const positions = all.map(({ position }) => position).toSorted();
            return [name, String(all.length), positions[0] ?? "", positions.at(-1) ?? ""];
          }),
        )),
    ...(oldestUnrecordedAt === undefined
      ? []
      : [`The oldest fact that is not recorded yet was accepted at ${oldestUnrecordedAt}.`]),
  ];
}

/** Where groups are behind, by topic: how much in all, in how many partitions. */
function lagLines(lag: StatusRead["lag"]): string[] {
  const behind = lag.filter((line) => line.lag > 0);
  if (behind.length === 0) return ["All topics are read to their end."];
  const lines = [...Map.groupBy(behind, ({ group, topic }) => `${group} ${topic}`).values()];
  return table(
    ["group", "topic", "behind", "partitions"],
    lines.map((all) => {
      const { group = "", topic = "" } = all[0] ?? {};
      const sum = all.reduce((total, line) => total + line.lag, 0);
      return [group, topic, String(sum), all.map(({ partition }) => partition).join(",")];
    }),
  );
}

function reconciliationLines({ ok, topics, problems }: ReconciliationRead): string[] {
  const columns = [
    "deliveries",
    "accepted",
    "recorded",
    "parked",
    "erased",
    "waiting",
    "missing",
    "twice",
    "older",
    "mended",
  ] as const;
  return [
    ok ? "Every accepted message is recorded, parked, or still waits in its topic." : "IT DOES NOT RECONCILE.",
    ...table(
      ["topic", ...columns],
      topics.map((row) => [row.topic, ...columns.map((name) => String(row[name]))]),
    ),
    ...problems.map(({ kind, topic, identity, at }) => `${kind.toUpperCase()} ${topic} ${identity} (${at})`),
  ];
}

export function addOperateCommands(program: Command, act: Act): void {
  program
    .command("status")
    .description("whether the server is well; ends with 1 when it is not ready")
    .option(
      "--reconcile",
      "compare the topics of the doors with the log and what is parked instead; ends with 1 when something is missing",
    )
    .addHelpText("after", examples("status", "status --reconcile"))
    .action(async ({ reconcile }: { readonly reconcile?: true }, command: Command) =>
      act(command, async ({ client, terminal }) => {
        if (reconcile === true) {
          const found = await client.reconciliation();
          terminal.result(found, () => reconciliationLines(found));
          return found.ok ? undefined : EXIT.difference;
        }
        const read = await client.status();
        terminal.result(read, () => [
          `${read.ready ? "ready" : "NOT READY"}, version ${read.version}, up since ${read.startedAt}, namespace ${read.namespace}`,
          ...table(
            ["check", "state", "detail"],
            read.checks.map(({ name, ok, detail }) => [name, ok ? "ok" : "FAILED", detail ?? ""]),
          ),
          ...processLines(read),
          ...lagLines(read.lag),
          ...(read.parked === 0 ? ["Nothing is parked."] : [`${read.parked} messages are parked: see \`rerate parked list\`.`]),
          ...read.quarantined.map(({ stream, reason }) => `QUARANTINED ${stream}: ${reason}`),
        ]);
        return read.ready ? undefined : EXIT.difference;
      }),
    );

  const parked = program.command("parked").description("messages that could not be recorded as they are");

  parked
    .command("list")
    .description("list parked messages")
    .option("--account <name>", "of one account")
    .option("--reason <reason>", "for one reason, such as missing-price")
    .option("--service <name>", "of one service")
    .option("--limit <n>", "at most so many", whole, 100)
    .addHelpText("after", examples("parked list --reason unknown-account"))
    .action(async (options: ParkedOptions, command: Command) =>
      act(command, async ({ client, terminal }) => {
        const read = await client.parked(options);
        terminal.result(read, () => [
          ...table(
            ["id", "account", "reason", "detail", "since"],
            read.parked.map((row) => [row.id, row.account, row.reason, row.detail, row.parkedAt]),
          ),
          `${read.count} in all`,
        ]);
        return undefined;
      }),
    );

  parked
    .command("show <id>")
    .description("show a parked message")
    .addHelpText("after", examples("parked show 17"))
    .action(async (id: string, _options: object, command: Command) =>
      act(command, async ({ client, terminal }) => {
        const read = await client.parkedMessage(id);
        terminal.result(read, () => [
          `${read.id}: ${read.reason}: ${read.detail} (${read.service}, ${read.topic}, since ${read.parkedAt})`,
          read.body === undefined ? `${read.bytesBase64} (base64: it does not decode)` : JSON.stringify(read.body, undefined, 2),
        ]);
        return undefined;
      }),
    );

  parked
    .command("retry [id]")
    .description("try a parked message again, or with --all everything that is listed under the same options")
    .option("--all", "every parked message that the other options select")
    .option("--account <name>", "of one account")
    .option("--reason <reason>", "for one reason")
    .option("--service <name>", "of one service")
    .option("--limit <n>", "at most so many", whole, 1000)
    .addHelpText("after", examples("parked retry 17", "parked retry --all --reason unknown-account"))
    .action(async (id: string | undefined, { all, ...options }: ParkedOptions & { readonly all?: true }, command: Command) =>
      act(command, async ({ client, terminal }) => {
        if ((id === undefined) === (all === undefined)) command.error("error: name one message, or give --all");
        const ids = id === undefined ? (await client.parked(options)).parked.map((row) => row.id) : [id];
        const answers: { readonly id: string; readonly status: string }[] = [];
        for (const each of ids) {
          answers.push(await client.retryParked(each));
          terminal.progress(`${answers.length} of ${ids.length}`);
        }
        const left = answers.filter(({ status }) => status === "parked").length;
        terminal.result({ retried: answers.length, parked: left, answers }, () => [
          `${answers.length - left} of ${answers.length} are through; ${left} stay parked.`,
        ]);
        return left === 0 ? undefined : EXIT.difference;
      }),
    );

  parked
    .command("erase <id>")
    .description("erase a parked message's bytes for good; its identity and reason stay noted in the log")
    .addHelpText("after", examples("parked erase 17"))
    .action(async (id: string, _options: object, command: Command) =>
      act(command, async ({ client, terminal }) => {
        await client.eraseParked(id);
        terminal.result({ id, status: "erased" }, () => [`${id} is erased.`]);
        return undefined;
      }),
    );
}
