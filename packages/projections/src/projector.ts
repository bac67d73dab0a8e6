/**
 * Follows the log and keeps the read models: one subscription, optionally of a set of shards.
 *
 * Pages are collected until the end of the log is reached or enough has come, folded in memory and written together with
 * the checkpoint. Holds no process globals: it runs as well in a worker thread with connections of its own.
 */
import type { EventPage, EventStore, Position, Subscription } from "@rerate/event-store";
import type { Database } from "@rerate/sqlite";
import { createBatch } from "./batch.ts";
import type { Seals } from "./ledger-log.ts";
import { openProjectionStore, type ProjectionStore } from "./store.ts";

export interface ProjectorOptions extends Seals {
  readonly eventStore: EventStore;
  /** The file of the read models; may be shared by projectors of the same thread. */
  readonly database: Database;
  /** Name of the subscription's checkpoint. Default `all`. */
  readonly subscription?: string;
  /** Only streams that start so. All streams when absent. */
  readonly prefixes?: readonly string[];
  /** Events per read of the log. Default 2,000. */
  readonly pageSize?: number;
  /** Most events that are folded before they are written. Default 20,000. */
  readonly mostPending?: number;
  /**
   * Awaited after every write of so many events: while it rests the log grows, and many events in one transaction write each
   * row once. How long it takes is how much later the read models show a fact.
   */
  readonly rest?: (events: number) => Promise<void>;
  /** Called whenever the status has changed. */
  readonly onChange?: () => void;
}

export interface ProjectorStatus {
  readonly running: boolean;
  /** Events folded and written, ever. */
  readonly events: number;
  readonly position: Position | undefined;
  /** What ended it, if it failed. The tables then stand at `position`. */
  readonly failure?: unknown;
}

export interface Projector {
  readonly store: ProjectionStore;
  start(): void;
  /** Writes nothing more after it resolves. What was read but not written is read again after the next start. */
  stop(): Promise<void>;
  /** Resolves once everything that the log holds now is in the tables. Rejects when the projector ends before. */
  caughtUp(): Promise<void>;
  status(): ProjectorStatus;
}

interface Waiter {
  pages: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export function createProjector(options: ProjectorOptions): Projector {
  const { eventStore, database, subscription = "all", prefixes, pageSize = 2_000, mostPending = 20_000 } = options;
  const store = openProjectionStore(database);
  const filter = prefixes === undefined ? {} : { prefixes };
  let batch = createBatch(options);
  let running: Subscription | undefined;
  let failure: unknown;
  let checkpoint = store.checkpoint(subscription);
  let waiters: Waiter[] = [];

  async function onEvents(page: EventPage): Promise<void> {
    for (const waiter of waiters) waiter.pages += 1;
    await batch.add(page);
    if (!page.end && batch.events < mostPending) return;
    const { events } = batch;
    const next = { position: batch.position, events: checkpoint.events + events };
    store.write(batch.take(), subscription, next);
    checkpoint = next;
    options.onChange?.();
    // The first page after a call may have been read before it; a later one that reached the end was not.
    const reached = waiters.filter((waiter) => page.end && waiter.pages > 1);
    waiters = waiters.filter((waiter) => !reached.includes(waiter));
    for (const waiter of reached) waiter.resolve();
    if (waiters.length > 0 && page.end && (await isAtEnd(checkpoint.position))) {
      for (const waiter of waiters) waiter.resolve();
      waiters = [];
    }
    await options.rest?.(events);
  }

  async function isAtEnd(from: Position | undefined): Promise<boolean> {
    let after = from;
    for (;;) {
      const page = await eventStore.readAll({ after, maxCount: 1, ...filter });
      if (page.events.length > 0) return false;
      if (page.end) return true;
      after = page.next ?? after;
    }
  }

  function ended(error: unknown): void {
    running = undefined;
    failure = error;
    options.onChange?.();
    for (const waiter of waiters) waiter.reject(error ?? new Error("the projector has stopped"));
    waiters = [];
  }

  return {
    store,
    start() {
      if (running !== undefined) return;
      checkpoint = store.checkpoint(subscription);
      batch = createBatch(options);
      failure = undefined;
      running = eventStore.subscribeAll({ after: checkpoint.position, maxBatch: pageSize, onEvents, ...filter });
      running.done.then(() => ended(undefined), ended);
    },
    async stop() {
      const stopping = running;
      if (stopping === undefined) return;
      await stopping.stop();
      await Promise.allSettled([stopping.done]);
    },
    async caughtUp() {
      if (running === undefined && !(await isAtEnd(checkpoint.position))) throw new Error("the projector is not running");
      if (running === undefined) return;
      // Waits first and looks then: a page that is written in between looks for itself.
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      waiters.push({ pages: 0, resolve, reject });
      if (await isAtEnd(checkpoint.position)) resolve();
      await promise;
    },
    status: () => ({
      running: running !== undefined,
      events: checkpoint.events,
      position: checkpoint.position,
      ...(failure === undefined ? {} : { failure }),
    }),
  };
}
