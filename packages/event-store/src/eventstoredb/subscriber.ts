/**
 * A subscription to all streams that outlives its calls: whatever ends a call, the next one goes on after the last event.
 *
 * The server pushes; an idle subscription costs nothing. At most two batches wait in memory, then the call is paused, and
 * with it the server.
 */
import type { EventPage, Position, StoredEvent, SubscribeOptions, Subscription } from "../port.ts";
import { type Driver, isHopeless, type ReadCall } from "./driver.ts";
import { parsePosition } from "./position.ts";

export interface SubscriberOptions {
  readonly driver: Driver;
  readonly defer: (task: () => void, delayMs: number) => void;
  readonly warn: (fields: object, message: string) => void;
}

const DEFAULT_BATCH = 1_000;
/** Text that may wait in memory. In UTF-16 units. */
const MAX_UNITS = 8_000_000;
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 5_000;
/** How long a page that may be the last of a catch-up waits for the server to say so. Servers before 23.10 never do. */
const GRACE_MS = 250;

export function startSubscriber({ driver, defer, warn }: SubscriberOptions, options: SubscribeOptions): Subscription {
  const maxBatch = options.maxBatch ?? DEFAULT_BATCH;
  const buffer = { events: [] as StoredEvent[], units: 0 };
  let received: Position | undefined = options.after;
  let call: ReadCall | undefined;
  let paused = false;
  let stopped = false;
  let failures = 0;
  /** The server has nothing more in store: what comes now has just been written. */
  let live = false;
  /** Nothing has come for a while: what is there goes out, whether or not the server says that it is all. */
  let quiet = false;
  let arrivals = 0;
  let listening = false;
  let hopeless: { readonly error: Error } | undefined;
  let wake: (() => void) | undefined;

  function signal(): void {
    wake?.();
    wake = undefined;
  }

  function open(): void {
    if (stopped) return;
    live = false;
    paused = false;
    call = driver.subscribe(
      {
        from: received === undefined ? "start" : parsePosition(received),
        ...(options.prefixes === undefined || options.prefixes.includes("")
          ? { oursOnly: true }
          : { prefixes: options.prefixes }),
      },
      {
        event(event) {
          failures = 0;
          received = event.position;
          buffer.events.push(event);
          buffer.units += event.data.length + event.metadata.length;
          arrivals += 1;
          quiet = false;
          if (!paused && (buffer.events.length >= maxBatch * 2 || buffer.units > MAX_UNITS)) {
            paused = true;
            call?.pause();
          }
          signal();
        },
        caughtUp() {
          failures = 0;
          live = true;
          signal();
        },
        ended(cause) {
          call = undefined;
          if (stopped) return;
          if (isHopeless(cause)) {
            hopeless = { error: cause ?? new Error("the subscription ended") };
            return signal();
          }
          failures += 1;
          const delayMs = Math.min(FIRST_PAUSE_MS * 2 ** (failures - 1), LONGEST_PAUSE_MS);
          warn({ err: cause, after: received, failures, delayMs }, "a subscription ended; it is started again");
          defer(open, delayMs);
        },
      },
    );
  }

  /** The next batch, or undefined while it is better to wait. */
  function take(): EventPage | undefined {
    if (buffer.events.length === 0) return undefined;
    const isLast = buffer.events.length <= maxBatch;
    if (isLast && !live && !quiet && !paused) return undefined;
    const events = buffer.events.splice(0, maxBatch);
    for (const { data, metadata } of events) buffer.units -= data.length + metadata.length;
    const next = events.at(-1)?.position;
    const end = isLast && !paused;
    if (paused && buffer.events.length < maxBatch) {
      paused = false;
      call?.resume();
    }
    return { events, next, end };
  }

  async function pump(): Promise<void> {
    if (options.prefixes?.length !== 0) open();
    for (;;) {
      if (stopped) return;
      if (hopeless !== undefined) throw hopeless.error;
      const page = take();
      if (page !== undefined) {
        await options.onEvents(page);
        continue;
      }
      if (buffer.events.length > 0) waitForMore();
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  }

  function waitForMore(): void {
    if (listening) return;
    listening = true;
    const seen = arrivals;
    defer(() => {
      listening = false;
      quiet = arrivals === seen;
      if (quiet) signal();
      else if (buffer.events.length > 0) waitForMore();
    }, GRACE_MS);
  }

  const done = pump().finally(() => {
    stopped = true;
    call?.cancel();
    call = undefined;
  });
  return {
    done,
    async stop() {
      stopped = true;
      call?.cancel();
      call = undefined;
      signal();
    },
  };
}
