/**
 * The queue of an emitter: one batch in flight, in order, the same batch again until it is through.
 *
 * Knows neither HTTP nor Kafka (`deliver` does). Never throws and never waits on behalf of whoever adds to it.
 */
import type { EmittingOptions, Fact } from "./facts.ts";

/** What became of a batch. Rejecting instead means: not known, send it again. */
export type Delivered =
  | { readonly kind: "done"; readonly refused: readonly Fact[]; readonly detail: string }
  /** Nothing was taken: the batch must be smaller. */
  | { readonly kind: "too-large"; readonly detail: string };

export interface LaneEvents {
  readonly settled: (batch: readonly Fact[], refused: readonly Fact[], detail: string) => void;
  readonly retrying: (attempt: number, cause: unknown) => void;
}

export interface Lane {
  push(fact: Fact): void;
  waiting(): number;
  /** Sends without lingering; resolves when nothing waits. */
  drained(): Promise<void>;
  /** Sends nothing more. Returns what still waited. */
  stop(): readonly Fact[];
}

export function createLane(
  deliver: (batch: readonly Fact[]) => Promise<Delivered>,
  options: EmittingOptions,
  events: LaneEvents,
): Lane {
  let queue: Fact[] = [];
  let batchSize = options.maxBatch ?? 500;
  let attempt = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let sending = false;
  let stopped = false;
  const drains: (() => void)[] = [];

  const plan = (delayMs: number) => {
    if (stopped || sending || timer !== undefined) return;
    timer = setTimeout(() => void send(), delayMs);
    // Waiting facts alone do not keep a process alive; `flush` does.
    if (drains.length === 0) timer.unref();
  };
  const replan = (delayMs: number) => {
    clearTimeout(timer);
    timer = undefined;
    plan(delayMs);
  };
  const send = async (): Promise<void> => {
    timer = undefined;
    sending = true;
    const pauseMs = await sendBatch();
    sending = false;
    if (queue.length > 0)
      return plan(pauseMs ?? (drains.length > 0 || queue.length >= batchSize ? 0 : (options.lingerMs ?? 500)));
    for (const drained of drains.splice(0)) drained();
  };
  /** The pause before the next try after a failure; undefined when the batch is done with. */
  const sendBatch = async (): Promise<number | undefined> => {
    const batch = queue.slice(0, batchSize);
    try {
      const delivered = await deliver(batch);
      if (delivered.kind === "too-large" && batch.length > 1) {
        batchSize = Math.ceil(batch.length / 2);
        return 0;
      }
      if (stopped) return undefined;
      queue = queue.slice(batch.length);
      attempt = 0;
      events.settled(batch, delivered.kind === "done" ? delivered.refused : batch, delivered.detail);
      return undefined;
    } catch (cause) {
      attempt += 1;
      events.retrying(attempt, cause);
      const pauseMs = Math.min((options.pauseMs ?? 200) * 2 ** Math.min(attempt - 1, 20), options.maxPauseMs ?? 30_000);
      return pauseMs * (1 - callSafely(() => options.spread?.() ?? 0, 0) / 2);
    }
  };
  return {
    push(fact) {
      queue.push(fact);
      const full = queue.length >= batchSize;
      if (full && attempt === 0 && !sending) replan(0);
      else plan(full ? 0 : (options.lingerMs ?? 500));
    },
    waiting: () => queue.length,
    async drained() {
      if (queue.length === 0 && !sending) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      drains.push(resolve);
      if (attempt === 0 || timer === undefined) replan(0);
      else timer.ref();
      await promise;
    },
    stop() {
      stopped = true;
      clearTimeout(timer);
      return queue;
    },
  };
}

/** Whoever installed a callback must not bring the product down through it. */
export function callSafely<Result>(call: () => Result, otherwise: Result): Result {
  try {
    return call();
  } catch {
    return otherwise;
  }
}
