/** What the Kafka bus does beyond the common suite: several members, marks in band, tables, headers. On a real broker. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { SUITE_CODEC, watch } from "../conformance.ts";
import type { Chunk } from "../port.ts";
import { openConnection } from "./connection.ts";
import { createPublisher } from "./publisher.ts";
import { DEFAULT_TEMPO } from "./tempo.ts";
import {
  createRoom,
  type KafkaProvider,
  startKafka,
  TEST_TEMPO,
  testLog,
  type TestRoom,
  until,
} from "./testing/kafka-provider.ts";

let kafka: KafkaProvider;
let room: TestRoom;

beforeAll(async () => {
  kafka = await startKafka("Kafka bus");
});
afterAll(() => kafka.end());
beforeEach(async () => {
  room = await createRoom(kafka.brokers);
});
afterEach(() => room.close());

const message = (shard: number, body: unknown) => ({ key: `k${shard}`, shard, body });
const bodies = (chunks: readonly Chunk[]) =>
  chunks.flatMap(({ messages }) => messages.map(({ content }) => (content.kind === "body" ? content.body : content.kind)));

test("one member has partition p of all topics, in one process or in several, and members that stay keep theirs", async () => {
  const buses = await Promise.all([room.open({ instance: "1" }), room.open({ instance: "2" }), room.open({ instance: "3" })]);
  const join = (index: number) => {
    const [bus = buses[0]] = [buses[index]];
    return watch(bus, "group", { topics: ["orders", "payments", "published"] });
  };
  const first = join(0);
  await until(() => first.owned.size === 4);
  const second = join(1);
  await until(() => first.owned.size === 2 && second.owned.size === 2);
  const [ofFirst, ofSecond] = [[...first.owned], [...second.owned]];
  const third = join(2);
  await until(() => first.owned.size + second.owned.size + third.owned.size === 4 && third.owned.size === 1);
  expect([...first.owned].every((partition) => ofFirst.includes(partition))).toBe(true);
  expect([...second.owned].every((partition) => ofSecond.includes(partition))).toBe(true);
  await until(
    () =>
      buses.map((bus) => bus.status().get("group")?.length).join(" ") ===
      [first, second, third].map(({ owned }) => owned.size * 3).join(" "),
  );
  for (const topic of ["orders", "payments", "published"]) {
    await buses[0].publish(
      topic,
      Array.from({ length: 8 }, (_, shard) => message(shard, shard)),
    );
  }
  const all = [first, second, third];
  await until(() => all.reduce((sum, member) => sum + member.count(), 0) === 24);
  for (const { chunks, owned } of all) {
    for (const topic of ["orders", "payments", "published"]) {
      const seen = new Set(chunks.filter((chunk) => chunk.topic === topic).map(({ partition }) => partition));
      expect(seen).toEqual(new Set(owned));
    }
  }
});

test("partitions move while chunks run: everything is handled, and only by who owns it at the time", async () => {
  const handled = new Map<number, number>();
  const running = new Map<number, number>();
  let overlaps = 0;
  const before = async ({ partition, messages }: Chunk) => {
    running.set(partition, (running.get(partition) ?? 0) + 1);
    if ((running.get(partition) ?? 0) > 1) overlaps += 1;
    await new Promise((resolve) => setTimeout(resolve, 5));
    for (const { content } of messages) {
      const body = content.kind === "body" ? Number(content.body) : -1;
      handled.set(body, (handled.get(body) ?? 0) + 1);
    }
    running.set(partition, (running.get(partition) ?? 0) - 1);
  };
  const [one, two] = [await room.open({ instance: "1" }), await room.open({ instance: "2" })];
  const total = 2_000;
  await one.publish(
    "orders",
    Array.from({ length: total }, (_, n) => message(n % 256, n)),
  );
  const first = watch(one, "group", { maxChunk: 10, before });
  await first.reached(50);
  const second = watch(two, "group", { maxChunk: 10, before });
  await until(() => second.count() > 50);
  await first.consumer.stop();
  const third = watch(one, "group", { maxChunk: 10, before });
  await until(() => handled.size === total);
  await Promise.all([second.consumer.stop(), third.consumer.stop()]);
  expect({ overlaps, twice: [...handled.values()].filter((times) => times !== 1).length }).toEqual({ overlaps: 0, twice: 0 });
  expect((await one.lag("group")).reduce((sum, { lag }) => sum + lag, 0)).toBe(0);
});

test("marks of several processes travel among the messages and count once everything before them was handled", async () => {
  const [left, right, reading] = [await room.open({ instance: "1" }), await room.open({ instance: "2" }), await room.open()];
  let finish = () => {};
  const finished = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const { consumer, chunks, reached } = watch(reading, "group", {
    topics: ["published"],
    before: ({ partition }) => (partition === 1 ? finished : Promise.resolve()),
  });
  await left.publish("published", [message(0, "a"), message(1, "b")]);
  left.mark("published", "2026-01-01T00:00:05.000000000Z", [0, 1, 2]);
  await reached(1);
  expect(consumer.readUpTo("published")).toBeUndefined();
  finish();
  await reached(2);
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(consumer.readUpTo("published")).toBeUndefined();
  right.mark("published", "2026-01-01T00:00:03.000000000Z", [3]);
  await until(() => consumer.readUpTo("published") === "2026-01-01T00:00:03.000000000Z");
  right.mark("published", "2026-01-01T00:00:09.000000000Z", [3]);
  await until(() => consumer.readUpTo("published") === "2026-01-01T00:00:05.000000000Z");
  left.mark("published", "2026-01-01T00:00:08.000000000Z");
  await until(() => consumer.readUpTo("published") === "2026-01-01T00:00:08.000000000Z");
  expect(new Set(bodies(chunks))).toEqual(new Set(["a", "b"]));
  await until(async () => (await reading.lag("group")).every(({ lag }) => lag === 0));
  expect(() => left.mark("orders", "2026-01-01T00:00:08.000000000Z")).toThrow("no marks in topic orders");
  expect(() => left.mark("published", "2026-01-01T00:00:08.000000000Z", [4])).toThrow("no source partition 4");
});

test("a mark about one source concerns its own partition only where messages keep their shard", async () => {
  const bus = await room.open();
  const { consumer, owned } = watch(bus, "group", { topics: ["kept"] });
  await until(() => owned.size === 4);
  bus.mark("kept", "2026-01-01T00:00:01.000000000Z", [0, 1, 2]);
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(consumer.readUpTo("kept")).toBeUndefined();
  bus.mark("kept", "2026-01-01T00:00:01.000000000Z", [3]);
  await until(() => consumer.readUpTo("kept") === "2026-01-01T00:00:01.000000000Z");
});

test("who waits for an answer is said with the message, and headers reach the codec and poison", async () => {
  const seen: (readonly [string | undefined, unknown])[] = [];
  const codec = {
    ...SUITE_CODEC,
    decode(bytes: Uint8Array, headers?: Readonly<Record<string, string>>) {
      seen.push([headers?.["x-kind"], SUITE_CODEC.decode(bytes)]);
      return SUITE_CODEC.decode(bytes);
    },
  };
  const bus = await room.open({ topics: [{ name: "orders", codec }] });
  await bus.publish("orders", [{ ...message(0, "waits"), awaited: true }, message(0, "does not")]);
  const connection = openConnection({ brokers: kafka.brokers, clientId: "raw", log: testLog, requestTimeoutMs: 10_000 });
  const publisher = createPublisher({
    connection,
    tempo: DEFAULT_TEMPO,
    defer: (task, delayMs) => setTimeout(task, delayMs),
    nowMs: Date.now,
  });
  const headers = [
    { name: "X-Kind", value: "first" },
    { name: "x-kind", value: "last" },
  ];
  const record = (value: string) => ({ partition: 0, record: { key: null, value: Buffer.from(value), headers } });
  await publisher.publish(`${room.prefix}orders`, [record('"foreign"'), record("!poison")]);
  publisher.close();
  await connection.close();
  const { chunks, reached } = watch(bus, "group");
  await reached(4);
  const messages = chunks.flatMap((chunk) => chunk.messages);
  expect(messages.map(({ awaited }) => awaited)).toEqual([true, undefined, undefined, undefined]);
  expect(seen).toContainEqual(["last", "foreign"]);
  expect(messages[3]?.key).toBe("");
  expect(messages[3]?.content).toMatchObject({ kind: "poison", headers: { "x-kind": "last" } });
});

test("a table holds the last value of every key, here and in other processes, and forgets what was removed", async () => {
  const [one, two] = [await room.open({ instance: "1" }), await room.open({ instance: "2" })];
  const text = (value: Uint8Array | undefined) => (value === undefined ? undefined : Buffer.from(value).toString());
  const mine = await one.openTable("table");
  await mine.put("a", Buffer.from("1"));
  await mine.put("a", Buffer.from("2"));
  await mine.put("b", Buffer.from("3"));
  await mine.put("b", null);
  expect([text(mine.get("a")), mine.get("b"), mine.size]).toEqual(["2", undefined, 1]);
  const theirs = await two.openTable("table");
  expect([text(theirs.get("a")), theirs.get("b"), theirs.size]).toEqual(["2", undefined, 1]);
  for (let n = 0; n < 50; n++) await (n % 2 === 0 ? mine : theirs).put("a", Buffer.from(String(n)));
  await until(() => text(mine.get("a")) === "49" && text(theirs.get("a")) === "49");
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect([text(mine.get("a")), text(theirs.get("a"))]).toEqual(["49", "49"]);
  expect(await one.openTable("table")).toBe(mine);
});

test("parked records show in other processes, asked retries too, and erased ones are gone there", async () => {
  const [one, two] = [await room.open({ instance: "1" }), await room.open({ instance: "2" })];
  const record = {
    id: "a",
    service: "wallet",
    ns: "default",
    account: "acme",
    topic: "orders",
    reason: "r",
    detail: "d",
    parkedAt: "2026-01-01T00:00:00.000000000Z",
    key: "k",
    bytes: Uint8Array.from([1]),
  };
  await one.parked.put([record]);
  await until(async () => (await two.parked.count()) === 1);
  await two.parked.askRetry("a", "2026-01-02T00:00:00.000000000Z");
  await until(async () => (await one.parked.list({ service: "wallet", retryAsked: true, limit: 9 })).length === 1);
  expect(await one.parked.erase("a")).toBe(true);
  await until(async () => (await two.parked.count()) === 0);
});

test("a hint reaches listeners in every process", async () => {
  const buses = [await room.open({ instance: "1" }), await room.open({ instance: "2" })];
  const heard = buses.map(() => new Set<unknown>());
  buses.forEach((bus, index) => bus.listen("hints", (body) => heard[index]?.add(body)));
  for (let n = 0; heard.some((set) => set.size === 0); n++) {
    await buses[0]?.publish("hints", [message(200, n)]);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  expect(heard.map((set) => set.size > 0)).toEqual([true, true]);
});

test("a large publish keeps its order across many batches, and one message too large takes no other with it", async () => {
  const bus = await room.open();
  const big = "x".repeat(50_000);
  await bus.publish(
    "orders",
    Array.from({ length: 100 }, (_, n) => message(0, `${n} ${big}`)),
  );
  const good = bus.publish("orders", [message(1, "good")]);
  const bad = bus.publish("orders", [message(1, "y".repeat(3_000_000))]);
  const late = bus.publish("orders", [message(1, "late")]);
  await expect(bad).rejects.toThrow("MESSAGE_TOO_LARGE");
  await Promise.all([good, late]);
  const { chunks, reached } = watch(bus, "group", { maxChunk: 7 });
  await reached(102);
  const first = bodies(chunks.filter(({ partition }) => partition === 0)).map((body) => Number(String(body).split(" ")[0]));
  expect(first).toEqual(Array.from({ length: 100 }, (_, n) => n));
  expect(bodies(chunks.filter(({ partition }) => partition === 1))).toEqual(["good", "late"]);
});

test("a handler that outlasts the rebalance timeout loses its partition, and what it does late moves no offset", async () => {
  const [one, two] = [
    await room.open({ instance: "1", tempo: { ...TEST_TEMPO, rebalanceTimeoutMs: 1_500 } }),
    await room.open({ instance: "2" }),
  ];
  let finish = () => {};
  const finished = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const slow = watch(one, "group", { before: () => finished });
  await until(() => slow.owned.size === 4);
  await one.publish(
    "orders",
    [0, 1, 2, 3].map((shard) => message(shard, shard)),
  );
  const other = watch(two, "group");
  await until(() => other.owned.size === 2 && slow.owned.size === 2);
  await other.reached(2);
  const lost = [0, 1, 2, 3].filter((partition) => !slow.owned.has(partition));
  expect(new Set(other.chunks.map(({ partition }) => partition))).toEqual(new Set(lost));
  finish();
  // What is still its own comes again, as its handlers were given up on.
  await until(() => new Set(bodies(slow.chunks)).size === 4);
  await two.publish("orders", [message(lost[0] ?? 0, "later")]);
  await other.reached(3);
  await until(async () => (await two.lag("group")).every(({ lag }) => lag === 0));
  await Promise.all([slow.consumer.stop(), other.consumer.stop()]);
});

test("a partition that has messages and makes no progress is named in the log and in the status", async () => {
  const warnings: object[] = [];
  const log = { ...testLog, warn: (fields: object) => void warnings.push(fields) };
  const bus = await room.open({ log, tempo: { ...TEST_TEMPO, stuckAfterMs: 300 } });
  const { consumer, owned } = watch(bus, "group", {
    before: async () => {
      throw new Error("the store is away");
    },
  });
  await until(() => owned.size === 4);
  await bus.publish("orders", [message(2, "waits")]);
  await until(() => warnings.some((fields) => "stuckMs" in fields));
  expect(warnings.find((fields) => "stuckMs" in fields)).toMatchObject({ topic: "orders", partition: 2, position: 0, end: 1 });
  const stuck = bus
    .status()
    .get("group")
    ?.filter(({ stuckMs }) => stuckMs > 0);
  expect(stuck?.map(({ partition }) => partition)).toEqual([2]);
  await consumer.stop();
});
