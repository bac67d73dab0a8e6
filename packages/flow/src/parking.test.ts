import { describe, expect, test } from "vitest";
import {
  add,
  chainProblem,
  eventsOf,
  idsOf,
  jsonCodec,
  send,
  storedEvents,
  streamOf,
  surroundings,
  toyDecider,
  toyWorker,
  UNDECODABLE,
} from "./toy-service.ts";

describe("parking", () => {
  test("a conflict is parked with its bytes, noted, and stays so when it comes again", async () => {
    const world = surroundings();
    const worker = toyWorker(world);
    await worker.start();
    await send(world, add("a", "1", 5), add("a", "1", 6));
    await world.time.pass(1_000);
    const [record, ...others] = await world.bus.parked.list({ limit: 10 });
    expect(others).toEqual([]);
    expect(record).toMatchObject({ service: "toy", ns: "default", account: "a", topic: "toy.in", reason: "conflict" });
    expect(jsonCodec.decode(record?.bytes ?? new Uint8Array())).toEqual(add("a", "1", 6));
    expect((await eventsOf(world, streamOf("a"))).map(({ type }) => type)).toEqual(["Added", "Noted"]);
    await send(world, add("a", "1", 6));
    await world.time.pass(1_000);
    expect(await world.bus.parked.count()).toBe(1);
    await worker.stop();
  });

  test("bytes that can't be decoded and bodies that are refused are parked, noted, and hold nothing up", async () => {
    const world = surroundings();
    const worker = toyWorker(world, {
      parkedNote: ({ id, reason }) => ({ stream: "parked-00.toy", type: "Parked", data: { id, reason } }),
    });
    await worker.start();
    const refused = add("", "x", 1);
    const undecodable = add("a", UNDECODABLE, 1);
    await send(world, add("a", "1", 5), refused, undecodable, add("a", "2", 5));
    await world.time.pass(1_000);
    await send(world, refused, undecodable);
    await world.time.pass(1_000);
    expect(await idsOf(world, "a")).toEqual(["1", "2"]);
    const parked = await world.bus.parked.list({ limit: 10 });
    expect(parked.map(({ account, reason, detail }) => `${account}: ${reason}, ${detail}`).sort()).toEqual([
      ": malformed, no account",
      "a: malformed, Error: no such schema",
    ]);
    expect(parked.map(({ bytes }) => Buffer.from(bytes).toString()).sort()).toEqual(
      [refused, undecodable].map((body) => JSON.stringify(body)).sort(),
    );
    expect(await storedEvents(world, "parked-00.toy")).toHaveLength(2);
    await worker.stop();
  });

  test("what was parked is recorded and erased when it is retried after the cause is mended", async () => {
    const world = surroundings();
    world.context = { ...world.context, known: new Set(["b"]) };
    const worker = toyWorker(world);
    await worker.start();
    await send(world, add("a", "1", 5), add("a", "2", 6), add("b", "1", 7));
    await world.time.pass(1_000);
    expect(await idsOf(world, "a")).toEqual([]);
    expect(await worker.retryParked({ reason: "unknown-account" })).toEqual({ tried: 2, mended: 0 });
    expect(await world.bus.parked.count()).toBe(2);
    world.context = { ...world.context, known: new Set(["a", "b"]) };
    expect(await worker.retryParked({ ns: "default", account: "a", reason: "unknown-account" })).toEqual({ tried: 2, mended: 2 });
    expect((await idsOf(world, "a")).sort()).toEqual(["1", "2"]);
    expect(await world.bus.parked.count()).toBe(0);
    await worker.stop();
  });
});

test("a broken invariant quarantines its stream; its messages wait, others go on, and a retry takes them up", async () => {
  const world = surroundings();
  let broken = true;
  const worker = toyWorker(world, {
    decider: {
      ...toyDecider,
      decide: (state, given, context, history, at) => {
        if (broken && given.kind === "add" && given.id === "bad") throw new Error("an invariant");
        return toyDecider.decide(state, given, context, history, at);
      },
    },
  });
  await worker.start();
  await send(world, add("a", "1", 1), add("a", "bad", 2), add("a", "3", 3), add("e", "1", 1), add("b", "1", 1));
  await world.time.pass(1_000);
  await send(world, add("a", "4", 4), add("e", "2", 1));
  await world.time.pass(1_000);
  expect(await idsOf(world, "a")).toEqual(["1"]);
  expect(await idsOf(world, "e")).toEqual(["1", "2"]);
  expect(worker.status().quarantined).toMatchObject([{ stream: streamOf("a"), problem: "Error: an invariant" }]);
  expect(await world.bus.parked.count()).toBe(3);
  broken = false;
  expect(await worker.retryParked({ reason: "quarantined" })).toEqual({ tried: 3, mended: 3 });
  expect((await idsOf(world, "a")).sort()).toEqual(["1", "3", "4", "bad"]);
  expect(worker.status().quarantined).toEqual([]);
  expect(await world.bus.parked.count()).toBe(0);
  expect(await chainProblem(world, streamOf("a"))).toBeUndefined();
  await worker.stop();
});

test("an event that can't be folded takes back the whole decision and quarantines the stream", async () => {
  const world = surroundings();
  const worker = toyWorker(world);
  await worker.start();
  await send(world, add("a", "1", 1), add("a", "2", 666), add("a", "3", 1));
  await world.time.pass(1_000);
  expect(await idsOf(world, "a")).toEqual(["1"]);
  expect(worker.status().quarantined).toHaveLength(1);
  await worker.stop();
});

test("a message that must wait holds back its partition in order, and no other", async () => {
  const world = surroundings();
  world.context = { ...world.context, catalogue: 10 };
  const worker = toyWorker(world);
  await worker.start();
  await send(world, add("a", "1", 1), add("a", "2", 50), add("a", "3", 1), add("e", "1", 1), add("b", "1", 1));
  await world.time.pass(500);
  await send(world, add("b", "2", 1));
  await world.time.pass(500);
  expect(await idsOf(world, "a")).toEqual(["1"]);
  expect(await idsOf(world, "e")).toEqual(["1"]);
  expect(await idsOf(world, "b")).toEqual(["1", "2"]);
  expect([...worker.status().waiting]).toEqual([[streamOf("a"), "the catalogue is behind"]]);
  world.context = { ...world.context, catalogue: 100 };
  await world.time.pass(30_000);
  expect(await idsOf(world, "a")).toEqual(["1", "2", "3"]);
  expect(worker.status().waiting.size).toBe(0);
  await worker.stop();
});
