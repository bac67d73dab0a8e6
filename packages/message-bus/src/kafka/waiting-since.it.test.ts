/** Since when messages wait, as a real broker says it. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { watch } from "../conformance.ts";
import { createRoom, type KafkaProvider, startKafka, type TestRoom, until } from "./testing/kafka-provider.ts";

let kafka: KafkaProvider;
let room: TestRoom;

beforeAll(async () => {
  kafka = await startKafka("Waiting since");
  room = await createRoom(kafka.brokers);
});
afterAll(async () => {
  await room.close();
  await kafka.end();
});

test("the first message behind a group's offset says since when it waits; where nothing waits, nothing is said", async () => {
  const bus = await room.open({ instance: "1" });
  const send = (shard: number) => bus.publish("orders", [{ key: "k", shard, body: shard }]);
  const member = watch(bus, "group", { topics: ["orders"] });
  await send(0);
  await send(1);
  await until(() => member.count() === 2);
  await member.consumer.stop();
  expect(await bus.waitingSince("group", ["orders"])).toEqual([]);
  expect(await bus.waitingSince("nobody", ["orders"])).toEqual([]);

  const before = Date.now();
  await send(1);
  const between = Date.now();
  await send(1);
  const waiting = await bus.waitingSince("group", ["orders"]);
  expect(waiting).toEqual([{ topic: "orders", partition: 1, sinceMs: expect.any(Number) }]);
  expect(waiting[0]?.sinceMs).toBeGreaterThanOrEqual(before);
  expect(waiting[0]?.sinceMs).toBeLessThanOrEqual(between);
  expect(await bus.waitingSince("group", ["payments"])).toEqual([]);
});

test("marks wait for nobody", async () => {
  const bus = await room.open({ instance: "2" });
  const member = watch(bus, "marked", { topics: ["published"] });
  await bus.publish("published", [{ key: "k", shard: 0, body: 0 }]);
  await until(() => member.count() === 1);
  await member.consumer.stop();
  bus.mark("published", "2026-11-21T12:00:00.000000000Z");
  await until(async () => (await bus.lag("marked")).some(({ topic, lag }) => topic === "published" && lag > 0));
  expect(await bus.waitingSince("marked", ["published"])).toEqual([]);
  const before = Date.now();
  await bus.publish("published", [{ key: "k", shard: 0, body: 1 }]);
  const [waiting] = await bus.waitingSince("marked", ["published"]);
  expect(waiting).toMatchObject({ topic: "published", partition: 0 });
  expect(waiting?.sinceMs).toBeGreaterThanOrEqual(before);
});
