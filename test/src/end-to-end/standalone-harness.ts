/**
 * A ledger for a test in one process: every service in this one, on files in a directory of its own and on a free port.
 */
import { createClient, type RerateClient } from "@rerate/client";
import { copyAndAlter, createLifecycle, createLogger, elapsedMs, openLogReadOnly, readConfig, sleep } from "@rerate/runtime";
import { openDatabase } from "@rerate/sqlite";
import { composeStandalone, type Standalone } from "@rerate/standalone";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createTestLedger, type TestLedger } from "./test-ledger.ts";

/** Longer than the services wait between two looks at their deadlines. */
const QUIET_MS = 2_200;
const STILL_MS = 50;

export async function startStandaloneLedger(): Promise<TestLedger> {
  const dataDirectory = mkdtempSync(join(tmpdir(), "rerate-end-to-end-"));
  const config = readConfig("embedded", { RERATE_DATA: dataDirectory, RERATE_PORT: "0", RERATE_LOG_LEVEL: "warn" });
  let running = await start();

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

  return createTestLedger({
    get client() {
      return running.client;
    },
    get eventStore() {
      return running.standalone.engines.eventStore;
    },
    withReadModels: async (task) => task(running.standalone.projector.store.database),
    async withReadModelsAlone(task) {
      await running.standalone.projector.stop();
      const views = openDatabase(join(dataDirectory, "views.db"), { synchronous: "NORMAL" });
      try {
        return await task(views);
      } finally {
        views.close();
      }
    },
    settled,
    async quiet() {
      const events = (): number => running.standalone.projector.status().events;
      for (let [before, since] = [-1, elapsedMs()]; elapsedMs() - since < QUIET_MS;) {
        await settled();
        if (events() !== before) [before, since] = [events(), elapsedMs()];
        await sleep(STILL_MS);
      }
    },
    async openAltered(alter) {
      const copy = mkdtempSync(join(tmpdir(), "rerate-altered-"));
      const alteration = copyAndAlter(dataDirectory, copy, alter);
      const { eventStore, close } = openLogReadOnly(copy);
      return {
        eventStore,
        alteration,
        async close() {
          await close();
          rmSync(copy, { recursive: true, force: true });
        },
      };
    },
    stop: () => running.stop(),
    async restart({ without } = {}) {
      await running.stop();
      if (without !== undefined)
        for (const file of ["cache.db", "views.db"])
          for (const end of ["", "-wal", "-shm"]) rmSync(join(dataDirectory, file + end), { force: true });
      running = await start();
    },
    async remove() {
      await running.stop();
      rmSync(dataDirectory, { recursive: true, force: true });
    },
  });
}
