/**
 * The message bus over Kafka: puts the parts together and speaks the port.
 *
 * Topics are created by command (`topics.ts`), never from here. A message goes to partition (shard mod count), the same for
 * every topic; a group's partition p of all topics is at one member. Log topics are fed by flow's relay through `publish`.
 */
import type { ConsumeOptions, Listener, MessageBus, ReceivedMessage, TopicCodec } from "../port.ts";
import { createBroadcast } from "./broadcast.ts";
import { type ConnectionOptions, type KafkaConnection, openConnection } from "./connection.ts";
import { type GroupConsumer, startGroupConsumer } from "./group-consumer.ts";
import { KafkaStoppedError } from "./kafka-error.ts";
import { createKafkaParked } from "./kafka-parked.ts";
import type { ConsumedTopic, LaneStatus } from "./lane-set.ts";
import type { KafkaLog } from "./log.ts";
import { createMarkSender } from "./mark-sender.ts";
import type { Defer } from "./nap.ts";
import { createPublisher, type PlacedRecord } from "./publisher.ts";
import { WAIT_HEADER } from "./received-message.ts";
import { scanTopic } from "./scan.ts";
import { type KafkaTable, openTable, putInto } from "./table.ts";
import { DEFAULT_TEMPO, type Tempo } from "./tempo.ts";
import { type Waiting, waitingSince } from "./waiting-since.ts";

export interface KafkaTopic {
  readonly name: string;
  readonly codec: TopicCodec;
}

export interface KafkaBusOptions {
  readonly brokers: readonly string[];
  readonly security?: Pick<ConnectionOptions, "tls" | "sasl">;
  readonly clientId: string;
  /** Tells this process from others of its kind in the broker's logs. */
  readonly instance: string;
  /** How many partitions every topic of messages has. */
  readonly partitions: number;
  /** Topics that producers and doors publish to. In a marked one, doors that consume say how far they have passed on their intake. */
  readonly topics: readonly (KafkaTopic & { readonly marked?: boolean })[];
  /** Topics that are published from a log, with marks among the messages. */
  readonly publishedTopics: readonly (KafkaTopic & { readonly keepsShard?: boolean })[];
  /** Topics that are only listened to. */
  readonly hintTopics: readonly KafkaTopic[];
  /** The compacted topic of parked records; its bodies are `ParkedRecord`s. */
  readonly parked: KafkaTopic;
  /** Put before the name of every topic and group, so that several installations share a cluster. Default none. */
  readonly prefix?: string;
  /** The present time as a canonical instant. */
  readonly now: () => string;
  readonly defer: Defer;
  readonly log: KafkaLog;
  /** A consumer or a table has ended for good: the process must exit, so that others take over. */
  readonly onCrash: (error: Error) => void;
  readonly tempo?: Partial<Tempo>;
}

export interface KafkaBus extends MessageBus {
  /** Opens a compacted topic as a table; the same topic gives the same table. */
  openTable(topic: string): Promise<KafkaTable>;
  /** Puts a value into a compacted topic that need not be read here; null removes the key. Resolves when that is durable. */
  put(topic: string, key: string, value: Uint8Array | null): Promise<void>;
  /** Since when (milliseconds since 1970, by the producer's clock) messages of some topics wait for a group, by partition. */
  waitingSince(group: string, topics: readonly string[]): Promise<readonly Waiting[]>;
  /**
   * Reads a topic of messages, or the parked ones, once: from its beginning to the end that it has now, marks left out. For
   * audits; a message without a value is poison without bytes. Gives the end of every partition.
   */
  scan(topic: string, onMessages: (messages: readonly ReceivedMessage[]) => void): Promise<ReadonlyMap<number, number>>;
  /** The next offset of a group, by topic and partition, as last committed. */
  committed(group: string): Promise<readonly { readonly topic: string; readonly partition: number; readonly offset: number }[]>;
  /** Position, end and standstill of every partition that this process owns, by group. */
  status(): ReadonlyMap<string, readonly LaneStatus[]>;
}

/** Connects and checks that the topics are there with the right number of partitions; rejects with everything that is not. */
export async function openKafkaBus(options: KafkaBusOptions): Promise<KafkaBus> {
  const { partitions, defer, log, now, prefix = "" } = options;
  const tempo = { ...DEFAULT_TEMPO, ...options.tempo };
  const connect = (purpose: string): KafkaConnection =>
    openConnection({
      ...options.security,
      brokers: options.brokers,
      clientId: `${options.clientId}-${options.instance}-${purpose}`,
      log,
      requestTimeoutMs: tempo.requestTimeoutMs,
    });
  const connection = connect("bus");
  const topics = consumedTopics(options, prefix);
  await checkPartitions(connection, topics, partitions).catch(async (error: unknown) => {
    await connection.close();
    throw error;
  });

  const reading = connect("tables");
  const publisher = createPublisher({ connection, tempo, defer, nowMs: () => Date.parse(now()) });
  const broadcast = createBroadcast({ connection: reading, tempo, defer, log, onFailure: options.onCrash });
  const marks = createMarkSender({ publisher, partitions, everyMs: tempo.markEveryMs, defer, log });
  const markedTopics = new Map(
    [...options.publishedTopics, ...options.topics.filter(({ marked }) => marked === true)].map((topic) => [
      topic.name,
      { kafkaName: prefix + topic.name, keepsShard: "keepsShard" in topic && topic.keepsShard },
    ]),
  );
  const hints = new Map(options.hintTopics.map((topic) => [topic.name, topic.codec]));
  const tables = new Map<string, Promise<KafkaTable>>();
  const consumers = new Map<GroupConsumer, string>();
  let closed = false;

  function assertOpen(): void {
    if (closed) throw new Error("the message bus is closed");
  }

  function tableOf(topic: string): Promise<KafkaTable> {
    assertOpen();
    const table = tables.get(topic) ?? openTable(prefix + topic, broadcast, publisher);
    tables.set(topic, table);
    return table;
  }

  function consume(consuming: ConsumeOptions): GroupConsumer {
    assertOpen();
    const wanted = [...new Set(consuming.topics)].map((name) => {
      const topic = topics.get(name);
      if (topic === undefined) throw new Error(`there is no topic ${name}`);
      return topic;
    });
    if (wanted.length === 0) throw new Error(`a consumer of group ${consuming.group} names no topic`);
    const consumer: GroupConsumer = startGroupConsumer({
      group: prefix + consuming.group,
      topics: wanted,
      partitions,
      consuming,
      connection: connect(consuming.group),
      tempo,
      now,
      defer,
      log,
      onCrash: options.onCrash,
      onEnded: () => consumers.delete(consumer),
    });
    consumers.set(consumer, consuming.group);
    return consumer;
  }

  return {
    async publish(topic, messages) {
      assertOpen();
      const codec = topics.get(topic)?.codec ?? hints.get(topic);
      if (codec === undefined) throw new Error(`there is no topic ${topic} to publish to`);
      const count = hints.has(topic) ? 1 : partitions;
      const records = messages.map(({ key, shard, body, awaited }): PlacedRecord => {
        if (!Number.isInteger(shard) || shard < 0 || shard > 255) throw new RangeError(`${shard} is no shard`);
        const headers = awaited === true ? { headers: AWAITED } : {};
        return { partition: shard % count, record: { key: Buffer.from(key), value: codec.encode(body), ...headers } };
      });
      await publisher.publish(prefix + topic, records);
    },
    consume,
    mark(topic, readUpTo, sources) {
      const marked = markedTopics.get(topic);
      if (marked === undefined) throw new Error(`there are no marks in topic ${topic}`);
      if (!closed) marks.mark(marked, readUpTo, sources);
    },
    listen(topic, onMessage) {
      assertOpen();
      const codec = hints.get(topic);
      if (codec === undefined) throw new Error(`there is no topic ${topic} of hints`);
      return listenTo(prefix + topic, codec, onMessage);
    },
    async lag(group) {
      assertOpen();
      return await lagOf(connection, prefix + group, topics, partitions);
    },
    async waitingSince(group, names) {
      assertOpen();
      const found = await waitingSince(
        connection,
        prefix + group,
        names.map((name) => prefix + name),
        partitionNumbers(partitions),
      );
      return found.map((one) => ({ ...one, topic: one.topic.slice(prefix.length) }));
    },
    async scan(topic, onMessages) {
      assertOpen();
      const known =
        topics.get(topic) ?? (topic === options.parked.name ? { codec: options.parked.codec, marks: undefined } : undefined);
      if (known === undefined) throw new Error(`there is no topic ${topic} to scan`);
      return await scanTopic({
        connection: connect(`scan-${topic}`),
        kafkaName: prefix + topic,
        topic,
        codec: known.codec,
        hasMarks: known.marks !== undefined,
        onMessages,
        tempo,
        defer,
        log,
      });
    },
    async committed(group) {
      assertOpen();
      const asked = [...topics.values()].map(({ kafkaName }) => ({
        topic: kafkaName,
        partitions: partitionNumbers(partitions),
      }));
      const found = await connection.committed(prefix + group, asked);
      return [...topics.values()].flatMap(({ name, kafkaName }) =>
        [...(found.find(({ topic }) => topic === kafkaName)?.offsets ?? [])].map(([partition, offset]) => ({
          topic: name,
          partition,
          offset,
        })),
      );
    },
    parked: createKafkaParked({ codec: options.parked.codec, table: () => tableOf(options.parked.name), log }),
    openTable: tableOf,
    async put(topic, key, value) {
      assertOpen();
      await putInto(publisher, prefix + topic, new Map([[key, value]]));
    },
    status: () => new Map([...consumers].map(([consumer, group]) => [group, consumer.status()])),
    async close() {
      if (closed) return;
      closed = true;
      await Promise.allSettled([...consumers.keys()].map((consumer) => consumer.stop()));
      broadcast.stop();
      publisher.close();
      await Promise.all([connection.close(), reading.close()]);
    },
  };

  function listenTo(kafkaName: string, codec: TopicCodec, onMessage: (body: unknown, key: string) => void): Listener {
    const subscription = broadcast.subscribe(kafkaName, "end", {
      onRecord({ key, value }) {
        if (value === null) return;
        try {
          onMessage(codec.decode(value), key?.toString() ?? "");
        } catch (error) {
          log.debug({ topic: kafkaName, err: error }, "a hint was not understood");
        }
      },
    });
    return {
      async stop() {
        subscription.stop();
      },
    };
  }
}

const AWAITED = [{ name: WAIT_HEADER, value: "1" }];

function consumedTopics(options: KafkaBusOptions, prefix: string): ReadonlyMap<string, ConsumedTopic> {
  const accepted = options.topics.map(({ name, codec, marked }): ConsumedTopic => ({
    name,
    kafkaName: prefix + name,
    codec,
    marks: marked === true ? { keepsShard: false } : undefined,
    hasEnds: true,
  }));
  const published = options.publishedTopics.map(({ name, codec, keepsShard }): ConsumedTopic => ({
    name,
    kafkaName: prefix + name,
    codec,
    marks: { keepsShard: keepsShard === true },
    hasEnds: false,
  }));
  return new Map([...accepted, ...published].map((topic) => [topic.name, topic]));
}

async function checkPartitions(
  connection: KafkaConnection,
  topics: ReadonlyMap<string, ConsumedTopic>,
  partitions: number,
): Promise<void> {
  const counts = await connection.partitionCounts([...topics.values()].map(({ kafkaName }) => kafkaName));
  const wrong = [...counts].filter(([, count]) => count !== partitions).map(([topic, count]) => `${topic} has ${count}`);
  if (wrong.length === 0) return;
  throw new KafkaStoppedError(`topics must have ${partitions} partitions, and ${wrong.join(", ")} (rerate topics check)`);
}

async function lagOf(connection: KafkaConnection, group: string, topics: ReadonlyMap<string, ConsumedTopic>, count: number) {
  const partitions = partitionNumbers(count);
  const asked = [...topics.values()].map(({ kafkaName }) => ({ topic: kafkaName, partitions }));
  const committed = (await connection.committed(group, asked)).filter(({ offsets }) => offsets.size > 0);
  const known = asked.filter(({ topic }) => committed.some((one) => one.topic === topic));
  if (known.length === 0) return [];
  const [ends, beginnings] = [await connection.listOffsets(known, "end"), await connection.listOffsets(known, "beginning")];
  return [...topics.values()].flatMap(({ name, kafkaName }) => {
    const of = (found: typeof ends) => found.find((one) => one.topic === kafkaName)?.offsets;
    const next = of(committed);
    if (next === undefined) return [];
    return partitions.map((partition) => {
      const end = of(ends)?.get(partition) ?? 0;
      const start = next.get(partition) ?? of(beginnings)?.get(partition) ?? 0;
      return { topic: name, partition, lag: Math.max(0, end - start) };
    });
  });
}

function partitionNumbers(count: number): readonly number[] {
  return Array.from({ length: count }, (_, partition) => partition);
}
