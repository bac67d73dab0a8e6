/** Sends marks: gathers what is said about each source partition, and publishes the latest of it at most so often. */
import { markRecord } from "./mark-record.ts";
import type { Defer } from "./nap.ts";
import type { KafkaLog } from "./log.ts";
import type { PlacedRecord, Publisher } from "./publisher.ts";

export interface MarkSender {
  /** `sources`: all of them when absent. */
  mark(topic: MarkedTopic, readUpTo: string, sources: readonly number[] | undefined): void;
}

export interface MarkedTopic {
  readonly kafkaName: string;
  readonly keepsShard: boolean;
}

export interface MarkSenderOptions {
  readonly publisher: Publisher;
  readonly partitions: number;
  readonly everyMs: number;
  readonly defer: Defer;
  readonly log: KafkaLog;
}

export function createMarkSender({ publisher, partitions, everyMs, defer, log }: MarkSenderOptions): MarkSender {
  const said = new Map<MarkedTopic, Map<number, string>>();
  const sent = new Map<string, string>();
  const resting = new Set<MarkedTopic>();

  /** A mark that gets lost is made up for by the next. */
  function send(topic: MarkedTopic): void {
    const marks = said.get(topic);
    if (resting.has(topic) || marks === undefined || marks.size === 0) return;
    said.delete(topic);
    resting.add(topic);
    defer(() => {
      resting.delete(topic);
      send(topic);
    }, everyMs);
    publisher
      .publish(topic.kafkaName, recordsOf(topic, marks))
      .catch((error: unknown) =>
        log.debug({ topic: topic.kafkaName, err: error }, "marks were not published; later ones will be"),
      );
  }

  function recordsOf(topic: MarkedTopic, marks: ReadonlyMap<number, string>): PlacedRecord[] {
    const bySaying = new Map<string, number[]>();
    for (const [source, readUpTo] of marks) bySaying.set(readUpTo, [...(bySaying.get(readUpTo) ?? []), source]);
    return [...bySaying].flatMap(([readUpTo, sources]) => {
      // A partition hears of its own source only, or of all.
      const targets = topic.keepsShard ? sources : Array.from({ length: partitions }, (_, partition) => partition);
      return targets.map((partition) => ({
        partition,
        record: markRecord({ readUpTo, sources: topic.keepsShard ? [partition] : sources, sourceCount: partitions }),
      }));
    });
  }

  return {
    mark(topic, readUpTo, sources) {
      const marks = said.get(topic) ?? new Map<number, string>();
      said.set(topic, marks);
      for (const source of sources ?? Array.from({ length: partitions }, (_, partition) => partition)) {
        if (source < 0 || source >= partitions) throw new RangeError(`there is no source partition ${source}`);
        const key = `${topic.kafkaName}/${source}`;
        if ((sent.get(key) ?? "") >= readUpTo) continue;
        sent.set(key, readUpTo);
        marks.set(source, readUpTo);
      }
      send(topic);
    },
  };
}
