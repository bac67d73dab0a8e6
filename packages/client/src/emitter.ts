/**
 * What a producing service installs: takes usage, signals and costs at once, sends them in batches, and never throws.
 *
 * Keeps at most `maxQueue` facts in memory: while billing is down they wait, and beyond that new ones are dropped and counted.
 * Sending is at least once; the ledger bills a repeated fact once. What is in memory is lost with the process: a service that
 * must not lose any writes to Kafka instead.
 */
import type { CostBody, ReceiptRead, SignalBody, UsageDataBody, UsageEventBody } from "@rerate/wire";
import { createTransport, RefusedError, type Call, type ClientOptions, type Transport } from "./transport.ts";

export interface EmitterOptions extends ClientOptions {
  /** CloudEvents source of everything that this emitter sends. */
  readonly source: string;
  /** RFC 3339 time for facts without one, such as `() => new Date().toISOString()`. Without it the door's time counts. */
  readonly now?: () => string;
  /** Longest time that a fact waits for company. Default 500 ms. */
  readonly lingerMs?: number;
  /** Default 500. */
  readonly maxBatch?: number;
  /** Default 100,000. */
  readonly maxQueue?: number;
  /** First pause after a failure; it doubles up to `maxPauseMs`. Defaults 200 ms and 30 s. */
  readonly pauseMs?: number;
  readonly maxPauseMs?: number;
  /** Spreads the pauses of many emitters: 0 to 1, such as `Math.random`. Default: no spread. */
  readonly spread?: () => number;
  /** Told of facts that were dropped or refused, and of failures that will be retried. Must not throw; if it does, that is ignored. */
  readonly onTrouble?: (trouble: Trouble) => void;
}

export type Trouble =
  | { readonly kind: "queue-full"; readonly dropped: number }
  | { readonly kind: "refused"; readonly facts: number; readonly detail: string }
  | { readonly kind: "retrying"; readonly attempt: number; readonly cause: unknown };

/** One usage: the request's own id makes sending it again harmless. */
export interface EmittedUsage {
  readonly id: string;
  readonly account: string;
  /** Default `llm.completion`. */
  readonly type?: string;
  readonly time?: string;
  readonly data: UsageDataBody;
}

export interface EmitterCounts {
  readonly waiting: number;
  readonly sent: number;
  readonly refused: number;
  readonly dropped: number;
}

export interface Emitter {
  /** False when the queue is full and the fact was dropped. */
  usage(usage: EmittedUsage): boolean;
  signal(signal: Omit<SignalBody, "source">): boolean;
  cost(cost: Omit<CostBody, "source">): boolean;
  /** Sends what waits, at most so long (default 10 s). Never rejects; the counts say what is left. */
  flush(timeoutMs?: number): Promise<EmitterCounts>;
  /** Flushes, then takes nothing more. */
  close(timeoutMs?: number): Promise<EmitterCounts>;
  counts(): EmitterCounts;
}

export function createEmitter(options: EmitterOptions): Emitter {
  const transport = createTransport(options);
  const counts = { sent: 0, refused: 0, dropped: 0 };
  const trouble = (one: Trouble) => tell(options, one);
  const count = (kind: "sent" | "refused", facts: number) => void (counts[kind] += facts);
  const lanes = {
    usage: createLane("/api/v1/events", transport, options, count, trouble),
    signals: createLane("/v1/signals", transport, options, count, trouble),
    costs: createLane("/v1/costs", transport, options, count, trouble),
  };
  const all = Object.values(lanes);
  const waiting = () => all.reduce((sum, lane) => sum + lane.waiting(), 0);
  let closed = false;

  const take = (lane: Lane, fact: unknown): boolean => {
    if (closed || waiting() >= (options.maxQueue ?? 100_000)) {
      counts.dropped += 1;
      trouble({ kind: "queue-full", dropped: counts.dropped });
      return false;
    }
    lane.push(fact);
    return true;
  };
  const time = (given: string | undefined) => {
    const at = given ?? options.now?.();
    return at === undefined ? {} : { time: at };
  };
  const read = (): EmitterCounts => ({ waiting: waiting(), ...counts });
  const emitter: Emitter = {
    usage({ id, account, type = "llm.completion", time: at, data }) {
      const event: UsageEventBody = { specversion: "1.0", type, source: options.source, id, subject: account, ...time(at), data };
      return take(lanes.usage, event);
    },
    signal: (signal) => take(lanes.signals, { ...signal, source: options.source, ...time(signal.time) }),
    cost: (cost) => take(lanes.costs, { ...cost, source: options.source, ...time(cost.time) }),
    async flush(timeoutMs = 10_000) {
      const timer = Promise.withResolvers<void>();
      const handle = setTimeout(timer.resolve, timeoutMs);
      await Promise.race([Promise.all(all.map(async (lane) => lane.drained())), timer.promise]);
      clearTimeout(handle);
      return read();
    },
    async close(timeoutMs) {
      closed = true;
      const left = await emitter.flush(timeoutMs);
      for (const lane of all) lane.stop();
      return left;
    },
    counts: read,
  };
  return emitter;
}

/** The queue of one kind of fact: one request in flight, the same batch again until it is through. */
interface Lane {
  push(fact: unknown): void;
  waiting(): number;
  /** Sends without lingering; resolves when nothing waits. */
  drained(): Promise<void>;
  stop(): void;
}

function createLane(
  path: string,
  transport: Transport,
  options: EmitterOptions,
  count: (kind: "sent" | "refused", facts: number) => void,
  trouble: (trouble: Trouble) => void,
): Lane {
  let queue: unknown[] = [];
  let batchSize = options.maxBatch ?? 500;
  let attempt = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let sending = false;
  let stopped = false;
  let drains: (() => void)[] = [];

  const plan = (delayMs: number) => {
    if (stopped || sending || timer !== undefined) return;
    timer = setTimeout(() => void send(), delayMs);
    // Waiting facts alone do not keep a process alive; `flush` does.
    if (drains.length === 0) timer.unref();
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
    const call: Call = { method: "POST", path, query: { partial: "true" }, body: batch };
    try {
      const receipt = (await transport(call)) as ReceiptRead;
      settle(
        batch.length,
        receipt.accepted,
        (receipt.refused ?? []).map(({ pointer, detail }) => `${pointer} ${detail}`).join("; "),
      );
      return undefined;
    } catch (error) {
      return failed(error, batch.length);
    }
  };
  const settle = (size: number, accepted: number, detail: string) => {
    queue = queue.slice(size);
    attempt = 0;
    count("sent", accepted);
    if (accepted === size) return;
    count("refused", size - accepted);
    trouble({ kind: "refused", facts: size - accepted, detail });
  };
  const failed = (error: unknown, size: number): number | undefined => {
    if (error instanceof RefusedError && error.status === 413 && size > 1) {
      batchSize = Math.ceil(size / 2);
      return 0;
    }
    if (error instanceof RefusedError && isFinal(error.status)) {
      settle(size, 0, error.message);
      return undefined;
    }
    attempt += 1;
    trouble({ kind: "retrying", attempt, cause: error });
    const pauseMs = Math.min((options.pauseMs ?? 200) * 2 ** Math.min(attempt - 1, 20), options.maxPauseMs ?? 30_000);
    return pauseMs * (1 - (options.spread?.() ?? 0) / 2);
  };
  return {
    push(fact) {
      queue.push(fact);
      if (queue.length >= batchSize && attempt === 0 && timer !== undefined && !sending) {
        clearTimeout(timer);
        timer = undefined;
      }
      plan(queue.length >= batchSize ? 0 : (options.lingerMs ?? 500));
    },
    waiting: () => queue.length,
    async drained() {
      if (queue.length === 0 && !sending) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      drains.push(resolve);
      if (attempt === 0 || timer === undefined) {
        clearTimeout(timer);
        timer = undefined;
        plan(0);
      } else timer.ref();
      await promise;
    },
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}

/** Refusals that sending again cannot mend. A bad key or a wrong address can be mended by people, so those are retried. */
function isFinal(status: number): boolean {
  return status >= 400 && status < 500 && ![401, 403, 404, 408, 421, 425, 429].includes(status);
}

function tell(options: EmitterOptions, trouble: Trouble): void {
  try {
    options.onTrouble?.(trouble);
  } catch {
    // Whoever installed the callback must not bring the product down through it.
  }
}
