/** The caches of one service, together: all in one cache file, or all in memory. */
import type { Database } from "@rerate/sqlite";
import { createMemoryDeadlines, createSqliteDeadlines } from "./deadlines.ts";
import { createMemoryIndex, createSqliteIndex } from "./identity-index.ts";
import { createMemorySnapshots, createSqliteSnapshots } from "./snapshots.ts";
import type { WorkerCache } from "./worker-options.ts";

export function createMemoryCache(): WorkerCache {
  return { index: createMemoryIndex(), snapshots: createMemorySnapshots(), deadlines: createMemoryDeadlines() };
}

/**
 * In a cache file (`synchronous=NORMAL`), under the service's name. `format` names the shape of the decider's snapshots: with
 * another one, states are folded from the log.
 */
export function createSqliteCache(database: Database, service: string, format: string): WorkerCache {
  return {
    index: createSqliteIndex(database, service),
    snapshots: createSqliteSnapshots(database, service, format),
    deadlines: createSqliteDeadlines(database, service),
  };
}
