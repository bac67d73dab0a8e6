/** Parked records in a table of `ledger.db`. Erasing overwrites the bytes, in the file and in its write-ahead log. */
import type { Database, GroupCommit } from "@rerate/sqlite";
import type { ParkedRecord, ParkedStore } from "./port.ts";

const SCHEMA = `
  CREATE TABLE parked (
    id TEXT PRIMARY KEY,
    service TEXT NOT NULL,
    ns TEXT NOT NULL,
    account TEXT NOT NULL,
    topic TEXT NOT NULL,
    reason TEXT NOT NULL,
    detail TEXT NOT NULL,
    parked_at TEXT NOT NULL,
    key TEXT NOT NULL,
    bytes BLOB NOT NULL
  ) STRICT;
  CREATE INDEX parked_by_account ON parked (ns, account);`;

/** Came later: files that were written before get these columns when they are opened. */
const MORE_COLUMNS = `
  ALTER TABLE parked ADD COLUMN headers TEXT;
  ALTER TABLE parked ADD COLUMN retry_asked_at TEXT;
  CREATE INDEX parked_by_retry ON parked (retry_asked_at) WHERE retry_asked_at IS NOT NULL;`;

const COLUMNS =
  "id, service, ns, account, topic, reason, detail, parked_at AS parkedAt, key, bytes, headers, retry_asked_at AS retryAskedAt";

type Row = Omit<ParkedRecord, "headers" | "retryAskedAt"> & {
  /** A JSON object of strings. */
  readonly headers: string | null;
  readonly retryAskedAt: string | null;
};

export function createSqliteParked(database: Database, commit: GroupCommit): ParkedStore {
  database.defineSchema("parked", 1, SCHEMA);
  database.defineSchema("parked-columns", 1, MORE_COLUMNS);
  const put = database.prepare(`
    INSERT OR REPLACE INTO parked (id, service, ns, account, topic, reason, detail, parked_at, key, bytes, headers, retry_asked_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`);
  const askRetry = database.prepare("UPDATE parked SET retry_asked_at = ? WHERE id = ?");
  const get = database.prepare<Row>(`SELECT ${COLUMNS} FROM parked WHERE id = ?`);
  const erase = database.prepare("DELETE FROM parked WHERE id = ?");
  const count = database.prepare<{ count: number }>("SELECT count(*) AS count FROM parked");

  return {
    async put(records) {
      if (records.length === 0) return;
      await commit.write(() => {
        for (const { id, service, ns, account, topic, reason, detail, parkedAt, key, bytes, headers, retryAskedAt } of records) {
          const headersText = headers === undefined ? null : JSON.stringify(headers);
          put.run(id, service, ns, account, topic, reason, detail, parkedAt, key, bytes, headersText, retryAskedAt ?? null);
        }
      });
    },
    async get(id) {
      const row = get.get(id);
      return row === undefined ? undefined : recordOf(row);
    },
    async list({ limit, retryAsked, ...filter }) {
      const given = Object.entries({ ns: filter.ns, account: filter.account, reason: filter.reason, service: filter.service });
      const set = given.flatMap(([column, value]) => (value === undefined ? [] : [{ column, value }]));
      const conditions = set.map(({ column }) => `${column} = ?`);
      if (retryAsked === true) conditions.push("retry_asked_at IS NOT NULL");
      const where = conditions.length === 0 ? "" : `WHERE ${conditions.join(" AND ")}`;
      const list = database.prepare<Row>(`SELECT ${COLUMNS} FROM parked ${where} ORDER BY parked_at, id LIMIT ?`);
      return list.all(...set.map(({ value }) => value), limit).map(recordOf);
    },
    askRetry: async (id, at) => await commit.write(() => askRetry.run(at, id).changes > 0),
    async erase(id) {
      const erased = await commit.write(() => {
        // Deleted content is overwritten with zeros while this is on; that costs writes, so only here.
        database.exec("PRAGMA secure_delete = ON");
        try {
          return erase.run(id).changes > 0;
        } finally {
          database.exec("PRAGMA secure_delete = OFF");
        }
      });
      if (erased) database.checkpoint();
      return erased;
    },
    count: async () => count.get()?.count ?? 0,
  };
}

function recordOf({ headers, retryAskedAt, ...row }: Row): ParkedRecord {
  return {
    ...row,
    ...(headers === null ? {} : { headers: JSON.parse(headers) as Record<string, string> }),
    ...(retryAskedAt === null ? {} : { retryAskedAt }),
  };
}
