/** What happens when the cluster or a topic does what it should not: broker killed, broker frozen, topics changed under a group. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { watch } from "../conformance.ts";
import type { Chunk } from "../port.ts";
import { openConnection, withAdmin } from "./connection.ts";
import { KafkaStoppedError } from "./kafka-error.ts";
import {
  createRoom,
  type OwnKafka,
  startOwnKafka,
  SUITE_PLAN,
  TEST_TEMPO,
  testLog,
  type TestRoom,
  until,
} from "./testing/kafka-provider.ts";
import { checkTopics, createTopics, deleteTopics, moveGroup } from "./topics.ts";

let kafka: OwnKafka;
let room: TestRoom;
const crashes: Error[] = [];

beforeAll(async () => {
  kafka = await startOwnKafka("Kafka outages");
});
afterAll(() => kafka.end());
beforeEach(async () => {
  crashes.length = 0;
  room = await createRoom(kafka.brokers, { onCrash: (error) => crashes.push(error) });
});
afterEach(() => room.close());

const message = (shard: number, body: unknown) => ({ key: `k${shard}`, shard, body });
const numbers = (chunks: readonly Chunk[]) =>
  new Set(chunks.flatMap(({ messages }) => messages.map(({ content }) => (content.kind === "body" ? content.body : -1))));
const access = () => ({ brokers: kafka.brokers, log: testLog });
const settings = (partitions = 4) => ({ partitions, replication: 1, prefix: room.prefix });
const sleep = (delayMs: number) => new Promise((resolve) => setTimeout(resolve, delayMs));

/** Publishes numbers, one by one, until told to stop; an answer that never came is an outage, and the number comes again. */
function publishSteadily(bus: Awaited<ReturnType<TestRoom["open"]>>) {
  const running = new AbortController();
  let acknowledged = 0;
  const ended = (async () => {
    while (!running.signal.aborted) {
      try {
        await bus.publish("orders", [message(acknowledged % 4, acknowledged)]);
        acknowledged += 1;
      } catch {
        await sleep(50);
      }
      await sleep(2);
    }
  })();
  return {
    acknowledged: () => acknowledged,
    async stop() {
      running.abort();
      await ended;
    },
  };
}

test("a broker that is killed and comes back costs nothing but time", async () => {
  const bus = await room.open();
  const { consumer, chunks, owned, count } = watch(bus, "group");
  const hints = new Set<unknown>();
  bus.listen("hints", (body) => hints.add(body));
  await bus.parked.put([]);
  await until(() => owned.size === 4);
  const steady = publishSteadily(bus);
  await until(() => count() > 50);
  for (let kill = 0; kill < 2; kill++) {
    await kafka.broker.kill();
    await sleep(500);
    const before = steady.acknowledged();
    await kafka.restart();
    await until(() => steady.acknowledged() > before + 50, 60_000);
  }
  await steady.stop();
  await until(() => numbers(chunks).size === steady.acknowledged(), 60_000);
  // The rest of the process is back, too.
  for (let n = 0; hints.size === 0; n++) {
    await bus.publish("hints", [message(0, n)]);
    await sleep(50);
  }
  await until(() => consumer.readUpTo("orders") !== undefined);
  expect(crashes).toEqual([]);
  await consumer.stop();
  expect((await bus.lag("group")).every(({ lag }) => lag === 0)).toBe(true);
});

test("a broker that stands still for twenty seconds is waited for; what was published is there once it goes on", async () => {
  const bus = await room.open({ tempo: { ...TEST_TEMPO, requestTimeoutMs: 5_000 } });
  const { consumer, chunks, owned, count } = watch(bus, "group");
  await until(() => owned.size === 4);
  const steady = publishSteadily(bus);
  await until(() => count() > 50);
  process.kill(kafka.broker.pid, "SIGSTOP");
  try {
    await sleep(20_000);
  } finally {
    process.kill(kafka.broker.pid, "SIGCONT");
  }
  const before = steady.acknowledged();
  await until(() => steady.acknowledged() > before + 50, 60_000);
  await steady.stop();
  await until(() => numbers(chunks).size === steady.acknowledged(), 60_000);
  expect(crashes).toEqual([]);
  await consumer.stop();
});

test("publishing is refused when the outage outlasts the publish timeout", async () => {
  const bus = await room.open({ tempo: { ...TEST_TEMPO, publishTimeoutMs: 300 } });
  await bus.publish("orders", [message(0, 1)]);
  await kafka.broker.kill();
  try {
    await expect(bus.publish("orders", [message(0, 2)])).rejects.toThrow("did not take messages for");
  } finally {
    await kafka.restart();
  }
  await until(() =>
    bus.publish("orders", [message(0, 3)]).then(
      () => true,
      () => false,
    ),
  );
});

test("a group outside its topic's log stops and says so, until somebody moves it", async () => {
  const bus = await room.open();
  await bus.publish("orders", [message(0, "a"), message(0, "b")]);
  const connection = openConnection({ ...access(), clientId: "test", requestTimeoutMs: 10_000 });
  await connection.commit(`${room.prefix}group`, undefined, [{ topic: `${room.prefix}orders`, offsets: new Map([[0, 1_000]]) }]);
  await connection.close();
  const lost = watch(bus, "group");
  await expect(lost.consumer.done).rejects.toThrow(KafkaStoppedError);
  await expect(lost.consumer.done).rejects.toThrow("stands at offset 1000 of partition 0");
  expect(crashes).toHaveLength(1);
  expect(lost.count()).toBe(0);
  await moveGroup(access(), { group: "group", topic: "orders", to: "beginning", prefix: room.prefix });
  const found = watch(bus, "group");
  await found.reached(2);
  const moved = moveGroup(access(), { group: "group", topic: "orders", to: "end", prefix: room.prefix });
  await expect(moved).rejects.toThrow("cannot be moved while members of it run");
  await found.consumer.stop();
});

test("a topic that is created anew under a running group stops it; started again the group begins at 0", async () => {
  const bus = await room.open();
  await bus.publish(
    "orders",
    Array.from({ length: 20 }, (_, n) => message(n, n)),
  );
  const before = watch(bus, "group");
  await before.reached(20);
  await deleteTopics(access(), [{ name: "orders", kind: "accepted" }], settings());
  await createTopics(access(), [{ name: "orders", kind: "accepted" }], settings());
  await expect(before.consumer.done).rejects.toThrow(KafkaStoppedError);
  await bus.publish("orders", [message(0, 100)]);
  const after = watch(await room.open(), "group");
  await after.reached(1);
  expect(numbers(after.chunks)).toEqual(new Set([100]));
  await after.consumer.stop();
});

test("a topic that goes away stops its consumers", async () => {
  const bus = await room.open();
  const { consumer, owned } = watch(bus, "group");
  await until(() => owned.size === 4);
  await deleteTopics(access(), [{ name: "orders", kind: "accepted" }], settings());
  await expect(consumer.done).rejects.toThrow("create it");
  expect(crashes).toHaveLength(1);
  await createTopics(access(), SUITE_PLAN, settings());
});

test("a partition count that is raised stops processes that work with the old one; those with the new one lose nothing", async () => {
  const narrow = await room.open();
  await narrow.publish(
    "orders",
    Array.from({ length: 40 }, (_, n) => message(n, n)),
  );
  const before = watch(narrow, "group");
  await before.reached(40);
  await before.consumer.stop();
  await narrow.publish(
    "orders",
    Array.from({ length: 40 }, (_, n) => message(n, 100 + n)),
  );
  const running = watch(narrow, "running");
  await running.reached(80);
  await createTopics(access(), SUITE_PLAN, settings(8));
  // A running member looks at the counts every twenty heartbeats.
  await expect(running.consumer.done).rejects.toThrow("8 partitions and this process works with 4");
  expect(crashes).toHaveLength(1);
  await expect(room.open()).rejects.toThrow("orders has 8");
  const wide = await room.open({ partitions: 8 });
  await wide.publish(
    "orders",
    Array.from({ length: 40 }, (_, n) => message(n, 200 + n)),
  );
  const after = watch(wide, "group");
  await after.reached(80);
  expect(numbers(after.chunks)).toEqual(new Set(Array.from({ length: 40 }, (_, n) => [100 + n, 200 + n]).flat()));
  expect(new Set(after.chunks.map(({ partition }) => partition))).toEqual(new Set([0, 1, 2, 3, 4, 5, 6, 7]));
  await after.consumer.stop();
});

test("topics: created once, raised when asked, and every deviation is named", async () => {
  const { prefix } = room;
  expect(await createTopics(access(), SUITE_PLAN, settings())).toEqual([]);
  expect(await checkTopics(access(), SUITE_PLAN, settings())).toEqual([]);
  const plan = [...SUITE_PLAN, { name: "new", kind: "accepted" } as const, { name: "wrong", kind: "table" } as const];
  await withAdmin({ ...access(), clientId: "test", requestTimeoutMs: 10_000 }, (admin) =>
    admin.create([
      {
        topic: `${prefix}wrong`,
        partitions: 3,
        replication: 1,
        settings: { "retention.ms": "1000", "unclean.leader.election.enable": "true" },
      },
    ]),
  );
  const wanted = { ...settings(8), replication: 3, retentionMs: 90 * 86_400_000 };
  const problems = await checkTopics(access(), plan, wanted);
  const of = (topic: string) => problems.filter((one) => one.topic === prefix + topic).map(({ problem }) => problem);
  expect(of("new")).toEqual(["is missing"]);
  expect(of("orders")).toEqual([
    "has 4 partitions, and must have 8",
    "has 1 copies of a message, and must have 3",
    "has min.insync.replicas=1, and must have at least 2",
    "has retention.ms=2592000000, and must have at least 7776000000",
  ]);
  expect(of("wrong")).toEqual([
    "has 3 partitions, and must have 1",
    "has 1 copies of a message, and must have 3",
    "has cleanup.policy=delete, and must have compact",
    "has unclean.leader.election.enable=true, and must have false",
    "has min.insync.replicas=1, and must have at least 2",
    "has max.message.bytes=1048588, and must have at least 16777216",
  ]);
  expect((await createTopics(access(), plan, settings(8))).toSorted()).toEqual([
    `created ${prefix}new`,
    `raised ${prefix}kept from 4 to 8 partitions`,
    `raised ${prefix}orders from 4 to 8 partitions`,
    `raised ${prefix}payments from 4 to 8 partitions`,
    `raised ${prefix}published from 4 to 8 partitions`,
  ]);
  await deleteTopics(access(), plan.slice(-2), settings());
});
