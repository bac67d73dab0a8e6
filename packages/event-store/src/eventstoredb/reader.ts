/**
 * Reads of one stream and of all, within the deadline, tried again while it lasts.
 *
 * The invariant: a page says where to go on so that nothing is skipped, also past events that the filter left out, and says
 * "end" only when it has seen the end that the log had when the page was asked for.
 */
import type { AllOptions, EventPage, Position, StoredEvent } from "../port.ts";
import { type Driver, isHopeless, isTimeout, type ReadRequest } from "./driver.ts";
import { parsePosition } from "./position.ts";

export interface ReaderOptions {
  readonly driver: Driver;
  readonly deadlineMs: number;
  readonly defer: (task: () => void, delayMs: number) => void;
  /** Throws once the store is closed. */
  readonly assertOpen: () => void;
}

export interface Reader {
  /** At most `maxCount` events in order. Rejects when they cannot be had within the deadline. */
  page(request: ReadRequest, maxCount: number): Promise<StoredEvent[]>;
  all(options: AllOptions): Promise<EventPage>;
}

/** The deadline of a read has room for so many tries. A page of all streams takes two reads, so each of them gets half. */
const TRIES = 3;
const PAUSE_MS = 50;
/** So many events are looked at here when the server takes too long to find some that match: few enough for a busy server. */
const SCAN = 2_000;

export function createReader({ driver, deadlineMs, defer, assertOpen }: ReaderOptions): Reader {
  /** Filters that match so rarely that the server did not answer in time. */
  const sparse = new Set<string>();

  async function page(request: ReadRequest, maxCount: number, withinMs = deadlineMs, tries = TRIES): Promise<StoredEvent[]> {
    const state = { mayTry: true };
    const tryMs = Math.ceil(withinMs / TRIES);
    // A try that begins now still ends in time.
    defer(
      () => {
        state.mayTry = false;
      },
      tryMs * (tries - 1),
    );
    for (;;) {
      assertOpen();
      try {
        return await driver.readPage(request, maxCount, tryMs);
      } catch (error) {
        if (!state.mayTry || isHopeless(error)) throw new Error("the event store could not be read", { cause: error });
        await new Promise<void>((resolve) => defer(resolve, PAUSE_MS));
      }
    }
  }

  async function all({ after, prefixes, maxCount }: AllOptions): Promise<EventPage> {
    // The end of the log is asked for first, so that nothing written in between can be skipped.
    const [last] = await page({ from: "end", backwards: true }, 1, deadlineMs / 2);
    if (last === undefined) return { events: [], next: after, end: true };
    // Positions are padded, so their texts compare as they do.
    if (after !== undefined && after >= last.position) return { events: [], next: after, end: true };
    if (prefixes?.length === 0) return { events: [], next: last.position, end: true };
    if (prefixes === undefined || prefixes.includes("")) {
      return pageOf(await eventsAfter(after, { oursOnly: true }, maxCount), maxCount, last.position);
    }
    return await filtered(after, prefixes, maxCount, last.position);
  }

  async function filtered(
    after: Position | undefined,
    prefixes: readonly string[],
    maxCount: number,
    last: Position,
  ): Promise<EventPage> {
    const key = prefixes.join("\n");
    if (!sparse.has(key)) {
      try {
        return pageOf(await eventsAfter(after, { prefixes }, maxCount, 1), maxCount, last);
      } catch (error) {
        if (!(error instanceof Error) || isHopeless(error.cause)) throw error;
        // A lost call is tried again below, too: there it costs no more.
        if (isTimeout(error.cause)) sparse.add(key);
      }
    }
    const found = await eventsAfter(after, { oursOnly: true }, SCAN, TRIES - 1);
    const whole = pageOf(found, SCAN, last);
    const events = whole.events.filter(({ stream }) => prefixes.some((prefix) => stream.startsWith(prefix)));
    if (events.length > 0 || whole.end) sparse.delete(key);
    if (events.length <= maxCount) return { ...whole, events };
    return { events: events.slice(0, maxCount), next: events[maxCount - 1]?.position, end: false };
  }

  /** One event more than asked for, if there is one: it tells whether a page is the last. */
  async function eventsAfter(
    after: Position | undefined,
    filter: Pick<ReadRequest, "prefixes" | "oursOnly">,
    maxCount: number,
    tries = TRIES,
  ): Promise<readonly StoredEvent[]> {
    if (after === undefined) return await page({ from: "start", ...filter }, maxCount + 1, deadlineMs / 2, tries);
    // Reads are inclusive.
    const found = await page({ from: parsePosition(after), ...filter }, maxCount + 2, deadlineMs / 2, tries);
    return found.filter(({ position }) => position > after);
  }

  return { page: (request, maxCount) => page(request, maxCount), all };
}

function pageOf(found: readonly StoredEvent[], maxCount: number, last: Position): EventPage {
  const events = found.slice(0, maxCount);
  const lastFound = events.at(-1)?.position;
  if (found.length > maxCount) return { events, next: lastFound, end: false };
  return { events, next: lastFound !== undefined && lastFound > last ? lastFound : last, end: true };
}
