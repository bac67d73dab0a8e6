/**
 * kafkajs as any program uses it: what a producer does, and its raw rates. Nothing of the product's own bus.
 */
import { Kafka, logLevel, Partitioners, type Message, type Producer } from "kafkajs";
import type { LoadEvent } from "../ingest/load.ts";

const MESSAGES_PER_SEND = 1_000;
const SENDS_IN_FLIGHT = 4;
const HEADERS = { "content-type": "application/cloudevents+json" };

export interface KafkaClient {
  readonly producer: Producer;
  /** Sends all of it as fast as it goes; resolves when all replicas in sync have it. */
  send(topic: string, messages: readonly Message[]): Promise<void>;
  /** It lives until `close`: a producer that has used a topic wants to hear of it whenever it asks for metadata. */
  createTopic(topic: string, partitions: number): Promise<void>;
  /** Reads a topic's first `count` messages; the seconds from the first batch to the last. */
  consume(topic: string, count: number): Promise<number>;
  /** Calls back with every message of a topic that comes from now on; resolves when it is listening. */
  follow(topic: string, onMessage: (value: Buffer | null) => void): Promise<{ stop(): Promise<void> }>;
  close(): Promise<void>;
}

/** Usage as a producer sends it: a structured CloudEvent under its account's key. */
export function toMessage({ account, text }: LoadEvent): Message {
  return { key: account, value: text, headers: HEADERS };
}

export async function openKafkaClient(brokers: string): Promise<KafkaClient> {
  const kafka = new Kafka({ brokers: brokers.split(","), clientId: "bench", logLevel: logLevel.NOTHING });
  const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner, allowAutoTopicCreation: false });
  const admin = kafka.admin();
  await Promise.all([producer.connect(), admin.connect()]);
  const created: string[] = [];
  let groups = 0;
  const reader = () => {
    groups += 1;
    return kafka.consumer({ groupId: `bench-${process.pid}-${groups}`, allowAutoTopicCreation: false });
  };

  return {
    producer,
    async send(topic, messages) {
      let next = 0;
      const work = async (): Promise<void> => {
        while (next < messages.length) {
          const from = next;
          next += MESSAGES_PER_SEND;
          await producer.send({ topic, acks: -1, messages: messages.slice(from, from + MESSAGES_PER_SEND) });
        }
      };
      await Promise.all(Array.from({ length: SENDS_IN_FLIGHT }, work));
    },
    async createTopic(topic, partitions) {
      created.push(topic);
      await admin.createTopics({ topics: [{ topic, numPartitions: partitions, replicationFactor: 1 }], waitForLeaders: true });
    },
    async consume(topic, count) {
      const consumer = reader();
      await consumer.connect();
      await consumer.subscribe({ topic, fromBeginning: true });
      const { promise, resolve } = Promise.withResolvers<number>();
      let seen = 0;
      let started = 0;
      await consumer.run({
        autoCommitInterval: 1_000,
        eachBatch: async ({ batch }) => {
          if (seen === 0) started = performance.now();
          seen += batch.messages.length;
          if (seen >= count) resolve((performance.now() - started) / 1_000);
        },
      });
      const seconds = await promise;
      await consumer.disconnect();
      return seconds;
    },
    async follow(topic, onMessage) {
      const consumer = reader();
      await consumer.connect();
      await consumer.subscribe({ topic, fromBeginning: false });
      const ends = await admin.fetchTopicOffsets(topic);
      const joined = new Promise((resolve) => consumer.on(consumer.events.GROUP_JOIN, resolve));
      await consumer.run({
        eachBatch: async ({ batch }) => {
          for (const { value } of batch.messages) onMessage(value);
        },
      });
      await joined;
      // Else "from now on" would begin whenever it fetches for the first time.
      for (const { partition, high } of ends) consumer.seek({ topic, partition, offset: high });
      return { stop: () => consumer.disconnect() };
    },
    async close() {
      await producer.disconnect();
      if (created.length > 0) await admin.deleteTopics({ topics: created });
      await admin.disconnect();
    },
  };
}
