/**
 * Reads a set of partitions from given offsets on, for as long as it is wanted: one fetch at a time per broker.
 *
 * Owns the place to read next of every partition, and nothing of what becomes of the messages. A broker that is away is asked
 * again for ever; what cannot pass by itself (a topic that is gone, an offset outside the log) goes to `onFailure`.
 */
import type { KafkaConnection } from "./connection.ts";
import { codeOf, codeOfNumber, KafkaError, KafkaStoppedError, willPass } from "./kafka-error.ts";
import type { KafkaLog } from "./log.ts";
import { backOff, createNaps, type Defer } from "./nap.ts";
import { type FetchedPartition, fetchExchange } from "./protocol.ts";
import { type DecodedSet, decodeRecordSet } from "./record-batch.ts";
import type { Tempo } from "./tempo.ts";

export interface PartitionPlace {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
}

export interface PartitionReaderOptions {
  readonly connection: KafkaConnection;
  readonly tempo: Tempo;
  readonly defer: Defer;
  readonly log: KafkaLog;
  /** False while no more of this partition should be fetched; `wake` says that this may have changed. */
  readonly wants: (topic: string, partition: number) => boolean;
  readonly onRecords: (topic: string, partition: number, set: DecodedSet, highWatermark: number) => void;
  /** An offset that is no longer or not yet in the log. */
  readonly onOutOfRange: (place: PartitionPlace) => void;
  readonly onFailure: (error: Error) => void;
}

export interface PartitionReader {
  /** Reads exactly these partitions from now on. */
  set(places: readonly PartitionPlace[]): void;
  wake(): void;
  stop(): void;
}

interface Entry {
  readonly topic: string;
  readonly partition: number;
  offset: number;
}

/** While a partition is full, fetches of the others wait only this long at first, so that it is soon asked for again. */
const SHORT_WAIT_MS = 10;
/** A fetch that brought so much is followed by the next one at once. */
const MUCH_BYTES = 65_536;
const FIRST_RETRY_MS = 100;
const LONGEST_RETRY_MS = 2_000;

export function createPartitionReader(options: PartitionReaderOptions): PartitionReader {
  const { connection, tempo, defer, log } = options;
  const naps = createNaps(defer);
  let entries: readonly Entry[] = [];
  let epoch = 0;
  let stopped = false;
  let inFlight = 0;
  let missingSince: number | undefined;
  let missedMs = 0;

  /** Follows one assignment until the next: finds the leaders, fetches from each, finds them anew when that fails. */
  async function follow(mine: number): Promise<void> {
    for (let attempt = 0; isCurrent(mine);) {
      // When one broker fails all are left: what another one still answers counts no more, and is fetched again.
      let isOver = false;
      const goesOn = () => !isOver && isCurrent(mine);
      try {
        const nodes = await leaders();
        if (!goesOn()) return;
        await Promise.all([...nodes].map(([node, own]) => fetchFrom(node, own, goesOn, () => (attempt = 0))));
      } catch (error) {
        isOver = true;
        if (!isCurrent(mine)) return;
        const pauseMs = backOff(attempt, FIRST_RETRY_MS, LONGEST_RETRY_MS);
        attempt += 1;
        if (codeOf(error) === "UNKNOWN_TOPIC_OR_PARTITION") missing(pauseMs, error);
        else if (!willPass(error)) throw error;
        log.debug({ err: error, pauseMs }, "fetching failed; it is tried again");
        await naps.nap(pauseMs);
      }
    }
  }

  function isCurrent(mine: number): boolean {
    return !stopped && mine === epoch;
  }

  async function leaders(): Promise<ReadonlyMap<string, readonly Entry[]>> {
    const topics = [...new Set(entries.map(({ topic }) => topic))];
    await connection.partitionCounts(topics);
    const asked = topics.map((topic) => ({ topic, partitions: partitionsOf(topic) }));
    const nodes = connection.leaders(asked);
    const led = new Map<string, readonly Entry[]>();
    for (const [node, own] of nodes) {
      const found = entries.filter((entry) =>
        own.some(({ topic, partitions }) => topic === entry.topic && partitions.includes(entry.partition)),
      );
      led.set(node, found);
    }
    if ([...led.values()].reduce((sum, own) => sum + own.length, 0) < entries.length) {
      throw new KafkaError("UNKNOWN_TOPIC_OR_PARTITION", "a partition that is read is not there");
    }
    return led;
  }

  function partitionsOf(topic: string): readonly number[] {
    return entries.filter((entry) => entry.topic === topic).map(({ partition }) => partition);
  }

  async function fetchFrom(node: string, own: readonly Entry[], goesOn: () => boolean, succeeded: () => void): Promise<void> {
    let empty = 0;
    for (let turn = 0; goesOn(); turn++) {
      const wanted = own.filter(({ topic, partition }) => options.wants(topic, partition));
      if (wanted.length === 0) {
        await naps.nap(tempo.fetchWaitMs);
        continue;
      }
      const maxWaitMs = wanted.length === own.length ? tempo.fetchWaitMs : backOff(empty, SHORT_WAIT_MS, tempo.fetchWaitMs);
      const fetched = await fetch(node, rotate(wanted, turn), maxWaitMs);
      if (!goesOn()) return;
      succeeded();
      const count = await take(fetched, wanted, goesOn);
      empty = count === 0 ? empty + 1 : 0;
      if (count > 0 && bytesOf(fetched) < MUCH_BYTES && goesOn()) await naps.nap(tempo.gatherMs);
    }
  }

  async function fetch(node: string, wanted: readonly Entry[], maxWaitMs: number): Promise<readonly FetchedPartition[]> {
    const topics = new Map<string, { partition: number; offset: number }[]>();
    for (const { topic, partition, offset } of wanted) {
      const list = topics.get(topic);
      if (list === undefined) topics.set(topic, [{ partition, offset }]);
      else list.push({ partition, offset });
    }
    const request = fetchExchange({
      maxWaitMs,
      maxBytes: tempo.fetchBytes,
      maxBytesPerPartition: tempo.fetchBytesPerPartition,
      topics: [...topics].map(([topic, partitions]) => ({ topic, partitions })),
    });
    inFlight += 1;
    try {
      return await connection.exchange(node, request);
    } finally {
      inFlight -= 1;
    }
  }

  /** Hands on what came; the number of partitions that had something. */
  async function take(fetched: readonly FetchedPartition[], wanted: readonly Entry[], goesOn: () => boolean): Promise<number> {
    let count = 0;
    let failed: KafkaError | undefined;
    for (const { topic, partition, error, highWatermark, aborted, records } of fetched) {
      const entry = wanted.find((one) => one.topic === topic && one.partition === partition);
      if (entry === undefined) continue;
      const code = codeOfNumber(error);
      if (code === "OFFSET_OUT_OF_RANGE") {
        options.onOutOfRange({ topic, partition, offset: entry.offset });
        if (!goesOn()) return count;
      }
      if (code !== undefined) {
        failed ??= new KafkaError(code, `reading partition ${partition} of ${topic} failed: ${code}`);
        continue;
      }
      const set = await decodeRecordSet(records, entry.offset, aborted, tempo.maxBatchBytes);
      if (!goesOn()) return count;
      if (set.next > entry.offset) count += 1;
      entry.offset = set.next;
      options.onRecords(topic, partition, set, highWatermark);
    }
    if (failed !== undefined) throw failed;
    missingSince = undefined;
    return count;
  }

  /** A topic may be unknown for a moment while a broker starts. */
  function missing(pauseMs: number, error: unknown): void {
    missedMs = missingSince === epoch ? missedMs + pauseMs : pauseMs;
    missingSince = epoch;
    if (missedMs < tempo.missingTopicMs) return;
    const names = [...new Set(entries.map(({ topic }) => topic))].join(", ");
    throw new KafkaStoppedError(`a topic is gone, one of ${names}: create it (rerate topics create) and start again`, {
      cause: error,
    });
  }

  return {
    set(places) {
      epoch += 1;
      missingSince = undefined;
      entries = places.map(({ topic, partition, offset }) => ({ topic, partition, offset }));
      naps.wake();
      // A long poll for the old set would hold up the new one.
      if (inFlight > 0) connection.reset();
      if (entries.length > 0 && !stopped) follow(epoch).catch((error: unknown) => options.onFailure(asError(error)));
    },
    wake: () => naps.wake(),
    stop() {
      stopped = true;
      epoch += 1;
      naps.wake();
    },
  };
}

function bytesOf(fetched: readonly FetchedPartition[]): number {
  return fetched.reduce((sum, { records }) => sum + records.length, 0);
}

/** A broker answers the first partitions of a request first, so each gets its turn. */
function rotate<Item>(items: readonly Item[], turn: number): readonly Item[] {
  const start = turn % items.length;
  return [...items.slice(start), ...items.slice(0, start)];
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
