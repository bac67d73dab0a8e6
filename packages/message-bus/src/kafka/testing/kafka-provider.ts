/**
 * A Kafka broker for tests: the one that `KAFKA_BROKERS` names, else a real one started on this machine by Maven and Java.
 *
 * There is no way to skip: without either the tests fail, saying what is missing. Which one served is printed.
 */
import { type Broker, startBroker } from "@rerate/local-kafka";
import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { SUITE_CODEC, SUITE_HINTS, SUITE_PARTITIONS, SUITE_TOPICS } from "../../conformance.ts";
import type { ParkedRecord, TopicCodec } from "../../port.ts";
import { openConnection } from "../connection.ts";
import { type KafkaBus, type KafkaBusOptions, openKafkaBus } from "../kafka-bus.ts";
import type { KafkaLog } from "../log.ts";
import { produceExchange } from "../protocol.ts";
import { createTopics, deleteTopics, type TopicPlan } from "../topics.ts";

export interface KafkaProvider {
  readonly brokers: readonly string[];
  end(): Promise<void>;
}

export async function startKafka(suite: string): Promise<KafkaProvider> {
  const given = process.env["KAFKA_BROKERS"];
  if (given === undefined || given === "") return await startOwnKafka(suite);
  console.info(`${suite}: served by the Kafka at ${given} (KAFKA_BROKERS)`);
  return { brokers: given.split(","), end: async () => undefined };
}

export interface OwnKafka extends KafkaProvider {
  /** The broker as it runs now. */
  readonly broker: Broker;
  /** Starts it again after it was killed, on the same port with the same data. */
  restart(): Promise<void>;
}

/** A broker that a test may stop and kill. */
export async function startOwnKafka(suite: string): Promise<OwnKafka> {
  const directory = mkdtempSync(join(tmpdir(), "rerate-kafka-"));
  let broker = await startBroker({ dataDirectory: directory });
  console.info(`${suite}: served by a real Apache Kafka broker at ${broker.brokers}, started for this suite (Maven, Java)`);
  return {
    brokers: [broker.brokers],
    get broker() {
      return broker;
    },
    async restart() {
      broker = await startBroker({ dataDirectory: directory });
    },
    async end() {
      await broker.kill();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

export const SUITE_PLAN: readonly TopicPlan[] = [
  ...SUITE_TOPICS.map((name): TopicPlan => ({ name, kind: "accepted" })),
  { name: "published", kind: "published" },
  { name: "kept", kind: "published" },
  { name: SUITE_HINTS, kind: "hint" },
  { name: "parked", kind: "table" },
  { name: "table", kind: "table" },
];

/** Quick in everything, so that tests do not wait. */
export const TEST_TEMPO = {
  fetchWaitMs: 500,
  heartbeatMs: 50,
  commitEveryMs: 20,
  commitMarksEveryMs: 30,
  markEveryMs: 20,
  endsEveryMs: 20,
  firstPauseMs: 20,
  longestPauseMs: 100,
  sessionTimeoutMs: 6_000,
  rebalanceTimeoutMs: 20_000,
  missingTopicMs: 2_000,
} as const;

const silent: KafkaLog = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
const shown: KafkaLog = { debug: console.log, info: console.log, warn: console.log, error: console.log };
export const testLog: KafkaLog = process.env["RERATE_TEST_LOG"] === undefined ? silent : shown;

/** Parked records as JSON, with their bytes in base64. */
const PARKED_CODEC: TopicCodec = {
  encode(body) {
    const { bytes, ...record } = body as ParkedRecord;
    return Buffer.from(JSON.stringify({ ...record, base64: Buffer.from(bytes).toString("base64") }));
  },
  decode(bytes) {
    const { base64, ...record } = JSON.parse(Buffer.from(bytes).toString()) as { readonly base64: string };
    return { ...record, bytes: Uint8Array.from(Buffer.from(base64, "base64")) };
  },
};

export interface TestRoom {
  readonly prefix: string;
  readonly options: KafkaBusOptions;
  open(changes?: Partial<KafkaBusOptions>): Promise<KafkaBus>;
  /** Closes every bus that was opened and deletes the topics. */
  close(): Promise<void>;
}

/** Topics of their own, under a name that nobody else has. */
export async function createRoom(brokers: readonly string[], changes: Partial<KafkaBusOptions> = {}): Promise<TestRoom> {
  const prefix = `t${randomUUID().slice(0, 8)}.`;
  const access = { brokers, log: testLog };
  await createTopics(access, SUITE_PLAN, { partitions: SUITE_PARTITIONS, replication: 1, prefix });
  const buses: KafkaBus[] = [];
  const options: KafkaBusOptions = {
    brokers,
    clientId: "suite",
    instance: "1",
    partitions: SUITE_PARTITIONS,
    topics: SUITE_TOPICS.map((name) => ({ name, codec: SUITE_CODEC })),
    publishedTopics: [
      { name: "published", codec: SUITE_CODEC },
      { name: "kept", codec: SUITE_CODEC, keepsShard: true },
    ],
    hintTopics: [{ name: SUITE_HINTS, codec: SUITE_CODEC }],
    parked: { name: "parked", codec: PARKED_CODEC },
    prefix,
    now: () => new Date().toISOString(),
    defer: (task, delayMs) => (delayMs === 0 ? setImmediate(task) : setTimeout(task, delayMs)),
    log: testLog,
    onCrash: () => undefined,
    tempo: TEST_TEMPO,
    ...changes,
  };
  return {
    prefix,
    options,
    async open(more = {}) {
      const bus = await openKafkaBus({ ...options, ...more });
      buses.push(bus);
      return bus;
    },
    async close() {
      await Promise.all(buses.map((bus) => bus.close()));
      await deleteTopics(access, SUITE_PLAN, { prefix });
    },
  };
}

const NOT_LEADER = 6;

/** Puts record batches into a partition as they are: what a foreign producer may send. Gives the error numbers of the broker. */
export async function produceRaw(
  brokers: readonly string[],
  topic: string,
  partition: number,
  batches: readonly Buffer[],
): Promise<readonly number[]> {
  const connection = openConnection({ brokers, clientId: "raw", log: testLog, requestTimeoutMs: 10_000 });
  try {
    await connection.partitionCounts([topic]);
    const node = [...connection.leaders([{ topic, partitions: [partition] }]).keys()][0] ?? "";
    const errors: number[] = [];
    for (const batch of batches) {
      const request = produceExchange({ timeoutMs: 10_000, topic, batches: [{ partition, batch }] });
      let answers = await connection.exchange(node, request);
      // A topic that was just created may be without a leader for a moment.
      for (; answers.some(({ error }) => error === NOT_LEADER); await sleep(50))
        answers = await connection.exchange(node, request);
      errors.push(...answers.map(({ error }) => error));
    }
    return errors;
  } finally {
    await connection.close();
  }
}

/** Waits for something that is bound to become true. */
export async function until(condition: () => boolean | Promise<boolean>, timeoutMs = 30_000): Promise<void> {
  const end = AbortSignal.timeout(timeoutMs);
  while (!(await condition())) {
    if (end.aborted) throw new Error(`not within ${timeoutMs} ms: ${condition.toString()}`);
    await sleep(10);
  }
}
