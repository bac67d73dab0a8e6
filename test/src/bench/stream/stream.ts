/**
 * `pnpm bench stream`: usage from a producer's Kafka message to a balance that a dashboard can read, every part a process of its own.
 *
 * A window counts from the first message on `usage.reported` until the read models show every charge and every wallet owes it.
 * Windows for many accounts, for one hot account and for the raw clients take turns, so a slow minute of the machine hits all of
 * them. Messages are made before the clock starts. The sums must be exact, or nothing is printed as a result.
 */
import { openEventStoreDb } from "@rerate/event-store/eventstoredb";
import type { EventStore, Position, StoredEvent } from "@rerate/event-store";
import type { Stack } from "@rerate/stack";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { measureIdle, type Idle } from "../idle/idle.ts";
import { median } from "../ingest/figures.ts";
import { createLoad, HOT_ACCOUNT, type Load, type Shape } from "../ingest/load.ts";
import { startCounting } from "./cpu.ts";
import { openKafkaClient, toMessage, type KafkaClient } from "./kafka-client.ts";
import { measureLatency } from "./latency.ts";
import { openRawAppends, type RawAppends } from "./raw-appends.ts";
import { report, type LatencyRow, type RawRow, type Results, type WindowRow } from "./report.ts";
import { checkSums, groupsOf, openAccounts, startStackUnderLoad, waitForBalances } from "./stack-under-load.ts";
import { readStored } from "./stored.ts";

const HELP = `pnpm bench stream [options]
  --accounts 10000      accounts, asked for by Zipf 1.1; and one hot account
  --window 10000        usage events per window
  --rounds 3            windows per row
  --settlements 1,2     how many processes of settlement; one series of rounds for each
  --latency 10          seconds of an open loop at half of the rate found; 0 leaves it out
  --rate N              usages per second of the open loop, instead of half of the rate found
  --idle 0              seconds of idle that are measured first; 0 leaves it out
  --seed 1
  --directory DIR       where the data goes (default: the system's temporary directory)
  --cpu-prof DIR        every process writes a CPU profile there when it ends
  --json FILE           writes everything measured to a file
`;

interface Settings {
  readonly accounts: number;
  readonly window: number;
  readonly rounds: number;
  readonly settlements: readonly number[];
  readonly latencySeconds: number;
  readonly latencyRate: number | undefined;
  readonly idleSeconds: number;
  readonly seed: number;
  readonly directory: string;
  readonly cpuProf: string | undefined;
  readonly json: string | undefined;
}

export async function benchStream(arguments_: readonly string[]): Promise<void> {
  const settings = readSettings(arguments_);
  if (settings === undefined) {
    process.stdout.write(HELP);
    return;
  }
  if (settings.cpuProf !== undefined) {
    mkdirSync(settings.cpuProf, { recursive: true });
    process.env["NODE_OPTIONS"] = `--cpu-prof --cpu-prof-dir=${settings.cpuProf}`;
  }
  const root = mkdtempSync(join(settings.directory, "rerate-bench-stream-"));
  try {
    const results = await run(settings, root);
    process.stdout.write(report(results));
    if (settings.json !== undefined) writeFileSync(settings.json, JSON.stringify(results, asJson, 2));
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

function readSettings(arguments_: readonly string[]): Settings | undefined {
  const { values } = parseArgs({
    args: [...arguments_],
    options: {
      help: { type: "boolean", short: "h", default: false },
      accounts: { type: "string", default: "10000" },
      window: { type: "string", default: "10000" },
      rounds: { type: "string", default: "3" },
      settlements: { type: "string", default: "1,2" },
      latency: { type: "string", default: "10" },
      rate: { type: "string" },
      idle: { type: "string", default: "0" },
      seed: { type: "string", default: "1" },
      directory: { type: "string", default: tmpdir() },
      "cpu-prof": { type: "string" },
      json: { type: "string" },
    },
  });
  if (values.help) return undefined;
  return {
    accounts: Number(values.accounts),
    window: Number(values.window),
    rounds: Number(values.rounds),
    settlements: values.settlements.split(",").map(Number),
    latencySeconds: Number(values.latency),
    latencyRate: values.rate === undefined ? undefined : Number(values.rate),
    idleSeconds: Number(values.idle),
    seed: Number(values.seed),
    directory: values.directory,
    cpuProf: values["cpu-prof"],
    json: values.json,
  };
}

interface Bench {
  readonly settings: Settings;
  readonly stack: Stack;
  readonly load: Load;
  readonly kafka: KafkaClient;
  readonly eventStore: EventStore;
  /** Up to where the log was read. */
  at: Position | undefined;
  topics: number;
}

async function run(settings: Settings, root: string): Promise<Results> {
  const { accounts, window, rounds, settlements, seed } = settings;
  const load = createLoad(seed, accounts, "random");
  const stack = await startStackUnderLoad(root);
  const kafka = await openKafkaClient(stack.brokers);
  const eventStore = openEventStoreDb({ connectionString: stack.eventStoreUrl });
  const bench: Bench = { settings, stack, load, kafka, eventStore, at: undefined, topics: 0 };
  try {
    const idle = settings.idleSeconds === 0 ? undefined : await idleOf(stack, settings.idleSeconds);
    progress(`opening ${accounts} accounts`);
    await openAccounts(stack, load.accounts);
    const windows: WindowRow[] = [];
    const latencies: LatencyRow[] = [];
    let raw: RawAppends | undefined;
    const raws: RawRow[] = [];
    for (const count of settlements) {
      for (let have = groupsOf(stack).get("settlement")?.length ?? 0; have < count; have++) await stack.add("settlement");
      progress(`warming up, ${count} settlement`);
      for (const shape of ["hot", "many"] as const) await measure(bench, shape, count, Math.min(window, 5_000));
      for (let round = 1; round <= rounds; round++) {
        const name = `${count}/${round}`;
        const many = await measure(bench, "many", count, window, name);
        windows.push(many.row);
        const hot = await measure(bench, "hot", count, window, name);
        windows.push(hot.row);
        raw ??= openRawAppends(stack.eventStoreUrl, sampleOf(many.events));
        raws.push(...(await measureRaw(bench, raw, many.sizes, window, name)));
        progress(
          `round ${round} of ${rounds}, ${count} settlement: ${many.row.perSecond.toFixed(0)} and ${hot.row.perSecond.toFixed(0)} usages/s`,
        );
      }
      for (const shape of ["many", "hot"] as const) latencies.push(...(await latencyOf(bench, shape, count, windows)));
    }
    await raw?.close();
    const sums = await checkSums(stack, load);
    return { about: about(settings), sums, windows, raws, latencies, idle };
  } finally {
    await kafka.close();
    await eventStore.close();
    await stack.stop();
  }
}

/** Before there is any load: after it, the sweeps read once more what was appended. */
async function idleOf(stack: Stack, seconds: number): Promise<Idle> {
  progress(`idle, ${SETTLE_SECONDS} and ${seconds} seconds`);
  await sleep(SETTLE_SECONDS * 1_000);
  return await measureIdle(groupsOf(stack), seconds * 1_000);
}

const SETTLE_SECONDS = 20;

interface Measured {
  readonly row: WindowRow;
  readonly events: readonly StoredEvent[];
  readonly sizes: readonly number[];
}

async function measure(bench: Bench, shape: Shape, settlements: number, count: number, round = ""): Promise<Measured> {
  const { stack, load, kafka, eventStore } = bench;
  const messages = load.events(shape, count).map(toMessage);
  bench.at = (await readStored(eventStore, bench.at)).end;
  const counted = startCounting(groupsOf(stack));
  const own = process.cpuUsage();
  const started = performance.now();
  await kafka.send("usage.reported", messages);
  const sentSeconds = (performance.now() - started) / 1_000;
  await waitForBalances(stack, load);
  const seconds = (performance.now() - started) / 1_000;
  const micros = counted();
  const { user, system } = process.cpuUsage(own);
  const stored = await readStored(eventStore, bench.at);
  bench.at = stored.end;
  const events = stored.events.filter(({ stream }) => stream.startsWith("account-") || stream.startsWith("wallet-"));
  return {
    events,
    sizes: stored.appendSizes,
    row: {
      round,
      shape,
      settlements,
      perSecond: count / seconds,
      appendedPerSecond: events.length / seconds,
      eventsPerUsage: events.length / count,
      eventsPerAppend: events.length / stored.appendSizes.length,
      sentSeconds,
      seconds,
      microsPerUsage: new Map([...micros, ["load maker", user + system] as const].map(([name, sum]) => [name, sum / count])),
    },
  };
}

/** What the raw clients append again: a fixed number of events as the ledger stores them. */
function sampleOf(events: readonly StoredEvent[]): readonly StoredEvent[] {
  return events.slice(-2_000);
}

const RAW_BATCH = 100;

async function measureRaw(
  bench: Bench,
  raw: RawAppends,
  sizes: readonly number[],
  count: number,
  round: string,
): Promise<RawRow[]> {
  const { kafka, load } = bench;
  // Messages of the same kind and size; what they say is not used.
  const messages = createLoad(bench.settings.seed, load.accounts.length - 1, "random")
    .events("many", count)
    .map(toMessage);
  const topic = `bench-raw-${++bench.topics}`;
  await kafka.createTopic(topic, 12);
  const rows: RawRow[] = [];
  const timed = async (name: RawRow["name"], events: number, work: () => Promise<number | void>): Promise<void> => {
    const counted = startCounting(groupsOf(bench.stack));
    const own = process.cpuUsage();
    const started = performance.now();
    const seconds = (await work()) ?? (performance.now() - started) / 1_000;
    const { user, system } = process.cpuUsage(own);
    const micros = counted();
    const servers = (micros.get("front") ?? 0) + (micros.get("broker") ?? 0);
    rows.push({
      round,
      name,
      perSecond: events / seconds,
      clientMicros: (user + system) / events,
      serverMicros: servers / events,
    });
  };
  await timed("produce", count, () => kafka.send(topic, messages));
  await timed("consume", count, () => kafka.consume(topic, count));
  const batches = Array.from({ length: Math.ceil(count / RAW_BATCH) }, () => RAW_BATCH);
  await timed("append, 100 events each", batches.length * RAW_BATCH, () => raw.run(batches));
  await timed(
    "append, sizes as ours",
    sizes.reduce((sum, size) => sum + size, 0),
    () => raw.run(sizes),
  );
  return rows;
}

async function latencyOf(bench: Bench, shape: Shape, settlements: number, windows: readonly WindowRow[]): Promise<LatencyRow[]> {
  const { settings, load, kafka, stack } = bench;
  if (settings.latencySeconds === 0) return [];
  const rates = windows.filter((row) => row.shape === shape && row.settlements === settlements).map((row) => row.perSecond);
  const perSecond = settings.latencyRate ?? median(rates) / 2;
  const events = load.events(shape, Math.ceil(perSecond * settings.latencySeconds));
  progress(`latency at ${perSecond.toFixed(0)} usages/s, ${shape}, ${settlements} settlement`);
  const latencies = await measureLatency({ kafka, events, perSecond });
  await waitForBalances(stack, load);
  return [{ shape, settlements, perSecond, ...latencies }];
}

function about({ accounts, window, rounds, seed }: Settings): string {
  const commit = execFileSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8" }).trim();
  return (
    `${cpus().length} × ${cpus()[0]?.model ?? "unknown CPU"}, Node ${process.version}, commit ${commit}, load average ${loadavg()[0]?.toFixed(1)} at the end. ` +
    `Windows of ${window} usages, ${rounds} per row; ${accounts} accounts by Zipf 1.1 or one (${HOT_ACCOUNT}); seed ${seed}. ` +
    `Kafka: ${process.env["KAFKA_BROKERS"] ?? "Apache Kafka on this machine"}; event store: ${process.env["EVENTSTOREDB_URL"] ?? "the gRPC front on a file"}.`
  );
}

function asJson(_key: string, value: unknown): unknown {
  return value instanceof Map ? Object.fromEntries(value) : value;
}

function progress(text: string): void {
  process.stderr.write(`${text}\n`);
}
