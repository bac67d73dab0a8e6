/**
 * One stream read in order, with a look ahead, and its latest events at hand for look-ups further back.
 *
 * Memory is bounded by a window of decoded events plus the key index of this one stream (about 200 bytes per fact). Always
 * decodes the stored text: what a writer kept in memory is no evidence.
 */
import type { EventStore, StoredEvent } from "@rerate/event-store";
import type { Instant } from "@rerate/money";
import { recordedAtOf } from "./seal.ts";

export interface ReadEvent<Event> {
  readonly revision: number;
  readonly recordedAt: Instant;
  readonly event: Event;
  /** The stored text of the event's data. */
  readonly data: string;
}

export interface StreamWindow<Event> {
  /** The next event and those after it; throws an `UnreadableEvent` when it cannot be read; shorter than asked for only at the end of the stream. At once when they are at hand. */
  ahead(count: number): readonly ReadEvent<Event>[] | Promise<readonly ReadEvent<Event>[]>;
  /** Goes past the next event. */
  pass(): void;
  /** An event that was passed, if it is still at hand. */
  kept(revision: number): Event | undefined;
  /** Fetches events that are not at hand and keeps them until the next call. */
  fetch(revisions: ReadonlySet<number>): Promise<void>;
}

/** An event whose stored text is none that this version can read. */
export class UnreadableEvent extends Error {
  override readonly name = "UnreadableEvent";
  readonly revision: number;
  constructor(revision: number, cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.revision = revision;
  }
}

const PAGE = 500;
const KEPT = 20_000;

export function openStreamWindow<Event>(
  eventStore: Pick<EventStore, "readForward">,
  stream: string,
  decode: (stored: StoredEvent) => Event,
): StreamWindow<Event> {
  let upcoming: ReadEvent<Event>[] = [];
  let next = 0;
  let from = 0;
  let ended = false;
  let passed: Event[] = [];
  let passedFrom = 0;
  let unreadable: UnreadableEvent | undefined;
  const fetched = new Map<number, Event>();

  async function readPage(): Promise<void> {
    const page = await eventStore.readForward(stream, { from, maxCount: PAGE });
    ended = page.length < PAGE;
    from = (page.at(-1)?.revision ?? from) + 1;
    upcoming = upcoming.slice(next);
    next = 0;
    for (const stored of page) {
      try {
        upcoming.push(read(stored));
      } catch (error) {
        // What stands before it is still looked at.
        unreadable = new UnreadableEvent(stored.revision, error);
        ended = true;
        return;
      }
    }
  }

  async function readAhead(count: number): Promise<readonly ReadEvent<Event>[]> {
    while (!ended && upcoming.length - next < count) await readPage();
    return atHand(count);
  }

  function atHand(count: number): readonly ReadEvent<Event>[] {
    if (unreadable !== undefined && next >= upcoming.length) throw unreadable;
    return upcoming.slice(next, next + count);
  }

  function read(stored: StoredEvent): ReadEvent<Event> {
    return { revision: stored.revision, recordedAt: recordedAtOf(stored), event: decode(stored), data: stored.data };
  }

  return {
    ahead: (count) => (ended || upcoming.length - next >= count ? atHand(count) : readAhead(count)),
    pass() {
      const head = upcoming[next];
      if (head === undefined) throw new Error(`${stream} has no further event`);
      next += 1;
      if (passed.length === 0) passedFrom = head.revision;
      passed.push(head.event);
      if (passed.length < 2 * KEPT) return;
      passed = passed.slice(KEPT);
      passedFrom += KEPT;
    },
    kept: (revision) => (revision >= passedFrom ? passed[revision - passedFrom] : undefined) ?? fetched.get(revision),
    async fetch(revisions) {
      if (fetched.size > KEPT) fetched.clear();
      for (const revision of revisions) {
        const [stored] = await eventStore.readForward(stream, { from: revision, maxCount: 1 });
        if (stored === undefined || stored.revision !== revision) throw new Error(`${stream} has no revision ${revision}`);
        fetched.set(revision, decode(stored));
      }
    },
  };
}
