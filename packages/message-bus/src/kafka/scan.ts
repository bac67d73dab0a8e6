/**
 * Reading a topic once, from its beginning to the end that it had at the start: for audits. No group, no offsets kept.
 *
 * Sees every message as a handler would; marks are left out. Memory is bounded by what one fetch brings.
 */
import type { ReceivedMessage, TopicCodec } from "../port.ts";
import type { KafkaConnection } from "./connection.ts";
import { KafkaError } from "./kafka-error.ts";
import type { KafkaLog } from "./log.ts";
import { markOf } from "./mark-record.ts";
import type { Defer } from "./nap.ts";
import { createPartitionReader, type PartitionReader } from "./partition-reader.ts";
import { receivedMessage } from "./received-message.ts";
import type { Tempo } from "./tempo.ts";

export interface ScanOptions {
  /** Of this scan alone: closed with it. */
  readonly connection: KafkaConnection;
  /** The name in Kafka. */
  readonly kafkaName: string;
  /** The name that messages carry. */
  readonly topic: string;
  readonly codec: TopicCodec;
  readonly hasMarks: boolean;
  /** The messages of one partition in their order. A message without a value is poison without bytes. */
  readonly onMessages: (messages: readonly ReceivedMessage[]) => void;
  readonly tempo: Tempo;
  readonly defer: Defer;
  readonly log: KafkaLog;
}

/**
 * Resolves, with the end of every partition, when everything before it has been given. Rejects when the beginning of the log
 * moves past what was to be read next.
 */
export async function scanTopic(options: ScanOptions): Promise<ReadonlyMap<number, number>> {
  const { connection } = options;
  try {
    return await readToEnds(options);
  } finally {
    await connection.close();
  }
}

async function readToEnds(options: ScanOptions): Promise<ReadonlyMap<number, number>> {
  const { connection, kafkaName, topic, codec, hasMarks, tempo, defer, log } = options;
  const count = (await connection.partitionCounts([kafkaName])).get(kafkaName) ?? 0;
  const asked = [{ topic: kafkaName, partitions: Array.from({ length: count }, (_, partition) => partition) }];
  const offsetsOf = async (which: "beginning" | "end") =>
    (await connection.listOffsets(asked, which)).find((one) => one.topic === kafkaName)?.offsets ?? new Map<number, number>();
  const ends = await offsetsOf("end");
  const beginnings = await offsetsOf("beginning");
  /** Partitions that are not at their end. */
  const open = new Map([...beginnings].filter(([partition, begin]) => begin < (ends.get(partition) ?? 0)));
  if (open.size === 0) return ends;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const reader: PartitionReader = createPartitionReader({
    connection,
    tempo,
    defer,
    log,
    wants: (_, partition) => open.has(partition),
    onRecords(_, partition, { entries, next }) {
      const end = ends.get(partition) ?? 0;
      try {
        const wanted = entries.filter(
          (entry) => entry.offset < end && !(hasMarks && entry.kind === "record" && markOf(entry) !== undefined),
        );
        if (wanted.length > 0) options.onMessages(wanted.map((entry) => receivedMessage({ topic, partition, codec }, entry)));
      } catch (error) {
        reject(error instanceof Error ? error : new Error(String(error)));
      }
      if (next >= end) open.delete(partition);
      if (open.size === 0) resolve();
    },
    onOutOfRange({ partition, offset }) {
      reject(new KafkaError("OFFSET_OUT_OF_RANGE", `${topic}/${partition} lost what was at ${offset} while it was read`));
    },
    onFailure: reject,
  });
  reader.set([...open].map(([partition, offset]) => ({ topic: kafkaName, partition, offset })));
  try {
    await promise;
  } finally {
    reader.stop();
  }
  return ends;
}
