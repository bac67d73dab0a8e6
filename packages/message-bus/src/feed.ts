/**
 * A feed: what one consumer group reads of one topic. A published topic and a view of the log each have their own kind.
 *
 * A feed knows how far the group has come in every partition; it owns no consumers and calls no handlers.
 */
import type { ReceivedMessage } from "./port.ts";

export interface Feed {
  readonly topic: string;
  readonly partitions: number;
  /** The next unhandled messages of a partition, at most so many. Empty when there are none now: `wake` is called when there are. */
  peek(partition: number, maxCount: number): readonly ReceivedMessage[];
  /** These messages, the last that were peeked, have been handled. */
  passed(partition: number, messages: readonly ReceivedMessage[]): void;
  /** Where a restart would go on in a partition. */
  position(partition: number): number;
  /** See `Consumer.readUpTo`, for a member that owns these partitions and keeps its own `progress`. */
  readUpTo(partitions: readonly number[], progress: Progress): string | undefined;
  /** Unhandled messages of every partition. */
  lag(): Promise<readonly number[]>;
  close(): void;
}

/** What a member has learned about one topic since its partitions last changed. */
export interface Progress {
  readUpTo?: string;
  /** End offsets fetched at a time; when they have been passed, everything before that time has been handled. */
  fetched?: { readonly at: string; readonly ends: readonly number[] };
}

/** What a feed may ask of its group. */
export interface FeedHost {
  /** A partition has messages to peek. */
  readonly wake: (topic: string, partition: number) => void;
  /** A position has moved without a handler: save it some time. */
  readonly moved: () => void;
  /** Reading failed for good: the group's consumers end with this error. */
  readonly fail: (error: unknown) => void;
  /** Runs a task after so many milliseconds, never at once. */
  readonly defer: (task: () => void, delayMs: number) => void;
  readonly now: () => string;
}
