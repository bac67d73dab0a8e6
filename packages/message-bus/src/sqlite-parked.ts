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

const COLUMNS = "id, service, ns, account, topic, reason, detail, parked_at AS parkedAt, key, bytes";

export function createSqliteParked(database: Database, commit: GroupCommit): ParkedStore {
  database.defineSchema("parked", 1, SCHEMA);
  const put = database.prepare(`
    INSERT OR REPLACE INTO parked (id, service, ns, account, topic, reason, detail, parked_at, key, bytes)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`);
  const get = database.prepare<ParkedRecord>(`SELECT ${COLUMNS} FROM parked WHERE id = ?`);
  const erase = database.prepare("DELETE FROM parked WHERE id = ?");
  const count = database.prepare<{ count: number }>("SELECT count(*) AS count FROM parked");

  return {
    async put(records) {
      if (records.length === 0) return;
      await commit.write(() => {
        for (const { id, service, ns, account, topic, reason, detail, parkedAt, key, bytes } of records) {
          put.run(id, service, ns, account, topic, reason, detail, parkedAt, key, bytes);
        }
      });
    },
    async get(id) {
      const row = get.get(id);
      return row === undefined ? undefined : { ...row };
    },
    async list({ limit, ...filter }) {
      const given = Object.entries({ ns: filter.ns, account: filter.account, reason: filter.reason, service: filter.service });
      const set = given.flatMap(([column, value]) => (value === undefined ? [] : [{ column, value }]));
      const where = set.length === 0 ? "" : `WHERE ${set.map(({ column }) => `${column} = ?`).join(" AND ")}`;
      const list = database.prepare<ParkedRecord>(`SELECT ${COLUMNS} FROM parked ${where} ORDER BY parked_at, id LIMIT ?`);
      return list.all(...set.map(({ value }) => value), limit).map((row) => ({ ...row }));
    },
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
