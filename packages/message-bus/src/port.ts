/**
 * The port to the message bus: keyed, partitioned topics with consumer groups, at least once.
 *
 * Shaped for Kafka and met by the embedded engine alike; `conformance.ts` says what every engine must do. Offsets are a
 * hint about where to go on, never the source of exactly-once: handlers must be idempotent.
 * Messages travel as `body` objects; a topic's codec turns them into bytes only where an engine needs bytes.
 */

/** Names in lower case; a header that was sent several times keeps its last value. */
export type MessageHeaders = Readonly<Record<string, string>>;

export interface TopicCodec {
  readonly encode: (body: unknown) => Uint8Array;
  /** Throws for bytes that are no message of this topic. `headers` are what the producer sent beside them, if the engine has headers. */
  readonly decode: (bytes: Uint8Array, headers?: MessageHeaders) => unknown;
}

export interface Message {
  /** Namespace and account, in one string. Messages of one key keep their order. */
  readonly key: string;
  /** 0 to 255; the message goes to partition (shard mod partition count). */
  readonly shard: number;
  readonly body: unknown;
  /** True while somebody waits for an answer about it. A hint to whoever handles it; an engine may drop it. */
  readonly awaited?: boolean;
}

export interface ReceivedMessage {
  readonly topic: string;
  readonly partition: number;
  /** Grows within a partition, not necessarily by one. */
  readonly offset: number;
  readonly key: string;
  readonly awaited?: boolean;
  readonly content:
    | { readonly kind: "body"; readonly body: unknown }
    | { readonly kind: "poison"; readonly bytes: Uint8Array; readonly error: string; readonly headers?: MessageHeaders };
}

export interface Chunk {
  readonly topic: string;
  readonly partition: number;
  readonly messages: readonly ReceivedMessage[];
}

/** A topic that is published from the log: embedded engines serve it as a view of the log, others are fed by flow's relay. */
export interface LogTopic {
  readonly topic: string;
  /** Streams that the topic is published from. */
  readonly streamPrefix: string;
  /** Pure: what one stored event publishes to this topic. */
  readonly messagesOf: (event: LogEvent) => readonly Message[];
  /**
   * True where a message has the shard of the stream it is published from: then a mark about one source partition concerns
   * that partition of the topic only. Otherwise every partition hears of every source. Default false.
   */
  readonly keepsShard?: boolean;
}

/** What a log topic sees of a stored event (the same fields as event-store's `StoredEvent`). */
export interface LogEvent {
  readonly stream: string;
  readonly revision: number;
  readonly type: string;
  readonly data: string;
  readonly metadata: string;
  readonly position: string;
  readonly body?: unknown;
}

/** What the embedded bus reads of the log; `runtime` adapts the event store to it. */
export interface LogReader {
  readAll(options: {
    readonly after?: string | undefined;
    readonly prefixes?: readonly string[];
    readonly maxCount: number;
  }): Promise<{
    readonly events: readonly LogEvent[];
    readonly next: string | undefined;
    readonly end: boolean;
  }>;
  /** Calls back after every commit to the log. Returns the function that ends it. */
  onAppended(callback: () => void): () => void;
}

export interface ConsumeOptions {
  readonly group: string;
  readonly topics: readonly string[];
  /** At most so many messages per chunk. Default 1,000. */
  readonly maxChunk?: number;
  /**
   * Called one chunk after the other per partition, concurrently across partitions. When it resolves, the group's offset
   * moves past the chunk; when it rejects, the same chunk comes again after a pause.
   */
  readonly onChunk: (chunk: Chunk) => Promise<void>;
  /** Partitions (the same numbers for every topic of the group) that this member now owns, and those it just lost. */
  readonly onAssigned?: (partitions: readonly number[]) => void;
  readonly onRevoked?: (partitions: readonly number[]) => void;
}

export interface Consumer {
  /**
   * Every message that the topic's producers published before this instant has been handled here. Undefined while unknown.
   * For a topic that doors publish to: the time at which end offsets were fetched that have since been passed. For a log
   * topic: the last mark (see `mark`) that was passed.
   */
  readUpTo(topic: string): string | undefined;
  /** Settles when consuming has ended; rejected with what ended it. */
  readonly done: Promise<void>;
  /** Waits for running handlers, then leaves the group. */
  stop(): Promise<void>;
}

/** A parked message: bytes that could not be recorded, with the reason, until somebody retries or erases them. */
export interface ParkedRecord {
  /** Stable id: the same message parks under the same id. */
  readonly id: string;
  readonly service: string;
  readonly ns: string;
  readonly account: string;
  readonly topic: string;
  /** Machine-readable, for example `unknown-account`. */
  readonly reason: string;
  readonly detail: string;
  readonly parkedAt: string;
  readonly key: string;
  readonly bytes: Uint8Array;
  readonly headers?: MessageHeaders;
  /** Somebody has asked for another try since it was parked; whoever owns its stream now tries and then parks it anew or erases it. */
  readonly retryAskedAt?: string;
}

export interface ParkedStore {
  put(records: readonly ParkedRecord[]): Promise<void>;
  get(id: string): Promise<ParkedRecord | undefined>;
  list(filter: {
    readonly ns?: string;
    readonly account?: string;
    readonly reason?: string;
    readonly service?: string;
    /** Only those for which another try was asked. */
    readonly retryAsked?: true;
    readonly limit: number;
  }): Promise<readonly ParkedRecord[]>;
  /** Notes that another try is asked for, for a worker in another process. False when there is no such record. */
  askRetry(id: string, at: string): Promise<boolean>;
  /** Removes the bytes for good. False when there is no such record. */
  erase(id: string): Promise<boolean>;
  count(): Promise<number>;
}

export interface Listener {
  stop(): Promise<void>;
}

export interface MessageBus {
  /** Resolves when every message is durable. */
  publish(topic: string, messages: readonly Message[]): Promise<void>;
  consume(options: ConsumeOptions): Consumer;
  /**
   * Said by the service that owns a log topic: everything that its inputs before `readUpTo` made it publish to `topic` is in
   * the log by now (where the bus does not serve log topics itself: and has been published). Consumers see it through
   * `Consumer.readUpTo`. `sources` are the partitions of the inputs that this is said about: several processes of a service
   * each speak for theirs, and a consumer trusts the least of all that can reach it. All partitions when absent.
   */
  mark(topic: string, readUpTo: string, sources?: readonly number[]): void;
  /**
   * Hears every message that anybody publishes to a topic of hints from now on, in every process: at most once, without order.
   * Nothing may depend on it.
   */
  listen(topic: string, onMessage: (body: unknown, key: string) => void): Listener;
  /** Messages between the group's committed offset and the end, per topic and partition. */
  lag(group: string): Promise<readonly { readonly topic: string; readonly partition: number; readonly lag: number }[]>;
  readonly parked: ParkedStore;
  close(): Promise<void>;
}
