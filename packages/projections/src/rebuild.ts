/**
 * Building the read models again, and proving that they are the fold of the log.
 */
import { createHash } from "node:crypto";
import type { EventStore, Position } from "@rerate/event-store";
import { openDatabase, type Database } from "@rerate/sqlite";
import { createBatch } from "./batch.ts";
import type { LedgerLog } from "./ledger-log.ts";
import { hasCurrentTables, openProjectionStore, TABLE_NAMES, type ProjectionStore } from "./store.ts";
import { TABLES } from "./tables.ts";

export interface FoldOptions extends LedgerLog {
  readonly eventStore: Pick<EventStore, "readForward" | "readAll">;
  readonly subscription?: string;
  readonly prefixes?: readonly string[];
  /** Events per page and per write. The tables do not depend on either. */
  readonly pageSize?: number;
  readonly mostPending?: number;
  /** Called after every write with the number of events folded so far. */
  readonly onProgress?: (events: number) => void;
}

/**
 * Folds the log from the store's checkpoint to its end (or to exactly `until` events in all) and returns the number of events
 * that are in the tables then.
 */
export async function foldLog(store: ProjectionStore, options: FoldOptions, until = Number.POSITIVE_INFINITY): Promise<number> {
  const { subscription = "all", prefixes, pageSize = 2_000, mostPending = 20_000 } = options;
  const batch = createBatch(options);
  let { position, events } = store.checkpoint(subscription);
  let after: Position | undefined = position;
  for (let end = events >= until; !end;) {
    const maxCount = Math.min(pageSize, until - events - batch.events);
    const page = await options.eventStore.readAll({ after, maxCount, ...(prefixes === undefined ? {} : { prefixes }) });
    await batch.add(page);
    after = page.next ?? after;
    end = page.end || events + batch.events >= until;
    if (batch.events === 0 || (!end && batch.events < mostPending)) continue;
    events += batch.events;
    position = after;
    store.write(batch.take(), subscription, { position, events });
    options.onProgress?.(events);
  }
  return events;
}

/** Deletes the tables' rows and folds the whole log again. No projector may run on the database meanwhile. */
export async function rebuildProjections(database: Database, options: FoldOptions): Promise<number> {
  const store = openProjectionStore(database);
  store.clear();
  return foldLog(store, options);
}

export interface TableDump {
  readonly rows: number;
  /** SHA-256 over the rows in key order, every value with its type. */
  readonly hash: string;
}

/** What every table holds, in a form that is equal exactly when the rows are. Checkpoints are left out. */
export function dumpTables(database: Database): Readonly<Record<string, TableDump>> {
  return Object.fromEntries(
    TABLE_NAMES.map((name) => {
      const digest = createHash("sha256");
      let rows = 0;
      for (const line of linesOf(database, name)) {
        digest.update(line).update("\n");
        rows += 1;
      }
      return [TABLES[name].name, { rows, hash: digest.digest("hex") }];
    }),
  );
}

export type ProjectionCheck =
  /** Made by another version's fold, or not there yet: there is nothing to compare until the next start has made them anew. */
  | { readonly kind: "outdated" }
  | { readonly kind: "equal"; readonly events: number; readonly tables: Readonly<Record<string, TableDump>> }
  /** The first row that differs, as JSON lines; undefined on the side where there is none. */
  | {
      readonly kind: "different";
      readonly events: number;
      readonly table: string;
      readonly stored: string | undefined;
      readonly folded: string | undefined;
    };

/** Folds the log freshly into memory, up to the checkpoint of `database`, and compares table by table. Changes nothing. */
export async function verifyProjections(database: Database, options: FoldOptions): Promise<ProjectionCheck> {
  if (!hasCurrentTables(database)) return { kind: "outdated" };
  const { events } = openProjectionStore(database).checkpoint(options.subscription ?? "all");
  const memory = openDatabase(":memory:", { synchronous: "NORMAL" });
  try {
    const fresh = openProjectionStore(memory);
    const folded = await foldLog(fresh, options, events);
    if (folded !== events) {
      return {
        kind: "different",
        events,
        table: "projection_checkpoints",
        stored: `${events} events`,
        folded: `${folded} events`,
      };
    }
    for (const name of TABLE_NAMES) {
      const difference = firstDifference(linesOf(database, name), linesOf(memory, name));
      if (difference !== undefined) return { kind: "different", events, table: TABLES[name].name, ...difference };
    }
    return { kind: "equal", events, tables: dumpTables(memory) };
  } finally {
    memory.close();
  }
}

function firstDifference(
  stored: IterableIterator<string>,
  folded: IterableIterator<string>,
): { readonly stored: string | undefined; readonly folded: string | undefined } | undefined {
  for (;;) {
    const [a, b] = [stored.next(), folded.next()];
    if (a.done === true && b.done === true) return undefined;
    const left = a.done === true ? undefined : a.value;
    const right = b.done === true ? undefined : b.value;
    if (left !== right) return { stored: left, folded: right };
  }
}

function* linesOf(database: Database, name: keyof typeof TABLES): IterableIterator<string> {
  const { name: table, keys } = TABLES[name];
  const order = keys.map((key) => `"${key}"`).join(", ");
  for (const row of database.prepare(`SELECT * FROM "${table}" ORDER BY ${order}`).iterate()) yield JSON.stringify(row);
}
