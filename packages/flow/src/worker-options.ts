/**
 * What a worker is given: the decider and its surroundings, all of them ports. Owns no behaviour.
 */
import type { EventStore } from "@rerate/event-store";
import type { LogTopic, MessageBus, ParkedRecord, TopicCodec } from "@rerate/message-bus";
import type { Answer, Decider, DomainEvent, EventCodec } from "./decider.ts";
import type { DeadlineStore } from "./deadlines.ts";
import type { IdentityIndex } from "./identity-index.ts";
import type { Relay } from "./relay.ts";
import type { SnapshotStore } from "./snapshots.ts";
import type { SweepOptions } from "./sweep.ts";

export interface WorkerOptions<State, Message extends object, Event extends DomainEvent, Context> {
  /** The service: parked records, the bus group and metrics carry it. */
  readonly name: string;
  /** The bus group. Default: the name. */
  readonly group?: string;
  readonly decider: Decider<State, Message, Event, Context>;
  readonly codec: EventCodec<Event>;
  readonly streamOf: (message: Message) => string;
  /** The streams that this worker owns begin with one of these. */
  readonly prefixes: readonly string[];
  /** False for streams that another worker of the group looks after now: their deadlines are left to it. Default: all. */
  readonly owns?: (stream: string, partitions: ReadonlySet<number>) => boolean;
  readonly inputs: readonly Input<Message>[];
  /** Log topics that this worker's events feed, each with the inputs that make it publish there. */
  readonly outputs?: readonly Output[];
  /** What decisions may know besides stream and message: documents by hash. Asked once per round. */
  readonly context: () => Context;
  readonly eventStore: EventStore;
  readonly bus: MessageBus;
  /** Publishes the log topics where the bus does not serve them itself: told of this worker's partitions and marks. */
  readonly relay?: Pick<Relay, "own" | "mark">;
  readonly cache: WorkerCache;
  readonly clock: Clock;
  readonly defer: Defer;
  /** Namespace and account of a message's key, for parked records. */
  readonly ownerOf: (key: string) => { readonly ns: string; readonly account: string };
  /** What notes a parked message that has no stream to be noted in (undecodable, refused). Its stream is appended to by anybody. */
  readonly parkedNote?: (record: ParkedRecord) => Note;
  /**
   * Told after the events are in the log, and whether the sender said that it waits for an answer. A hint: a crash can swallow
   * it, a redelivery can repeat it as "duplicate".
   */
  readonly answers?: (message: Message, answer: Answer, awaited: boolean) => void;
  /** True where operators ask for retries of parked messages in another process: looks for such requests now and then. */
  readonly watchRetries?: boolean;
  /** Where messages published from a log can be lost on their way: looks for those that never came. */
  readonly sweep?: SweepOptions;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly limits?: Partial<Limits>;
}

/** A topic that the worker consumes. */
export interface Input<Message> {
  readonly topic: string;
  /** Turns a body into the bytes that are parked, and back for a retry. */
  readonly codec: TopicCodec;
  /** The decider's message in a body, or why there is none. A message must not have a field `park`. */
  readonly read: (body: unknown) => Message | Refusal;
  /** What makes two messages the same for parking: identity and content, without times. Default: the encoded bytes. */
  readonly identityOf?: (message: Message) => string;
  /** True where nothing depends on a message's arrival: deadlines do not wait for such a topic. Default false. */
  readonly isHint?: boolean;
  /** For a topic that is published from a log, that log: gaps in the numbers are filled from it, lost messages found in it. */
  readonly source?: Pick<LogTopic, "streamPrefix" | "messagesOf" | "keepsShard">;
}

export interface Refusal {
  readonly park: string;
  readonly detail: string;
}

export interface Output {
  readonly topic: string;
  readonly inputs: readonly string[];
}

/** An event for a stream that only takes notes. */
export interface Note {
  readonly stream: string;
  readonly type: string;
  readonly data: object;
}

/** What a worker keeps in the cache file. All three belong together and to one service; deleting them costs only time. */
export interface WorkerCache {
  readonly index: IdentityIndex;
  readonly snapshots: SnapshotStore;
  readonly deadlines: DeadlineStore;
}

export interface Clock {
  /** The present time as a canonical instant. */
  now(): string;
}

/** Runs a task after so many milliseconds, never at once. A waiting task must not keep the process alive. */
export type Defer = (task: () => void, delayMs: number) => void;

/** Structured logging; pino's loggers are such. Called per chunk at most, never per message. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface Metrics {
  count(name: WorkerCounter, by: number, labels?: Readonly<Record<string, string>>): void;
  gauge(name: WorkerGauge, value: number): void;
}

export type WorkerCounter =
  | "messages"
  | "events"
  | "duplicates"
  | "parked"
  | "conflicts"
  | "unknown_outcomes"
  | "gaps"
  | "waits"
  | "deadlines_fired"
  | "swept"
  | "quarantined"
  | "outages";

export type WorkerGauge = "cached_streams" | "cached_bytes" | "quarantined_streams" | "unsaved_keys" | "open_deadlines";

export interface Limits {
  readonly maxChunk: number;
  /** Of one append. A single decision that is larger goes alone. */
  readonly appendEvents: number;
  readonly appendBytes: number;
  readonly cachedStreams: number;
  readonly cachedBytes: number;
  /** Events per read. */
  readonly pageEvents: number;
  /** Streams that are loaded at the same time. */
  readonly loadsAtOnce: number;
  /** Messages merged into one at most. */
  readonly mergeAtMost: number;
  /** How often a chunk is decided again after conflicts, and an append of unknown outcome is sent again. */
  readonly conflictRetries: number;
  readonly unknownRetries: number;
  /** The first pause before trying again; it doubles with every further one. */
  readonly pauseMs: number;
  /** Events of one stream between two snapshots, and how many make a snapshot worth while when a state is evicted. */
  readonly snapshotEvery: number;
  readonly snapshotWorth: number;
  /** Streams whose due deadlines are decided in one round, and deadlines of one stream in one round. */
  readonly deadlineStreams: number;
  readonly deadlinesPerStream: number;
  /** How often marks are renewed while nothing happens, and due deadlines look whether their inputs were read. */
  readonly markEveryMs: number;
  /** Keys in memory before the index is saved. */
  readonly unsavedKeys: number;
  /** How long a message waits for its source to hold what it says, before it is parked. */
  readonly gapPatienceMs: number;
  /** How often parked records are looked through for those that somebody asked to retry. */
  readonly retryEveryMs: number;
  /** How often published topics are swept for what was lost on the way, and how old something must be to be missed. */
  readonly sweepEveryMs: number;
  readonly sweepGraceMs: number;
}

export const DEFAULT_LIMITS: Limits = {
  maxChunk: 500,
  appendEvents: 500,
  appendBytes: 512_000,
  cachedStreams: 50_000,
  cachedBytes: 256_000_000,
  pageEvents: 500,
  loadsAtOnce: 32,
  mergeAtMost: 500,
  conflictRetries: 10,
  unknownRetries: 5,
  pauseMs: 50,
  snapshotEvery: 2_000,
  snapshotWorth: 32,
  deadlineStreams: 200,
  deadlinesPerStream: 1_000,
  markEveryMs: 1_000,
  unsavedKeys: 100_000,
  gapPatienceMs: 30_000,
  retryEveryMs: 5_000,
  sweepEveryMs: 60_000,
  sweepGraceMs: 30_000,
};
