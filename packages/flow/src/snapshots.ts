/**
 * Snapshots of folded states: where folding a stream may begin instead of at its first event.
 *
 * A cache of the log. A snapshot says which event it stands at and how that event hashes; whoever loads one checks both
 * against the log and ignores one that does not fit.
 */
import type { Database } from "@rerate/sqlite";

export interface Snapshot {
  readonly stream: string;
  readonly revision: number;
  /** The hash of the event at this revision: the link of the event after it. */
  readonly link: string;
  readonly recordedAt: string;
  /** What the decider's `snapshot` gave. */
  readonly text: string;
}

export interface SnapshotStore {
  get(stream: string): Snapshot | undefined;
  put(snapshots: readonly Snapshot[]): void;
  clear(): void;
}

export function createMemorySnapshots(): SnapshotStore {
  const snapshots = new Map<string, Snapshot>();
  return {
    get: (stream) => snapshots.get(stream),
    put(list) {
      for (const snapshot of list) snapshots.set(snapshot.stream, snapshot);
    },
    clear: () => snapshots.clear(),
  };
}

/** In the cache file; one per service. Snapshots of another `format` (a decider whose state has changed its shape) are dropped. */
export function createSqliteSnapshots(database: Database, service: string, format: string): SnapshotStore {
  const name = service.replaceAll(/[^A-Za-z0-9]/g, "_");
  const table = `flow_snapshots_${name}`;
  database.defineSchema(
    `flow-snapshots-${name}`,
    1,
    `CREATE TABLE ${table} (stream TEXT PRIMARY KEY, format TEXT NOT NULL, revision INTEGER NOT NULL, link TEXT NOT NULL, recordedAt TEXT NOT NULL, text TEXT NOT NULL) STRICT;`,
  );
  const select = database.prepare<Snapshot>(
    `SELECT stream, revision, link, recordedAt, text FROM ${table} WHERE stream = ? AND format = ?`,
  );
  const upsert = database.prepare(
    `INSERT OR REPLACE INTO ${table} (stream, format, revision, link, recordedAt, text) VALUES (?, ?, ?, ?, ?, ?)`,
  );
  return {
    get: (stream) => select.get(stream, format),
    put(list) {
      if (list.length === 0) return;
      database.transaction(() => {
        for (const { stream, revision, link, recordedAt, text } of list)
          upsert.run(stream, format, revision, link, recordedAt, text);
      });
    },
    clear: () => database.exec(`DELETE FROM ${table}`),
  };
}
