/**
 * From configuration to the engines of production: EventStoreDB and Kafka, with this process's caches on the local disk.
 *
 * The drivers are loaded here and only when asked for: a laptop's process never pays for them. The caches of a process are
 * its own: each process of a service takes the first free directory, and keeps what it finds there.
 */
import type { EventStore } from "@rerate/event-store";
import { createSqliteCache, createSqliteCheckpoints, type PartitionCheckpoints, type WorkerCache } from "@rerate/flow";
import type { TopicCodec } from "@rerate/message-bus";
import type { KafkaBus, KafkaTable, TopicPlan } from "@rerate/message-bus/kafka";
import { lockDirectory, openDatabase, type Database, type DirectoryLock } from "@rerate/sqlite";
import { join } from "node:path";
import { defer, systemClock } from "./clock.ts";
import { ConfigError, type Config } from "./config.ts";
import { cachePath, SNAPSHOT_FORMAT } from "./engines.ts";
import type { Logger } from "./logger.ts";
import { createRelayCheckpoints, relayPlaces } from "./relay-places.ts";
import { requireTopics, securityOf } from "./stream-topics.ts";

/** A topic with what its kind means for the bus. */
export interface BusTopic extends TopicPlan {
  readonly codec: TopicCodec;
  readonly keepsShard?: boolean;
  readonly marked?: boolean;
}

export interface StreamOptions {
  readonly config: Config;
  readonly service: string;
  readonly topics: readonly BusTopic[];
  /** Every topic that must be there. */
  readonly topicTable: readonly TopicPlan[];
  readonly log: Logger;
  /** The process cannot go on: a crashed consumer, a disk that fails. */
  readonly onFailure: (error: unknown) => void;
}

export interface StreamEngines {
  readonly eventStore: EventStore;
  readonly bus: KafkaBus;
  /** The cache file of this process. */
  readonly cache: Database;
  readonly cacheFor: (service: string) => WorkerCache;
  /** Where the relay of a worker has got to, shared by all processes of its service. */
  relayCheckpoints(worker: string): PartitionCheckpoints;
  /** Of all relays, as last saved. */
  relayPositions(): readonly { readonly name: string; readonly partition: number; readonly position: string }[];
  /** Where a reader of the log in this process has got to. */
  placesOf(reader: string): PartitionCheckpoints;
  /** Says how this process is, under a key of its own; null takes it back. */
  sayStatus(key: string, status: Uint8Array | null): Promise<void>;
  /** What every process last said about itself. Read from the first call on: most processes never want to know. */
  statusTable(): Promise<KafkaTable>;
  /** Whether an engine is out of reach and the same may work later. */
  isOutage(error: unknown): boolean;
  close(): Promise<void>;
}

/** Processes of one service that can share a machine's data directory. */
const MOST_PROCESSES = 64;

/** Opens both engines. Throws a `ConfigError` when the topics are not as they must be, saying what to do. */
export async function openStream(options: StreamOptions): Promise<StreamEngines> {
  const { config, service, topics, log, onFailure } = options;
  await requireTopics(config, options.topicTable);
  const [{ openEventStoreDb }, { openKafkaBus, willPass }] = await Promise.all([
    import("@rerate/event-store/eventstoredb"),
    import("@rerate/message-bus/kafka"),
  ]);
  const { directory, lock } = ownDirectory(config.dataDirectory, service);
  const cache = openDatabase(cachePath(directory), { synchronous: "NORMAL" });
  const eventStore = openEventStoreDb({
    connectionString: config.stream.eventStoreUrl,
    deadlineMs: config.appendDeadlineMs,
    log,
    defer,
  });
  const of = (...kinds: readonly string[]) => topics.filter(({ kind }) => kinds.includes(kind));
  const parked = topics.find(({ name }) => name === PARKED);
  if (parked === undefined) throw new Error(`there is no topic ${PARKED}`);
  const bus = await openKafkaBus({
    brokers: config.stream.brokers,
    security: securityOf(config),
    clientId: `rerate-${service}`,
    instance: config.instance,
    partitions: config.partitions,
    topics: of("reported", "accepted"),
    publishedTopics: of("published"),
    hintTopics: of("hint"),
    parked,
    now: systemClock.now,
    defer,
    log,
    onCrash: onFailure,
    tempo: { markEveryMs: config.markEveryMs },
  });
  const places = await bus.openTable(RELAYS);
  return {
    eventStore,
    bus,
    cache,
    cacheFor: (worker) => createSqliteCache(cache, worker, SNAPSHOT_FORMAT),
    // Places count for the streams of a partition, and another number of partitions deals the streams out anew.
    placesOf: (reader) => createSqliteCheckpoints(cache, `${reader} of ${config.partitions}`),
    relayCheckpoints: (worker) => createRelayCheckpoints(places, worker, config.partitions),
    relayPositions: () =>
      relayPlaces(places)
        .filter(({ count }) => count === config.partitions)
        .map(({ relay, partition, position }) => ({ name: `relay of ${relay}`, partition, position })),
    sayStatus: (key, status) => bus.put(STATUS, key, status),
    statusTable: () => bus.openTable(STATUS),
    isOutage: willPass,
    async close() {
      await bus.close();
      await eventStore.close();
      cache.close();
      lock.release();
    },
  };
}

const PARKED = "parked";
const RELAYS = "relay.checkpoints";
const STATUS = "service.status";

/** The first directory of a service that no other process has. */
function ownDirectory(dataDirectory: string, service: string): { readonly directory: string; readonly lock: DirectoryLock } {
  for (let number = 1; number <= MOST_PROCESSES; number++) {
    const directory = join(dataDirectory, `${service}-${number}`);
    const locked = lockDirectory(directory, {});
    if (locked.kind === "locked") return { directory, lock: locked.lock };
  }
  throw new ConfigError(
    `${MOST_PROCESSES} processes of ${service} run on ${dataDirectory} already: give this one another RERATE_DATA`,
  );
}
