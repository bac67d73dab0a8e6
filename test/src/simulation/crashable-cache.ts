/**
 * A worker's cache that outlives its process, as a cache file does: with what was saved, and without the rest.
 *
 * The identity index keeps new keys in memory until it is saved; a crash in the middle of a save leaves half of them. So a process
 * that takes over such a cache starts from an older state of the log.
 */
import type { Checkpoint, IdentityIndex, WorkerCache } from "@rerate/flow";
import type { KeyEntry } from "@rerate/ledger";

/** What is in the file. */
export interface SavedCache {
  readonly keys: Map<string, KeyEntry>;
  readonly numbers: Map<string, number>;
  readonly snapshots: Map<string, Snapshot>;
  readonly deadlines: Map<string, string>;
  checkpoint: Checkpoint | undefined;
}

type Snapshot = NonNullable<ReturnType<WorkerCache["snapshots"]["get"]>>;

export function emptyCache(): SavedCache {
  return { keys: new Map(), numbers: new Map(), snapshots: new Map(), deadlines: new Map(), checkpoint: undefined };
}

export function copyCache({ keys, numbers, snapshots, deadlines, checkpoint }: SavedCache): SavedCache {
  return {
    keys: new Map(keys),
    numbers: new Map(numbers),
    snapshots: new Map(snapshots),
    deadlines: new Map(deadlines),
    checkpoint,
  };
}

/** Opens a saved cache for one process. What the process does not save dies with it. */
export function openCache(saved: SavedCache, isAlive: () => boolean): WorkerCache {
  return {
    index: openIndex(saved, isAlive),
    snapshots: {
      get: (stream) => saved.snapshots.get(stream),
      put(snapshots) {
        if (isAlive()) for (const snapshot of snapshots) saved.snapshots.set(snapshot.stream, snapshot);
      },
      clear: () => saved.snapshots.clear(),
    },
    deadlines: {
      all: () => [...saved.deadlines].map(([stream, dueAt]) => ({ stream, dueAt })),
      save(changes) {
        for (const [stream, dueAt] of changes) {
          if (dueAt === undefined) saved.deadlines.delete(stream);
          else saved.deadlines.set(stream, dueAt);
        }
      },
      clear: () => saved.deadlines.clear(),
    },
  };
}

function openIndex(saved: SavedCache, isAlive: () => boolean): IdentityIndex {
  const recent = new Map<string, KeyEntry>();
  const placeOf = (streamId: number, key: string): string => `${streamId} ${key}`;
  const write = (place: string, entry: KeyEntry): void => {
    if ((saved.keys.get(place)?.revision ?? -1) < entry.revision) saved.keys.set(place, entry);
  };
  return {
    get checkpoint() {
      return saved.checkpoint;
    },
    get newest() {
      return saved.checkpoint;
    },
    get unsaved() {
      return recent.size;
    },
    numberOf(stream) {
      const number = saved.numbers.get(stream) ?? saved.numbers.size + 1;
      saved.numbers.set(stream, number);
      return number;
    },
    find: (streamId, key) => recent.get(placeOf(streamId, key)) ?? saved.keys.get(placeOf(streamId, key)),
    add(streamId, key, revision, tag) {
      recent.set(placeOf(streamId, key), { revision, tag });
    },
    async save(at, { pause }) {
      const batch = [...recent];
      for (const [index, [place, entry]] of batch.entries()) {
        if (index === Math.floor(batch.length / 2)) await pause();
        if (!isAlive()) return;
        write(place, entry);
        if (recent.get(place) === entry) recent.delete(place);
      }
      saved.checkpoint = at;
    },
    clear() {
      recent.clear();
      saved.keys.clear();
      saved.checkpoint = undefined;
    },
  };
}
