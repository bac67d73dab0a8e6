/**
 * A whole standalone ledger for a test: every service in this process, on files in a directory of its own and on a free port.
 *
 * Tests talk to it by HTTP alone. The parts behind the doors are there for waiting until nothing moves any more, and for auditing.
 */
import { createClient, type RerateClient } from "@rerate/client";
import { createImportHold, sendInBatches } from "@rerate/cli";
import { createLifecycle, createLogger, elapsedMs, readConfig, sleep } from "@rerate/runtime";
import { composeStandalone, type Standalone } from "@rerate/standalone";
import type { CostBody, ReceiptRead, SignalBody, UsageEventBody } from "@rerate/wire";
import { mkdtempSync, rmSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface TestLedger {
  readonly client: RerateClient;
  readonly dataDirectory: string;
  /** The parts in this process; other ones after a restart. */
  readonly standalone: Standalone;
  /** Resolves when every message has been decided and every event is in the read models. */
  settled(): Promise<void>;
  /** Resolves when nothing has happened for so long that every deadline that was due has fired. */
  quiet(): Promise<void>;
  /** Publishes documents of `examples/`, in force from before all history. */
  publish(...paths: readonly string[]): Promise<void>;
  /** Opens an account in US dollars on a plan, from before all history. */
  open(account: string, planId: string): Promise<void>;
  /** Sends facts while deadlines of their accounts are held, then lets those go and waits until nothing moves. */
  importFacts(facts: Facts): Promise<void>;
  stop(): Promise<void>;
  /** Starts again on the same directory; `without` deletes a file of it in between. */
  restart(options?: { readonly without?: "cache.db" }): Promise<void>;
  /** Stops for good and deletes the directory. */
  remove(): Promise<void>;
}

export interface Facts {
  readonly usage?: Iterable<UsageEventBody>;
  readonly corrections?: Iterable<UsageEventBody>;
  readonly signals?: Iterable<SignalBody>;
  readonly costs?: Iterable<CostBody>;
}

/** Before everything in any history. */
export const SINCE = "2000-01-01T00:00:00Z";
const EXAMPLES = new URL("../../../examples/", import.meta.url);
/** Longer than the services wait between two looks at their deadlines. */
const QUIET_MS = 2_200;
const STILL_MS = 50;

export async function startLedger(): Promise<TestLedger> {
  const dataDirectory = mkdtempSync(join(tmpdir(), "rerate-end-to-end-"));
  const config = readConfig("embedded", { RERATE_DATA: dataDirectory, RERATE_PORT: "0", RERATE_LOG_LEVEL: "warn" });
  let running = await start();
  let imports = 0;

  async function start(): Promise<{ standalone: Standalone; client: RerateClient; stop: () => Promise<void> }> {
    const log = createLogger(config.logLevel);
    const lifecycle = createLifecycle(log);
    const failures: unknown[] = [];
    const standalone = await composeStandalone({ config, log, lifecycle, onFailure: (error) => void failures.push(error) });
    const url = await standalone.server.listen();
    return {
      standalone,
      client: createClient({ url }),
      async stop() {
        await lifecycle.stop();
        if (failures.length > 0) throw new AggregateError(failures, "a part of the ledger failed");
      },
    };
  }

  async function settled(): Promise<void> {
    const { engines, workers, projector } = running.standalone;
    for (let still = 0; still < 2;) {
      const lags = await Promise.all(Object.keys(workers).map((group) => engines.bus.lag(group)));
      still = lags.flat().every(({ lag }) => lag === 0) ? still + 1 : 0;
      await sleep(still === 0 ? STILL_MS : 0);
    }
    await projector.caughtUp();
  }

  const ledger: TestLedger = {
    get client() {
      return running.client;
    },
    get standalone() {
      return running.standalone;
    },
    dataDirectory,
    settled,
    async quiet() {
      const events = (): number => running.standalone.projector.status().events;
      for (let [before, since] = [-1, elapsedMs()]; elapsedMs() - since < QUIET_MS;) {
        await settled();
        if (events() !== before) [before, since] = [events(), elapsedMs()];
        await sleep(STILL_MS);
      }
    },
    async publish(...paths) {
      for (const path of paths) {
        await running.client.publishDocument(await readFile(new URL(path, EXAMPLES), "utf8"), { effectiveFrom: SINCE });
      }
    },
    async open(account, planId) {
      await running.client.openAccount({ account, currency: "USD" });
      await running.client.assignPlan(account, { planId, from: SINCE });
    },
    async importFacts({ usage = [], corrections = [], signals = [], costs = [] }) {
      const { client } = running;
      const hold = createImportHold((command) => client.sendImport(command), { source: "test", id: `import-${(imports += 1)}` });
      const beforeAccount = (account: string): Promise<void> => hold.start(account);
      await send(
        usage,
        (batch) => client.sendUsage(batch),
        ({ subject }) => subject,
        beforeAccount,
      );
      await send(
        corrections,
        (batch) => client.sendCorrections(batch),
        ({ subject }) => subject,
        beforeAccount,
      );
      await send(
        signals,
        (batch) => client.sendSignals(batch),
        ({ account }) => account,
        beforeAccount,
      );
      await send(
        costs,
        (batch) => client.sendCosts(batch),
        ({ account }) => account,
        beforeAccount,
      );
      await settled();
      await hold.end();
      await ledger.quiet();
    },
    stop: () => running.stop(),
    async restart({ without } = {}) {
      await running.stop();
      if (without !== undefined)
        for (const end of ["", "-wal", "-shm"]) rmSync(join(dataDirectory, without + end), { force: true });
      running = await start();
    },
    async remove() {
      await running.stop();
      rmSync(dataDirectory, { recursive: true, force: true });
    },
  };
  return ledger;
}

async function send<Body>(
  bodies: Iterable<Body>,
  sendBatch: (batch: readonly Body[]) => Promise<ReceiptRead>,
  accountOf: (body: Body) => string,
  beforeAccount: (account: string) => Promise<void>,
): Promise<void> {
  await sendInBatches(stream(bodies), { send: sendBatch, accountOf, beforeAccount, sleep });
}

async function* stream<Body>(bodies: Iterable<Body>): AsyncGenerator<Body> {
  yield* bodies;
}
