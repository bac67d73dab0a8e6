/**
 * Which keys the events of every stream were recorded under, over the whole history: how duplicates are known without a window.
 *
 * A cache of the log. Recent keys are in memory and written in large sorted batches; a Bloom filter answers nearly every
 * look-up, since nearly every look-up is a miss. The invariants: of each stream it always covers a prefix (callers add keys
 * in revision order), and everything up to the saved checkpoint is in the table and in the saved filter. So a crash, or a
 * deleted file, costs only the time to read the log from the checkpoint again.
 * Keys are kept raw, clustered by stream, so that ids which come ordered are cheap to write.
 */
import type { Position } from "@rerate/event-store";
import type { Database } from "@rerate/sqlite";
import { createBloomFilter, type StoredGeneration } from "./bloom-filter.ts";
import type { KeyEntry } from "./decider.ts";

/** A place in the log, with an event at or before it by which a log is known again (it may have been replaced). */
export interface Checkpoint {
  readonly position: Position;
  readonly witness: { readonly stream: string; readonly revision: number; readonly link: string };
}

export interface IdentityIndex {
  /** Every event up to here is covered, as of the last saving; undefined: nothing is. */
  readonly checkpoint: Checkpoint | undefined;
  /** The newest place in the log that anything in the table comes from. */
  readonly newest: Checkpoint | undefined;
  /** Keys that are only in memory. */
  readonly unsaved: number;
  /** The number of a stream here: the first part of its keys. */
  numberOf(stream: string): number;
  find(streamId: number, key: string): KeyEntry | undefined;
  /** A later event under the same key replaces the entry. */
  add(streamId: number, key: string, revision: number, tag: string): void;
  /**
   * Writes what is in memory. `at` is a place up to which every event has been added. `pause` is awaited between slices, so
   * that nobody waits for a whole batch; with `whole`, or when much has changed, the checkpoint moves there too.
   */
  save(at: Checkpoint, options: { readonly whole: boolean; readonly pause: () => Promise<void> }): Promise<void>;
  /** Forgets everything: it belongs to another log. */
  clear(): void;
}

/** For the simulation and for tests. */
export function createMemoryIndex(): IdentityIndex {
  const numbers = new Map<string, number>();
  const streams = new Map<number, Map<string, KeyEntry>>();
  let checkpoint: Checkpoint | undefined;
  let unsaved = 0;
  return {
    get checkpoint() {
      return checkpoint;
    },
    get newest() {
      return checkpoint;
    },
    get unsaved() {
      return unsaved;
    },
    numberOf(stream) {
      let number = numbers.get(stream);
      if (number === undefined) numbers.set(stream, (number = numbers.size + 1));
      return number;
    },
    find: (streamId, key) => streams.get(streamId)?.get(key),
    add(streamId, key, revision, tag) {
      addTo(streams, streamId, key, { revision, tag });
      unsaved += 1;
    },
    async save(at) {
      checkpoint = at;
      unsaved = 0;
    },
    clear() {
      streams.clear();
      checkpoint = undefined;
      unsaved = 0;
    },
  };
}

const SLICE = 4_000;
/** Stream numbers kept in memory beside those in states; a missing one costs one look-up. */
const NUMBERS_KEPT = 100_000;
/** Share of new keys after which filter and checkpoint are saved again: a crash costs reading at most so much again. */
const FILTER_SHARE = 0.1;

/** In the cache file; one per service. Prepared for `synchronous=NORMAL`: of a crash it needs only that commits stay in order. */
export function createSqliteIndex(database: Database, service: string): IdentityIndex {
  const name = service.replaceAll(/[^A-Za-z0-9]/g, "_");
  const keys = `flow_keys_${name}`;
  const names = `flow_streams_${name}`;
  database.defineSchema(
    `flow-index-${name}`,
    1,
    `CREATE TABLE ${keys} (stream INTEGER NOT NULL, key TEXT NOT NULL, revision INTEGER NOT NULL, tag TEXT NOT NULL, PRIMARY KEY (stream, key)) STRICT, WITHOUT ROWID;
     CREATE TABLE ${names} (name TEXT PRIMARY KEY, number INTEGER NOT NULL) STRICT, WITHOUT ROWID;
     CREATE TABLE flow_filter_${name} (generation INTEGER PRIMARY KEY, keys INTEGER NOT NULL, bits BLOB NOT NULL) STRICT;
     CREATE TABLE flow_checkpoint_${name} (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;`,
  );
  const selectKey = database.prepare<KeyEntry>(`SELECT revision, tag FROM ${keys} WHERE stream = ? AND key = ?`);
  const upsertKey = database.prepare(
    `INSERT INTO ${keys} (stream, key, revision, tag) VALUES (?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET revision = excluded.revision, tag = excluded.tag WHERE excluded.revision > revision`,
  );
  const selectNumber = database.prepare<{ readonly number: number }>(`SELECT number FROM ${names} WHERE name = ?`);
  const insertNumber = database.prepare(`INSERT INTO ${names} (name, number) VALUES (?, ?)`);
  const storeGeneration = database.prepare(
    `INSERT OR REPLACE INTO flow_filter_${name} (generation, keys, bits) VALUES (?, ?, ?)`,
  );
  const storeValue = database.prepare(`INSERT OR REPLACE INTO flow_checkpoint_${name} (name, value) VALUES (?, ?)`);

  let recent = new Map<number, Map<string, KeyEntry>>();
  let unsaved = 0;
  /** The batch being written. Still looked up in, because its rows come slice by slice. */
  let writing = new Map<number, Map<string, KeyEntry>>();
  let numbers = new Map<string, number>();
  const newNumbers = new Map<string, number>();
  let checkpoint = readCheckpoint("checkpoint");
  let newest = readCheckpoint("newest");
  let filter = createBloomFilter();
  let nextNumber = 1;
  let filterSaved = 0;
  if (checkpoint === undefined) clear();
  else {
    filter = createBloomFilter(
      database.prepare<StoredGeneration>(`SELECT keys, bits FROM flow_filter_${name} ORDER BY generation`).all(),
    );
    nextNumber =
      1 + (database.prepare<{ readonly last: number | null }>(`SELECT max(number) AS last FROM ${names}`).get()?.last ?? 0);
  }
  filterSaved = filter.size;

  function readCheckpoint(key: string): Checkpoint | undefined {
    const row = database.prepare<{ readonly value: string }>(`SELECT value FROM flow_checkpoint_${name} WHERE name = ?`).get(key);
    return row === undefined ? undefined : (JSON.parse(row.value) as Checkpoint);
  }

  function clear(): void {
    database.transaction(() => {
      for (const table of [keys, names, `flow_filter_${name}`, `flow_checkpoint_${name}`]) database.exec(`DELETE FROM ${table}`);
    });
    recent = new Map();
    writing = new Map();
    numbers = new Map();
    newNumbers.clear();
    filter = createBloomFilter();
    filterSaved = 0;
    unsaved = 0;
    nextNumber = 1;
    checkpoint = undefined;
    newest = undefined;
  }

  function saveNumbers(): void {
    for (const [stream, number] of newNumbers) insertNumber.run(stream, number);
    newNumbers.clear();
  }

  return {
    get checkpoint() {
      return checkpoint;
    },
    get newest() {
      return newest;
    },
    get unsaved() {
      return unsaved;
    },
    numberOf(stream) {
      const known = numbers.get(stream) ?? newNumbers.get(stream);
      if (known !== undefined) return known;
      const stored = selectNumber.get(stream)?.number;
      if (stored === undefined) {
        newNumbers.set(stream, nextNumber);
        return nextNumber++;
      }
      if (numbers.size >= NUMBERS_KEPT) numbers.clear();
      numbers.set(stream, stored);
      return stored;
    },
    find(streamId, key) {
      const entry = recent.get(streamId)?.get(key) ?? writing.get(streamId)?.get(key);
      if (entry !== undefined) return entry;
      return filter.has(streamId, key) ? selectKey.get(streamId, key) : undefined;
    },
    add(streamId, key, revision, tag) {
      addTo(recent, streamId, key, { revision, tag });
      filter.add(streamId, key);
      unsaved += 1;
    },
    async save(at, { whole, pause }) {
      writing = recent;
      recent = new Map();
      unsaved = 0;
      const rows = sortedRows(writing);
      for (let from = 0; from === 0 || from < rows.length; from += SLICE) {
        if (from > 0) await pause();
        database.transaction(() => {
          if (from === 0) {
            saveNumbers();
            storeValue.run("newest", JSON.stringify(at));
          }
          for (let i = from; i < Math.min(rows.length, from + SLICE); i++) {
            const row = rows[i];
            if (row !== undefined) upsertKey.run(row.streamId, row.key, row.entry.revision, row.entry.tag);
          }
        });
      }
      newest = at;
      writing = new Map();
      if (!whole && checkpoint !== undefined && filter.size - filterSaved < filter.size * FILTER_SHARE) return;
      database.transaction(() => {
        filter.save((generation, count, bits) => storeGeneration.run(generation, count, bits));
        storeValue.run("checkpoint", JSON.stringify(at));
      });
      filterSaved = filter.size;
      checkpoint = at;
    },
    clear,
  };
}

function addTo(streams: Map<number, Map<string, KeyEntry>>, streamId: number, key: string, entry: KeyEntry): void {
  const keys = streams.get(streamId);
  if (keys === undefined) streams.set(streamId, new Map([[key, entry]]));
  else keys.set(key, entry);
}

interface KeyRow {
  readonly streamId: number;
  readonly key: string;
  readonly entry: KeyEntry;
}

/** In the order of the table's primary key, so that neighbours are written together. */
function sortedRows(streams: Map<number, Map<string, KeyEntry>>): KeyRow[] {
  const rows: KeyRow[] = [];
  for (const streamId of [...streams.keys()].sort((a, b) => a - b)) {
    const keys = [...(streams.get(streamId) ?? [])].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    for (const [key, entry] of keys) rows.push({ streamId, key, entry });
  }
  return rows;
}
