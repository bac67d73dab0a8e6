/**
 * From configuration to opened ports: the only place that names real engines.
 *
 * The embedded engines: `ledger.db` is the truth (log, topics, parked messages; one group commit, synchronous FULL). `cache.db`
 * (what the services keep) and `views.db` (the read models) can be built again from it and may be deleted at any time. They are
 * two files because a file has one write lock, and read models are written by a thread of their own.
 */
import { createEmbeddedEventStore, type LocalEventStore } from "@rerate/event-store";
import { createSqliteCache, type WorkerCache } from "@rerate/flow";
import { createEmbeddedBus, type LogTopic, type MessageBus, type TopicCodec } from "@rerate/message-bus";
import {
  createGroupCommit,
  lockDirectory,
  openDatabase,
  openReadOnly,
  openTurnReader,
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
  /** Resolves when the consumers of what doors publish are not far behind, or after a moment. */
  readonly room: () => Promise<void>;
  readonly cacheFor: (service: string) => WorkerCache;
  /** The cache file, for what audits build when somebody asks. */
  readonly cache: Database;
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
    room: () => bus.room(),
    lock: locked.lock,
    cacheFor: (service) => createSqliteCache(cache, service, SNAPSHOT_FORMAT),
    cache,
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

/**
 * For the thread that writes the read models: the log beside its writer, and the file of the read models. `onCommitted` calls
 * back whenever the writer has committed.
 */
export function openForViews(
  dataDirectory: string,
  onCommitted: (callback: () => void) => void,
): { readonly eventStore: LocalEventStore; readonly views: Database; close(): Promise<void> } {
  const ledger = openReadOnly(ledgerPath(dataDirectory));
  const views = openDatabase(viewsPath(dataDirectory), { synchronous: "NORMAL" });
  const eventStore = createEmbeddedEventStore({ database: ledger, onCommitted });
  return {
    eventStore,
    views,
    async close() {
      await eventStore.close();
      ledger.close();
      views.close();
    },
  };
}

/** The read models beside the thread that writes them; what is read in one turn of the event loop is of one moment. */
export function openViewsReader(dataDirectory: string): Database {
  return openTurnReader(viewsPath(dataDirectory));
}

export function ledgerPath(dataDirectory: string): string {
  return join(dataDirectory, "ledger.db");
}

export function cachePath(dataDirectory: string): string {
  return join(dataDirectory, "cache.db");
}

export function viewsPath(dataDirectory: string): string {
  return join(dataDirectory, "views.db");
}
