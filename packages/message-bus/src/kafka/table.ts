/**
 * A compacted topic as a table: the last value of every key, held in memory by every process that opens it.
 *
 * What this process wrote shows at once, as if it had been read; everything else shows when it has been read. A null value
 * removes the key, and after the next compaction its bytes are gone from Kafka, too.
 */
import type { Broadcast } from "./broadcast.ts";
import type { Publisher } from "./publisher.ts";

export interface KafkaTable {
  get(key: string): Uint8Array | undefined;
  entries(): IterableIterator<[string, Uint8Array]>;
  readonly size: number;
  /** Resolves when the value is durable and shows here. Null removes the key. */
  put(key: string, value: Uint8Array | null): Promise<void>;
  putAll(values: ReadonlyMap<string, Uint8Array | null>): Promise<void>;
}

/** Everything of one key goes to one partition, so tables may have several; ours have one. */
const PARTITION = 0;

/** Puts values into a compacted topic, whoever reads it; the offset of each. Null removes the key. */
export function putInto(
  publisher: Publisher,
  topic: string,
  values: ReadonlyMap<string, Uint8Array | null>,
): Promise<readonly number[]> {
  const records = [...values].map(([key, value]) => ({ partition: PARTITION, record: { key: Buffer.from(key), value } }));
  return publisher.publish(topic, records);
}

/** Resolves when everything that was in the topic at the start has been read. */
export function openTable(topic: string, broadcast: Broadcast, publisher: Publisher): Promise<KafkaTable> {
  const values = new Map<string, Uint8Array>();
  /** Own writes that have not been read yet: older records of the key must not bring an older value back. */
  const ahead = new Map<string, number>();
  const { promise: caughtUp, resolve } = Promise.withResolvers<void>();

  broadcast.subscribe(topic, "beginning", {
    onRecord({ key, value, offset }) {
      if (key === null) return;
      const name = key.toString();
      const own = ahead.get(name);
      if (own !== undefined && offset < own) return;
      if (own !== undefined) ahead.delete(name);
      show(name, value);
    },
    onCaughtUp: resolve,
    onRestart: () => values.clear(),
  });

  function show(key: string, value: Uint8Array | null): void {
    if (value === null) values.delete(key);
    else values.set(key, Uint8Array.from(value));
  }

  async function putAll(changed: ReadonlyMap<string, Uint8Array | null>): Promise<void> {
    const offsets = await putInto(publisher, topic, changed);
    [...changed].forEach(([key, value], index) => {
      const offset = offsets[index] ?? 0;
      if ((ahead.get(key) ?? -1) > offset) return;
      ahead.set(key, offset);
      show(key, value);
    });
  }

  const table: KafkaTable = {
    get: (key) => values.get(key),
    entries: () => values.entries(),
    get size() {
      return values.size;
    },
    put: (key, value) => putAll(new Map([[key, value]])),
    putAll,
  };
  return caughtUp.then(() => table);
}
