/**
 * One partition of one topic at one member of a group: fetched messages wait here and go to the handler chunk by chunk.
 *
 * One handler at a time; a rejected chunk comes again, unchanged, after a pause. Bodies are decoded only when their chunk is
 * made up, so that what waits is bytes. What a closed lane's handler still does moves no offset.
 */
import type { Chunk, ReceivedMessage, TopicCodec } from "../port.ts";
import { markOf, type MarkedSources } from "./mark-record.ts";
import { backOff, type Defer } from "./nap.ts";
import { receivedMessage } from "./received-message.ts";
import type { BrokenBatch, DecodedSet, KafkaRecord } from "./record-batch.ts";
import type { Tempo } from "./tempo.ts";

export interface LaneOptions {
  /** The topic's name for the handler. */
  readonly topic: string;
  readonly partition: number;
  readonly codec: TopicCodec;
  /** What to do with marks: undefined where a topic has none and a message that looks like one is a message. */
  readonly marks: MarkedSources | undefined;
  readonly maxChunk: number;
  readonly onChunk: (chunk: Chunk) => Promise<void>;
  readonly tempo: Tempo;
  readonly defer: Defer;
  /** The position has moved: past messages, or only past marks and the like. */
  readonly onMoved: (pastMessages: boolean) => void;
  /** There is room for more. */
  readonly onRoom: () => void;
  /** A handler has settled. */
  readonly onSettled: () => void;
}

export interface Lane {
  readonly topic: string;
  readonly partition: number;
  add(set: DecodedSet, highWatermark: number): void;
  /** Whether more should be fetched. */
  wants(): boolean;
  /** The offset after the last message that was handled or held nothing. */
  position(): number;
  /** The offset to fetch next. */
  fetched(): number;
  /** The partition's end as last heard. */
  end(): number;
  /** True while a handler runs. */
  running(): boolean;
  /** The last mark passed, the least of all sources. */
  marked(): string | undefined;
  /** Starts no further chunk until `resume`. */
  pause(): void;
  resume(): void;
  /** Forgets everything. */
  close(): void;
  /** For the watchdog: whether it has messages and made no progress since the last call. */
  stoodStill(): boolean;
}

type Entry = KafkaRecord | BrokenBatch;

interface Taken {
  readonly chunk: Chunk | undefined;
  readonly marks: readonly KafkaRecord[];
  readonly count: number;
  readonly bytes: number;
  readonly next: number;
}

export function createLane(options: LaneOptions, start: number): Lane {
  const { topic, partition, marks, tempo, defer } = options;
  let queue: Entry[] = [];
  let head = 0;
  let bytes = 0;
  let position = start;
  let fetched = start;
  let end = start;
  let taken: Taken | undefined;
  let rejections = 0;
  let running = false;
  let resting = false;
  let paused = false;
  let closed = false;
  let seen = start;

  function pump(): void {
    if (running || resting || paused || closed) return;
    while (taken?.chunk === undefined) {
      taken ??= take();
      if (taken === undefined) return;
      if (taken.chunk === undefined) passed(taken);
    }
    running = true;
    const { chunk } = taken;
    // Never from within the call that brought the messages.
    void Promise.resolve()
      .then(() => options.onChunk(chunk))
      .then(
        () => settled(true),
        () => settled(false),
      );
  }

  /** Why a handler rejected is its own business: it logs, and the chunk comes again. */
  function settled(handled: boolean): void {
    running = false;
    if (!closed && taken !== undefined) {
      if (handled) {
        rejections = 0;
        passed(taken);
      } else {
        resting = true;
        defer(
          () => {
            resting = false;
            pump();
          },
          backOff(rejections, tempo.firstPauseMs, tempo.longestPauseMs),
        );
        rejections += 1;
      }
    }
    options.onSettled();
    pump();
  }

  function passed({ chunk, marks: passedMarks, count, bytes: size, next }: Taken): void {
    for (const record of passedMarks) marks?.pass(record);
    const wasFull = !wants();
    head += count;
    bytes -= size;
    position = next;
    if (head * 2 > queue.length) {
      queue = queue.slice(head);
      head = 0;
    }
    taken = undefined;
    options.onMoved(chunk !== undefined);
    if (wasFull && wants()) options.onRoom();
  }

  /** The next messages, with the marks around them; what only moves the position on goes without a chunk. */
  function take(): Taken | undefined {
    const messages: ReceivedMessage[] = [];
    const passedMarks: KafkaRecord[] = [];
    let count = 0;
    let size = 0;
    for (let index = head; index < queue.length && messages.length < options.maxChunk; index++) {
      const entry = queue[index];
      if (entry === undefined) break;
      if (entry.kind === "record" && marks !== undefined && markOf(entry) !== undefined) passedMarks.push(entry);
      else messages.push(receivedMessage(options, entry));
      count += 1;
      size += sizeOf(entry);
    }
    const all = head + count === queue.length;
    const next = all ? fetched : nextAfter(queue[head + count - 1]);
    if (count === 0 && next === position) return undefined;
    const chunk = messages.length === 0 ? undefined : { topic, partition, messages };
    return { chunk, marks: passedMarks, count, bytes: size, next };
  }

  function nextAfter(entry: Entry | undefined): number {
    return entry === undefined ? position : entry.offset + 1;
  }

  function wants(): boolean {
    return !closed && bytes < tempo.bufferedBytes;
  }

  return {
    topic,
    partition,
    add(set, highWatermark) {
      if (closed) return;
      for (const entry of set.entries) {
        queue.push(entry);
        bytes += sizeOf(entry);
      }
      fetched = set.next;
      end = highWatermark;
      pump();
    },
    wants,
    position: () => position,
    fetched: () => fetched,
    end: () => end,
    running: () => running,
    marked: () => marks?.least(),
    pause() {
      paused = true;
    },
    resume() {
      paused = false;
      pump();
    },
    close() {
      closed = true;
      queue = [];
      head = 0;
    },
    stoodStill() {
      const still = head < queue.length && seen === position;
      seen = position;
      return still;
    },
  };
}

/** What a record costs to keep, roughly. */
function sizeOf(entry: Entry): number {
  return entry.kind === "broken" ? entry.bytes.length : 64 + (entry.key?.length ?? 0) + (entry.value?.length ?? 0);
}
