/**
 * From configuration to opened ports: the only place that names real engines.
 *
 * The embedded engines: `ledger.db` is the truth (log, topics, parked messages; one group commit, synchronous FULL), `cache.db`
 * holds what can be rebuilt from it and may be deleted at any time.
 */
import { createEmbeddedEventStore, type LocalEventStore } from "@rerate/event-store";
import { createSqliteCache, type WorkerCache } from "@rerate/flow";
import { createEmbeddedBus, type LogTopic, type MessageBus, type TopicCodec } from "@rerate/message-bus";
import {
  createGroupCommit,
  lockDirectory,
  openDatabase,
  openReadOnly,
  type Database,
  type DirectoryLock,
  type LockHolder,
} from "@rerate/sqlite";
import { join } from "node:path";
import { defer, systemClock } from "./clock.ts";

/** Raised when the shape of folded states changes, so that old snapshots are dropped. */
export const SNAPSHOT_FORMAT = "1";

export interface EmbeddedOptions {
  readonly dataDirectory: string;
  readonly partitions: number;
  /** Topics that doors publish to, with their codecs. */
  readonly topics: readonly { readonly name: string; readonly codec: TopicCodec }[];
  readonly logTopics: readonly LogTopic[];
  /** Called once when the disk fails: the process must stop, never retry. */
  readonly onDiskFailure: (error: unknown) => void;
}

export interface Engines {
  readonly eventStore: LocalEventStore;
  readonly bus: MessageBus;
  /** The cache file, for projections. */
  readonly cache: Database;
  readonly cacheFor: (service: string) => WorkerCache;
  readonly lock: DirectoryLock;
  close(): Promise<void>;
}

/** Another process holds the data directory. */
export class DirectoryHeldError extends Error {
  override readonly name = "DirectoryHeldError";
  readonly holder: LockHolder | undefined;

  constructor(directory: string, holder: LockHolder | undefined) {
    super(`${directory} is in use${holder === undefined ? "" : ` by process ${holder.pid}`}`);
    this.holder = holder;
  }
}

/** Opens the embedded engines in a data directory, creating it if need be. Throws a `DirectoryHeldError` when another process has it. */
export function openEmbedded(options: EmbeddedOptions): Engines {
  const locked = lockDirectory(options.dataDirectory, {});
  if (locked.kind === "held") throw new DirectoryHeldError(options.dataDirectory, locked.holder);
  const ledger = openDatabase(ledgerPath(options.dataDirectory), { synchronous: "FULL" });
  const cache = openDatabase(cachePath(options.dataDirectory), { synchronous: "NORMAL" });
  const commit = createGroupCommit(ledger, { onFailure: options.onDiskFailure });
  const eventStore = createEmbeddedEventStore({ database: ledger, commit });
  const bus = createEmbeddedBus({
    database: ledger,
    commit,
    topics: options.topics.map((topic) => ({ ...topic, partitions: options.partitions })),
    logTopics: options.logTopics.map((topic) => ({ ...topic, partitions: options.partitions })),
    log: eventStore,
    now: systemClock.now,
    defer,
  });
  return {
    eventStore,
    bus,
    cache,
    lock: locked.lock,
    cacheFor: (service) => createSqliteCache(cache, service, SNAPSHOT_FORMAT),
    async close() {
      await bus.close();
      await eventStore.close();
      commit.close();
      ledger.close();
      cache.close();
      locked.lock.release();
    },
  };
}

/** The log of a data directory, read-only: stands beside a running server, for auditors who need not trust it. */
export function openLogReadOnly(dataDirectory: string): { readonly eventStore: LocalEventStore; close(): Promise<void> } {
  const database = openReadOnly(ledgerPath(dataDirectory));
  const eventStore = createEmbeddedEventStore({ database });
  return {
    eventStore,
    async close() {
      await eventStore.close();
      database.close();
    },
  };
}

export function ledgerPath(dataDirectory: string): string {
  return join(dataDirectory, "ledger.db");
}

export function cachePath(dataDirectory: string): string {
  return join(dataDirectory, "cache.db");
}
