/**
 * A durable EventStoreDB for one machine: `node infra/event-store-front/src/main.ts --data DIR [--port N] [--control N]`.
 *
 * Prints one line of JSON with its connection string when it answers; SIGTERM and SIGINT stop it. Loopback only.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { createEmbeddedEventStore } from "@rerate/event-store";
import { createGroupCommit, lockDirectory, openDatabase } from "@rerate/sqlite";
import { FRONT_APPEND_BYTES } from "./appending.ts";
import { startControl } from "./control-routes.ts";
import { startFront } from "./front.ts";

const { values } = parseArgs({
  options: { data: { type: "string" }, port: { type: "string", default: "0" }, control: { type: "string" } },
});
if (values.data === undefined) throw new Error("say where the log lies: --data DIR");
mkdirSync(values.data, { recursive: true });
const locked = lockDirectory(values.data, { program: "event-store-front" });
if (locked.kind === "held") throw new Error(`process ${locked.holder?.pid ?? "unknown"} uses ${values.data}`);
const { lock } = locked;

const database = openDatabase(join(values.data, "eventstore.db"), { synchronous: "FULL" });
const commit = createGroupCommit(database, {
  onFailure(error) {
    console.error(error);
    process.exit(1);
  },
});
const eventStore = createEmbeddedEventStore({ database, commit, maxAppendBytes: FRONT_APPEND_BYTES });
const front = await startFront({ eventStore, port: Number(values.port) });
const control = values.control === undefined ? undefined : await startControl(front, Number(values.control));
console.log(
  JSON.stringify({
    ready: true,
    port: front.port,
    connectionString: front.connectionString,
    control: control?.port,
    pid: process.pid,
  }),
);

async function stop(): Promise<void> {
  await control?.stop();
  await front.stop();
  await eventStore.close();
  commit.close();
  database.close();
  lock.release();
  process.exit(0);
}

for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => void stop());
