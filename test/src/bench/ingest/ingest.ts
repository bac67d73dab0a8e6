/**
 * `pnpm bench ingest`: usage events from an HTTP body to a balance that a dashboard can read.
 *
 * One standalone server in a process of its own; this process makes the load. A window counts from the first request until the
 * read models show every charge and every wallet owes it. Windows for many accounts, for one hot account and for the raw
 * engine take turns, so a slow minute of the machine hits all of them. The sums must be exact, or nothing is printed as a
 * result.
 */
import { formatAmount, parseAmount } from "@rerate/money";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { median, table } from "./figures.ts";
import { createLoad, HOT_ACCOUNT, PLAN, type Load, type Shape } from "./load.ts";
import { openRawCeiling, sampleEvents } from "./raw-ceiling.ts";
import { startServer, type Server } from "./server.ts";

const HELP = `pnpm bench ingest [options]
  --sizes 100000,1000000   recorded facts at which windows are measured (5000000 takes a while)
  --window 50000           events per window
  --rounds 5               windows per row and size
  --accounts 10000         accounts, asked for by Zipf 1.1
  --batch 1000             events per request
  --connections 4          requests in flight
  --ids random             or ordered: how event ids come
  --seed 1
  --directory DIR          where the data directories go (default: the system's temporary directory)
  --node-flags FLAGS       for the server's process, as in --node-flags="--cpu-prof --cpu-prof-dir=/tmp/prof"
  --no-rebuild             leave out the restart without cache.db and views.db
`;

interface Settings {
  readonly sizes: readonly number[];
  readonly window: number;
  readonly rounds: number;
  readonly accounts: number;
  readonly batch: number;
  readonly connections: number;
  readonly ids: "random" | "ordered";
  readonly seed: number;
  readonly directory: string;
  readonly nodeFlags: readonly string[];
  readonly rebuild: boolean;
}

/** One measured window. */
interface Figures {
  readonly perSecond: number;
  readonly serverMicros: number;
  /** Of the server's, the main thread's. */
  readonly mainMicros: number;
  readonly loadMicros: number;
}

export async function benchIngest(arguments_: readonly string[]): Promise<void> {
  const settings = readSettings(arguments_);
  if (settings === undefined) {
    process.stdout.write(HELP);
    return;
  }
  const root = mkdtempSync(join(settings.directory, "rerate-bench-"));
  try {
    await run(settings, root);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

function readSettings(arguments_: readonly string[]): Settings | undefined {
  const { values } = parseArgs({
    args: [...arguments_],
    options: {
      help: { type: "boolean", short: "h", default: false },
      sizes: { type: "string", default: "100000,1000000" },
      window: { type: "string", default: "50000" },
      rounds: { type: "string", default: "5" },
      accounts: { type: "string", default: "10000" },
      batch: { type: "string", default: "1000" },
      connections: { type: "string", default: "4" },
      ids: { type: "string", default: "random" },
      seed: { type: "string", default: "1" },
      directory: { type: "string", default: tmpdir() },
      "node-flags": { type: "string", default: "" },
      "no-rebuild": { type: "boolean", default: false },
    },
  });
  if (values.help) return undefined;
  return {
    sizes: values.sizes.split(",").map(Number),
    window: Number(values.window),
    rounds: Number(values.rounds),
    accounts: Number(values.accounts),
    batch: Number(values.batch),
    connections: Number(values.connections),
    ids: values.ids === "ordered" ? "ordered" : "random",
    seed: Number(values.seed),
    directory: values.directory,
    nodeFlags: values["node-flags"].split(" ").filter((flag) => flag !== ""),
    rebuild: !values["no-rebuild"],
  };
}

async function run(settings: Settings, root: string): Promise<void> {
  const dataDirectory = join(root, "ledger");
  mkdirSync(dataDirectory);
  printHead(settings);
  const load = createLoad(settings.seed, settings.accounts, settings.ids);
  let server = await startServer(dataDirectory, settings.nodeFlags);
  try {
    await openAccounts(server, load);
    for (const size of settings.sizes) {
      await fill(server, load, settings, size);
      await measureAt(server, load, settings, size, { root, dataDirectory });
      await checkSums(server, load);
      const restart = async (): Promise<number> => {
        const started = performance.now();
        server = await startServer(dataDirectory, settings.nodeFlags);
        await waitForBalances(server, load, [HOT_ACCOUNT, ...load.newest]);
        return (performance.now() - started) / 1_000;
      };
      const stopping = performance.now();
      await server.stop();
      const stopSeconds = (performance.now() - stopping) / 1_000;
      print(`  stop ${stopSeconds.toFixed(2)} s; restart to right balances ${(await restart()).toFixed(2)} s`);
      if (!settings.rebuild) continue;
      await server.stop();
      for (const file of ["cache.db", "views.db"])
        for (const suffix of ["", "-wal", "-shm"]) rmSync(join(dataDirectory, file + suffix), { force: true });
      const rebuilt = await restart();
      print(
        `  restart after cache.db and views.db were deleted ${rebuilt.toFixed(2)} s (${perSecond(load.facts, rebuilt)} facts/s), peak ${server.peakMegabytes()} MB`,
      );
    }
    await measureSingles(server, load, settings);
    await checkSums(server, load);
  } finally {
    await server.stop();
  }
}

function printHead(settings: Settings): void {
  const commit = execFileSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8" }).trim();
  print(`ingest: ${cpus().length} × ${cpus()[0]?.model ?? "unknown CPU"}, Node ${process.version}, commit ${commit}`);
  const { sizes, window, rounds, accounts, batch, connections, ids, seed } = settings;
  print(
    `sizes ${sizes.join(", ")}; windows of ${window} events, ${rounds} per row, medians; ${accounts} accounts, Zipf 1.1; ` +
      `${batch} events per request, ${connections} requests in flight; ${ids} ids; seed ${seed}`,
  );
}

/** Not measured: publishes the plan and opens every account. */
async function openAccounts(server: Server, load: Load): Promise<void> {
  const plan = readFileSync(new URL(`../../../../${PLAN.file}`, import.meta.url), "utf8");
  expectStatus(await server.post("/v1/documents?effectiveFrom=2000-01-01T00:00:00Z", plan, "application/yaml"));
  await inFlight(load.accounts, 32, async (account) => {
    expectStatus(await server.send("POST", "/v1/accounts", { account, currency: "USD" }));
    expectStatus(await server.send("PUT", `/v1/accounts/${account}/plan`, { planId: PLAN.id, from: "2000-01-01T00:00:00Z" }));
  });
}

/** Brings the ledger to a size with events of many accounts. */
async function fill(server: Server, load: Load, settings: Settings, size: number): Promise<void> {
  const windows = settings.window * settings.rounds * 2;
  const started = performance.now();
  const before = load.facts;
  while (load.facts < size - windows) {
    await send(server, load.make("many", Math.min(100_000, size - windows - load.facts), settings.batch), settings);
  }
  await waitForBalances(server, load, load.newest);
  const seconds = (performance.now() - started) / 1_000;
  if (load.facts > before) print(`filled ${load.facts - before} facts in ${seconds.toFixed(1)} s, making the bodies included`);
}

async function measureAt(
  server: Server,
  load: Load,
  settings: Settings,
  size: number,
  places: { readonly root: string; readonly dataDirectory: string },
): Promise<void> {
  await measure(server, load, settings, "hot", 2_000); // opens the hot account's stream, and warms up
  const sample = await sampleEvents(places.dataDirectory, 5_000);
  const rawDirectory = mkdtempSync(join(places.root, "raw-"));
  const raw = openRawCeiling(rawDirectory, sample);
  await raw.run(settings.window);
  const rows: Record<Shape, Figures[]> = { many: [], hot: [] };
  const ceilings: number[] = [];
  for (let round = 0; round < settings.rounds; round++) {
    rows.many.push(await measure(server, load, settings, "many", settings.window));
    rows.hot.push(await measure(server, load, settings, "hot", settings.window));
    ceilings.push(settings.window / (await raw.run(settings.window)));
  }
  await raw.close();
  rmSync(rawDirectory, { recursive: true });
  printRows(size, load, rows, ceilings, sample);
  const bytes = statSync(join(places.dataDirectory, "ledger.db")).size;
  print(
    `  peak memory ${server.peakMegabytes()} MB; ledger.db ${Math.round(bytes / 1e6)} MB (${Math.round(bytes / load.facts)} bytes per fact)`,
  );
}

function printRows(
  size: number,
  load: Load,
  rows: Readonly<Record<Shape, readonly Figures[]>>,
  ceilings: readonly number[],
  sample: readonly { readonly data: string; readonly metadata: string }[],
): void {
  const ceiling = median(ceilings);
  const meanBytes = sample.reduce((sum, { data, metadata }) => sum + data.length + metadata.length, 0) / sample.length;
  print(`at ${load.facts} recorded facts (size ${size})`);
  const line = (name: string, figures: readonly Figures[]): string[] => {
    const rates = figures.map(({ perSecond: rate }) => rate);
    return [
      name,
      thousands(median(rates)),
      `${thousands(Math.min(...rates))}–${thousands(Math.max(...rates))}`,
      median(figures.map(({ serverMicros }) => serverMicros)).toFixed(1),
      median(figures.map(({ mainMicros }) => mainMicros)).toFixed(1),
      median(figures.map(({ loadMicros }) => loadMicros)).toFixed(1),
      (median(rates) / ceiling).toFixed(3),
    ];
  };
  print(
    table([
      ["", "events/s", "min–max", "server µs CPU/event", "of it main thread", "load maker µs", "of raw"],
      line("many accounts", rows.many),
      line("one hot account", rows.hot),
      [
        `raw appends, ${Math.round(meanBytes)} bytes each`,
        thousands(ceiling),
        `${thousands(Math.min(...ceilings))}–${thousands(Math.max(...ceilings))}`,
        "",
        "",
        "",
        "1",
      ],
    ]),
  );
}

/** From the first request until the read models and the wallets show everything. Bodies are made before. */
async function measure(server: Server, load: Load, settings: Settings, shape: Shape, events: number): Promise<Figures> {
  const bodies = load.make(shape, events, settings.batch);
  const cpu = { server: server.cpuMicros(), main: server.mainThreadMicros(), load: process.cpuUsage() };
  const started = performance.now();
  await send(server, bodies, settings);
  await waitForBalances(server, load, load.newest);
  const seconds = (performance.now() - started) / 1_000;
  const own = process.cpuUsage(cpu.load);
  return {
    perSecond: events / seconds,
    serverMicros: (server.cpuMicros() - cpu.server) / events,
    mainMicros: (server.mainThreadMicros() - cpu.main) / events,
    loadMicros: (own.user + own.system) / events,
  };
}

async function send(server: Server, bodies: readonly string[], settings: Settings): Promise<void> {
  await inFlight(bodies, settings.connections, async (body) => {
    expectStatus(await server.post("/api/v1/events", body, "application/cloudevents-batch+json"));
  });
}

/** One event per request: the price of not batching. */
async function measureSingles(server: Server, load: Load, settings: Settings): Promise<void> {
  for (const connections of [1, 32]) {
    const events = 2_000 * (connections === 1 ? 1 : 4);
    const bodies = load.make("many", events, 1);
    const waits: number[] = [];
    const before = server.cpuMicros();
    const started = performance.now();
    await inFlight(bodies, connections, async (body) => {
      const sent = performance.now();
      expectStatus(await server.post("/api/v1/events", body, "application/cloudevents+json"));
      waits.push(performance.now() - sent);
    });
    await waitForBalances(server, load, load.newest);
    const seconds = (performance.now() - started) / 1_000;
    const sorted = waits.toSorted((a, b) => a - b);
    const at = (share: number): string => (sorted[Math.floor(sorted.length * share)] ?? 0).toFixed(2);
    print(
      `one event per request, ${connections} in flight: ${perSecond(events, seconds)} events/s, ` +
        `${((server.cpuMicros() - before) / events).toFixed(0)} µs CPU each, accepted after p50 ${at(0.5)} ms, p99 ${at(0.99)} ms ` +
        `(${settings.batch} per request is the row above)`,
    );
  }
}

interface BalanceText {
  readonly units: readonly { readonly unit: string; readonly net: string; readonly unpaid: string }[];
}

/** Polls until the balances of these accounts are what the load expects: charged, and owed by the wallet. */
async function waitForBalances(server: Server, load: Load, accounts: readonly string[]): Promise<void> {
  for (const account of accounts) {
    const expected = load.expected(account);
    for (let tries = 0; ; tries++) {
      const { units } = (await server.get(`/v1/accounts/${account}/balance`)) as BalanceText;
      const usd = units.find(({ unit }) => unit === "USD");
      if (usd !== undefined && parseAmount(usd.net) === expected && parseAmount(usd.unpaid) === expected) break;
      if (usd !== undefined && parseAmount(usd.net) > expected)
        throw new Error(`${account} was charged ${usd.net}, more than ${formatAmount(expected)}`);
      if (tries > 60_000) throw new Error(`${account} stands at ${usd?.net} and not at ${formatAmount(expected)}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}

interface TotalsText {
  readonly facts: number;
  readonly parked: number;
  readonly units: readonly { readonly unit: string; readonly net: string }[];
  readonly accounts: readonly { readonly account: string; readonly units: TotalsText["units"] }[];
}

/** The whole sum and the thousand largest accounts, to the last atom. */
async function checkSums(server: Server, load: Load): Promise<void> {
  const totals = (await server.get("/v1/totals?limit=1000")) as TotalsText;
  const net = parseAmount(totals.units.find(({ unit }) => unit === "USD")?.net ?? "0");
  if (net !== load.totalAtoms || totals.facts !== load.facts || totals.parked !== 0) {
    throw new Error(
      `the ledger says ${totals.facts} facts, ${formatAmount(net)} USD, ${totals.parked} parked; right is ${load.facts}, ${formatAmount(load.totalAtoms)}`,
    );
  }
  for (const { account, units } of totals.accounts) {
    const amount = parseAmount(units[0]?.net ?? "0");
    if (amount !== load.expected(account))
      throw new Error(`${account} owes ${formatAmount(amount)}, right is ${formatAmount(load.expected(account))}`);
  }
  print(`  sums exact: ${load.facts} facts, ${formatAmount(net)} USD, and the ${totals.accounts.length} largest accounts`);
}

async function inFlight<Item>(items: readonly Item[], most: number, work: (item: Item) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let item = items[next++]; item !== undefined; item = items[next++]) await work(item);
  };
  await Promise.all(Array.from({ length: most }, worker));
}

function expectStatus({ status, text }: { readonly status: number; readonly text: string }): void {
  if (status < 200 || status > 299) throw new Error(`answered ${status}: ${text}`);
}

function perSecond(events: number, seconds: number): string {
  return thousands(events / seconds);
}

function thousands(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
