/** A record of a topic as handlers see it: decoded, or poison with its bytes, headers and reason. Never throws. */
import type { MessageHeaders, ReceivedMessage, TopicCodec } from "../port.ts";
import type { BrokenBatch, KafkaRecord } from "./record-batch.ts";

/** Set by a door that waits for an answer. */
export const WAIT_HEADER = "rerate-wait";

export interface RecordPlace {
  /** The topic's name for the handler. */
  readonly topic: string;
  readonly partition: number;
  readonly codec: TopicCodec;
}

export function receivedMessage({ topic, partition, codec }: RecordPlace, entry: KafkaRecord | BrokenBatch): ReceivedMessage {
  const { offset } = entry;
  if (entry.kind === "broken") {
    const content = { kind: "poison", bytes: Buffer.from(entry.bytes), error: entry.reason } as const;
    return { topic, partition, offset, key: "", content };
  }
  const key = entry.key?.toString() ?? "";
  const headers = headersOf(entry);
  const awaited = headers?.[WAIT_HEADER] === "1" ? { awaited: true } : {};
  try {
    if (entry.value === null) throw new TypeError("the message has no value (a tombstone)");
    return { topic, partition, offset, key, ...awaited, content: { kind: "body", body: codec.decode(entry.value, headers) } };
  } catch (error) {
    // A copy: the record is a piece of a whole fetch.
    const bytes = Buffer.from(entry.value ?? []);
    const poison = { kind: "poison", bytes, error: String(error), ...(headers === undefined ? {} : { headers }) } as const;
    return { topic, partition, offset, key, ...awaited, content: poison };
  }
}

function headersOf({ headers }: KafkaRecord): MessageHeaders | undefined {
  if (headers.length === 0) return undefined;
  return Object.fromEntries(headers.map(({ name, value }) => [name.toLowerCase(), value?.toString() ?? ""]));
}
