/**
 * A broker and an event store of a test's own, which it may take away and bring back: killed as a process, gone for as long as the
 * test likes, and started again on the same port with the same data.
 */
import { startChild, type Child } from "@rerate/stack";
import { mkdirSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { REPOSITORY } from "../source-files.ts";

export interface OwnServer {
  /** Kills it. Resolves when it has ended. */
  takeAway(): Promise<void>;
  bringBack(): Promise<void>;
  end(): Promise<void>;
}

export interface OwnServers {
  /** For `KAFKA_BROKERS` and `EVENTSTOREDB_URL`. */
  readonly brokers: string;
  readonly eventStoreUrl: string;
  readonly broker: OwnServer;
  readonly eventStore: OwnServer;
  end(): Promise<void>;
}

export async function startOwnServers(dataDirectory: string): Promise<OwnServers> {
  mkdirSync(dataDirectory, { recursive: true });
  const [broker, eventStore] = await Promise.all([
    startServer("kafka", "infra/local-kafka/src/main.ts", dataDirectory),
    startServer("event-store", "infra/event-store-front/src/main.ts", dataDirectory),
  ]);
  return {
    brokers: broker.said("brokers"),
    eventStoreUrl: eventStore.said("connectionString"),
    broker,
    eventStore,
    end: async () => void (await Promise.all([broker.end(), eventStore.end()])),
  };
}

async function startServer(
  name: string,
  script: string,
  dataDirectory: string,
): Promise<OwnServer & { said(field: string): string }> {
  const port = await freePort();
  const start = (): Promise<Child> =>
    startChild({
      name,
      script: join(REPOSITORY, script),
      arguments: ["--data", join(dataDirectory, name), "--port", String(port)],
      logFile: join(dataDirectory, `${name}.log`),
    });
  let child = await start();
  return {
    said: (field) => String(child.said[field]),
    async takeAway() {
      // What started the broker is not the broker: it says whose process the server is, and ends with it.
      process.kill(Number(child.said["pid"]), "SIGKILL");
      await child.exited;
    },
    async bringBack() {
      child = await start();
    },
    end: async () => void (await child.stop()),
  };
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
