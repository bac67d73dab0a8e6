/**
 * What `@eventstore/db-client` alone appends to the same store: events of the text that the ledger has stored, as bytes, with
 * the expected revision of each stream. It reads, checks and prices nothing.
 */
import {
  EventStoreDBClient,
  binaryEvent,
  NO_STREAM,
  type AppendExpectedRevision,
  type AppendResult,
} from "@eventstore/db-client";
import type { StoredEvent } from "@rerate/event-store";

const STREAMS_AT_ONCE = 128;

export interface RawAppends {
  /** Appends as many events as these sizes sum up to, many streams at a time, one append of a stream at a time; the seconds. */
  run(sizes: readonly number[]): Promise<number>;
  close(): Promise<void>;
}

export function openRawAppends(connectionString: string, sample: readonly StoredEvent[]): RawAppends {
  const client = EventStoreDBClient.connectionString(connectionString);
  let stream = 0;
  let used = 0;

  function nextEvent() {
    const event = sample[used++ % sample.length];
    if (event === undefined) throw new Error("there are no stored events to append again");
    const { type, data, metadata } = event;
    return binaryEvent({ type, data: Buffer.from(data), metadata: Buffer.from(metadata) });
  }

  return {
    async run(sizes) {
      let next = 0;
      // A stream of its own for each worker.
      const work = async (): Promise<void> => {
        const name = `raw-${process.pid}-${stream++}`;
        let expectedRevision: AppendExpectedRevision = NO_STREAM;
        for (let size = sizes[next++]; size !== undefined; size = sizes[next++]) {
          const events = Array.from({ length: size }, nextEvent);
          const written: AppendResult = await client.appendToStream(name, events, { expectedRevision });
          expectedRevision = written.nextExpectedRevision;
        }
      };
      const started = performance.now();
      await Promise.all(Array.from({ length: STREAMS_AT_ONCE }, work));
      return (performance.now() - started) / 1_000;
    },
    close: () => client.dispose(),
  };
}
