/**
 * A data directory opened by people instead of a server: to audit it beside a running server, to build its read models again, to copy it.
 */
import {
  alterStoredText,
  copyLog,
  createEmbeddedEventStore,
  type Alteration,
  type LocalEventStore,
  type StoredEvent,
} from "@rerate/event-store";
import { lockDirectory, openDatabase, openReadOnly, type Database } from "@rerate/sqlite";
import { randomUUID } from "node:crypto";
import { existsSync, mkdirSync } from "node:fs";
import { cachePath, DirectoryHeldError, ledgerPath } from "./engines.ts";

/** There is no ledger in a directory. */
export class NoLedgerError extends Error {
  override readonly name = "NoLedgerError";
  constructor(dataDirectory: string) {
    super(`there is no ledger.db in ${dataDirectory}`);
  }
}

/** Throws a `NoLedgerError` when the directory holds no ledger. */
export function requireLedger(dataDirectory: string): void {
  if (!existsSync(ledgerPath(dataDirectory))) throw new NoLedgerError(dataDirectory);
}

/** The read models as they are at this moment, whatever a running server writes meanwhile. Undefined when there are none yet. */
export function openCacheReadOnly(dataDirectory: string): Database | undefined {
  if (!existsSync(cachePath(dataDirectory))) return undefined;
  const database = openReadOnly(cachePath(dataDirectory));
  database.exec("BEGIN");
  return database;
}

/** Log and read models for building the latter again. Throws a `DirectoryHeldError` while a server runs on the directory. */
export function openForRebuild(dataDirectory: string): {
  readonly eventStore: LocalEventStore;
  readonly cache: Database;
  close(): Promise<void>;
} {
  requireLedger(dataDirectory);
  const locked = lockDirectory(dataDirectory, {});
  if (locked.kind === "held") throw new DirectoryHeldError(dataDirectory, locked.holder);
  const ledger = openReadOnly(ledgerPath(dataDirectory));
  const cache = openDatabase(cachePath(dataDirectory), { synchronous: "NORMAL" });
  const eventStore = createEmbeddedEventStore({ database: ledger });
  return {
    eventStore,
    cache,
    async close() {
      await eventStore.close();
      ledger.close();
      cache.close();
      locked.lock.release();
    },
  };
}

/** Copies the log of a directory into another one, and there changes the first event for which `alter` gives other text. */
export function copyAndAlter(
  dataDirectory: string,
  toDirectory: string,
  alter: (event: StoredEvent) => string | undefined,
): Alteration | undefined {
  requireLedger(dataDirectory);
  mkdirSync(toDirectory, { recursive: true });
  copyLog(ledgerPath(dataDirectory), ledgerPath(toDirectory));
  return alterStoredText(ledgerPath(toDirectory), alter);
}

/** A new identity, for commands that people send without naming one. */
export function newId(): string {
  return randomUUID();
}
