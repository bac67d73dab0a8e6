/**
 * The embedded message bus: published topics, offsets and parked records in `ledger.db`, topics from the log as views of it.
 *
 * Owns nothing of its own: the behaviour is `local-bus.ts`, the tables are `sqlite-storage.ts`.
 */
import type { Database, GroupCommit } from "@rerate/sqlite";
import { createLocalBus, type LocalBus, type LocalBusOptions } from "./local-bus.ts";
import { createSqliteStorage } from "./sqlite-storage.ts";

export interface EmbeddedBusOptions extends LocalBusOptions {
  readonly database: Database;
  /** The one that the event store writes with: publishing and appending then share a commit. */
  readonly commit: GroupCommit;
}

/** Closing the bus stops its consumers and saves their offsets; the database and the group commit belong to the caller. */
export function createEmbeddedBus(options: EmbeddedBusOptions): LocalBus {
  return createLocalBus(options, createSqliteStorage(options.database, options.commit));
}
