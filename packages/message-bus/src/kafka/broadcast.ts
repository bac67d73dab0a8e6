/**
 * What every process reads whole: hints from now on, compacted tables from the beginning. One connection for all of them,
 * opened at the first; no group, no offsets.
 */
import type { KafkaConnection } from "./connection.ts";
import { backOff, createNaps, type Defer } from "./nap.ts";
import type { KafkaLog } from "./log.ts";
import { createPartitionReader, type PartitionPlace } from "./partition-reader.ts";
import type { KafkaRecord } from "./record-batch.ts";
import type { Tempo } from "./tempo.ts";

export interface BroadcastOptions {
  readonly connection: KafkaConnection;
  readonly tempo: Tempo;
  readonly defer: Defer;
  readonly log: KafkaLog;
  readonly onFailure: (error: Error) => void;
}

export interface Subscriber {
  readonly onRecord: (record: KafkaRecord, partition: number) => void;
  /** Everything that was there when the subscription began has been given. */
  readonly onCaughtUp?: () => void;
  /** The log begins after what was read: everything is given again from its beginning. */
  readonly onRestart?: () => void;
}

export interface Broadcast {
  /** Gives every record of a topic, in order within a partition; batches that cannot be unpacked are skipped. */
  subscribe(topic: string, from: "beginning" | "end", subscriber: Subscriber): { stop(): void };
  stop(): void;
}

interface Subscription {
  readonly topic: string;
  readonly subscriber: Subscriber;
  /** Undefined until the topic's offsets are known. */
  places: Map<number, number> | undefined;
  /** Ends that are still to be reached. */
  readonly missing: Map<number, number>;
  caughtUp: boolean;
}

const FIRST_RETRY_MS = 100;
const LONGEST_RETRY_MS = 2_000;

export function createBroadcast({ connection, tempo, defer, log, onFailure }: BroadcastOptions): Broadcast {
  const subscriptions = new Set<Subscription>();
  const naps = createNaps(defer);
  let stopped = false;
  let dueSet = false;

  const reader = createPartitionReader({
    connection,
    tempo,
    defer,
    log,
    wants: () => true,
    onRecords(topic, partition, { entries, next }) {
      for (const subscription of subscriptions) {
        const place = subscription.places?.get(partition);
        if (subscription.topic !== topic || place === undefined || place >= next) continue;
        for (const entry of entries) {
          if (entry.offset < place) continue;
          if (entry.kind === "record") subscription.subscriber.onRecord(entry, partition);
          else
            log.warn(
              { topic, partition, offset: entry.offset, reason: entry.reason },
              "a batch of a table or hint topic is skipped",
            );
        }
        subscription.places?.set(partition, next);
        checkCaughtUp(subscription);
      }
    },
    onOutOfRange({ topic }) {
      log.warn({ topic }, "a table is read again from the beginning of its topic");
      for (const subscription of subscriptions) {
        if (subscription.topic !== topic) continue;
        subscription.places = undefined;
        subscription.subscriber.onRestart?.();
        locateSoon(subscription, "beginning");
      }
      setSoon();
    },
    onFailure,
  });

  function checkCaughtUp(subscription: Subscription): void {
    if (subscription.caughtUp || subscription.places === undefined) return;
    for (const [partition, end] of subscription.missing) {
      if ((subscription.places.get(partition) ?? 0) < end) return;
    }
    subscription.caughtUp = true;
    subscription.subscriber.onCaughtUp?.();
  }

  /** Several subscriptions of one turn change the reader once. */
  function setSoon(): void {
    if (dueSet || stopped) return;
    dueSet = true;
    defer(() => {
      dueSet = false;
      if (stopped) return;
      const places = new Map<string, PartitionPlace>();
      for (const { topic, places: own } of subscriptions) {
        for (const [partition, offset] of own ?? []) {
          const key = `${topic}/${partition}`;
          if ((places.get(key)?.offset ?? Infinity) > offset) places.set(key, { topic, partition, offset });
        }
      }
      reader.set([...places.values()]);
    }, 0);
  }

  function locateSoon(subscription: Subscription, from: "beginning" | "end"): void {
    locate(subscription, from).catch((error: unknown) => onFailure(error instanceof Error ? error : new Error(String(error))));
  }

  async function locate(subscription: Subscription, from: "beginning" | "end"): Promise<void> {
    const { topic } = subscription;
    for (let attempt = 0; subscriptions.has(subscription); attempt++) {
      try {
        const count = (await connection.partitionCounts([topic])).get(topic) ?? 0;
        const asked = [{ topic, partitions: Array.from({ length: count }, (_, partition) => partition) }];
        const end = (await connection.listOffsets(asked, "end"))[0]?.offsets ?? new Map<number, number>();
        const start =
          from === "end" ? end : ((await connection.listOffsets(asked, "beginning"))[0]?.offsets ?? new Map<number, number>());
        subscription.places = new Map(start);
        for (const [partition, offset] of end) subscription.missing.set(partition, offset);
        checkCaughtUp(subscription);
        setSoon();
        return;
      } catch (error) {
        if (stopped) return;
        // The cluster may be away, or the topic not there yet: whoever waits for the table waits.
        log.warn({ topic, err: error }, "a table or hint topic cannot be read yet; it is tried again");
        await naps.nap(backOff(attempt, FIRST_RETRY_MS, LONGEST_RETRY_MS));
      }
    }
  }

  return {
    subscribe(topic, from, subscriber) {
      const subscription: Subscription = { topic, subscriber, places: undefined, missing: new Map(), caughtUp: false };
      subscriptions.add(subscription);
      locateSoon(subscription, from);
      return {
        stop() {
          if (subscriptions.delete(subscription)) setSoon();
        },
      };
    },
    stop() {
      stopped = true;
      subscriptions.clear();
      naps.wake();
      reader.stop();
    },
  };
}
