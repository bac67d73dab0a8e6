/** Bus storage in memory: everything is as durable as the process. Nothing here waits, so tests and simulation stay in order. */
import type { ParkedRecord, ParkedStore } from "./port.ts";
import type { BusStorage, GroupOffset, StoredBlock } from "./storage.ts";

export function createMemoryStorage(): BusStorage {
  const lanes = new Map<string, { readonly topic: string; readonly partition: number; blocks: StoredBlock[]; next: number }>();
  const offsets = new Map<string, GroupOffset>();
  return {
    ends: () => [...lanes.values()].map(({ topic, partition, next }) => ({ topic, partition, next })),
    async append(blocks, committed) {
      for (const block of blocks) {
        const { topic, partition } = block;
        const lane = lanes.get(`${topic}\n${partition}`) ?? { topic, partition, blocks: [], next: 0 };
        lane.blocks.push(block);
        lane.next = block.first + block.messages.length;
        lanes.set(`${topic}\n${partition}`, lane);
      }
      committed();
    },
    read(topic, partition, from, maxCount) {
      const found: StoredBlock[] = [];
      let count = 0;
      for (const block of lanes.get(`${topic}\n${partition}`)?.blocks ?? []) {
        if (block.first + block.messages.length <= from) continue;
        found.push(block);
        count += block.messages.length;
        if (count >= maxCount) break;
      }
      return found;
    },
    offsets: () => [...offsets.values()],
    async saveOffsets(changed, trims) {
      for (const offset of changed) offsets.set(`${offset.group}\n${offset.topic}\n${offset.partition}`, offset);
      for (const { topic, partition, before } of trims) {
        const lane = lanes.get(`${topic}\n${partition}`);
        if (lane !== undefined) lane.blocks = lane.blocks.filter((block) => block.first + block.messages.length > before);
      }
    },
    parked: createMemoryParked(),
  };
}

function createMemoryParked(): ParkedStore {
  const records = new Map<string, ParkedRecord>();
  return {
    async put(added) {
      for (const record of added) records.set(record.id, record);
    },
    get: async (id) => records.get(id),
    async list({ ns, account, reason, service, retryAsked, limit }) {
      return [...records.values()]
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
      const record = records.get(id);
      if (record !== undefined) records.set(id, { ...record, retryAskedAt: at });
      return record !== undefined;
    },
    erase: async (id) => records.delete(id),
    count: async () => records.size,
  };
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
