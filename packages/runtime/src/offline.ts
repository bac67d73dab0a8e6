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
import { cachePath, DirectoryHeldError, ledgerPath, viewsPath } from "./engines.ts";

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
export function openViewsReadOnly(dataDirectory: string): Database | undefined {
  return openMoment(viewsPath(dataDirectory));
}

/** As `openViewsReadOnly`, in the directory of a books service, which keeps read models in its only file. */
export function openCacheReadOnly(dataDirectory: string): Database | undefined {
  return openMoment(cachePath(dataDirectory));
}

function openMoment(path: string): Database | undefined {
  if (!existsSync(path)) return undefined;
  const database = openReadOnly(path);
  database.exec("BEGIN");
  return database;
}

/** Log and read models for building the latter again. Throws a `DirectoryHeldError` while a server runs on the directory. */
export function openForRebuild(dataDirectory: string): {
  readonly eventStore: LocalEventStore;
  readonly views: Database;
  close(): Promise<void>;
} {
  requireLedger(dataDirectory);
  const locked = lockDirectory(dataDirectory, {});
  if (locked.kind === "held") throw new DirectoryHeldError(dataDirectory, locked.holder);
  const ledger = openReadOnly(ledgerPath(dataDirectory));
  const views = openDatabase(viewsPath(dataDirectory), { synchronous: "NORMAL" });
  const eventStore = createEmbeddedEventStore({ database: ledger });
  return {
    eventStore,
    views,
    async close() {
      await eventStore.close();
      ledger.close();
      views.close();
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
