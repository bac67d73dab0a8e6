/**
 * Since when messages wait: the time of the first message behind a group's offset, by partition. For people and alarms.
 *
 * The time is the one that the producer gave the message's batch. Costs a fetch for each partition that has something waiting.
 */
import type { KafkaConnection } from "./connection.ts";
import { fetchExchange } from "./protocol.ts";

export interface Waiting {
  readonly topic: string;
  readonly partition: number;
  /** Milliseconds since 1970. */
  readonly sinceMs: number;
}

/** Where a record batch says when its first message was made, and how long its header is. */
const TIME_AT = 27;
const HEADER_BYTES = 61;

/** Partitions where nothing waits, or where the group was never, are left out. */
export async function waitingSince(
  connection: KafkaConnection,
  group: string,
  topics: readonly string[],
  partitions: readonly number[],
): Promise<readonly Waiting[]> {
  const asked = topics.map((topic) => ({ topic, partitions }));
  const committed = (await connection.committed(group, asked)).filter(({ offsets }) => offsets.size > 0);
  if (committed.length === 0) return [];
  const known = committed.map(({ topic, offsets }) => ({ topic, partitions: [...offsets.keys()] }));
  const ends = new Map((await connection.listOffsets(known, "end")).map(({ topic, offsets }) => [topic, offsets]));
  const found: Waiting[] = [];
  for (const { topic, offsets } of committed) {
    for (const [partition, offset] of offsets) {
      if (offset >= (ends.get(topic)?.get(partition) ?? 0)) continue;
      const sinceMs = await timeAt(connection, topic, partition, offset);
      if (sinceMs !== undefined) found.push({ topic, partition, sinceMs });
    }
  }
  return found;
}

/** A broker always answers with one whole batch at least, so little is asked for. */
async function timeAt(
  connection: KafkaConnection,
  topic: string,
  partition: number,
  offset: number,
): Promise<number | undefined> {
  const [node] = connection.leaders([{ topic, partitions: [partition] }]).keys();
  if (node === undefined) return undefined;
  const request = {
    maxWaitMs: 0,
    maxBytes: 1,
    maxBytesPerPartition: 1,
    topics: [{ topic, partitions: [{ partition, offset }] }],
  };
  const [fetched] = await connection.exchange(node, fetchExchange(request));
  if (fetched === undefined || fetched.records.length < HEADER_BYTES) return undefined;
  return Number(fetched.records.readBigInt64BE(TIME_AT));
}
