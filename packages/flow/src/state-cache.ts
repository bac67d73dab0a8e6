/**
 * Folded states in memory, least recently used out first, bounded by number and by approximate size.
 *
 * Owns no loading and no snapshots. The invariant: a state that a round works on is never evicted, because it may be ahead
 * of the log until its append is known.
 */

/** The state of one stream with the place it is at. */
export interface Held<State> {
  readonly stream: string;
  /** The index's number for the stream. */
  readonly streamId: number;
  state: State;
  /** The last event folded in, also when it was just decided and is not appended yet. */
  revision: number;
  /** The link that the next event carries. */
  link: string;
  recordedAt: string;
  /** The last revision known to be in the log. Every key up to here is in the index. */
  committed: number;
  /** Revision of the snapshot in the cache file; -1 without one. */
  snapshotAt: number;
  /** How much memory it may take. An upper bound, roughly. */
  bytes: number;
  /** Rounds that work on it. */
  uses: number;
  /** The bus partition that its messages come from. */
  partition: number | undefined;
  /** Deadlines that were open when they were last counted, and events since then. */
  deadlines: number;
  eventsSinceCount: number;
}

export interface StateCacheLimits {
  readonly streams: number;
  readonly bytes: number;
}

export interface StateCache<State> {
  readonly size: number;
  readonly bytes: number;
  /** The state, if it is here; it counts as used now. */
  get(stream: string): Held<State> | undefined;
  /** As `get`, without counting as a use. */
  peek(stream: string): Held<State> | undefined;
  put(held: Held<State>): void;
  grow(held: Held<State>, bytes: number): void;
  drop(stream: string): void;
  /** Evicts down to the limits and returns what went. */
  evict(): readonly Held<State>[];
  all(): Iterable<Held<State>>;
}

export function createStateCache<State>(limits: StateCacheLimits): StateCache<State> {
  const states = new Map<string, Held<State>>();
  let bytes = 0;

  function remove(held: Held<State>): void {
    states.delete(held.stream);
    bytes -= held.bytes;
  }

  return {
    get size() {
      return states.size;
    },
    get bytes() {
      return bytes;
    },
    get(stream) {
      const held = states.get(stream);
      if (held === undefined) return undefined;
      states.delete(stream);
      states.set(stream, held);
      return held;
    },
    peek: (stream) => states.get(stream),
    put(held) {
      const before = states.get(held.stream);
      if (before !== undefined) remove(before);
      states.set(held.stream, held);
      bytes += held.bytes;
    },
    grow(held, added) {
      held.bytes += added;
      if (states.get(held.stream) === held) bytes += added;
    },
    drop(stream) {
      const held = states.get(stream);
      if (held !== undefined) remove(held);
    },
    evict() {
      const gone: Held<State>[] = [];
      if (states.size <= limits.streams && bytes <= limits.bytes) return gone;
      for (const held of states.values()) {
        if (states.size <= limits.streams && bytes <= limits.bytes) break;
        if (held.uses > 0) continue;
        remove(held);
        gone.push(held);
      }
      return gone;
    },
    all: () => states.values(),
  };
}
