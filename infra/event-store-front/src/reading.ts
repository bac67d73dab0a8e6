/**
 * Reads and subscriptions of the protocol over an event store whose positions are the numbers of the events in the log, as
 * those of the local engines are.
 *
 * Owns no transport: events go to a sink, which says when it wants more.
 */
import type { EventPage, EventStore, StoredEvent } from "@rerate/event-store";
import { caughtUpAnswer, checkpointAnswer, confirmationAnswer, eventAnswer, streamNotFoundAnswer } from "./answers.ts";
import type { Filter, ReadRequest } from "./requests.ts";

/** Where answers go. */
export interface Sink {
  /** Resolves when the next answer may come. */
  readonly write: (answer: Buffer) => Promise<void> | undefined;
  readonly isClosed: () => boolean;
  /** Resolves when the client has gone away. */
  readonly closed: Promise<void>;
}

const PAGE = 512;

/** Answers a read to its end. */
export async function answerRead(eventStore: EventStore, request: ReadRequest, sink: Sink): Promise<void> {
  const { stream, backwards } = request;
  if (stream === undefined) return await (backwards ? readAllBackwards : readAllForwards)(eventStore, request, sink);
  const last = await eventStore.readLast(stream);
  if (last === undefined) return await sink.write(streamNotFoundAnswer(stream));
  await (backwards ? readStreamBackwards : readStreamForwards)(eventStore, stream, last.revision, request, sink);
}

async function readStreamForwards(
  eventStore: EventStore,
  stream: string,
  last: number,
  { from, maxCount }: ReadRequest,
  sink: Sink,
): Promise<void> {
  let next = from === "start" ? 0 : from === "end" ? last + 1 : Number(from);
  const until = Math.min(next + maxCount, last + 1);
  while (next < until && !sink.isClosed()) {
    const events = await eventStore.readForward(stream, { from: next, maxCount: Math.min(PAGE, until - next) });
    if (events.length === 0) return;
    await writeEvents(events, sink);
    next += events.length;
  }
}

async function readStreamBackwards(
  eventStore: EventStore,
  stream: string,
  last: number,
  { from, maxCount }: ReadRequest,
  sink: Sink,
): Promise<void> {
  let next = from === "end" ? last : from === "start" ? 0 : Math.min(Number(from), last);
  let left = maxCount;
  while (next >= 0 && left > 0 && !sink.isClosed()) {
    const count = Math.min(PAGE, left, next + 1);
    const events = await eventStore.readForward(stream, { from: next - count + 1, maxCount: count });
    await writeEvents(events.toReversed(), sink);
    next -= count;
    left -= count;
  }
}

async function readAllForwards(eventStore: EventStore, { from, maxCount, filter }: ReadRequest, sink: Sink): Promise<void> {
  if (from === "end") return;
  let after = from === "start" || from === 0n ? undefined : String(from - 1n);
  let left = maxCount;
  while (left > 0 && !sink.isClosed()) {
    const page: EventPage = await eventStore.readAll({ after, maxCount: Math.min(PAGE, left), ...prefixesOf(filter) });
    const found = filter === undefined ? page.events : page.events.filter((event) => matches(filter, event));
    await writeEvents(found, sink);
    left -= found.length;
    if (page.end) return;
    after = page.next;
  }
}

async function readAllBackwards(eventStore: EventStore, { from, maxCount, filter }: ReadRequest, sink: Sink): Promise<void> {
  if (from === "start") return;
  let next = from === "end" ? await lastNumber(eventStore) : Math.min(Number(from), await lastNumber(eventStore));
  let left = maxCount;
  while (next > 0 && left > 0 && !sink.isClosed()) {
    const count = Math.min(PAGE, filter === undefined ? left : PAGE, next);
    const page = await eventStore.readAll({ after: String(next - count), maxCount: count });
    const found = page.events
      .filter((event) => matches(filter, event))
      .toReversed()
      .slice(0, left);
    await writeEvents(found, sink);
    left -= found.length;
    next -= count;
  }
}

/** Answers a subscription until the client goes away or `ended` settles. */
export async function answerSubscription(
  eventStore: EventStore,
  request: ReadRequest,
  id: string,
  sink: Sink,
  ended: Promise<void>,
): Promise<void> {
  await sink.write(confirmationAnswer(id));
  const { stream, filter, from } = request;
  const state = { caughtUp: false, after: await startOf(eventStore, request) };
  const first = typeof from === "bigint" ? Number(from) + 1 : 0;
  const wanted = (event: StoredEvent) =>
    stream === undefined ? matches(filter, event) : event.stream === stream && event.revision >= first;
  const prefixes = stream === undefined ? prefixesOf(filter) : { prefixes: [stream] };

  const catchUp = async (end: boolean) => {
    if (!end || state.caughtUp) return;
    state.caughtUp = true;
    await sink.write(caughtUpAnswer());
  };
  const nothingYet = await eventStore.readAll({ after: state.after, maxCount: 1, ...prefixes });
  await catchUp(nothingYet.end && nothingYet.events.length === 0);

  const subscription = eventStore.subscribeAll({
    after: state.after,
    ...prefixes,
    async onEvents(page) {
      await writeEvents(page.events.filter(wanted), sink);
      if (sink.isClosed()) return;
      if (filter !== undefined && page.next !== undefined) await sink.write(checkpointAnswer(Number(page.next)));
      await catchUp(page.end);
    },
  });
  await Promise.race([sink.closed, ended, subscription.done]);
  await subscription.stop();
  await subscription.done;
}

/** The position after which a subscription begins. A subscription to one stream finds its first event by itself. */
async function startOf(eventStore: EventStore, { stream, from }: ReadRequest): Promise<string | undefined> {
  if (from === "end") return String(await lastNumber(eventStore));
  if (from === "start") return undefined;
  if (stream === undefined) return String(from);
  const [event] = await eventStore.readForward(stream, { from: Number(from), maxCount: 1 });
  return event?.position;
}

/** The last event found so far, where the next search begins: logs only grow. */
const lastFound = new WeakMap<EventStore, number>();

/** Number of the last event in the log, found by doubling and halving: the port has no question for it. */
async function lastNumber(eventStore: EventStore): Promise<number> {
  const exists = async (number: number) =>
    (await eventStore.readAll({ after: String(number - 1), maxCount: 1 })).events.length > 0;
  let low = lastFound.get(eventStore) ?? 0;
  let step = 1;
  for (; await exists(low + step); step *= 2) low += step;
  let high = low + step;
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (await exists(middle)) low = middle;
    else high = middle;
  }
  lastFound.set(eventStore, low);
  return low;
}

/** Waits only where the client wants a pause: a turn for each event would cost more than the event. */
async function writeEvents(events: readonly StoredEvent[], sink: Sink): Promise<void> {
  for (const event of events) {
    const pause = sink.write(eventAnswer(event));
    if (pause === undefined) continue;
    await pause;
    if (sink.isClosed()) return;
  }
}

/** What of a filter the store itself can do. */
function prefixesOf(filter: Filter | undefined): { readonly prefixes?: readonly string[] } {
  return filter?.on === "stream" && filter.prefixes.length > 0 ? { prefixes: filter.prefixes } : {};
}

const expressions = new WeakMap<Filter, RegExp>();

function matches(filter: Filter | undefined, { stream, type }: StoredEvent): boolean {
  if (filter === undefined) return true;
  const text = filter.on === "stream" ? stream : type;
  if (filter.prefixes.length > 0) return filter.prefixes.some((prefix) => text.startsWith(prefix));
  const expression = expressions.get(filter) ?? new RegExp(filter.regex);
  expressions.set(filter, expression);
  return expression.test(text);
}
