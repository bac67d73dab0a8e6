/**
 * Folding a stream's state from its snapshot, or from its first event, in pages.
 *
 * Owns the rule that a decision needs an index that covers its stream: every event that is read here and not covered yet is
 * added, in order, before the state is handed out.
 */
import { type EventStore, FIRST_LINK, NO_STREAM, type StoredEvent } from "@rerate/event-store";
import type { Decider, DomainEvent, EventCodec, EventKey } from "./decider.ts";
import type { IdentityIndex } from "./identity-index.ts";
import { linkAfter, readSeal } from "./seal.ts";
import type { Snapshot, SnapshotStore } from "./snapshots.ts";
import type { Held } from "./state-cache.ts";

/** What a stream holds can't be folded: this stream is quarantined, the others go on. */
export class BrokenStream extends Error {
  override readonly name = "BrokenStream";
}

export interface StateLoader<State> {
  /** Rejects with `BrokenStream`, or with what the store rejected with. */
  load(stream: string): Promise<Held<State>>;
}

export interface LoaderOptions<State, Event extends DomainEvent> {
  readonly decider: Pick<Decider<State, never, Event, never>, "initial" | "evolve" | "keysOf" | "revive">;
  readonly codec: EventCodec<Event>;
  readonly eventStore: EventStore;
  readonly index: IdentityIndex;
  readonly snapshots: SnapshotStore;
  readonly pageEvents: number;
}

/** What a state without events is taken to weigh. */
const EMPTY_BYTES = 1_000;

export function createStateLoader<State, Event extends DomainEvent>(options: LoaderOptions<State, Event>): StateLoader<State> {
  const { decider, codec, eventStore, index, snapshots, pageEvents } = options;

  /** The state of the snapshot, when the log still holds the event that it stands at. */
  function revive(
    stream: string,
    streamId: number,
    snapshot: Snapshot | undefined,
    at: StoredEvent | undefined,
  ): Held<State> | undefined {
    if (snapshot === undefined || at === undefined) return undefined;
    if (at.revision !== snapshot.revision || linkAfter(at) !== snapshot.link) return undefined;
    try {
      const { revision, link, recordedAt, text } = snapshot;
      return newHeld(stream, streamId, decider.revive(text), { revision, link, recordedAt }, revision, text.length * 2);
    } catch {
      // Written by another version of the decider: the log knows everything.
      return undefined;
    }
  }

  function fold(held: Held<State>, page: readonly StoredEvent[]): void {
    const events = unlessBroken(held, () => page.map((stored) => codec.decode(stored)));
    cover(index, decider, held.streamId, page, events);
    unlessBroken(held, () => {
      page.forEach((stored, i) => {
        const event = events[i];
        if (event === undefined) return;
        if (stored.revision !== held.revision + 1) throw new Error(`revision ${stored.revision} follows ${held.revision}`);
        held.recordedAt = readSeal(stored.metadata).recordedAt;
        held.state = decider.evolve(held.state, event, { revision: stored.revision, recordedAt: held.recordedAt });
        held.revision = stored.revision;
        held.bytes += stored.data.length;
      });
      const last = page.at(-1);
      if (last !== undefined) held.link = linkAfter(last);
    });
  }

  return {
    async load(stream) {
      const streamId = index.numberOf(stream);
      const snapshot = snapshots.get(stream);
      const from = snapshot?.revision ?? 0;
      let page = await eventStore.readForward(stream, { from, maxCount: pageEvents });
      let held = revive(stream, streamId, snapshot, page[0]);
      if (held !== undefined) fold(held, page.slice(1));
      else {
        if (from > 0) page = await eventStore.readForward(stream, { maxCount: pageEvents });
        const start = { revision: NO_STREAM, link: FIRST_LINK, recordedAt: "" };
        held = newHeld(stream, streamId, decider.initial(stream), start, NO_STREAM, EMPTY_BYTES);
        fold(held, page);
      }
      while (page.length >= pageEvents) {
        page = await eventStore.readForward(stream, { from: held.revision + 1, maxCount: pageEvents });
        fold(held, page);
      }
      held.committed = held.revision;
      // What was folded here may have been appended by others, whose deadlines nobody here has counted.
      held.eventsSinceCount = held.revision - held.snapshotAt;
      return held;
    },
  };
}

/**
 * Adds the keys of consecutive events of one stream that the index does not cover yet. It covers a prefix of every stream,
 * so one event that it knows vouches for all before it. Returns how many events it did not know.
 */
export function cover<Event>(
  index: IdentityIndex,
  decider: { keysOf(event: Event): readonly EventKey[] },
  streamId: number,
  page: readonly StoredEvent[],
  events: readonly Event[],
): number {
  const keys = events.map((event) => decider.keysOf(event));
  let from = events.length;
  for (; from > 0; from--) {
    const first = keys[from - 1]?.[0];
    const revision = page[from - 1]?.revision ?? 0;
    if (first !== undefined && (index.find(streamId, first.key)?.revision ?? -1) >= revision) break;
  }
  for (let i = from; i < events.length; i++) {
    for (const { key, tag } of keys[i] ?? []) index.add(streamId, key, page[i]?.revision ?? 0, tag);
  }
  return events.length - from;
}

function unlessBroken<State, Result>(held: Held<State>, work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    throw new BrokenStream(`${held.stream} can't be folded after revision ${held.revision}: ${String(error)}`, { cause: error });
  }
}

function newHeld<State>(
  stream: string,
  streamId: number,
  state: State,
  at: { readonly revision: number; readonly link: string; readonly recordedAt: string },
  snapshotAt: number,
  bytes: number,
): Held<State> {
  return {
    stream,
    streamId,
    state,
    ...at,
    committed: at.revision,
    snapshotAt,
    bytes,
    uses: 0,
    partition: undefined,
    deadlines: 0,
    eventsSinceCount: 0,
  };
}
