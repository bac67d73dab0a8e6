/**
 * Following the log from where one stood last: what projections, views of the catalogue and the relay have in common.
 *
 * The invariant: the position that is kept never runs ahead of what `onEvents` has finished with; after a crash events come
 * again, none is left out. A subscription that ends by itself is started anew after a pause.
 */
import type { EventPage, EventStore, Position, Subscription } from "@rerate/event-store";
import type { Defer, Log } from "./worker-options.ts";

/** Where a follower keeps its position. */
export interface CheckpointStore {
  load(): Promise<Position | undefined>;
  save(position: Position): Promise<void>;
}

export interface FollowOptions {
  readonly name: string;
  readonly eventStore: EventStore;
  /** Only streams whose names begin with one of these; all when absent. */
  readonly prefixes?: readonly string[];
  /** Called one page after the other. When it rejects, the same events come again after a pause. */
  readonly onEvents: (page: EventPage) => Promise<void> | void;
  /** Absent for followers that keep their position themselves, in the transaction of what they write: they give `after`. */
  readonly checkpoints?: CheckpointStore;
  readonly after?: Position | undefined;
  readonly maxBatch?: number;
  readonly defer: Defer;
  readonly log: Log;
}

export interface Follower {
  /** The last event that was handled; undefined before the first. */
  readonly position: Position | undefined;
  /** True from a failure until everything that is in the log has been handled again: what follows is behind by an unknown time. */
  readonly interrupted: boolean;
  /** Resolves when everything that is in the log now has been handled. */
  caughtUp(): Promise<void>;
  stop(): Promise<void>;
}

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 10_000;

export async function followLog(options: FollowOptions): Promise<Follower> {
  const { eventStore, prefixes, onEvents, checkpoints, maxBatch, defer, log, name } = options;
  const filter = prefixes === undefined ? {} : { prefixes };
  let position = options.after ?? (await checkpoints?.load());
  let subscription: Subscription | undefined;
  let stopped = false;
  let failures = 0;
  let interrupted = false;
  /** Failures ever; `failures` counts those in a row. */
  let failed = 0;
  let waiters: (() => void)[] = [];

  async function handle(page: EventPage): Promise<void> {
    if (stopped) return;
    await onEvents(page);
    failures = 0;
    const reached = page.next ?? page.events.at(-1)?.position;
    if (reached !== undefined) {
      await checkpoints?.save(reached);
      position = reached;
    }
    wake();
  }

  function wake(): void {
    const waking = waiters;
    waiters = [];
    for (const waiter of waking) waiter();
  }

  function subscribe(): void {
    if (stopped) return;
    subscription = eventStore.subscribeAll({
      after: position,
      onEvents: handle,
      ...filter,
      ...(maxBatch === undefined ? {} : { maxBatch }),
    });
    subscription.done.then(
      () => again("the subscription ended by itself"),
      (error: unknown) => again(error),
    );
  }

  function again(error: unknown): void {
    if (stopped) return;
    failures += 1;
    log.warn({ follower: name, err: error }, "following the log was interrupted; it goes on after a pause");
    if (!interrupted) void recover();
    interrupted = true;
    failed += 1;
    defer(subscribe, Math.min(FIRST_PAUSE_MS * 2 ** (failures - 1), LONGEST_PAUSE_MS));
  }

  /** Ends the interruption once nothing in the log is ahead any more. */
  async function recover(): Promise<void> {
    for (;;) {
      const failedBefore = failed;
      try {
        await caughtUp();
        if (failed === failedBefore || stopped) break;
      } catch (error) {
        log.debug({ follower: name, err: error }, "the log's end is not known at the moment");
        await new Promise<void>((resolve) => defer(resolve, LONGEST_PAUSE_MS));
      }
    }
    interrupted = false;
  }

  async function caughtUp(): Promise<void> {
    for (;;) {
      if (stopped) return;
      const next = Promise.withResolvers<void>();
      waiters.push(next.resolve);
      const ahead = await eventStore.readAll({ after: position, maxCount: 1, ...filter });
      if (ahead.events.length === 0) return;
      await next.promise;
    }
  }

  subscribe();
  return {
    get position() {
      return position;
    },
    get interrupted() {
      return interrupted;
    },
    caughtUp,
    async stop() {
      stopped = true;
      await subscription?.stop();
      wake();
    },
  };
}
