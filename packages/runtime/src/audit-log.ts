/**
 * A log as an auditor opens it: a data directory, or an event store. Only ever read.
 */
import type { EventStore } from "@rerate/event-store";
import type { Database } from "@rerate/sqlite";
import { defer } from "./clock.ts";
import { openLogReadOnly } from "./engines.ts";
import { openViewsReadOnly, requireLedger } from "./offline.ts";

export interface AuditLog {
  readonly eventStore: EventStore;
  /** The read models beside the log; undefined where there are none. */
  readonly openReadModels: () => Database | undefined;
  close(): Promise<void>;
}

/** No event store answers there. */
export class NoEventStoreError extends Error {
  override readonly name = "NoEventStoreError";
  constructor(connectionString: string, cause: unknown) {
    // A connection string may hold a password.
    const place = connectionString.replace(/\/\/[^@/]*@/, "//");
    super(`no event store answers at ${place}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

/** Throws a `NoLedgerError` when the directory holds no ledger. */
export function openLogDirectory(directory: string): AuditLog {
  requireLedger(directory);
  return { ...openLogReadOnly(directory), openReadModels: () => openViewsReadOnly(directory) };
}

/** An EventStoreDB keeps no read models: those are at the books service, which folds the same log. */
export async function openEventStoreLog(connectionString: string): Promise<AuditLog> {
  const { openEventStoreDb } = await import("@rerate/event-store/eventstoredb");
  const eventStore = openEventStoreDb({ connectionString, defer });
  // The adapter's timers keep no process alive, and neither does a connection that is lost at the moment.
  const open = setInterval(() => {}, 60_000);
  const close = async (): Promise<void> => {
    clearInterval(open);
    await eventStore.close();
  };
  try {
    await eventStore.readAll({ maxCount: 1 });
  } catch (error) {
    await close();
    throw new NoEventStoreError(connectionString, error);
  }
  return { eventStore, openReadModels: () => undefined, close };
}
