/**
 * The tables of the read models in a SQLite file: creating them, reading and writing rows, checkpoints.
 *
 * Invariant: rows and the checkpoint they belong to are written in one transaction, so a table is always the fold of the log
 * up to its checkpoint. The tables are a cache: when their definition or the fold changes, they are dropped and filled again.
 */
import type { Position } from "@rerate/event-store";
import type { Database, Statement } from "@rerate/sqlite";
import { resolveDraws } from "./draws.ts";
import type { SqlValue } from "./fields.ts";
import {
  TABLES,
  type Delta,
  type Deltas,
  type FieldMap,
  type KeyedRow,
  type RowOf,
  type Table,
  type TableName,
} from "./tables.ts";

/** Counts up whenever the fold changes what it writes into unchanged columns: every cache is then built again. */
const FOLD_VERSION = 2;

export interface ProjectionStore {
  readonly database: Database;
  checkpoint(subscription: string): Checkpoint;
  /** Adds the deltas and moves the subscription's checkpoint, in one transaction. The deltas are used up. */
  write(deltas: Deltas, subscription: string, checkpoint: Checkpoint): void;
  row<Name extends TableName>(table: Name, ...key: readonly SqlValue[]): RowOf<(typeof TABLES)[Name]["fields"]> | undefined;
  /** Rows whose key starts so, in key order. `tail` is appended SQL, for example a limit. */
  rows<Name extends TableName>(table: Name, prefix: readonly SqlValue[], tail?: Tail): StoredRow<Name>[];
  /** Deletes all rows and checkpoints. */
  clear(): void;
}

export interface Checkpoint {
  readonly position: Position | undefined;
  /** Events folded so far. */
  readonly events: number;
}

export interface Tail {
  readonly sql: string;
  readonly parameters: readonly SqlValue[];
}

export type StoredRow<Name extends TableName> = {
  readonly key: readonly SqlValue[];
  readonly row: RowOf<(typeof TABLES)[Name]["fields"]>;
};

/** Opens the read models in a database, creating or emptying them where they are missing or of another make. */
export function openProjectionStore(database: Database): ProjectionStore {
  createTables(database);
  const access = accessAll(database);
  const readCheckpoint = database.prepare<{ position: string; events: number }>(
    "SELECT position, events FROM projection_checkpoints WHERE subscription = ?",
  );
  const writeCheckpoint = database.prepare(
    `INSERT INTO projection_checkpoints (subscription, position, events) VALUES (?, ?, ?)
     ON CONFLICT (subscription) DO UPDATE SET position = excluded.position, events = excluded.events`,
  );
  const store: ProjectionStore = {
    database,
    checkpoint(subscription) {
      return readCheckpoint.get(subscription) ?? { position: undefined, events: 0 };
    },
    write(deltas, subscription, { position, events }) {
      try {
        database.transaction(() => {
          access.entryBlocks.add(deltas.entryBlocks);
          // Draws need the blocks: they say in which period an entry was posted.
          resolveDraws(store, deltas);
          for (const name of TABLE_NAMES) if (name !== "entryBlocks") addRows(access, deltas, name);
          writeCheckpoint.run(subscription, position ?? "", events);
        });
      } catch (error) {
        RECENT.delete(database);
        throw error;
      }
    },
    row: (name, ...key) => access[name].get(key),
    rows: (name, prefix, tail) => access[name].select(prefix, tail),
    clear() {
      RECENT.delete(database);
      database.transaction(() => {
        for (const { name } of Object.values(TABLES)) database.exec(`DELETE FROM "${name}"`);
        database.exec("DELETE FROM projection_checkpoints");
      });
    },
  };
  return store;
}

export const TABLE_NAMES = Object.keys(TABLES) as TableName[];

/** Rows of one table, decoded. */
interface Access<Row> {
  get(key: readonly SqlValue[]): Row | undefined;
  select(prefix: readonly SqlValue[], tail?: Tail): { readonly key: readonly SqlValue[]; readonly row: Row }[];
  add(delta: Delta<Row>): void;
}

type AccessAll = { readonly [Name in TableName]: Access<RowOf<(typeof TABLES)[Name]["fields"]>> };

function accessAll(database: Database): AccessAll {
  return {
    accounts: access(database, TABLES.accounts),
    rules: access(database, TABLES.rules),
    balances: access(database, TABLES.balances),
    unitTotals: access(database, TABLES.unitTotals),
    counters: access(database, TABLES.counters),
    entryBlocks: access(database, TABLES.entryBlocks),
    periods: access(database, TABLES.periods),
    invoiceLines: access(database, TABLES.invoiceLines),
    invoiceDraws: access(database, TABLES.invoiceDraws),
    waitingDraws: access(database, TABLES.waitingDraws),
    usage: access(database, TABLES.usage),
    outcomes: access(database, TABLES.outcomes),
    costs: access(database, TABLES.costs),
    parked: access(database, TABLES.parked),
    wallets: access(database, TABLES.wallets),
    grants: access(database, TABLES.grants),
  };
}

// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- ties the two look-ups to one table
function addRows<Name extends TableName>(all: AccessAll, deltas: Deltas, name: Name): void {
  all[name].add(deltas[name]);
}

function access<Fields extends FieldMap>(database: Database, table: Table<Fields>): Access<RowOf<Fields>> {
  const fields = Object.entries(table.fields);
  const columns = [...table.keys, ...fields.map(([name]) => name)].map(quoted);
  const keyMatch = table.keys.map((key) => `${quoted(key)} = ?`).join(" AND ");
  const values = fields.map(([name]) => quoted(name)).join(", ");
  type Columns = Readonly<Record<string, SqlValue>>;
  const one = database.prepare<Columns>(`SELECT ${values} FROM ${quoted(table.name)} WHERE ${keyMatch}`);
  const put = database.prepare(
    `INSERT OR REPLACE INTO ${quoted(table.name)} (${columns.join(", ")}) VALUES (${columns.map(() => "?").join(", ")})`,
  );
  const many = new Map<string, Statement<Columns>>();

  function decode(row: Columns): RowOf<Fields> {
    const decoded: Record<string, unknown> = {};
    for (const [name, field] of fields) decoded[name] = field.decode(row[name] ?? null);
    return decoded as RowOf<Fields>;
  }

  function stored(key: readonly SqlValue[]): RowOf<Fields> | undefined {
    const found = one.get(...key);
    return found === undefined ? undefined : decode(found);
  }

  return {
    get: stored,
    select(prefix, tail = { sql: "", parameters: [] }) {
      const where = table.keys
        .slice(0, prefix.length)
        .map((key) => `${quoted(key)} = ?`)
        .join(" AND ");
      const order = tail.sql.includes("ORDER BY") ? "" : `ORDER BY ${table.keys.map(quoted).join(", ")}`;
      // A tail that narrows starts with AND; one that orders comes after.
      const narrows = tail.sql.startsWith("AND") ? tail.sql : "";
      const ends = narrows === "" ? tail.sql : "";
      const sql = `SELECT * FROM ${quoted(table.name)} WHERE ${where === "" ? "TRUE" : where} ${narrows} ${order} ${ends}`;
      let statement = many.get(sql);
      if (statement === undefined) {
        statement = database.prepare<Columns>(sql);
        many.set(sql, statement);
      }
      return statement
        .all(...prefix, ...tail.parameters)
        .map((row) => ({ key: table.keys.map((key) => row[key] ?? null), row: decode(row) }));
    },
    add(delta) {
      if (delta.rows.size === 0) return;
      const recent = recentRows<RowOf<Fields>>(database, table.name);
      for (const [text, { key, row }] of sortedRows(delta)) {
        const older = recent.get(text) ?? stored(key);
        const merged: Record<string, unknown> = {};
        const parameters: SqlValue[] = [...key];
        for (const [name, field] of fields) {
          const value: unknown = older === undefined ? row[name] : field.merge(older[name], row[name]);
          merged[name] = value;
          parameters.push(field.encode(value));
        }
        put.run(...parameters);
        // Least recently changed first: a map keeps the order of insertion.
        recent.delete(text);
        recent.set(text, merged as RowOf<Fields>);
      }
      const most = table.name === TABLES.waitingDraws.name ? 0 : ROWS_KEPT;
      for (const text of recent.keys()) {
        if (recent.size <= most) break;
        recent.delete(text);
      }
    },
  };
}

/**
 * Rows as they were last written, by database and table: what changes often is not read and parsed again each time. Shared
 * by everybody who writes through the same connection, and dropped when a write fails.
 */
const RECENT = new WeakMap<Database, Map<string, Map<string, unknown>>>();
const ROWS_KEPT = 10_000;

function recentRows<Row>(database: Database, table: string): Map<string, Row> {
  let tables = RECENT.get(database);
  if (tables === undefined) {
    tables = new Map();
    RECENT.set(database, tables);
  }
  let rows = tables.get(table);
  if (rows === undefined) {
    rows = new Map();
    tables.set(table, rows);
  }
  return rows as Map<string, Row>;
}

/** In key order, so that neighbours are written to the same pages. */
function sortedRows<Row>(delta: Delta<Row>): [string, KeyedRow<Row>][] {
  return [...delta.rows].toSorted(([a], [b]) => (a < b ? -1 : 1));
}

function quoted(name: string): string {
  return `"${name}"`;
}

/** False for a cache file that another version's fold has made, or none: opening a store on it would make it anew. */
export function hasCurrentTables(database: Database): boolean {
  const known = database.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'projection_schema'").get();
  if (known === undefined) return false;
  return database.prepare<{ make: string }>("SELECT make FROM projection_schema").get()?.make === currentMake();
}

function currentMake(): string {
  return `${FOLD_VERSION}\n${tablesSql()}`;
}

function createTables(database: Database): void {
  if (hasCurrentTables(database)) return;
  const sql = tablesSql();
  RECENT.delete(database);
  database.transaction(() => {
    database.exec("CREATE TABLE IF NOT EXISTS projection_schema (make TEXT NOT NULL) STRICT");
    for (const name of ["projection_checkpoints", ...Object.values(TABLES).map((table) => table.name)]) {
      database.exec(`DROP TABLE IF EXISTS "${name}"`);
    }
    database.exec(sql);
    database.exec("DELETE FROM projection_schema");
    database.prepare("INSERT INTO projection_schema (make) VALUES (?)").run(currentMake());
  });
}

/** Columns are `ANY`: SQLite keeps exactly what it is given, an integer as an integer and a long sum as its text. */
function tablesSql(): string {
  const tables = Object.values(TABLES).map(({ name, keys, fields }) => {
    const columns = [
      ...keys.map((key) => `${quoted(key)} ANY NOT NULL`),
      ...Object.keys(fields).map((field) => `${quoted(field)} ANY`),
    ];
    return `CREATE TABLE ${quoted(name)} (${columns.join(", ")}, PRIMARY KEY (${keys.map(quoted).join(", ")})) STRICT, WITHOUT ROWID;`;
  });
  const checkpoints =
    "CREATE TABLE projection_checkpoints (subscription TEXT PRIMARY KEY, position TEXT NOT NULL, events INTEGER NOT NULL) STRICT;";
  return [...tables, checkpoints].join("\n");
}
