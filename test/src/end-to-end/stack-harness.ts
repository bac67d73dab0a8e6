/**
 * A ledger for a test in many processes: a real Kafka broker, the durable gRPC front, every service and a gateway, on free ports and
 * in a directory of its own.
 *
 * KAFKA_BROKERS and EVENTSTOREDB_URL name servers to use instead; they must be empty.
 */
import { createClient, type RerateClient } from "@rerate/client";
import { alterStoredText, copyLog, createEmbeddedEventStore, type EventStore } from "@rerate/event-store";
import { startFront } from "@rerate/event-store-front";
import { openEventStoreDb } from "@rerate/event-store/eventstoredb";
import type { TopicCodec } from "@rerate/message-bus";
import {
  createLogger,
  elapsedMs,
  openCacheReadOnly,
  openStream,
  readConfig,
  type BusTopic,
  type StreamEngines,
} from "@rerate/runtime";
import { busTopics } from "@rerate/process";
import { openDatabase, openReadOnly, type Database } from "@rerate/sqlite";
import { startStack, type Stack, type StackEvent, type StackOptions } from "@rerate/stack";
import { TOPIC_TABLE } from "@rerate/wire";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { watchStack, type StackWatch } from "./stack-watch.ts";
import { createTestLedger, type TestLedger } from "./test-ledger.ts";

export interface StackLedger {
  readonly ledger: TestLedger;
  readonly dataDirectory: string;
  /** Another one after a restart. */
  readonly stack: Stack;
  /** Kafka and the log as this process sees them; other ones after a restart. */
  readonly engines: StreamEngines;
  readonly partitions: number;
}

export interface StackLedgerOptions extends Pick<StackOptions, "processes" | "environment"> {
  /** Looked at again at every restart. */
  readonly partitions?: number;
  /** Told of every process that starts and ends. */
  readonly onEvent?: (event: StackEvent) => void;
}

/** Fewer than in production: the tests' machine has few cores, and every partition is a place of its own for marks and offsets. */
const PARTITIONS = 6;

interface Running {
  readonly stack: Stack;
  readonly client: RerateClient;
  readonly engines: StreamEngines;
  readonly watch: StackWatch;
  stop(): Promise<void>;
}

/** Leaves no process behind when it rejects. */
export async function startStackLedger(options: StackLedgerOptions = {}): Promise<StackLedger> {
  const partitions = (): number => options.partitions ?? PARTITIONS;
  const dataDirectory = mkdtempSync(join(tmpdir(), "rerate-stack-"));
  const services = join(dataDirectory, "services");
  const brokers = process.env["KAFKA_BROKERS"];
  const eventStoreUrl = process.env["EVENTSTOREDB_URL"];
  let running: Running | undefined = await start();

  async function start(): Promise<Running> {
    const started = elapsedMs();
    const stack = await startStack({
      dataDirectory,
      partitions: partitions(),
      brokers,
      eventStoreUrl,
      // Deadlines wait for marks: tests cannot wait as long as an idle ledger may.
      environment: { RERATE_LOG_LEVEL: "info", RERATE_MARK_EVERY_MS: "500", ...options.environment },
      ...(options.processes === undefined ? {} : { processes: options.processes }),
      onEvent(event) {
        options.onEvent?.(event);
        if (event.kind === "ended" && options.onEvent === undefined && running !== undefined)
          say(`${event.name} (process ${event.pid}) ended: ${event.how}`);
      },
    });
    try {
      const engines = await openAsTest(stack, join(dataDirectory, "test"), busTopics());
      // Everything passes by this one: it would have no time to decode it.
      const raw = busTopics().map((topic) => ({ ...topic, codec: BYTES }));
      const watching = await openAsTest(stack, join(dataDirectory, "watch"), raw);
      const watch = watchStack(watching, { partitions: partitions(), readModelsAt: () => readModelsAt(services) });
      const seconds = ((elapsedMs() - started) / 1000).toFixed(1);
      const kafka = brokers === undefined ? "a real broker of its own" : `the brokers ${brokers}`;
      const log = eventStoreUrl === undefined ? "the durable gRPC front" : eventStoreUrl;
      say(`on Kafka (${kafka}) and EventStoreDB (${log}), ready after ${seconds} s`);
      const stop = async (): Promise<void> => {
        await watch.stop();
        await watching.close();
        await engines.close();
        await stack.stop();
      };
      return { stack, client: createClient({ url: stack.url }), engines, watch, stop };
    } catch (error) {
      await stack.stop();
      throw error;
    }
  }

  function now(): Running {
    if (running === undefined) throw new Error("the ledger is stopped");
    return running;
  }

  async function stop(): Promise<void> {
    const stopping = running;
    running = undefined;
    await stopping?.stop();
  }

  const ledger = createTestLedger({
    get client() {
      return now().client;
    },
    get eventStore(): EventStore {
      return now().engines.eventStore;
    },
    async withReadModels(task) {
      const database = openCacheReadOnly(join(services, BOOKS));
      if (database === undefined) throw new Error("there are no read models");
      return await use(database, task);
    },
    async withReadModelsAlone(task) {
      for (const books of now().stack.processesOf("books")) await books.stop();
      return await use(openDatabase(join(services, BOOKS, "cache.db"), { synchronous: "NORMAL" }), task);
    },
    settled: () => now().watch.settled(),
    quiet: () => now().watch.quiet(),
    async openAltered(alter) {
      const copy = mkdtempSync(join(tmpdir(), "rerate-altered-"));
      const file = join(copy, "eventstore.db");
      copyLog(join(dataDirectory, "event-store", "eventstore.db"), file);
      const alteration = alterStoredText(file, alter);
      const database = openReadOnly(file);
      const front = await startFront({ eventStore: createEmbeddedEventStore({ database }), port: 0 });
      const eventStore = openEventStoreDb({ connectionString: front.connectionString });
      return {
        eventStore,
        alteration,
        async close() {
          await eventStore.close();
          await front.stop();
          database.close();
          rmSync(copy, { recursive: true, force: true });
        },
      };
    },
    stop,
    async restart({ without } = {}) {
      await stop();
      if (without !== undefined) rmSync(services, { recursive: true, force: true });
      running = await start();
    },
    async remove() {
      await stop();
      rmSync(dataDirectory, { recursive: true, force: true });
    },
  });
  return {
    ledger,
    dataDirectory,
    get partitions() {
      return partitions();
    },
    get stack() {
      return now().stack;
    },
    get engines() {
      return now().engines;
    },
  };
}

const BYTES: TopicCodec = {
  encode() {
    throw new Error("this view of the topics sends nothing");
  },
  decode: (bytes) => bytes,
};

/** Where the first process of books keeps its caches. */
const BOOKS = "books-1";

/** A process of its own kind among the services: reads topics and the log, and writes nothing but its place in a group. */
async function openAsTest(stack: Stack, dataDirectory: string, topics: readonly BusTopic[]): Promise<StreamEngines> {
  const config = readConfig("stream", { ...stack.environment, RERATE_DATA: dataDirectory, RERATE_INSTANCE: "test" });
  return await openStream({
    config,
    service: "test",
    topics,
    topicTable: TOPIC_TABLE,
    log: createLogger("error"),
    onFailure: (error) => say(`the test's own view of the stream ended: ${String(error)}`),
  });
}

function readModelsAt(services: string): string | undefined {
  const database = openCacheReadOnly(join(services, BOOKS));
  try {
    return database
      ?.prepare<{ readonly position: string }>("SELECT position FROM projection_checkpoints WHERE subscription = 'all'")
      .get()?.position;
  } catch {
    // The file is there a moment before its tables.
    return undefined;
  } finally {
    database?.close();
  }
}

async function use<Result>(database: Database, task: (database: Database) => Promise<Result>): Promise<Result> {
  try {
    return await task(database);
  } finally {
    database.close();
  }
}

function say(text: string): void {
  process.stderr.write(`[stack] ${text}\n`);
}
