/**
 * Parked records in a compacted topic: every process holds all of them in memory, and an erased one is a tombstone.
 *
 * Read when first asked for; until then a process that only parks holds nothing.
 */
import type { ParkedRecord, ParkedStore, TopicCodec } from "../port.ts";
import type { KafkaLog } from "./log.ts";
import type { KafkaTable } from "./table.ts";

export interface KafkaParkedOptions {
  readonly codec: TopicCodec;
  /** The table of the topic, opened at the first call. */
  readonly table: () => Promise<KafkaTable>;
  readonly log: KafkaLog;
}

export function createKafkaParked({ codec, table, log }: KafkaParkedOptions): ParkedStore {
  /** Decoded once: the bytes of a key stay the same object until they change. */
  const decoded = new Map<string, { readonly bytes: Uint8Array; readonly record: ParkedRecord | undefined }>();

  function decode(id: string, bytes: Uint8Array): ParkedRecord | undefined {
    const known = decoded.get(id);
    if (known?.bytes === bytes) return known.record;
    let record: ParkedRecord | undefined;
    try {
      const body = codec.decode(bytes) as ParkedRecord;
      record = { ...body, id };
    } catch (error) {
      log.warn({ id, err: error }, "a parked record cannot be read");
    }
    decoded.set(id, { bytes, record });
    return record;
  }

  async function all(): Promise<readonly ParkedRecord[]> {
    const found: ParkedRecord[] = [];
    const rows = await table();
    for (const [id, bytes] of rows.entries()) {
      const record = decode(id, bytes);
      if (record !== undefined) found.push(record);
    }
    if (decoded.size > rows.size * 2 + 100) decoded.clear();
    return found;
  }

  async function get(id: string): Promise<ParkedRecord | undefined> {
    const bytes = (await table()).get(id);
    return bytes === undefined ? undefined : decode(id, bytes);
  }

  async function put(records: readonly ParkedRecord[]): Promise<void> {
    if (records.length === 0) return;
    await (await table()).putAll(new Map(records.map((record) => [record.id, codec.encode(record)])));
  }

  return {
    put,
    get,
    async list({ ns, account, reason, service, retryAsked, limit }) {
      return (await all())
        .filter(
          (record) =>
            (ns === undefined || record.ns === ns) &&
            (account === undefined || record.account === account) &&
            (reason === undefined || record.reason === reason) &&
            (service === undefined || record.service === service) &&
            (retryAsked === undefined || record.retryAskedAt !== undefined),
        )
        .sort((a, b) => compare(a.parkedAt, b.parkedAt) || compare(a.id, b.id))
        .slice(0, limit);
    },
    async askRetry(id, at) {
      const record = await get(id);
      if (record === undefined) return false;
      await put([{ ...record, retryAskedAt: at }]);
      return true;
    },
    async erase(id) {
      const rows = await table();
      if (rows.get(id) === undefined) return false;
      await rows.put(id, null);
      decoded.delete(id);
      return true;
    },
    count: async () => (await table()).size,
  };
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
