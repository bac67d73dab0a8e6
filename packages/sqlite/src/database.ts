/**
 * Opening SQLite files, and the few calls that everybody makes on them. The only importer of `node:sqlite`.
 *
 * Owns the pragmas: WAL, how hard a commit is synced, page and cache size. Owns no tables. Every call is synchronous, so a
 * transaction that is opened and closed in one turn of the event loop is never interleaved with anything.
 */
import { DatabaseSync, type StatementSync } from "node:sqlite";

/** What a column or parameter can hold. Integers beyond 2^53 throw when read: store such numbers as text. */
export type Value = string | number | bigint | null | Uint8Array;

export interface RunResult {
  readonly changes: number;
  /** The rowid of the last inserted row. */
  readonly lastId: number;
}

export interface Statement<Row> {
  get(...parameters: readonly Value[]): Row | undefined;
  all(...parameters: readonly Value[]): Row[];
  /** Rows as they are read. Leaving the loop early is fine; do not run the same statement again inside it. */
  iterate(...parameters: readonly Value[]): IterableIterator<Row>;
  run(...parameters: readonly Value[]): RunResult;
}

export interface Database {
  readonly path: string;
  readonly readOnly: boolean;
  /** True between `BEGIN` and its `COMMIT` or `ROLLBACK`. */
  readonly inTransaction: boolean;
  /** Compiles a statement once per text; `Row` is what its columns are known to be. */
  prepare<Row = Record<string, Value>>(sql: string): Statement<Row>;
  exec(sql: string): void;
  /** Runs the work in one transaction: committed when it returns, rolled back when it throws. Not nestable. */
  transaction<Result>(work: () => Result): Result;
  /**
   * Creates the tables of `part` on first use. Throws when the file holds another version of them, or when it is read-only
   * and does not have them.
   */
  defineSchema(part: string, version: number, sql: string): void;
  /** Empties the write-ahead log into the file as far as readers allow; nothing that was deleted stays behind in the log. */
  checkpoint(): void;
  close(): void;
}

export interface DatabaseOptions {
  /** FULL: a commit survives a power failure (the ledger). NORMAL: the newest commits may be lost, never torn (caches). */
  readonly synchronous: "FULL" | "NORMAL";
  /** Page cache in megabytes. Default 16. */
  readonly cacheMegabytes?: number;
}

/** Opens or creates a database file, or `:memory:`. */
export function openDatabase(path: string, options: DatabaseOptions): Database {
  const connection = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS });
  const cacheKilobytes = Math.round((options.cacheMegabytes ?? 16) * 1024);
  // The page size must be set before the first page is written. Checkpoints happen every 32 MB of log: often enough that
  // reading past it stays cheap, rarely enough that a page written again and again reaches the file once.
  connection.exec(`
    PRAGMA page_size = 8192;
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = ${options.synchronous};
    PRAGMA wal_autocheckpoint = 4096;
    PRAGMA journal_size_limit = 67108864;
    PRAGMA cache_size = -${cacheKilobytes};
    PRAGMA temp_store = MEMORY;
  `);
  return wrap(connection, path, false);
}

/** Opens an existing database to read beside its writer, from this process or another. Every write throws. */
export function openReadOnly(path: string): Database {
  return wrap(readOnlyConnection(path), path, true);
}

/**
 * As `openReadOnly`, and everything that is read in one turn of the event loop is of one moment, however many statements that
 * takes: the first one opens a read transaction, which ends when the turn is over.
 */
export function openTurnReader(path: string): Database {
  const connection = readOnlyConnection(path);
  const endOfTurn = () => {
    if (connection.isOpen && connection.isTransaction) connection.exec("COMMIT");
  };
  return wrap(connection, path, true, () => {
    if (connection.isTransaction) return;
    connection.exec("BEGIN");
    setImmediate(endOfTurn);
  });
}

function readOnlyConnection(path: string): DatabaseSync {
  const connection = new DatabaseSync(path, { readOnly: true, timeout: BUSY_TIMEOUT_MS });
  connection.exec("PRAGMA temp_store = MEMORY; PRAGMA cache_size = -16384;");
  return connection;
}

/**
 * Takes the operating system's lock on a file, creating it if need be; undefined when another process, or another call here,
 * has it. The lock lasts until `close` or the end of the process.
 */
export function openLocked(path: string): { close(): void } | undefined {
  const connection = new DatabaseSync(path, { timeout: 0 });
  try {
    connection.exec("BEGIN EXCLUSIVE");
    return connection;
  } catch (error) {
    connection.close();
    if (error instanceof Error && "errcode" in error && error.errcode === SQLITE_BUSY) return undefined;
    throw error;
  }
}

/** True when an error means that the disk or the file is failing, or full: nothing that follows can be trusted. */
export function isDiskFailure(error: unknown): boolean {
  if (!(error instanceof Error) || !("errcode" in error) || typeof error.errcode !== "number") return false;
  return DISK_FAILURES.has(error.errcode & 0xff);
}

const BUSY_TIMEOUT_MS = 5_000;

const SQLITE_BUSY = 5;

/** SQLITE_NOMEM, READONLY, IOERR, CORRUPT, FULL, CANTOPEN, NOTADB. */
const DISK_FAILURES = new Set([7, 8, 10, 11, 13, 14, 26]);

/** `beforeRead` is called before every statement. */
function wrap(connection: DatabaseSync, path: string, readOnly: boolean, beforeRead?: () => void): Database {
  const statements = new Map<string, Statement<unknown>>();
  const database: Database = {
    path,
    readOnly,
    get inTransaction() {
      return connection.isTransaction;
    },
    prepare<Row>(sql: string): Statement<Row> {
      const known = statements.get(sql);
      if (known !== undefined) return known as Statement<Row>;
      const plain = wrapStatement<Row>(connection.prepare(sql));
      const statement = beforeRead === undefined ? plain : readingStatement(plain, beforeRead);
      statements.set(sql, statement);
      return statement;
    },
    exec: (sql) => connection.exec(sql),
    transaction(work) {
      connection.exec("BEGIN IMMEDIATE");
      try {
        const result = work();
        connection.exec("COMMIT");
        return result;
      } catch (error) {
        // A failing disk may have rolled back already.
        if (connection.isTransaction) connection.exec("ROLLBACK");
        throw error;
      }
    },
    defineSchema: (part, version, sql) => defineSchema(database, part, version, sql),
    checkpoint: () => connection.exec("PRAGMA wal_checkpoint(TRUNCATE)"),
    close() {
      if (connection.isOpen) connection.close();
    },
  };
  return database;
}

function wrapStatement<Row>(statement: StatementSync): Statement<Row> {
  return {
    get: (...parameters) => statement.get(...parameters) as Row | undefined,
    all: (...parameters) => statement.all(...parameters) as Row[],
    iterate: (...parameters) => statement.iterate(...parameters) as IterableIterator<Row>,
    run(...parameters) {
      const { changes, lastInsertRowid } = statement.run(...parameters);
      return { changes: Number(changes), lastId: Number(lastInsertRowid) };
    },
  };
}

function readingStatement<Row>(statement: Statement<Row>, beforeRead: () => void): Statement<Row> {
  const reading =
    <Result>(read: (...parameters: readonly Value[]) => Result) =>
    (...parameters: readonly Value[]): Result => {
      beforeRead();
      return read(...parameters);
    };
  return { ...statement, get: reading(statement.get), all: reading(statement.all), iterate: reading(statement.iterate) };
}

function defineSchema(database: Database, part: string, version: number, sql: string): void {
  const found = schemaVersion(database, part);
  if (found === version) return;
  if (found !== undefined)
    throw new Error(`${database.path} holds version ${found} of "${part}"; this program knows version ${version}`);
  if (database.readOnly) throw new Error(`${database.path} holds no "${part}"`);
  database.transaction(() => {
    database.exec("CREATE TABLE IF NOT EXISTS schemas (part TEXT PRIMARY KEY, version INTEGER NOT NULL) STRICT");
    database.exec(sql);
    database.prepare("INSERT INTO schemas (part, version) VALUES (?, ?)").run(part, version);
  });
}

function schemaVersion(database: Database, part: string): number | undefined {
  const table = database.prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'schemas'").get();
  if (table === undefined) return undefined;
  return database.prepare<{ readonly version: number }>("SELECT version FROM schemas WHERE part = ?").get(part)?.version;
}
