/**
 * The tables of the embedded log, and every SQL statement on them.
 *
 * One row per append (a block of events), numbered by its first event's place in the whole log. A stream belongs to a family,
 * the part of its name up to the first `-`, so that a reader of a few families skips the others without touching them.
 */
import type { Database } from "@rerate/sqlite";
import { type BlockRow, type Block, blockText, parseBlock } from "./block.ts";
import type { NewEvent } from "./port.ts";

/** A stream's row and its last revision. */
export interface Head {
  readonly id: number;
  readonly family: number;
  readonly revision: number;
}

export interface LogTables {
  /** Number of the last event; 0 for an empty log. */
  lastNumber(): number;
  findHead(stream: string): Head | undefined;
  addStream(stream: string): Head;
  addBlock(head: Head, first: number, revision: number, events: readonly NewEvent[]): void;
  /** Blocks of one stream in order, beginning with the one that holds a revision. */
  blocksOfStream(id: number, revision: number): Iterable<Block>;
  lastBlock(id: number): Block | undefined;
  /** Blocks in log order, beginning with the one that holds event `number` or the next; of some families, or of all. */
  blocksFrom(number: number, families: readonly number[] | undefined): Iterable<Block>;
  /** Families that can hold streams with one of these prefixes; undefined when that is all of them. */
  familiesOf(prefixes: readonly string[]): readonly number[] | undefined;
}

const SCHEMA = `
  CREATE TABLE families (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
  CREATE TABLE streams (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, family INTEGER NOT NULL) STRICT;
  CREATE TABLE blocks (
    position INTEGER PRIMARY KEY,
    stream INTEGER NOT NULL,
    family INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    count INTEGER NOT NULL,
    body TEXT NOT NULL
  ) STRICT;
  CREATE UNIQUE INDEX blocks_by_stream ON blocks (stream, revision);
  -- Ends with the position by itself, since that is the row's key.
  CREATE INDEX blocks_by_family ON blocks (family);`;

const COLUMNS = "b.position, s.name AS stream, b.revision, b.count, b.body FROM blocks b CROSS JOIN streams s ON s.id = b.stream";

/** Positions read at a time when families are merged. */
const MERGE_PAGE = 512;

export function openLogTables(database: Database): LogTables {
  database.defineSchema("log", 1, SCHEMA);
  const lastNumber = database.prepare<{ last: number }>(
    "SELECT position + count - 1 AS last FROM blocks ORDER BY position DESC LIMIT 1",
  );
  const findHead = database.prepare<Head>(`
    SELECT id, family, (SELECT revision + count - 1 FROM blocks WHERE stream = streams.id ORDER BY revision DESC LIMIT 1) AS revision
    FROM streams WHERE name = ?`);
  const findFamily = database.prepare<{ id: number }>("SELECT id FROM families WHERE name = ?");
  const addFamily = database.prepare("INSERT INTO families (name) VALUES (?)");
  const addStream = database.prepare("INSERT INTO streams (name, family) VALUES (?, ?)");
  const addBlock = database.prepare(
    "INSERT INTO blocks (position, stream, family, revision, count, body) VALUES (?, ?, ?, ?, ?, ?)",
  );
  const ofStream = database.prepare<BlockRow>(`
    SELECT ${COLUMNS} WHERE b.stream = ?1 AND b.revision >=
      coalesce((SELECT revision FROM blocks WHERE stream = ?1 AND revision <= ?2 ORDER BY revision DESC LIMIT 1), 0)
    ORDER BY b.revision`);
  const lastBlock = database.prepare<BlockRow>(`SELECT ${COLUMNS} WHERE b.stream = ? ORDER BY b.revision DESC LIMIT 1`);
  const holderOf = database.prepare<{ position: number }>(
    "SELECT position FROM blocks WHERE position <= ? ORDER BY position DESC LIMIT 1",
  );
  const from = database.prepare<BlockRow>(`SELECT ${COLUMNS} WHERE b.position >= ? ORDER BY b.position`);
  const at = database.prepare<BlockRow>(`SELECT ${COLUMNS} WHERE b.position = ?`);
  const allFamilies = database.prepare<{ id: number; name: string }>("SELECT id, name FROM families");
  const positionsOfFamily = database.prepare<{ position: number }>(
    `SELECT position FROM blocks WHERE family = ? AND position >= ? ORDER BY position LIMIT ${MERGE_PAGE}`,
  );

  function* merged(families: readonly number[], start: number): Iterable<Block> {
    let next = start;
    while (next < Infinity) {
      const lists = families.map((family) => positionsOfFamily.all(family, next).map(({ position }) => position));
      // Beyond the end of a full list that family may have more, so the others must wait there.
      const until = Math.min(
        Infinity,
        ...lists.filter((list) => list.length === MERGE_PAGE).map((list) => list.at(-1) ?? Infinity),
      );
      const positions = lists.flat().filter((position) => position <= until);
      for (const position of positions.sort((a, b) => a - b)) {
        const row = at.get(position);
        if (row !== undefined) yield parseBlock(row);
      }
      next = until + 1;
    }
  }

  return {
    lastNumber: () => lastNumber.get()?.last ?? 0,
    findHead: (stream) => findHead.get(stream),
    addStream(stream) {
      const name = familyName(stream);
      const family = findFamily.get(name)?.id ?? addFamily.run(name).lastId;
      return { id: addStream.run(stream, family).lastId, family, revision: -1 };
    },
    addBlock(head, first, revision, events) {
      addBlock.run(first, head.id, head.family, revision, events.length, blockText(events));
    },
    *blocksOfStream(id, revision) {
      for (const row of ofStream.iterate(id, revision)) yield parseBlock(row);
    },
    lastBlock(id) {
      const row = lastBlock.get(id);
      return row === undefined ? undefined : parseBlock(row);
    },
    *blocksFrom(number, families) {
      const start = holderOf.get(number)?.position ?? 0;
      if (families !== undefined) yield* merged(families, start);
      else for (const row of from.iterate(start)) yield parseBlock(row);
    },
    familiesOf(prefixes) {
      const all = allFamilies.all();
      const some = all.filter(({ name }) => prefixes.some((prefix) => name.startsWith(prefix) || prefix.startsWith(name)));
      return some.length === all.length ? undefined : some.map(({ id }) => id);
    },
  };
}

function familyName(stream: string): string {
  const dash = stream.indexOf("-");
  return dash < 0 ? stream : stream.slice(0, dash + 1);
}
