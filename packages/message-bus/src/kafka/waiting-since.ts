/**
 * Since when messages wait: the time of the first message behind a group's offset, by partition. For people and alarms.
 *
 * The time is the one that the producer gave the message's batch. Costs a fetch for each partition that has something waiting.
 */
import type { KafkaConnection } from "./connection.ts";
import { markOf } from "./mark-record.ts";
import { fetchExchange } from "./protocol.ts";
import { decodeRecordSet } from "./record-batch.ts";

export interface Waiting {
  readonly topic: string;
  readonly partition: number;
  /** Milliseconds since 1970. */
  readonly sinceMs: number;
}

/** Where a record batch says when its first message was made; how long its header is, and what of it its length leaves out. */
const TIME_AT = 27;
const HEADER_BYTES = 61;
const PREFIX_BYTES = 12;
/** A broker always answers with one whole batch at least, so little is asked for. */
const FETCH_BYTES = 16_384;
const MOST_FETCHES = 4;
const MOST_UNPACKED_BYTES = 32_000_000;

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

/** The time of the first message from an offset on. Marks are none: between idle services there is always one under way. */
async function timeAt(connection: KafkaConnection, topic: string, partition: number, start: number): Promise<number | undefined> {
  let offset = start;
  for (let fetches = 0; fetches < MOST_FETCHES; fetches++) {
    const [node] = connection.leaders([{ topic, partitions: [partition] }]).keys();
    if (node === undefined) return undefined;
    const wanted = [{ topic, partitions: [{ partition, offset }] }];
    const request = fetchExchange({ maxWaitMs: 0, maxBytes: FETCH_BYTES, maxBytesPerPartition: FETCH_BYTES, topics: wanted });
    const [fetched] = await connection.exchange(node, request);
    if (fetched === undefined) return undefined;
    const { entries, next } = await decodeRecordSet(fetched.records, offset, fetched.aborted, MOST_UNPACKED_BYTES);
    const first = entries.find((entry) => entry.kind === "broken" || markOf(entry) === undefined);
    if (first !== undefined) return timeOfBatch(fetched.records, first.offset);
    if (next <= offset) return undefined;
    offset = next;
  }
  return undefined;
}

/** When the first message of the batch that holds an offset was made. */
function timeOfBatch(records: Buffer, offset: number): number | undefined {
  let time: bigint | undefined;
  for (let at = 0; at + HEADER_BYTES <= records.length; at += PREFIX_BYTES + records.readInt32BE(at + 8)) {
    if (Number(records.readBigInt64BE(at)) > offset) break;
    time = records.readBigInt64BE(at + TIME_AT);
  }
  return time === undefined ? undefined : Number(time);
}
