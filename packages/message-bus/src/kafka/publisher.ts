/**
 * Publishing to Kafka: encoded once, gathered into large requests, acknowledged by all replicas in sync.
 *
 * One request per topic is under way at a time; what is published meanwhile goes together with the next one. So messages keep
 * the order of the calls, and many small calls cost as little as a large one.
 */
import type { KafkaConnection } from "./connection.ts";
import { codeOf, codeOfNumber, KafkaError, willPass } from "./kafka-error.ts";
import { backOff, createNaps, type Defer } from "./nap.ts";
import { produceExchange } from "./protocol.ts";
import { encodeBatch, type NewRecord, recordSize } from "./record-batch.ts";
import type { Tempo } from "./tempo.ts";

export interface PublisherOptions {
  readonly connection: KafkaConnection;
  readonly tempo: Tempo;
  readonly defer: Defer;
  /** Milliseconds since 1970. */
  readonly nowMs: () => number;
}

export interface PlacedRecord {
  readonly partition: number;
  readonly record: NewRecord;
}

export interface Publisher {
  /** Resolves with the offset of each record when all are durable. Rejects as a whole, though some may have been published. */
  publish(topic: string, records: readonly PlacedRecord[]): Promise<readonly number[]>;
  /** What has not been sent rejects. */
  close(): void;
}

interface Job {
  readonly records: readonly PlacedRecord[];
  readonly offsets: number[];
  /** When it came, in milliseconds. */
  readonly sinceMs: number;
  readonly resolve: (offsets: readonly number[]) => void;
  readonly reject: (error: unknown) => void;
}

interface Item {
  readonly job: Job;
  readonly index: number;
  readonly placed: PlacedRecord;
}

/** A batch stays below Kafka's usual limit of a message, about a megabyte; a request below a few of them. */
const BATCH_BYTES = 900_000;
const REQUEST_BYTES = 8_000_000;
const FIRST_RETRY_MS = 50;
const LONGEST_RETRY_MS = 1_000;

export function createPublisher({ connection, tempo, defer, nowMs }: PublisherOptions): Publisher {
  const waiting = new Map<string, Job[]>();
  const sending = new Set<string>();
  const naps = createNaps(defer);
  let closed = false;

  async function pump(topic: string): Promise<void> {
    sending.add(topic);
    for (let jobs = waiting.get(topic); jobs !== undefined && jobs.length > 0; jobs = waiting.get(topic)) {
      const taken = takeJobs(jobs);
      try {
        await sendAll(topic, taken);
      } catch (error) {
        // One message that Kafka refuses must not take the others with it.
        if (taken.length > 1 && !mayPass(error)) await sendEach(topic, taken);
        else for (const job of taken) job.reject(error);
      }
    }
    sending.delete(topic);
  }

  /** Jobs for one request; at least one. */
  function takeJobs(jobs: Job[]): Job[] {
    let bytes = 0;
    let count = 0;
    while (count < jobs.length && (count === 0 || bytes < REQUEST_BYTES)) {
      bytes += jobs[count]?.records.reduce((sum, { record }) => sum + recordSize(record), 0) ?? 0;
      count += 1;
    }
    return jobs.splice(0, count);
  }

  async function sendEach(topic: string, jobs: readonly Job[]): Promise<void> {
    for (const job of jobs) {
      // What the common request did publish is not published again.
      if (job.records.every((_, index) => job.offsets[index] !== undefined)) job.resolve(job.offsets);
      else await sendAll(topic, [job]).catch(job.reject);
    }
  }

  async function sendAll(topic: string, jobs: readonly Job[]): Promise<void> {
    let rest = jobs.flatMap((job) => job.records.map((placed, index): Item => ({ job, index, placed })));
    while (rest.length > 0) {
      const { batches, later } = split(rest);
      await send(topic, batches, Math.min(...jobs.map(({ sinceMs }) => sinceMs)));
      rest = later;
    }
    for (const job of jobs) job.resolve(job.offsets);
  }

  /** As much per partition as fits one batch; the rest of a partition waits, so that its order stays. */
  function split(items: readonly Item[]): { readonly batches: Map<number, Item[]>; readonly later: Item[] } {
    const batches = new Map<number, Item[]>();
    const sizes = new Map<number, number>();
    const full = new Set<number>();
    const later: Item[] = [];
    for (const item of items) {
      const { partition, record } = item.placed;
      const size = (sizes.get(partition) ?? 0) + recordSize(record);
      const batch = batches.get(partition);
      if (batch !== undefined && (full.has(partition) || size > BATCH_BYTES)) {
        full.add(partition);
        later.push(item);
        continue;
      }
      sizes.set(partition, size);
      if (batch === undefined) batches.set(partition, [item]);
      else batch.push(item);
    }
    return { batches, later };
  }

  /** Sends until every partition has taken its batch; those that fail for now are sent again until the time is over. */
  async function send(topic: string, batches: ReadonlyMap<number, readonly Item[]>, sinceMs: number): Promise<void> {
    const encoded = new Map(
      [...batches].map(([partition, items]) => [
        partition,
        encodeBatch(
          items.map(({ placed }) => placed.record),
          nowMs(),
        ),
      ]),
    );
    for (let attempt = 0; encoded.size > 0; attempt++) {
      const failures = await sendOnce(topic, encoded, batches);
      const error = failures[0];
      if (error === undefined) continue;
      const final = failures.find((one) => !mayPass(one));
      if (final !== undefined) throw final;
      if (closed) throw new Error("the message bus is closed");
      if (nowMs() - sinceMs > tempo.publishTimeoutMs) {
        throw new KafkaError("CONNECTION", `Kafka did not take messages for ${topic} within ${tempo.publishTimeoutMs} ms`, error);
      }
      await naps.nap(backOff(attempt, FIRST_RETRY_MS, LONGEST_RETRY_MS));
    }
  }

  /** One attempt. Partitions that took their batch leave `encoded`. */
  async function sendOnce(
    topic: string,
    encoded: Map<number, Buffer>,
    batches: ReadonlyMap<number, readonly Item[]>,
  ): Promise<readonly Error[]> {
    const failures: Error[] = [];
    const failed = (error: unknown) => failures.push(error instanceof Error ? error : new Error(String(error)));
    try {
      const nodes = await leaders(topic, [...encoded.keys()]);
      // All are waited for: what one broker takes late must not be sent again meanwhile.
      const sent = await Promise.allSettled(
        [...nodes].map(async ([node, partitions]) => {
          const own = partitions.flatMap((partition) => {
            const batch = encoded.get(partition);
            return batch === undefined ? [] : [{ partition, batch }];
          });
          const answers = await connection.exchange(
            node,
            produceExchange({ timeoutMs: tempo.requestTimeoutMs, topic, batches: own }),
          );
          for (const { partition, error, baseOffset } of answers) {
            const code = codeOfNumber(error);
            if (code !== undefined) {
              stale.add(topic);
              failed(new KafkaError(code, `Kafka refused messages for partition ${partition} of ${topic}: ${code}`));
              continue;
            }
            encoded.delete(partition);
            batches.get(partition)?.forEach(({ job, index }, place) => {
              job.offsets[index] = baseOffset + place;
            });
          }
        }),
      );
      for (const one of sent) if (one.status === "rejected") throw one.reason;
    } catch (error) {
      stale.add(topic);
      failed(error);
    }
    return failures;
  }

  /** Topics whose leaders must be asked for anew. */
  const stale = new Set<string>();
  const known = new Set<string>();

  async function leaders(topic: string, partitions: readonly number[]): Promise<ReadonlyMap<string, readonly number[]>> {
    if (stale.has(topic) || !known.has(topic)) {
      await connection.partitionCounts([topic]);
      known.add(topic);
      stale.delete(topic);
    }
    const nodes = connection.leaders([{ topic, partitions }]);
    const led = new Map([...nodes].map(([node, own]) => [node, own.flatMap((one) => one.partitions)]));
    if ([...led.values()].flat().length < partitions.length)
      throw new KafkaError("UNKNOWN_TOPIC_OR_PARTITION", `a partition of ${topic} is not there`);
    return led;
  }

  return {
    publish(topic, records) {
      if (closed) return Promise.reject(new Error("the message bus is closed"));
      if (records.length === 0) return Promise.resolve([]);
      return new Promise((resolve, reject) => {
        const jobs = waiting.get(topic) ?? [];
        waiting.set(topic, jobs);
        jobs.push({ records, offsets: [], sinceMs: nowMs(), resolve, reject });
        // In the next turn, so that calls of one turn go together.
        if (!sending.has(topic)) {
          sending.add(topic);
          queueMicrotask(() => void pump(topic));
        }
      });
    },
    close() {
      closed = true;
      naps.wake();
      for (const jobs of waiting.values()) for (const job of jobs.splice(0)) job.reject(new Error("the message bus is closed"));
    },
  };
}

/** A topic may be unknown for a moment while a broker starts. */
function mayPass(error: unknown): boolean {
  return willPass(error) || codeOf(error) === "UNKNOWN_TOPIC_OR_PARTITION";
}
