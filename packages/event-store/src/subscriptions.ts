/**
 * Subscriptions of the local engines: page through the log to its end, then go on whenever something was appended.
 *
 * Owns no storage and no timers: an idle subscription waits for `onAppended` and costs nothing.
 */
import type { AllOptions, EventPage, SubscribeOptions, Subscription } from "./port.ts";

export interface SubscriptionSource {
  readonly readAll: (options: AllOptions) => Promise<EventPage>;
  readonly onAppended: (callback: () => void) => () => void;
  /** Runs a waiting subscription's next step soon; never inside the append that woke it. */
  readonly defer: (task: () => void) => void;
}

/** The subscriptions of one store, so that closing the store can end them. */
export interface Subscriptions {
  readonly start: (options: SubscribeOptions) => Subscription;
  /** Stops all; resolves when their running handlers have settled, whatever became of them. */
  readonly stopAll: () => Promise<void>;
}

export function createSubscriptions(source: SubscriptionSource): Subscriptions {
  const running = new Set<Subscription>();
  return {
    start(options) {
      const subscription = startSubscription(source, options, () => running.delete(subscription));
      running.add(subscription);
      return subscription;
    },
    async stopAll() {
      const ending = [...running];
      await Promise.all(ending.map((subscription) => subscription.stop()));
      await Promise.allSettled(ending.map((subscription) => subscription.done));
    },
  };
}

const DEFAULT_BATCH = 1_000;

function startSubscription(source: SubscriptionSource, options: SubscribeOptions, ended: () => void): Subscription {
  // `appended` is set by every append, so that one between reading a page and falling asleep is not missed.
  const state = { stopped: false, appended: false };
  let wake: (() => void) | undefined;
  const signal = () => {
    state.appended = true;
    const waiting = wake;
    wake = undefined;
    if (waiting !== undefined) source.defer(waiting);
  };
  const unlisten = source.onAppended(signal);

  async function pump(): Promise<void> {
    let after = options.after;
    while (!state.stopped) {
      state.appended = false;
      const page = await source.readAll({
        after,
        maxCount: options.maxBatch ?? DEFAULT_BATCH,
        ...(options.prefixes === undefined ? {} : { prefixes: options.prefixes }),
      });
      if (state.stopped) return;
      if (page.events.length > 0) await options.onEvents(page);
      after = page.next ?? after;
      if (page.end && !state.appended && !state.stopped) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    }
  }

  const done = pump().finally(() => {
    state.stopped = true;
    unlisten();
    ended();
  });
  return {
    done,
    async stop() {
      state.stopped = true;
      signal();
    },
  };
}
