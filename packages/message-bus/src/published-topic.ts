/**
 * A topic that doors publish to: offsets count from 0 without gaps per partition.
 *
 * The newest messages stay in memory with their bodies, so that consumers here decode nothing; beyond the bound, and after
 * a restart, they are read from storage through the codec. Memory is a cache: storage holds every message not yet trimmed.
 */
import type { Feed, FeedHost, Progress } from "./feed.ts";
import type { Message, ReceivedMessage, TopicCodec } from "./port.ts";
import type { BusStorage, StoredBlock, StoredMessage } from "./storage.ts";

export interface TopicOptions {
  readonly name: string;
  readonly partitions: number;
  readonly codec: TopicCodec;
}

export interface PublishedTopic {
  /** Resolves when no group reading here is far behind, or after a while; one caller after the other, each in a turn of its own. */
  room(): Promise<void>;
  readonly name: string;
  readonly partitions: number;
  /** Resolves when they are durable. While consumers here are far behind, waits a little first, so that they find messages in memory. */
  publish(messages: readonly Message[]): Promise<void>;
  /** The offset after the last message that may be consumed. */
  end(partition: number): number;
  /** A group's feed that goes on at these offsets, one per partition. */
  feed(next: readonly number[], host: FeedHost): Feed;
}

/** How much of one partition stays in memory. */
export interface TailBound {
  readonly messages: number;
  readonly bytes: number;
}

/** Messages of one publish call that are still in memory. */
interface TailBlock {
  readonly first: number;
  readonly messages: readonly ReceivedMessage[];
  readonly bytes: number;
}

interface Partition {
  /** The offset that the next published message gets. */
  next: number;
  /** Messages before this offset are durable and may be consumed. */
  end: number;
  /** Contiguous up to `end`; may be empty. */
  tail: TailBlock[];
  tailMessages: number;
  tailBytes: number;
}

/** So far may publishers run ahead of the slowest group here before they wait, and so often and long each time: a fifth of a second in all. */
const AHEAD = 2_000;
const WAIT_AT_MOST = 40;
const WAIT_MS = 5;

export function createPublishedTopic(
  { name, partitions, codec }: TopicOptions,
  storage: BusStorage,
  bound: TailBound,
  defer: FeedHost["defer"],
): PublishedTopic {
  const states = Array.from({ length: partitions }, (): Partition => ({
    next: 0,
    end: 0,
    tail: [],
    tailMessages: 0,
    tailBytes: 0,
  }));
  for (const { topic, partition, next } of storage.ends()) {
    if (topic !== name) continue;
    // With fewer partitions than before, those that have gone must be empty: their keys would lose their order.
    if (partition >= partitions && storage.read(name, partition, 0, 1).length === 0) continue;
    Object.assign(stateOf(partition), { next, end: next });
  }
  const feeds = new Set<{ readonly appended: (partition: number) => void; readonly position: (partition: number) => number }>();
  /** Publishers that wait, one after the other: messages keep the order of the calls. */
  let queued: Promise<void> | undefined;
  /** Callers of `room`. */
  let asking: Promise<void> = Promise.resolve();

  function stateOf(partition: number): Partition {
    const state = states[partition];
    if (state === undefined)
      throw new RangeError(`topic ${name} has ${partitions} partitions, and messages in partition ${partition}`);
    return state;
  }

  function committed(blocks: readonly TailBlock[], touched: readonly number[]): void {
    touched.forEach((partition, index) => {
      const state = stateOf(partition);
      const block = blocks[index];
      if (block === undefined) return;
      state.end = block.first + block.messages.length;
      state.tail.push(block);
      state.tailMessages += block.messages.length;
      state.tailBytes += block.bytes;
      shrink(state, () => state.tailMessages > bound.messages || state.tailBytes > bound.bytes);
    });
    for (const feed of feeds) for (const partition of touched) feed.appended(partition);
  }

  /** Forgets what every group reading here has passed. */
  function release(partition: number): void {
    let lowest = Infinity;
    for (const feed of feeds) lowest = Math.min(lowest, feed.position(partition));
    shrink(stateOf(partition), (oldest) => oldest.first + oldest.messages.length <= lowest);
  }

  /** Messages that the slowest group reading here has not passed. */
  function behind(): number {
    let most = 0;
    for (const feed of feeds) {
      most = Math.max(
        most,
        states.reduce((sum, { next }, partition) => sum + next - feed.position(partition), 0),
      );
    }
    return most;
  }

  async function wait(): Promise<void> {
    for (let waits = 0; behind() > AHEAD && waits < WAIT_AT_MOST; waits++) {
      await new Promise<void>((resolve) => {
        defer(resolve, WAIT_MS);
      });
    }
  }

  function read(partition: number, from: number, maxCount: number): readonly ReceivedMessage[] {
    const state = stateOf(partition);
    if (from >= state.end) return [];
    const tailFirst = state.tail[0]?.first ?? state.end;
    if (from >= tailFirst) return slice(state.tail, from, maxCount);
    const stored = storage.read(name, partition, from, maxCount);
    const decoded = stored.map(({ first, messages }) => ({
      first,
      messages: messages.map((message, index) => received(partition, first + index, message, codec)),
    }));
    return slice(decoded, from, maxCount);
  }

  function received(partition: number, offset: number, { key, bytes }: StoredMessage, { decode }: TopicCodec): ReceivedMessage {
    try {
      return { topic: name, partition, offset, key, content: { kind: "body", body: decode(bytes) } };
    } catch (error) {
      return { topic: name, partition, offset, key, content: { kind: "poison", bytes, error: String(error) } };
    }
  }

  return {
    name,
    partitions,
    room() {
      // In turns: what the one before is let in for has been published, and counts, when the next one looks.
      asking = asking.then(() => new Promise<void>((resolve) => defer(resolve, 0))).then(wait);
      return asking;
    },
    end: (partition) => stateOf(partition).end,
    async publish(messages) {
      if (queued !== undefined || behind() > AHEAD) {
        const turn = (queued ?? Promise.resolve()).then(wait);
        queued = turn;
        await turn;
        if (queued === turn) queued = undefined;
      }
      const split = new Map<number, { readonly message: Message; readonly bytes: Uint8Array }[]>();
      for (const message of messages) {
        if (!Number.isInteger(message.shard) || message.shard < 0 || message.shard > 255)
          throw new RangeError(`${message.shard} is no shard`);
        const partition = message.shard % partitions;
        const encoded = { message, bytes: codec.encode(message.body) };
        const list = split.get(partition);
        if (list === undefined) split.set(partition, [encoded]);
        else list.push(encoded);
      }
      // Nothing can fail from here on but the storage, so every offset given is used.
      const stored: StoredBlock[] = [];
      const tails: TailBlock[] = [];
      for (const [partition, list] of split) {
        const state = stateOf(partition);
        const first = state.next;
        state.next += list.length;
        stored.push({ topic: name, partition, first, messages: list.map(({ message, bytes }) => ({ key: message.key, bytes })) });
        tails.push({
          first,
          messages: list.map(({ message }, index) => ({
            topic: name,
            partition,
            offset: first + index,
            key: message.key,
            content: { kind: "body", body: message.body },
          })),
          bytes: list.reduce((sum, { bytes }) => sum + bytes.length, 0),
        });
      }
      await storage.append(stored, () => committed(tails, [...split.keys()]));
    },

    feed(next, host) {
      const cursors = Array.from({ length: partitions }, (_, partition) => next[partition] ?? 0);
      for (const [partition, cursor] of cursors.entries()) {
        const { end } = stateOf(partition);
        if (cursor > end) throw new Error(`a group stands at offset ${cursor} of ${name}/${partition}, which ends at ${end}`);
      }
      const position = (partition: number) => cursors[partition] ?? 0;
      const entry = { appended: (partition: number) => host.wake(name, partition), position };
      feeds.add(entry);
      return {
        topic: name,
        partitions,
        peek: (partition, maxCount) => read(partition, position(partition), maxCount),
        passed(partition, messages) {
          const last = messages.at(-1);
          if (last === undefined) return;
          cursors[partition] = last.offset + 1;
          release(partition);
        },
        position,
        readUpTo: (owned, progress) => readUpTo(owned, progress, states, cursors, host.now),
        lag: async () => cursors.map((cursor, partition) => stateOf(partition).end - cursor),
        close: () => feeds.delete(entry),
      };
    },
  };
}

/** Compares with the offsets given out, not only with the durable ones, so that a publish under way counts as published. */
function readUpTo(
  owned: readonly number[],
  progress: Progress,
  states: readonly Partition[],
  cursors: readonly number[],
  now: () => string,
): string | undefined {
  const havePassed = (ends: readonly number[]) => owned.every((partition) => (cursors[partition] ?? 0) >= (ends[partition] ?? 0));
  const ends = states.map((state) => state.next);
  if (havePassed(ends)) {
    progress.readUpTo = now();
    delete progress.fetched;
  } else if (progress.fetched === undefined || havePassed(progress.fetched.ends)) {
    if (progress.fetched !== undefined) progress.readUpTo = progress.fetched.at;
    progress.fetched = { at: now(), ends };
  }
  return progress.readUpTo;
}

/** Drops blocks from the front as long as `mayGo` says so of the first. */
function shrink(state: Partition, mayGo: (oldest: TailBlock) => boolean): void {
  let count = 0;
  for (const block of state.tail) {
    if (!mayGo(block)) break;
    count += 1;
    state.tailMessages -= block.messages.length;
    state.tailBytes -= block.bytes;
  }
  if (count > 0) state.tail.splice(0, count);
}

/** The messages from an offset on, at most so many, of blocks in order. */
function slice(
  blocks: readonly { readonly first: number; readonly messages: readonly ReceivedMessage[] }[],
  from: number,
  maxCount: number,
): readonly ReceivedMessage[] {
  const found: ReceivedMessage[] = [];
  for (const { first, messages } of blocks) {
    if (first + messages.length <= from) continue;
    const start = Math.max(0, from - first);
    const stop = Math.min(messages.length, start + maxCount - found.length);
    for (let index = start; index < stop; index++) {
      const message = messages[index];
      if (message !== undefined) found.push(message);
    }
    if (found.length >= maxCount) break;
  }
  return found;
}
