import { type AppendResult, createMemoryEventStore, type EventStore } from "@rerate/event-store";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  add,
  chainProblem,
  eventsOf,
  forwardedInput,
  idsOf,
  jsonCodec,
  message,
  recordedAtOf,
  send,
  storedEvents,
  streamOf,
  type Surroundings,
  surroundings,
  type ToyMessage,
  toyCodec,
  toyWorker,
} from "./toy-service.ts";
import { createMemoryCache } from "./worker-cache.ts";

/** The world with an event store whose appends can be tampered with. */
function withAppend(
  world: Surroundings,
  append: (send: EventStore["append"], ...appends: Parameters<EventStore["append"]>) => Promise<AppendResult[]>,
): Surroundings {
  const { eventStore } = world;
  return {
    ...world,
    eventStore: { ...eventStore, append: (appends) => append((list) => eventStore.append(list), appends) },
  };
}

test("messages are recorded once each, in order, on a hash chain", async () => {
  const world = surroundings();
  const worker = toyWorker(world);
  await worker.start();
  await send(world, add("a", "1", 5), add("b", "1", 7), add("a", "2", 6));
  await send(world, add("a", "1", 5), add("a", "3", 1));
  await world.time.pass(1_000);
  expect(await idsOf(world, "a")).toEqual(["1", "2", "3"]);
  expect(await idsOf(world, "b")).toEqual(["1"]);
  expect(world.answers.filter((answer) => answer === "duplicate")).toHaveLength(1);
  expect(await chainProblem(world, streamOf("a"))).toBeUndefined();
  await worker.stop();
});

test("duplicates within one chunk are known before anything is appended", async () => {
  const world = surroundings();
  const worker = toyWorker(world);
  await worker.start();
  await send(world, add("a", "1", 5), add("a", "1", 5), add("a", "1", 5));
  await world.time.pass(1_000);
  expect(await idsOf(world, "a")).toEqual(["1"]);
  await worker.stop();
});

test("a worker that dies between append and commit leaves nothing for the next one to record twice", async () => {
  const world = surroundings();
  let dies = true;
  const dying = withAppend(world, async (send, appends) => {
    const results = await send(appends);
    if (dies) await new Promise(() => undefined);
    return results;
  });
  const first = toyWorker(dying);
  await first.start();
  await send(world, add("a", "1", 5), add("a", "2", 5), add("b", "1", 5));
  await world.time.pass(1_000);
  expect(await idsOf(world, "a")).toEqual(["1", "2"]);
  dies = false;
  // Another process: its own group state, its own caches.
  const second = toyWorker(world, { group: "again" });
  await second.start();
  await send(world, add("a", "3", 5));
  await world.time.pass(1_000);
  expect(await idsOf(world, "a")).toEqual(["1", "2", "3"]);
  expect(await idsOf(world, "b")).toEqual(["1"]);
  await second.stop();
});

test("two workers on the same streams record everything once", async () => {
  const world = surroundings();
  // With the same clock both would append the same bytes, which is no conflict at all.
  const clock = { now: () => world.time.now().replace("000000Z", "000001Z") };
  const workers = [toyWorker(world, { group: "one" }), toyWorker(world, { group: "two", clock })];
  for (const worker of workers) await worker.start();
  for (let i = 0; i < 50; i++) {
    await send(world, add("a", `a${i}`, i), add("b", `b${i}`, i));
    if (i % 7 === 0) await world.time.pass(10);
  }
  await world.time.pass(60_000);
  const expected = Array.from({ length: 50 }, (_, i) => i);
  expect(await idsOf(world, "a")).toEqual(expected.map((i) => `a${i}`));
  expect(await idsOf(world, "b")).toEqual(expected.map((i) => `b${i}`));
  expect(await chainProblem(world, streamOf("a"))).toBeUndefined();
  expect(world.counts.get("conflicts")).toBeGreaterThan(0);
  for (const worker of workers) await worker.stop();
});

describe("an append of unknown outcome", () => {
  test.each([
    ["that was written", true],
    ["that was not written", false],
  ])("%s is sent again unchanged", async (_name, written) => {
    const world = surroundings();
    let faults = 2;
    const sent: string[] = [];
    const faulty = withAppend(world, async (send, appends) => {
      sent.push(JSON.stringify(appends));
      if (faults === 0) return await send(appends);
      faults -= 1;
      if (written) await send(appends);
      return appends.map(() => ({ kind: "unknown", cause: new Error("no answer") }));
    });
    const worker = toyWorker(faulty);
    await worker.start();
    await send(world, add("a", "1", 5));
    await world.time.pass(5_000);
    expect(await idsOf(world, "a")).toEqual(["1"]);
    expect(new Set(sent).size).toBe(1);
    await send(world, add("a", "2", 5), add("a", "1", 5));
    await world.time.pass(5_000);
    expect(await idsOf(world, "a")).toEqual(["1", "2"]);
    await worker.stop();
  });

  test("that stays unknown rejects the chunk and drops the state", async () => {
    const world = surroundings();
    let faults = 20;
    const faulty = withAppend(world, async (send, appends) => {
      if (faults-- <= 0) return await send(appends);
      if (faults === 3) await send(appends);
      return appends.map(() => ({ kind: "unknown", cause: new Error("no answer") }));
    });
    const worker = toyWorker(faulty);
    await worker.start();
    await send(world, add("a", "1", 5), add("a", "2", 5));
    await world.time.pass(120_000);
    expect(await idsOf(world, "a")).toEqual(["1", "2"]);
    expect(world.counts.get("outages")).toBeGreaterThan(0);
    await worker.stop();
  });
});

test("an outage of the store redelivers the chunk", async () => {
  const world = surroundings();
  let faults = 3;
  const faulty = withAppend(world, async (send, appends) => {
    if (faults-- > 0) throw new Error("the store is down");
    return await send(appends);
  });
  const worker = toyWorker(faulty);
  await worker.start();
  await send(world, add("a", "1", 5));
  await world.time.pass(60_000);
  expect(await idsOf(world, "a")).toEqual(["1"]);
  await worker.stop();
});

test("a partial commit of a chunk's appends is completed without doubling what was written", async () => {
  const world = surroundings();
  let first = true;
  const faulty = withAppend(world, async (send, appends) => {
    if (!first) return await send(appends);
    first = false;
    await send(appends.slice(0, 1));
    throw new Error("the store went away in the middle");
  });
  const worker = toyWorker(faulty, { limits: { maxChunk: 1_000 } });
  await worker.start();
  // Both accounts are in one partition: "a" and "e" have shards that are equal modulo 4.
  await send(world, add("a", "1", 5), add("e", "1", 6), add("a", "2", 7));
  await world.time.pass(60_000);
  expect(await idsOf(world, "a")).toEqual(["1", "2"]);
  expect(await idsOf(world, "e")).toEqual(["1"]);
  await worker.stop();
});

test("a chunk larger than an append is appended in several, one after the other", async () => {
  const world = surroundings();
  const sizes: number[] = [];
  const watched = withAppend(world, async (send, appends) => {
    sizes.push(...appends.map(({ events }) => events.length));
    return await send(appends);
  });
  const worker = toyWorker(watched, { limits: { appendEvents: 3 } });
  await worker.start();
  await send(world, ...Array.from({ length: 10 }, (_, i) => add("a", String(i), i)));
  await world.time.pass(1_000);
  expect(sizes).toEqual([3, 3, 3, 1]);
  expect(await idsOf(world, "a")).toHaveLength(10);
  expect(await chainProblem(world, streamOf("a"))).toBeUndefined();
  await worker.stop();
});

test("earlier events of a story are loaded by their links, however old", async () => {
  const world = surroundings();
  const worker = toyWorker(world, { limits: { cachedStreams: 1, pageEvents: 2 } });
  await worker.start();
  await send(world, add("a", "1", 5), add("a", "x", 1), add("a", "2", 7, { about: "1" }));
  await world.time.pass(1_000);
  await send(world, ...Array.from({ length: 20 }, (_, i) => add("a", `n${i}`, 1)), add("b", "1", 1));
  await world.time.pass(1_000);
  await send(world, add("a", "3", 9, { about: "2" }), add("a", "4", 1, { about: "3" }), add("a", "5", 1, { about: "none" }));
  await world.time.pass(1_000);
  const events = await eventsOf(world, streamOf("a"));
  const total = (id: string) => events.flatMap(({ type, data }) => (type === "Added" && data.id === id ? [data.total] : []));
  expect([total("2"), total("3"), total("4"), total("5")]).toEqual([[5], [12], [21], [0]]);
  await worker.stop();
});

describe("numbers without gaps", () => {
  const follower = (world: Surroundings, more = {}) =>
    toyWorker(world, {
      name: "follower",
      prefixes: ["follow-"],
      streamOf: ({ account }: ToyMessage) => streamOf(account, "follow"),
      inputs: [forwardedInput],
      ...more,
    });

  test("consecutive messages are applied as one event", async () => {
    const world = surroundings();
    const [source, target] = [toyWorker(world), follower(world)];
    await source.start();
    await target.start();
    await send(world, ...Array.from({ length: 30 }, (_, i) => add("a", String(i), i)));
    await world.time.pass(5_000);
    const events = await eventsOf(world, streamOf("a", "follow"));
    expect(events).toEqual([{ type: "Forwarded", data: { number: 30, amount: 435, revision: 29 } }]);
    expect(world.counts.get("gaps")).toBeUndefined();
    await source.stop();
    await target.stop();
  });

  test("a gap is filled from the source stream before the message that showed it", async () => {
    const world = surroundings();
    const source = toyWorker(world);
    await source.start();
    await send(world, ...Array.from({ length: 9 }, (_, i) => add("a", String(i), i + 1)));
    await world.time.pass(5_000);
    // Its topic has lost all but the 6th and the 9th message.
    const target = follower(world, { inputs: [{ ...forwardedInput, topic: "toy.in" }], limits: { pageEvents: 2 } });
    await target.start();
    const lossy = [6, 9].map((number) => ({
      kind: "forwarded" as const,
      account: "a",
      number,
      amount: number,
      source: streamOf("a"),
      revision: number - 1,
    }));
    await world.bus.publish(
      "toy.in",
      lossy.map((body) => message(body)),
    );
    await world.time.pass(5_000);
    const events = await eventsOf(world, streamOf("a", "follow"));
    expect(events.reduce((sum, { type, data }) => sum + (type === "Forwarded" ? data.amount : 0), 0)).toBe(45);
    expect(events.at(-1)?.data).toMatchObject({ number: 9 });
    await source.stop();
    await target.stop();
  });
});

test("what claims to be published by a log that does not hold it is parked after a while, and what waited behind it goes on", async () => {
  const world = surroundings();
  const target = toyWorker(world, {
    name: "follower",
    prefixes: ["follow-"],
    streamOf: ({ account }: ToyMessage) => streamOf(account, "follow"),
    inputs: [{ ...forwardedInput, topic: "toy.in" }],
  });
  await target.start();
  const forged = { kind: "forwarded", account: "a", number: 7, amount: 1, source: streamOf("nobody"), revision: 6 } as const;
  await world.bus.publish("toy.in", [message(forged)]);
  await world.time.pass(5_000);
  await world.bus.publish("toy.in", [message({ ...forged, source: streamOf("b"), number: 1, revision: 0, amount: 5 })]);
  await world.time.pass(10_000);
  expect(await eventsOf(world, streamOf("a", "follow"))).toEqual([]);
  expect(await world.bus.parked.list({ limit: 10 })).toEqual([]);
  await world.time.pass(120_000);
  expect(await eventsOf(world, streamOf("a", "follow"))).toEqual([
    { type: "Forwarded", data: { number: 1, amount: 5, revision: 0 } },
  ]);
  const parked = await world.bus.parked.list({ limit: 10 });
  expect(parked.map(({ reason, service, bytes }) => [reason, service, jsonCodec.decode(bytes)])).toEqual([
    ["no-source", "follower", forged],
  ]);
  expect(target.status()).toMatchObject({ quarantined: [], waiting: new Map() });
  await target.stop();
});

test("a conflict between two appends of one chunk decides only the rest again, and parks the right bytes", async () => {
  const world = surroundings();
  const other = toyWorker(world, { inputs: [] });
  await other.start();
  let appends = 0;
  const contended = withAppend(world, async (send, list) => {
    appends += 1;
    if (appends === 2) await other.submit([add("a", "9", 9)]);
    return await send(list);
  });
  const worker = toyWorker(contended, { limits: { appendEvents: 1 } });
  await worker.start();
  await send(world, add("a", "1", 1), add("a", "9", 8), add("a", "2", 2), add("a", "1", 3), add("a", "4", 4));
  await world.time.pass(5_000);
  expect(await idsOf(world, "a")).toEqual(["1", "9", "2", "4"]);
  const parked = await world.bus.parked.list({ limit: 10 });
  expect(parked.map(({ bytes }) => jsonCodec.decode(bytes))).toEqual(
    expect.arrayContaining([add("a", "1", 3), add("a", "9", 8)]),
  );
  expect(parked).toHaveLength(2);
  expect(world.counts.get("conflicts")).toBe(1);
  await worker.stop();
  await other.stop();
});

test("submissions are decided on the same path and answered in order", async () => {
  const world = surroundings();
  const worker = toyWorker(world, { inputs: [] });
  await worker.start();
  const answers = await worker.submit([add("a", "1", 5), add("b", "1", 5), add("a", "1", 5), add("a", "1", 6)]);
  expect(answers).toEqual([
    { status: "recorded", revision: 0 },
    { status: "recorded", revision: 0 },
    { status: "duplicate" },
    { status: "conflict", revision: 1 },
  ]);
  expect(await world.bus.parked.count()).toBe(0);
  await worker.stop();
});

test("the clock going back never makes recordedAt go back", async () => {
  const world = surroundings();
  let now = "2026-05-01T00:00:00.000000000Z";
  const worker = toyWorker(world, { inputs: [], clock: { now: () => now } });
  await worker.start();
  await worker.submit([add("a", "1", 5)]);
  now = "2026-04-01T00:00:00.000000000Z";
  await worker.submit([add("a", "2", 5)]);
  expect((await storedEvents(world, streamOf("a"))).map(recordedAtOf)).toEqual(Array(2).fill("2026-05-01T00:00:00.000000000Z"));
  await worker.stop();
});

test("whatever the limits, the order of faults and the duplicates, the same events come out", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        cachedStreams: fc.integer({ min: 1, max: 5 }),
        appendEvents: fc.integer({ min: 1, max: 5 }),
        maxChunk: fc.integer({ min: 1, max: 20 }),
        snapshotEvery: fc.integer({ min: 1, max: 10 }),
        snapshotWorth: fc.integer({ min: 1, max: 10 }),
        unsavedKeys: fc.integer({ min: 1, max: 20 }),
        pageEvents: fc.integer({ min: 1, max: 5 }),
      }),
      fc.array(fc.record({ account: fc.constantFrom("a", "b", "e", "i"), id: fc.integer({ min: 0, max: 15 }) }), {
        maxLength: 60,
      }),
      fc.array(fc.constantFrom("fine", "down", "lost", "unknown", "partial"), { maxLength: 20 }),
      async (limits, facts, faults) => {
        const world = surroundings(createMemoryEventStore());
        const plan = [...faults];
        const faulty = withAppend(world, async (send, appends) => {
          switch (plan.shift() ?? "fine") {
            case "down":
              throw new Error("down");
            case "lost":
              await send(appends);
              throw new Error("no answer");
            case "unknown":
              await send(appends);
              return appends.map(() => ({ kind: "unknown", cause: undefined }));
            case "partial":
              await send(appends.slice(1));
              return appends.map(() => ({ kind: "unknown", cause: undefined }));
            default:
              return await send(appends);
          }
        });
        const cache = createMemoryCache();
        const workers = [toyWorker(faulty, { group: "one", cache, limits }), toyWorker(faulty, { group: "two", limits })];
        for (const worker of workers) await worker.start();
        for (const { account, id } of facts) await send(world, add(account, `${id}`, id));
        await world.time.pass(600_000);
        for (const account of ["a", "b", "e", "i"]) {
          const expected = [...new Set(facts.filter((fact) => fact.account === account).map(({ id }) => `${id}`))];
          expect(await idsOf(world, account)).toEqual(expected);
          expect(await chainProblem(world, streamOf(account))).toBeUndefined();
        }
        for (const worker of workers) await worker.stop();
        // A third one with the caches of the first knows every fact.
        const third = toyWorker(world, { inputs: [], cache, limits });
        await third.start();
        if (facts.length > 0) {
          const answers = await third.submit(facts.map(({ account, id }) => add(account, `${id}`, id)));
          expect(new Set(answers.map(({ status }) => status))).toEqual(new Set(["duplicate"]));
        }
        await third.stop();
      },
    ),
    { numRuns: 40 },
  );
});

test("stored text is what the codec wrote", async () => {
  const world = surroundings();
  const worker = toyWorker(world, { inputs: [] });
  await worker.start();
  await worker.submit([add("a", "ü", 5)]);
  const [stored] = await storedEvents(world, streamOf("a"));
  expect(stored?.data).toBe(toyCodec.encode({ type: "Added", data: { id: "ü", amount: 5, number: 1, total: 0 } }).data);
  await worker.stop();
});
