/** What the conformance suites share: made events, a small filled log, and ways to read and watch it. */
import { type Append, type EventPage, type EventStore, NO_STREAM, type NewEvent, type StoredEvent } from "./port.ts";

/** What the suite needs of a test runner; vitest's functions fit. */
export interface TestFunctions {
  readonly describe: (name: string, body: () => void) => void;
  readonly it: (name: string, body: () => Promise<void>) => void;
  readonly expect: (actual: unknown) => { toEqual(expected: unknown): void };
}

export interface OpenedStore {
  readonly store: EventStore;
  /** Closes the store and opens the same log again with cold caches. Left out where nothing is durable. */
  readonly reopen?: () => Promise<EventStore>;
  readonly close: () => Promise<void>;
}

/** The events of `fill`, in log order. */
export const FILLED = "a-1 0|a-1 1|b-1 0|b-1 1|b-1 2|a-2 0|a-2 1|a-2 2|lonely 0|a-1 2|c-1 0|a-2 3|a-2 4".split("|");

export async function fill(store: EventStore): Promise<void> {
  await store.append([append("a-1", NO_STREAM, 2), append("b-1", NO_STREAM, 3)]);
  await store.append([append("a-2", NO_STREAM, 3)]);
  await store.append([append("lonely", NO_STREAM, 1), append("a-1", 1, 1), append("c-1", NO_STREAM, 1), append("a-2", 2, 2)]);
}

/** An append of made events: the event at a revision of a stream always has the same text. */
export function append(stream: string, expectedRevision: number, count: number): Append {
  return {
    stream,
    expectedRevision,
    events: Array.from({ length: count }, (_, index) => made(stream, expectedRevision + 1 + index)),
  };
}

function made(stream: string, revision: number): NewEvent {
  return { type: "Made", data: `{"stream":"${stream}","revision":${revision}}`, metadata: `{"made":${revision}}` };
}

export function stored(stream: string, from: number, count: number): (NewEvent & { stream: string; revision: number })[] {
  return Array.from({ length: count }, (_, index) => ({ stream, revision: from + index, ...made(stream, from + index) }));
}

export function event(data: string): NewEvent {
  return { type: "Event", data: JSON.stringify(data), metadata: "{}" };
}

/** Everything of a stored event but its position, which is opaque, and its body, which may be dropped. */
export function plain({ stream, revision, type, data, metadata }: StoredEvent): NewEvent & { stream: string; revision: number } {
  return { stream, revision, type, data, metadata };
}

export function place({ stream, revision }: StoredEvent): string {
  return `${stream} ${revision}`;
}

/** Pages through the log to its end. */
export async function pages(
  store: EventStore,
  options: { readonly after?: string | undefined; readonly prefixes?: readonly string[]; readonly maxCount: number },
): Promise<StoredEvent[]> {
  const events: StoredEvent[] = [];
  let { after } = options;
  for (let count = 0; count < 1_000; count++) {
    const page = await store.readAll({ ...options, after });
    if (page.events.length > options.maxCount) throw new Error(`a page of ${options.maxCount} has ${page.events.length} events`);
    events.push(...page.events);
    if (page.end) return events;
    after = page.next;
  }
  throw new Error("paging does not come to an end");
}

/** Collects what a subscription delivers; `reached` resolves once so many events have come. */
export function watch() {
  const seen: EventPage[] = [];
  const waiting: { readonly count: number; readonly resolve: () => void }[] = [];
  const total = () => seen.reduce((sum, { events }) => sum + events.length, 0);
  return {
    seen,
    onEvents(page: EventPage): void {
      seen.push(page);
      for (const { count, resolve } of waiting) if (total() >= count) resolve();
    },
    reached: (count: number) =>
      new Promise<void>((resolve) => {
        if (total() >= count) resolve();
        else waiting.push({ count, resolve });
      }),
  };
}

/** The name of the error that a promise rejects with; "nothing" when it resolves. */
export async function rejects(promise: Promise<unknown>): Promise<string> {
  return await promise.then(
    () => "nothing",
    (error: unknown) => (error instanceof Error ? error.name : String(error)),
  );
}
