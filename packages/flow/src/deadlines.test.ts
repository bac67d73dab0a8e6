import * as fc from "fast-check";
import { expect, test } from "vitest";
import { createDeadlines, createMemoryDeadlines, HELD, UNKNOWN } from "./deadlines.ts";
import {
  add,
  eventsOf,
  forwardedInput,
  send,
  streamOf,
  type Surroundings,
  surroundings,
  type ToyMessage,
  toyDecider,
  toyWorker,
} from "./toy-service.ts";
import { createMemoryCache } from "./worker-cache.ts";

const at = (seconds: number) => `${new Date(Date.UTC(2026, 0, 1) + seconds * 1_000).toISOString().slice(0, 23)}000000Z`;
const typesOf = async (world: Surroundings, account: string, category?: string) =>
  (await eventsOf(world, streamOf(account, category))).map(({ type, data }) => ("id" in data ? `${type} ${data.id}` : type));

test("the soonest stream always comes first, whatever was set before", () => {
  const streams = fc.constantFrom("a", "b", "c", "d", "e");
  const times = fc.option(fc.integer({ min: 10, max: 99 }).map(String), { nil: undefined });
  fc.assert(
    fc.property(fc.array(fc.tuple(streams, times), { maxLength: 100 }), (changes) => {
      const deadlines = createDeadlines(createMemoryDeadlines());
      const expected = new Map<string, string>();
      for (const [stream, dueAt] of changes) {
        deadlines.set(stream, dueAt);
        if (dueAt === undefined) expected.delete(stream);
        else expected.set(stream, dueAt);
      }
      const sorted = [...expected].sort(([a, x], [b, y]) => (x < y || (x === y && a < b) ? -1 : 1)).map(([stream]) => stream);
      expect(deadlines.soonest()?.stream).toBe(sorted[0]);
      const due = sorted.filter((stream) => (expected.get(stream) ?? "") < "50");
      expect(deadlines.takeDue("50", 100)).toEqual(due);
      expect(deadlines.takeDue("50", 100)).toEqual([]);
    }),
  );
});

test("what is being fired, or may be too late, is not lost from what is stored", () => {
  const store = createMemoryDeadlines();
  const deadlines = createDeadlines(store);
  deadlines.set("taken", "10");
  deadlines.set("loose", "20");
  deadlines.set("held", HELD);
  deadlines.takeDue("15", 10);
  deadlines.loosen("loose");
  deadlines.save();
  expect([...store.all()]).toEqual([
    { stream: "taken", dueAt: "10" },
    { stream: "loose", dueAt: UNKNOWN },
    { stream: "held", dueAt: HELD },
  ]);
  // What one process held back, the next one looks at again.
  expect(createDeadlines(store).takeDue("!", 10)).toEqual(["held", "loose"]);
  deadlines.set("loose", "20");
  deadlines.save();
  expect([...store.all()]).toContainEqual({ stream: "loose", dueAt: "20" });
});

test("a deadline fires strictly after it is due, once, and as an event", async () => {
  const world = surroundings();
  const worker = toyWorker(world);
  await worker.start();
  await send(world, add("a", "1", 5, { due: at(60) }), add("a", "2", 5, { due: at(30) }), add("b", "1", 5, { due: at(90) }));
  await world.time.pass(30_000);
  expect(await typesOf(world, "a")).toEqual(["Added 1", "Added 2"]);
  await world.time.pass(1_000);
  expect(await typesOf(world, "a")).toEqual(["Added 1", "Added 2", "TimedOut 2"]);
  await world.time.pass(300_000);
  expect(await typesOf(world, "a")).toEqual(["Added 1", "Added 2", "TimedOut 2", "TimedOut 1"]);
  expect(await typesOf(world, "b")).toEqual(["Added 1", "TimedOut 1"]);
  expect(worker.status().openDeadlines).toBe(0);
  await worker.stop();
});

test("after an outage the waiting messages are applied before the deadlines that fell due meanwhile", async () => {
  const world = surroundings();
  const cache = createMemoryCache();
  const first = toyWorker(world, { cache });
  await first.start();
  await send(world, add("a", "1", 5, { due: at(60) }));
  await world.time.pass(10_000);
  await first.stop();
  await world.time.pass(100_000);
  // The store is slow for the waiting messages; the deadline is long due.
  await send(world, ...Array.from({ length: 20 }, (_, i) => add("a", `late${i}`, 1)));
  const second = toyWorker(world, { cache, limits: { maxChunk: 2 } });
  await second.start();
  await world.time.pass(10_000);
  const types = await typesOf(world, "a");
  expect(types).toHaveLength(22);
  expect(types.at(-1)).toBe("TimedOut 1");
  await second.stop();
});

test("a deadline waits for the mark of a topic that another worker publishes from the log", async () => {
  const world = surroundings();
  const target = toyWorker(world, {
    name: "target",
    prefixes: ["follow-"],
    streamOf: ({ account }: ToyMessage) => streamOf(account, "follow"),
    inputs: [forwardedInput],
  });
  await target.start();
  await target.submit([add("a", "1", 5, { due: at(60) })]);
  await world.time.pass(600_000);
  expect(await typesOf(world, "a", "follow")).toEqual(["Added 1"]);
  const source = toyWorker(world, { outputs: [{ topic: "toy.forwarded", inputs: ["toy.in"] }] });
  await source.start();
  await send(world, add("a", "7", 5));
  await world.time.pass(5_000);
  expect(await typesOf(world, "a", "follow")).toEqual(["Added 1", "Forwarded", "TimedOut 1"]);
  await source.stop();
  await target.stop();
});

test("a worker without anything pending sets no timer", async () => {
  const world = surroundings();
  let timers = 0;
  const worker = toyWorker(world, {
    inputs: [],
    defer(task, delayMs) {
      timers += 1;
      world.time.defer(task, delayMs);
    },
  });
  await worker.start();
  await worker.submit([add("a", "1", 5)]);
  await world.time.pass(100_000);
  expect(timers).toBe(0);
  await worker.submit([add("a", "2", 5, { due: at(1_000) })]);
  await world.time.pass(2_000_000);
  expect(await typesOf(world, "a")).toEqual(["Added 1", "Added 2", "TimedOut 2"]);
  expect(timers).toBeLessThan(5);
  await worker.stop();
});

test("deadlines are found again without the cache file", async () => {
  const world = surroundings();
  const first = toyWorker(world, { inputs: [] });
  await first.start();
  await first.submit([add("a", "1", 5, { due: at(60) }), add("b", "1", 5), add("e", "1", 5, { due: at(60) })]);
  await first.stop();
  await world.time.pass(100_000);
  const second = toyWorker(world, { inputs: [], limits: { cachedStreams: 1, deadlineStreams: 1 } });
  await second.start();
  await world.time.pass(1_000);
  expect(await typesOf(world, "a")).toEqual(["Added 1", "TimedOut 1"]);
  expect(await typesOf(world, "b")).toEqual(["Added 1"]);
  expect(await typesOf(world, "e")).toEqual(["Added 1", "TimedOut 1"]);
  await second.stop();
});

test("a stream with very many deadlines fires them all, in batches", async () => {
  const world = surroundings();
  const worker = toyWorker(world, { limits: { deadlinesPerStream: 70 } });
  await worker.start();
  for (let i = 0; i < 500; i++) await send(world, add("a", `${i}`, 1, { due: at(100 + (i % 7)) }));
  await world.time.pass(50_000);
  expect(await typesOf(world, "a")).toHaveLength(500);
  await world.time.pass(100_000);
  const fired = (await typesOf(world, "a")).filter((type) => type.startsWith("TimedOut"));
  expect(new Set(fired).size).toBe(500);
  expect(fired).toHaveLength(500);
  await worker.stop();
});

test("a deadline that stays open after it was decided quarantines its stream instead of firing for ever", async () => {
  const world = surroundings();
  const worker = toyWorker(world, {
    inputs: [],
    decider: {
      ...toyDecider,
      decide: (state, given, context, history, place) =>
        given.kind === "timeout"
          ? { kind: "skip", answer: { status: "ignored" } }
          : toyDecider.decide(state, given, context, history, place),
    },
  });
  await worker.start();
  await worker.submit([add("a", "1", 5, { due: at(60) }), add("b", "1", 5)]);
  await world.time.pass(100_000);
  expect(worker.status().quarantined).toMatchObject([{ stream: streamOf("a") }]);
  expect(await worker.submit([add("b", "2", 5)])).toMatchObject([{ status: "recorded" }]);
  await worker.stop();
});

test("deadlines that can't be fired because the store is down are fired when it is back", async () => {
  const world = surroundings();
  let down = false;
  const { eventStore } = world;
  const worker = toyWorker({
    ...world,
    eventStore: {
      ...eventStore,
      append: async (appends) => {
        if (down) throw new Error("down");
        return await eventStore.append(appends);
      },
    },
  });
  await worker.start();
  await send(world, add("a", "1", 5, { due: at(60) }));
  await world.time.pass(10_000);
  down = true;
  await world.time.pass(100_000);
  down = false;
  await world.time.pass(60_000);
  expect(await typesOf(world, "a")).toEqual(["Added 1", "TimedOut 1"]);
  await worker.stop();
});
