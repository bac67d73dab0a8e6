/**
 * Bus storage in `ledger.db`: published messages in blocks, group offsets, parked records.
 *
 * One row per publish call and partition. Everything is written through the group commit that the event store uses, too, so
 * both share an fsync.
 */
import type { Database, GroupCommit } from "@rerate/sqlite";
import { decodeBlock, encodeBlock } from "./block-bytes.ts";
import { createSqliteParked } from "./sqlite-parked.ts";
import type { BusStorage, GroupOffset, StoredBlock } from "./storage.ts";

const SCHEMA = `
  CREATE TABLE topic_blocks (
    id INTEGER PRIMARY KEY,
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    first INTEGER NOT NULL,
    count INTEGER NOT NULL,
    body BLOB NOT NULL,
    UNIQUE (topic, partition, first)
  ) STRICT;
  CREATE TABLE group_offsets (
    group_name TEXT NOT NULL,
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    next INTEGER NOT NULL,
    PRIMARY KEY (group_name, topic, partition)
  ) STRICT, WITHOUT ROWID;`;

/** At most so many blocks of a partition go at a time; the rest goes with the next offsets. */
const TRIM_AT_ONCE = 2_048;

export function createSqliteStorage(database: Database, commit: GroupCommit): BusStorage {
  database.defineSchema("bus", 1, SCHEMA);
  // Trimming never outruns the saved offsets, so a partition without blocks ends where its furthest group stands.
  const ends = database.prepare<{ topic: string; partition: number; next: number }>(`
    SELECT topic, partition, max(next) AS next FROM (
      SELECT topic, partition, max(first + count) AS next FROM topic_blocks GROUP BY topic, partition
      UNION ALL SELECT topic, partition, max(next) AS next FROM group_offsets GROUP BY topic, partition
    ) GROUP BY topic, partition`);
  const addBlock = database.prepare("INSERT INTO topic_blocks (topic, partition, first, count, body) VALUES (?, ?, ?, ?, ?)");
  const blocksFrom = database.prepare<{ first: number; count: number; body: Uint8Array }>(`
    SELECT first, count, body FROM topic_blocks WHERE topic = ?1 AND partition = ?2 AND first >= coalesce(
      (SELECT first FROM topic_blocks WHERE topic = ?1 AND partition = ?2 AND first <= ?3 ORDER BY first DESC LIMIT 1), 0)
    ORDER BY first`);
  const allOffsets = database.prepare<GroupOffset>('SELECT group_name AS "group", topic, partition, next FROM group_offsets');
  const saveOffset = database.prepare(
    "INSERT OR REPLACE INTO group_offsets (group_name, topic, partition, next) VALUES (?, ?, ?, ?)",
  );
  const trim = database.prepare(`
    DELETE FROM topic_blocks WHERE id IN (
      SELECT id FROM topic_blocks WHERE topic = ?1 AND partition = ?2 AND first < ?3 AND first + count <= ?3 ORDER BY first LIMIT ${TRIM_AT_ONCE})`);

  return {
    ends: () => ends.all(),
    async append(blocks, committed) {
      const rows = blocks.map((block) => ({ ...block, body: encodeBlock(block.messages) }));
      await commit.write(() => {
        for (const { topic, partition, first, messages, body } of rows)
          addBlock.run(topic, partition, first, messages.length, body);
      }, committed);
    },
    read(topic, partition, from, maxCount) {
      const found: StoredBlock[] = [];
      let total = 0;
      for (const { first, count, body } of blocksFrom.iterate(topic, partition, from)) {
        if (first + count <= from) continue;
        found.push({ topic, partition, first, messages: decodeBlock(body, count) });
        total += count - Math.max(0, from - first);
        if (total >= maxCount) break;
      }
      return found;
    },
    offsets: () => allOffsets.all(),
    async saveOffsets(offsets, trims) {
      await commit.write(() => {
        for (const { group, topic, partition, next } of offsets) saveOffset.run(group, topic, partition, next);
        for (const { topic, partition, before } of trims) trim.run(topic, partition, before);
      });
    },
    parked: createSqliteParked(database, commit),
  };
}
