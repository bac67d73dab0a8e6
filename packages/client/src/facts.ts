/**
 * What an emitter takes and what it does with it, whichever way it sends.
 */
import type { CostBody, SignalBody, UsageDataBody, UsageEventBody } from "@rerate/wire";

/** A fact on its way, complete with source and time. Plain JSON: an outbox can keep it and `emit` it again. */
export type Fact =
  | { readonly kind: "usage"; readonly body: UsageEventBody }
  | { readonly kind: "signal"; readonly body: SignalBody }
  | { readonly kind: "cost"; readonly body: CostBody };

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
  /** Sends a fact as it is, such as one that an outbox kept. */
  emit(fact: Fact): boolean;
  /** Sends what waits, at most so long (default 10 s). Never rejects; the counts say what is left. */
  flush(timeoutMs?: number): Promise<EmitterCounts>;
  /** Flushes, then takes nothing more; what is still left goes to `onUndelivered`. */
  close(timeoutMs?: number): Promise<EmitterCounts>;
  counts(): EmitterCounts;
}

export type Trouble =
  | { readonly kind: "queue-full"; readonly dropped: number }
  | { readonly kind: "refused"; readonly facts: number; readonly detail: string }
  | { readonly kind: "retrying"; readonly attempt: number; readonly cause: unknown };

/** Facts that the emitter has given up: it keeps no copy. */
export interface Undelivered {
  readonly facts: readonly Fact[];
  /** `refused`: sending them again is of no use before they are mended. */
  readonly reason: "queue-full" | "refused" | "closed";
}

/** What every emitter may be told. */
export interface EmittingOptions {
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
  /** Given the facts that were dropped, refused or left over at the end: the place for an outbox. What it throws is ignored. */
  readonly onUndelivered?: (undelivered: Undelivered) => void;
}
