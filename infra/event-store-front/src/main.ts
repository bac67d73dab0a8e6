/**
 * A durable EventStoreDB for one machine: `node infra/event-store-front/src/main.ts --data DIR --port N`.
 *
 * Prints one line of JSON with its connection string when it answers; SIGTERM and SIGINT stop it. Loopback only.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { createEmbeddedEventStore } from "@rerate/event-store";
import { createGroupCommit, openDatabase } from "@rerate/sqlite";
import { FRONT_APPEND_BYTES } from "./appending.ts";
import { startFront } from "./front.ts";

const { values } = parseArgs({
  options: { data: { type: "string" }, port: { type: "string", default: "0" } },
});
if (values.data === undefined) throw new Error("say where the log lies: --data DIR");
mkdirSync(values.data, { recursive: true });
const database = openDatabase(join(values.data, "eventstore.db"), { synchronous: "FULL" });
const commit = createGroupCommit(database, {
  onFailure(error) {
    console.error(error);
    process.exit(1);
  },
});
const eventStore = createEmbeddedEventStore({ database, commit, maxAppendBytes: FRONT_APPEND_BYTES });
const front = await startFront({ eventStore, port: Number(values.port) });
console.log(JSON.stringify({ ready: true, port: front.port, connectionString: front.connectionString }));

async function stop(): Promise<void> {
  await front.stop();
  await eventStore.close();
  commit.close();
  database.close();
}

for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => void stop());
