/**
 * Where readers of the log keep their places, one per partition: the relay, the sweep.
 *
 * A place says that everything of this partition's streams before it is done, whoever did it. That stays true for ever, so it
 * may be older than what is done, come from another process, or be lost: then things are done again.
 */
import type { Position } from "@rerate/event-store";
import type { Database } from "@rerate/sqlite";

export interface PartitionCheckpoints {
  load(partition: number): Promise<Position | undefined>;
  save(partition: number, position: Position): Promise<void>;
}

/**
 * Whether one position of a log is after another. Positions are opaque to everybody else; all engines hand out texts of which
 * the later is longer, or as long and greater.
 */
export function isAfter(position: Position, other: Position): boolean {
  return position.length === other.length ? position > other : position.length > other.length;
}

/** The least of several places; undefined (the beginning) when one of them is unknown. */
export function earliest(positions: Iterable<Position | undefined>): Position | undefined {
  let least: Position | undefined;
  for (const position of positions) {
    if (position === undefined) return undefined;
    if (least === undefined || isAfter(least, position)) least = position;
  }
  return least;
}

export function createMemoryCheckpoints(): PartitionCheckpoints {
  const places = new Map<number, Position>();
  return {
    load: async (partition) => places.get(partition),
    save: async (partition, position) => void places.set(partition, position),
  };
}

/** In the cache file of one process, under the reader's name. */
export function createSqliteCheckpoints(database: Database, reader: string): PartitionCheckpoints {
  database.defineSchema(
    "flow-places",
    1,
    `CREATE TABLE flow_places (reader TEXT NOT NULL, partition INTEGER NOT NULL, position TEXT NOT NULL, PRIMARY KEY (reader, partition)) STRICT, WITHOUT ROWID;`,
  );
  const select = database.prepare<{ readonly position: string }>(
    `SELECT position FROM flow_places WHERE reader = ? AND partition = ?`,
  );
  const upsert = database.prepare(`INSERT OR REPLACE INTO flow_places (reader, partition, position) VALUES (?, ?, ?)`);
  return {
    load: async (partition) => select.get(reader, partition)?.position,
    save: async (partition, position) => void upsert.run(reader, partition, position),
  };
}
