/**
 * A room of its own in a log that others use too, so that the suite can run on a real server that is never empty.
 *
 * Streams get a prefix, reads see only them, and the log begins where it ended when the room was made.
 */
import type { EventPage, EventStore, Position, StoredEvent } from "./port.ts";

/** Where a log ends, which is where a new room in it begins. */
export async function endOfLog(store: EventStore): Promise<Position | undefined> {
  return (await store.readAll({ prefixes: [], maxCount: 1 })).next;
}

/** `room` begins the names of the room's streams; nothing else in the log may begin with it. Closing the room closes the store. */
export function openRoom(store: EventStore, room: string, start: Position | undefined): EventStore {
  const into = (prefixes: readonly string[] | undefined) => ({ prefixes: (prefixes ?? [""]).map((prefix) => room + prefix) });
  const out = (event: StoredEvent): StoredEvent => ({ ...event, stream: event.stream.slice(room.length) });
  const pageOut = (page: EventPage): EventPage => ({ ...page, events: page.events.map(out) });

  async function isEmpty(): Promise<boolean> {
    return (await store.readAll({ after: start, prefixes: [room], maxCount: 1 })).events.length === 0;
  }

  /** What others wrote after the room's last event is not seen. */
  async function nextOf(page: EventPage, after: Position | undefined, all: boolean): Promise<Position | undefined> {
    if (all && page.end) return page.events.at(-1)?.position ?? after;
    if (after === undefined && page.events.length === 0 && (await isEmpty())) return undefined;
    return page.next;
  }

  return {
    append: (appends) => store.append(appends.map((append) => ({ ...append, stream: append.stream && room + append.stream }))),
    readForward: async (stream, options) => (await store.readForward(room + stream, options)).map(out),
    async readLast(stream) {
      const last = await store.readLast(room + stream);
      return last && out(last);
    },
    async readAll({ after, prefixes, maxCount }) {
      const page = await store.readAll({ after: after ?? start, maxCount, ...into(prefixes) });
      return { ...pageOut(page), next: await nextOf(page, after, prefixes === undefined) };
    },
    subscribeAll: ({ after, prefixes, onEvents, ...options }) =>
      store.subscribeAll({ ...options, after: after ?? start, ...into(prefixes), onEvents: (page) => onEvents(pageOut(page)) }),
    close: () => store.close(),
  };
}
