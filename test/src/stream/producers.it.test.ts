/** Producers as they are, on a real broker: what they send to the intake topics arrives as facts, or is parked. */
import { createKafkaEmitter } from "@rerate/client";
import { createMemoryEventStore } from "@rerate/event-store";
import type { DoorIntake } from "@rerate/flow";
import { createServer, type HttpServer } from "@rerate/http";
import { partitionKey } from "@rerate/ledger";
import type { Consumer } from "@rerate/message-bus";
import { createTopics, openKafkaBus, type KafkaBus } from "@rerate/message-bus/kafka";
import { defer, systemClock } from "@rerate/runtime";
import { createUsageIntake, routes as usageRoutes } from "@rerate/service-ingest";
import { createSignalIntake, routes as signalRoutes } from "@rerate/service-outcome-signal";
import {
  busCodec,
  doorAt,
  TOPIC_TABLE,
  toUsageFact,
  type SignalAccepted,
  type Topic,
  type TopicEntry,
  type UsageAccepted,
} from "@rerate/wire";
import { CompressionTypes, Kafka, logLevel, Partitioners, type Message, type Producer } from "kafkajs";
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { REPOSITORY } from "../source-files.ts";
import { provideBroker, type TestBroker } from "./kafka-broker.ts";

const run = promisify(execFile);
const PARTITIONS = 3;
const SILENT = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
const METRICS = { count: () => undefined, gauge: () => undefined };

interface Arrived {
  readonly topic: string;
  readonly key: string;
  readonly body: UsageAccepted | SignalAccepted;
}

let broker: TestBroker;
let bus: KafkaBus;
let owner: Consumer;
let openUsageIntake: () => DoorIntake;
let intakes: readonly DoorIntake[];
let door: HttpServer;
let url: string;
let producer: Producer;
const arrived: Arrived[] = [];
const namespaces = new Set(["default"]);

beforeAll(async () => {
  broker = await provideBroker("producers");
  const brokers = broker.brokers.split(",");
  const table: readonly TopicEntry[] = TOPIC_TABLE;
  const of = (...kinds: readonly string[]) =>
    table.flatMap(({ name, kind, marked = false }) =>
      kinds.includes(kind) ? [{ name, marked, codec: busCodec(name as Topic) }] : [],
    );
  await createTopics({ brokers, log: SILENT }, TOPIC_TABLE, { partitions: PARTITIONS, replication: 1 });
  bus = await openKafkaBus({
    brokers,
    clientId: "producers",
    instance: "1",
    partitions: PARTITIONS,
    topics: of("reported", "accepted"),
    publishedTopics: of("published"),
    hintTopics: of("hint"),
    parked: { name: "parked", codec: busCodec("parked") },
    now: systemClock.now,
    defer,
    log: SILENT,
    onCrash: (error) => console.error(error),
  });
  owner = bus.consume({
    group: `owners-${randomUUID()}`,
    topics: ["usage.accepted", "signal.accepted"],
    onChunk: async ({ topic, messages }) => {
      for (const { key, content } of messages)
        if (content.kind === "body") arrived.push({ topic, key, body: content.body as Arrived["body"] });
    },
  });
  const mark = bus.mark.bind(bus);
  const eventStore = createMemoryEventStore();
  const surroundings = { bus, eventStore, clock: systemClock, defer, log: SILENT, metrics: METRICS, mark, everyMs: 200 };
  openUsageIntake = () => createUsageIntake({ ...surroundings, namespaces });
  intakes = [openUsageIntake(), createSignalIntake(surroundings)];
  for (const intake of intakes) await intake.start();
  const deps = { publish: bus.publish, nowMs: systemClock.nowMs };
  door = await createServer({
    plugins: [usageRoutes(deps), signalRoutes(deps)],
    keys: undefined,
    host: "127.0.0.1",
    port: 0,
    info: { title: "Doors", version: "1" },
  });
  url = await door.listen();
  const kafka = new Kafka({ brokers, logLevel: logLevel.NOTHING });
  producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner });
  await producer.connect();
});

afterAll(async () => {
  await producer?.disconnect();
  await door?.close();
  for (const intake of intakes ?? []) await intake.stop();
  await bus?.close();
  await broker?.end();
});

/** The facts with these ids, in this order, once all are there. */
async function arrivals(...ids: readonly string[]): Promise<readonly Arrived[]> {
  const find = (id: string) => arrived.find(({ body }) => body.id === id);
  await expect.poll(() => ids.filter((id) => find(id) === undefined), { timeout: 30_000 }).toEqual([]);
  return ids.flatMap((id) => find(id) ?? []);
}

async function example(command: string, ...args: readonly string[]): Promise<void> {
  const env = { ...process.env, KAFKA_BROKERS: broker.brokers, KAFKAJS_NO_PARTITIONER_WARNING: "1" };
  await run(command, args, { cwd: join(REPOSITORY, "examples/emit"), env });
}

const node = (file: string, ...args: readonly string[]) => example(process.execPath, file, ...args);

const USED = { account: "demo", source: "my-api", quantities: { input_tokens: "812", output_tokens: "204" }, model: "gpt-4o" };

test("kcat sends CloudEvents, structured and binary, as the example says", async () => {
  const id = `kcat-${randomUUID()}`;
  await example("./kcat.sh", id);
  const facts = await arrivals(`${id}-structured`, `${id}-binary`);
  for (const { body, key } of facts) {
    expect(body).toMatchObject({ ...USED, kind: "usage", ns: "default", occurredAt: "2026-03-01T09:30:00.000000000Z" });
    expect(key).toBe(partitionKey("default", "demo"));
  }
  expect(facts[0]?.body.contentHash).toBe(facts[1]?.body.contentHash);
});

test("the cloudevents package sends what it makes, structured and binary", async () => {
  const id = `ce-${randomUUID()}`;
  await node("cloudevents.ts", id);
  for (const { body } of await arrivals(`${id}-structured`, `${id}-binary`)) {
    expect(body).toMatchObject({ ...USED, dimensions: { feature: "chat" }, type: "llm.completion" });
  }
});

test("the examples over HTTP and over kafkajs send a usage and a signal about it", async () => {
  const [http, kafka] = [`http-${randomUUID()}`, `kafka-${randomUUID()}`];
  await Promise.all([node("http.ts", url, http), node("kafka.ts", kafka)]);
  for (const id of [http, kafka]) {
    const [usage, signal] = await arrivals(id, `${id}-accepted`);
    expect(usage).toMatchObject({ topic: "usage.accepted", body: USED });
    expect(signal).toMatchObject({
      topic: "signal.accepted",
      body: { outcome: { source: "my-api", id }, signal: "explicit_accept" },
    });
  }
});

test("one fact is the same over HTTP, as JSON, as Avro and compressed", async () => {
  const id = `same-${randomUUID()}`;
  const time = "2026-03-01T09:30:00Z";
  const data = { model: "gpt-4o", input_tokens: 812, output_tokens: 204, feature: "chat" };
  const event = { specversion: "1.0", type: "llm.completion", source: "my-api", id, subject: "demo", time, data };
  await fetch(`${url}/api/v1/events`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(event),
  });
  for (const encoding of ["json", "avro"] as const) {
    for (const compression of [CompressionTypes.None, CompressionTypes.GZIP]) {
      const send = async (batch: { topic: string; messages: Message[] }) => producer.send({ ...batch, compression });
      const emitter = createKafkaEmitter({ send, source: "my-api", encoding, lingerMs: 1 });
      emitter.usage({ id, account: "demo", time, data });
      expect(await emitter.close()).toMatchObject({ sent: 1, refused: 0 });
    }
  }
  const same = () => arrived.filter(({ body }) => body.id === id);
  await expect.poll(() => same().length, { timeout: 30_000 }).toBe(5);
  const expected = toUsageFact(event, doorAt("default", systemClock.nowMs()));
  expect(new Set(same().map(({ body }) => body.contentHash))).toEqual(new Set([expected?.contentHash]));
});

test("what is no fact is parked with bytes, headers and reason, holds nothing up, and can be retried", async () => {
  const id = `parked-${randomUUID()}`;
  const event = { specversion: "1.0", type: "t", source: "my-api", id, subject: "demo", data: { input_tokens: 1 } };
  const value = JSON.stringify({ ...event, reratens: "shop" });
  const bad: Message[] = [
    { key: id, value: null, headers: { trial: id } },
    { key: id, value: Buffer.from([0xc3, 0x01, 9, 9, 9, 9, 9, 9, 9, 9, 9]), headers: { trial: id } },
    { key: id, value: Buffer.from([0, 0, 0, 0, 7, 1, 2]), headers: { trial: id } },
    { key: id, value: "{", headers: { trial: id } },
    { key: id, value, headers: { trial: id } },
  ];
  const last = JSON.stringify({ ...event, id: `${id}-last` });
  await producer.send({ topic: "usage.reported", messages: [...bad, { key: id, value: last }] });
  await arrivals(`${id}-last`);
  const parked = async () => (await bus.parked.list({ limit: 1_000 })).filter(({ headers }) => headers?.["trial"] === id);
  await expect.poll(async () => (await parked()).length, { timeout: 30_000 }).toBe(bad.length);
  const records = await parked();
  expect(records.map(({ reason }) => reason).toSorted()).toEqual([
    "foreign-namespace",
    "malformed",
    "malformed",
    "malformed",
    "unknown-format",
  ]);
  for (const record of records)
    expect(record).toMatchObject({ service: "ingest", topic: "usage.reported", key: id, ns: "default" });
  const foreign = records.find(({ reason }) => reason === "foreign-namespace");
  expect(Buffer.from(foreign?.bytes ?? []).toString()).toBe(value);
  namespaces.add("shop");
  for (const record of records) await bus.parked.askRetry(record.id, systemClock.now());
  const [taken] = await arrivals(id);
  expect(taken?.body).toMatchObject({ ns: "shop", occurredAt: foreign?.parkedAt });
  await expect.poll(async () => (await parked()).length, { timeout: 30_000 }).toBe(bad.length - 1);
});

test("an owner has not read what still waits on an intake topic, so that no deadline overtakes it", async () => {
  const readUpTo = () => owner.readUpTo("usage.accepted") ?? "";
  const before = systemClock.now();
  await expect.poll(readUpTo, { timeout: 30_000 }).toSatisfy((at: string) => at > before);
  await intakes[0]?.stop();
  const sent = systemClock.now();
  const id = `waiting-${randomUUID()}`;
  const event = { specversion: "1.0", type: "t", source: "my-api", id, subject: "demo", data: { requests: 1 } };
  await producer.send({ topic: "usage.reported", messages: [{ key: id, value: JSON.stringify(event) }] });
  for (const end = systemClock.nowMs() + 4_000; systemClock.nowMs() < end; await sleep(100))
    expect(readUpTo() <= sent).toBe(true);
  const intake = openUsageIntake();
  intakes = [intake, ...intakes.slice(1)];
  await intake.start();
  await arrivals(id);
  await expect.poll(readUpTo, { timeout: 30_000 }).toSatisfy((at: string) => at > sent);
});
