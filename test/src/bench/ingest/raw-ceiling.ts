/**
 * What the embedded engine alone can do on this machine at this moment: events of the same number and text as the ledger
 * stores, appended straight through the event store's port in blocks, each durable before it counts.
 */
import { createEmbeddedEventStore, NO_STREAM, type EventStore, type NewEvent } from "@rerate/event-store";
import { openLogReadOnly } from "@rerate/runtime";
import { createGroupCommit, openDatabase } from "@rerate/sqlite";
import { join } from "node:path";

const BLOCK = 100;
const BLOCKS_PER_CALL = 10;
const CALLS_IN_FLIGHT = 4;

export interface RawCeiling {
  /** Appends so many events; returns the seconds it took. */
  run(events: number): Promise<number>;
  close(): Promise<void>;
}

/** A store of its own in `directory` that appends copies of `sample`. */
export function openRawCeiling(directory: string, sample: readonly NewEvent[]): RawCeiling {
  const database = openDatabase(join(directory, "raw.db"), { synchronous: "FULL" });
  const commit = createGroupCommit(database);
  const store = createEmbeddedEventStore({ database, commit });
  const revisions = new Map<string, number>();
  let calls = 0;

  async function appendOnce(): Promise<void> {
    const appends = Array.from({ length: BLOCKS_PER_CALL }, (_, index) => {
      const stream = `raw-${(calls * BLOCKS_PER_CALL + index) % 1_000}`;
      const expectedRevision = revisions.get(stream) ?? NO_STREAM;
      revisions.set(stream, expectedRevision + BLOCK);
      const from = (index * BLOCK) % Math.max(1, sample.length - BLOCK);
      return { stream, expectedRevision, events: sample.slice(from, from + BLOCK) };
    });
    calls += 1;
    for (const { kind } of await store.append(appends))
      if (kind !== "committed") throw new Error(`a raw append was answered "${kind}"`);
  }

  return {
    async run(events) {
      let open = Math.ceil(events / (BLOCK * BLOCKS_PER_CALL));
      const started = performance.now();
      const worker = async (): Promise<void> => {
        while (open-- > 0) await appendOnce();
      };
      await Promise.all(Array.from({ length: CALLS_IN_FLIGHT }, worker));
      return (performance.now() - started) / 1_000;
    },
    async close() {
      await store.close();
      commit.close();
      database.close();
    },
  };
}

/** The last events that a ledger has stored, as text, for the raw ceiling to append again. Read beside the running server. */
export async function sampleEvents(dataDirectory: string, count: number): Promise<readonly NewEvent[]> {
  const { eventStore, close } = openLogReadOnly(dataDirectory);
  try {
    return await newestEvents(eventStore, count);
  } finally {
    await close();
  }
}

async function newestEvents(eventStore: EventStore, count: number): Promise<readonly NewEvent[]> {
  // A page of streams that nobody has is empty and says where the log ends; local positions are event numbers.
  const { next = "0" } = await eventStore.readAll({ prefixes: ["none-"], maxCount: 1 });
  const after = String(Math.max(0, Number(next) - count));
  const { events } = await eventStore.readAll({ after, maxCount: count });
  return events.map(({ type, data, metadata }) => ({ type, data, metadata }));
}
