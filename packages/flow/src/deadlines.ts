/**
 * Which streams have a deadline open, and when the soonest of each is due.
 *
 * Owns no firing: the worker asks which streams are due and decides their deadlines like any message. A cache of the log:
 * what is stored is as old as the index's checkpoint, and streams with later events are looked at again at the start.
 */
import type { Database } from "@rerate/sqlite";

export interface StreamDeadline {
  readonly stream: string;
  /** When the stream's soonest deadline is due. */
  readonly dueAt: string;
}

/** Stands for the time of a stream whose deadlines must be looked up first. Before every instant. */
export const UNKNOWN = "";
/** Stands for the time of a stream whose deadlines are held back as long as this process runs. After every instant. */
export const HELD = "~";

export interface DeadlineStore {
  all(): Iterable<StreamDeadline>;
  /** An undefined time takes the stream out. */
  save(changes: Iterable<readonly [stream: string, dueAt: string | undefined]>): void;
  clear(): void;
}

export interface Deadlines {
  readonly size: number;
  soonest(): StreamDeadline | undefined;
  set(stream: string, dueAt: string | undefined): void;
  /**
   * The streams that are due strictly before a time, soonest first, at most so many. They do not come again before `set`
   * was called for them; what is stored keeps them until then.
   */
  takeDue(before: string, maxCount: number): string[];
  /** The time may be too late by now: it is stored as unknown until it is set again. */
  loosen(stream: string): void;
  /** Takes out the streams whose times may be too late. */
  takeLoose(): string[];
  /** Writes what has changed since the last saving. */
  save(): void;
}

export function createDeadlines(store: DeadlineStore): Deadlines {
  const soonest = new Map<string, string>();
  const changed = new Set<string>();
  const taken = new Set<string>();
  const loose = new Set<string>();
  let heap: StreamDeadline[] = [];
  for (const { stream, dueAt } of store.all()) set(stream, dueAt === HELD ? UNKNOWN : dueAt);
  changed.clear();

  /** Entries whose stream has got another soonest deadline stay in the heap until they come up. */
  function first(): StreamDeadline | undefined {
    for (let top = heap[0]; top !== undefined; top = heap[0]) {
      if (soonest.get(top.stream) === top.dueAt && !taken.has(top.stream)) return top;
      pop(heap);
    }
    return undefined;
  }

  function set(stream: string, dueAt: string | undefined): void {
    const wasTaken = taken.delete(stream);
    const wasLoose = loose.delete(stream);
    if (wasLoose) changed.add(stream);
    if (soonest.get(stream) === dueAt && !wasTaken) return;
    changed.add(stream);
    if (dueAt === undefined) soonest.delete(stream);
    else {
      soonest.set(stream, dueAt);
      push(heap, { stream, dueAt });
    }
    if (heap.length > 2 * soonest.size + 1_000) {
      heap = [];
      for (const [name, due] of soonest) if (!taken.has(name)) push(heap, { stream: name, dueAt: due });
    }
  }

  return {
    get size() {
      return soonest.size;
    },
    soonest: first,
    set,
    takeDue(before, maxCount) {
      const streams: string[] = [];
      for (let top = first(); top !== undefined && top.dueAt < before && streams.length < maxCount; top = first()) {
        streams.push(top.stream);
        taken.add(top.stream);
      }
      return streams;
    },
    loosen: (stream) => void loose.add(stream),
    takeLoose() {
      const streams = [...loose];
      for (const stream of streams) changed.add(stream);
      loose.clear();
      return streams;
    },
    save() {
      for (const stream of loose) changed.add(stream);
      store.save([...changed].map((stream) => [stream, loose.has(stream) ? UNKNOWN : soonest.get(stream)] as const));
      changed.clear();
    },
  };
}

export function createMemoryDeadlines(): DeadlineStore {
  const stored = new Map<string, string>();
  return {
    all: () => [...stored].map(([stream, dueAt]) => ({ stream, dueAt })),
    save(changes) {
      for (const [stream, dueAt] of changes) {
        if (dueAt === undefined) stored.delete(stream);
        else stored.set(stream, dueAt);
      }
    },
    clear: () => stored.clear(),
  };
}

/** In the cache file; one per service. */
export function createSqliteDeadlines(database: Database, service: string): DeadlineStore {
  const name = service.replaceAll(/[^A-Za-z0-9]/g, "_");
  const table = `flow_deadlines_${name}`;
  database.defineSchema(
    `flow-deadlines-${name}`,
    1,
    `CREATE TABLE ${table} (stream TEXT PRIMARY KEY, dueAt TEXT NOT NULL) STRICT, WITHOUT ROWID;`,
  );
  const select = database.prepare<StreamDeadline>(`SELECT stream, dueAt FROM ${table}`);
  const upsert = database.prepare(`INSERT OR REPLACE INTO ${table} (stream, dueAt) VALUES (?, ?)`);
  const remove = database.prepare(`DELETE FROM ${table} WHERE stream = ?`);
  return {
    all: () => select.all(),
    save(changes) {
      database.transaction(() => {
        for (const [stream, dueAt] of changes) {
          if (dueAt === undefined) remove.run(stream);
          else upsert.run(stream, dueAt);
        }
      });
    },
    clear: () => database.exec(`DELETE FROM ${table}`),
  };
}

/** The sooner first; of two due at once, the stream whose name sorts first, so that the order never depends on history. */
function isBefore(a: StreamDeadline, b: StreamDeadline): boolean {
  return a.dueAt < b.dueAt || (a.dueAt === b.dueAt && a.stream < b.stream);
}

function push(heap: StreamDeadline[], item: StreamDeadline): void {
  let at = heap.length;
  while (at > 0) {
    const parent = (at - 1) >> 1;
    const above = heap[parent];
    if (above === undefined || !isBefore(item, above)) break;
    heap[at] = above;
    at = parent;
  }
  heap[at] = item;
}

function pop(heap: StreamDeadline[]): void {
  const last = heap.pop();
  if (last === undefined || heap.length === 0) return;
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    const left = heap[child];
    if (left === undefined) break;
    let sooner = left;
    const right = heap[child + 1];
    if (right !== undefined && isBefore(right, left)) {
      sooner = right;
      child += 1;
    }
    if (!isBefore(sooner, last)) break;
    heap[at] = sooner;
    at = child;
  }
  heap[at] = last;
}
