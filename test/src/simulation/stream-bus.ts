/**
 * The memory bus as Kafka is: topics that are published from a log are topics like any others, fed by relays, and marks travel in
 * them beside the messages.
 *
 * A stand-in for the adapter, with the same rules: a mark is passed when what was published before it is handled; a consumer
 * trusts the least of all sources that can reach its partitions. A topic may be lost and made anew, with what was not read yet.
 */
import { createMemoryBus, type BusStorage, type ConsumeOptions, type LocalBus, type LocalBusOptions } from "@rerate/message-bus";
import type { LogTopicOptions, ReceivedMessage, TopicCodec } from "@rerate/message-bus";

export interface StreamBusOptions extends Omit<LocalBusOptions, "logTopics" | "log"> {
  readonly relayed: readonly RelayedTopic[];
  /** How often each topic was made anew. Outlives the bus, as its storage does. */
  readonly ages: Map<string, number>;
}

export interface RelayedTopic extends Pick<LogTopicOptions, "topic" | "keepsShard" | "partitions"> {
  readonly codec: TopicCodec;
}

/** What travels in a relayed topic: a message, or a mark. */
interface Envelope {
  /** How often the topic had been made anew when this was published. */
  readonly age: number;
  readonly mark?: { readonly readUpTo: string; readonly source: number };
  readonly body?: unknown;
}

export function createStreamBus(options: StreamBusOptions, storage: BusStorage): LocalBus {
  const { relayed, ages, topics, ...rest } = options;
  const byName = new Map(relayed.map((each) => [each.topic, each]));
  const published = relayed.map(({ topic, partitions, codec }) => ({ name: topic, partitions, codec: envelopes(codec) }));
  const bus = createMemoryBus({ ...rest, topics: [...topics, ...published] }, storage);
  const ageOf = (topic: string): number => ages.get(topic) ?? 0;

  return {
    ...bus,
    publish(topic, messages) {
      if (!byName.has(topic)) return bus.publish(topic, messages);
      const age = ageOf(topic);
      return bus.publish(
        topic,
        messages.map((message) => ({ ...message, body: { age, body: message.body } satisfies Envelope })),
      );
    },
    mark(topic, readUpTo, sources) {
      const known = byName.get(topic);
      if (known === undefined) throw new Error(`${topic} is fed by no relay`);
      const all = partitionsOf(known);
      const age = ageOf(topic);
      const marks = (sources ?? all).flatMap((source) =>
        (known.keepsShard === true ? [source] : all).map((shard) => ({
          key: "",
          shard,
          body: { age, mark: { readUpTo, source } } satisfies Envelope,
        })),
      );
      bus.publish(topic, marks).catch(() => {});
    },
    consume(consuming) {
      const passed = createPassed(byName);
      const consumer = bus.consume({
        ...consuming,
        onChunk: (chunk) => (byName.has(chunk.topic) ? unpack(chunk, consuming, passed) : consuming.onChunk(chunk)),
        onAssigned(partitions) {
          passed.assigned(partitions);
          consuming.onAssigned?.(partitions);
        },
        onRevoked(partitions) {
          passed.revoked(partitions);
          consuming.onRevoked?.(partitions);
        },
      });
      return {
        ...consumer,
        readUpTo: (topic) => (byName.has(topic) ? passed.readUpTo(topic) : consumer.readUpTo(topic)),
      };
    },
  };

  /** Hands on what is younger than the topic; its marks count once that has been handled. */
  async function unpack(
    chunk: Parameters<ConsumeOptions["onChunk"]>[0],
    { onChunk }: ConsumeOptions,
    passed: Passed,
  ): Promise<void> {
    const messages: ReceivedMessage[] = [];
    const marks: NonNullable<Envelope["mark"]>[] = [];
    for (const message of chunk.messages) {
      if (message.content.kind === "poison") throw new Error(`the relay published bytes that are no ${chunk.topic}`);
      const { age, mark, body } = message.content.body as Envelope;
      if (age < ageOf(chunk.topic)) continue;
      if (mark === undefined) messages.push({ ...message, content: { kind: "body", body } });
      else marks.push(mark);
    }
    if (messages.length > 0) await onChunk({ ...chunk, messages });
    for (const { readUpTo, source } of marks) passed.mark(chunk.topic, chunk.partition, source, readUpTo);
  }
}

type Passed = ReturnType<typeof createPassed>;

/** The marks that one consumer has passed, by topic, partition and source. */
function createPassed(topics: ReadonlyMap<string, RelayedTopic>) {
  const owned = new Set<number>();
  const marks = new Map<string, string>();
  const keyOf = (topic: string, partition: number, source: number): string => `${topic}/${partition}/${source}`;

  function forget(partitions: readonly number[]): void {
    for (const topic of topics.values())
      for (const partition of partitions)
        for (const source of partitionsOf(topic)) marks.delete(keyOf(topic.topic, partition, source));
  }

  return {
    assigned(partitions: readonly number[]): void {
      for (const partition of partitions) owned.add(partition);
      forget(partitions);
    },
    revoked(partitions: readonly number[]): void {
      for (const partition of partitions) owned.delete(partition);
      forget(partitions);
    },
    mark(topic: string, partition: number, source: number, readUpTo: string): void {
      const key = keyOf(topic, partition, source);
      if (owned.has(partition) && readUpTo > (marks.get(key) ?? "")) marks.set(key, readUpTo);
    },
    readUpTo(name: string): string | undefined {
      const topic = topics.get(name);
      if (topic === undefined || owned.size === 0) return undefined;
      let least: string | undefined;
      for (const partition of owned) {
        for (const source of topic.keepsShard === true ? [partition] : partitionsOf(topic)) {
          const readUpTo = marks.get(keyOf(name, partition, source));
          if (readUpTo === undefined) return undefined;
          if (least === undefined || readUpTo < least) least = readUpTo;
        }
      }
      return least;
    },
  };
}

function partitionsOf({ partitions }: Pick<RelayedTopic, "partitions">): readonly number[] {
  return Array.from({ length: partitions }, (_, partition) => partition);
}

/** A line of JSON, then the message's own bytes. */
function envelopes(codec: TopicCodec): TopicCodec {
  return {
    encode(given) {
      const { age, mark, body } = given as Envelope;
      const head = Buffer.from(`${JSON.stringify({ age, mark })}\n`);
      return mark === undefined ? Buffer.concat([head, codec.encode(body)]) : head;
    },
    decode(bytes) {
      const end = bytes.indexOf(10);
      const head = JSON.parse(Buffer.from(bytes.subarray(0, end)).toString()) as Envelope;
      return head.mark === undefined ? { ...head, body: codec.decode(bytes.subarray(end + 1)) } : head;
    },
  };
}
