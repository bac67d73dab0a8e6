/**
 * The port to the log: streams of immutable events with an expected revision on every append.
 *
 * Shaped for EventStoreDB and met by the embedded engine alike; `conformance.ts` says what every engine must do.
 * Owns no encoding: the text of `data` and `metadata` is stored and returned exactly as given.
 */

/**
 * Where a reader of all streams stands. Opaque: kept and handed back. Of two positions of one log the later is the longer text,
 * or of the same length and greater; nothing else may be read from them.
 */
export type Position = string;

/** The expected revision of a stream that does not exist yet. There is no "any": every append names its revision. */
export const NO_STREAM = -1;

export interface NewEvent {
  /** Past tense, for example `UsageRecorded`. Printable ASCII without line breaks. */
  readonly type: string;
  /** Canonical JSON text without line breaks. */
  readonly data: string;
  /** Canonical JSON text without line breaks; carries `recordedAt` and the link of the hash chain (`chain.ts`). */
  readonly metadata: string;
  /**
   * The decoded form of `data`, if the writer has it at hand. An engine may keep it for readers in the same process and
   * may drop it at any time; it never replaces `data`.
   */
  readonly body?: unknown;
}

export interface StoredEvent extends NewEvent {
  readonly stream: string;
  /** Counts from 0 without gaps within the stream. */
  readonly revision: number;
  readonly position: Position;
}

/** One atomic append to one stream: all events or none. */
export interface Append {
  readonly stream: string;
  /** Revision of the last event the writer has seen, or `NO_STREAM`. */
  readonly expectedRevision: number;
  /** At least one. At most 500 events and 512 kB, so that the append fits every engine. */
  readonly events: readonly NewEvent[];
}

export type AppendResult =
  | { readonly kind: "committed"; readonly lastRevision: number }
  /** Somebody else appended first: nothing was written. */
  | { readonly kind: "conflict"; readonly actualRevision: number }
  /** The engine could not learn whether it was written. Only an identical re-send is safe. */
  | { readonly kind: "unknown"; readonly cause: unknown };

export interface ReadOptions {
  /** First revision to return, inclusive. Default 0. */
  readonly from?: number;
  readonly maxCount: number;
}

export interface AllOptions {
  /** Exclusive. From the very first event when absent. */
  readonly after?: Position | undefined;
  /** Only streams whose name starts with one of these. All streams when absent. */
  readonly prefixes?: readonly string[];
  readonly maxCount: number;
}

export interface EventPage {
  readonly events: readonly StoredEvent[];
  /** Where to go on, also past events that the filter left out. Undefined only for an empty log. */
  readonly next: Position | undefined;
  /** True when the page reached the end of the log as it was at the time of reading. */
  readonly end: boolean;
}

export interface SubscribeOptions {
  readonly after?: Position | undefined;
  readonly prefixes?: readonly string[];
  /** At most so many events per call. Default 1,000. */
  readonly maxBatch?: number;
  /** Called one batch after the other, in log order; the next batch waits for the promise. A rejection ends the subscription. */
  readonly onEvents: (page: EventPage) => Promise<void> | void;
}

export interface Subscription {
  /** Settles when the subscription has ended: resolved after `stop()`, rejected with what ended it otherwise. */
  readonly done: Promise<void>;
  /** No call of `onEvents` starts after this resolves. */
  stop(): Promise<void>;
}

export interface EventStore {
  /** Appends to several streams, each atomic alone. One result per append, in order. Never rejects for a conflict; rejects when the engine is down. */
  append(appends: readonly Append[]): Promise<AppendResult[]>;
  /** Events of one stream in order. Empty for a stream that does not exist. */
  readForward(stream: string, options: ReadOptions): Promise<readonly StoredEvent[]>;
  /** The last event of a stream, or undefined. */
  readLast(stream: string): Promise<StoredEvent | undefined>;
  readAll(options: AllOptions): Promise<EventPage>;
  subscribeAll(options: SubscribeOptions): Subscription;
  close(): Promise<void>;
}
