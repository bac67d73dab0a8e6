import type { Message } from "@rerate/message-bus";
import { expect, test } from "vitest";
import { createMemoryCheckpoints, type PartitionCheckpoints } from "./partition-checkpoints.ts";
import { startRelay } from "./relay.ts";
import { partitionOf } from "./shards.ts";
import { add, forwardedTopic, streamOf, type Surroundings, surroundings, toyWorker, type ToyMessage } from "./toy-service.ts";

const PARTITIONS = 4;
const SOON = "2026-01-01T00:00:01.000000000Z";
const LATER = "2026-01-01T00:00:02.000000000Z";
const places = new Map(["a", "b", "c", "d"].map((account) => [account, partitionOf(streamOf(account), PARTITIONS)]));
const [inA = 0, inB = 0] = [places.get("a"), places.get("b")];

/** A bus that writes down what is published and marked, and takes a moment for it. */
async function listening() {
  const world = surroundings();
  const worker = toyWorker(world, { inputs: [] });
  await worker.start();
  const said: string[] = [];
  const outage = { left: 0 };
  const bus: Surroundings["bus"] = {
    ...world.bus,
    async publish(topic: string, messages: readonly Message[]) {
      await new Promise<void>((resolve) => world.time.defer(resolve, 20));
      if (outage.left-- > 0) throw new Error("the bus is down");
      for (const { body } of messages) {
        const { account, number } = body as Extract<ToyMessage, { readonly kind: "forwarded" }>;
        said.push(`${account}${number}`);
      }
      expect(topic).toBe("toy.forwarded");
    },
    mark: (_topic, readUpTo, sources = []) => void said.push(`${readUpTo.slice(17, 19)} s of ${sources.join(" ")}`),
  };
  const relay = (checkpoints: PartitionCheckpoints | undefined, store = world.eventStore) =>
    startRelay({
      name: "relay",
      eventStore: store,
      bus,
      topics: [forwardedTopic],
      partitionCount: PARTITIONS,
      checkpoints,
      defer: world.time.defer,
      log: world.log,
    });
  return { world, worker, said, outage, relay };
}

test("the accounts of these tests are in two partitions", () => {
  expect(inA).not.toBe(inB);
});

test("events are published in order, and a mark passes only after everything before it", async () => {
  const { world, worker, said, relay: start } = await listening();
  const relay = start(createMemoryCheckpoints());
  relay.own([0, 1, 2, 3]);
  await worker.submit([add("a", "1", 5), add("a", "2", 6)]);
  relay.mark("toy.forwarded", SOON, [inA]);
  await world.time.pass(100);
  await worker.submit([add("a", "3", 7)]);
  relay.mark("toy.forwarded", LATER);
  await world.time.pass(100);
  expect(said).toEqual(["a1", "a2", `01 s of ${inA}`, "a3", "02 s of 0 1 2 3"]);
  await relay.stop();
});

test("only the owned partitions are published and spoken for", async () => {
  const { world, worker, said, relay: start } = await listening();
  const relay = start(createMemoryCheckpoints());
  await worker.submit([add("a", "1", 5), add("b", "1", 6)]);
  relay.mark("toy.forwarded", SOON, [inA, inB]);
  await world.time.pass(100);
  expect(said).toEqual([]);
  relay.own([inA]);
  await world.time.pass(100);
  expect(said).toEqual(["a1", `01 s of ${inA}`]);
  await relay.stop();
});

test("whoever takes a partition over goes on where it was left, and repeats nothing of the others", async () => {
  const { world, worker, said, relay: start } = await listening();
  const checkpoints = createMemoryCheckpoints();
  const [first, second] = [start(checkpoints), start(checkpoints)];
  first.own([inA]);
  second.own([inB]);
  await worker.submit([add("a", "1", 5), add("b", "1", 6)]);
  await world.time.pass(5_000);
  await worker.submit([add("b", "2", 6)]);
  await world.time.pass(5_000);
  await first.stop();
  await worker.submit([add("a", "2", 5)]);
  second.own([inA, inB]);
  await worker.submit([add("b", "3", 6)]);
  await world.time.pass(5_000);
  expect(said.toSorted()).toEqual(["a1", "a2", "b1", "b2", "b3"]);
  await second.stop();
});

test("a checkpoint moves after the publish, so what an outage or a crash interrupts comes again", async () => {
  const { world, worker, said, outage, relay: start } = await listening();
  const checkpoints = createMemoryCheckpoints();
  const relay = start(checkpoints);
  relay.own([inA]);
  outage.left = 1;
  await worker.submit([add("a", "1", 5)]);
  relay.mark("toy.forwarded", SOON, [inA]);
  await world.time.pass(60);
  expect(await checkpoints.load(inA)).toBeUndefined();
  expect(said).toEqual([]);
  await world.time.pass(5_000);
  expect(said).toEqual(["a1", `01 s of ${inA}`]);
  expect(await checkpoints.load(inA)).toBe("1");
  // It dies here: what it had not saved is published again by the next one.
  const next = start(createMemoryCheckpoints());
  next.own([inA]);
  await world.time.pass(1_000);
  expect(said.at(-1)).toBe("a1");
  await relay.stop();
  await next.stop();
});

test("a mark that waits for a slow publish is not lost when partitions change, and says nothing of those that are gone", async () => {
  const { world, worker, said, relay: start } = await listening();
  const relay = start(createMemoryCheckpoints());
  relay.own([inA, inB]);
  await world.time.pass(10);
  await worker.submit([add("a", "1", 5), add("b", "1", 6)]);
  relay.mark("toy.forwarded", SOON, [inA, inB]);
  relay.own([inA]);
  await world.time.pass(10);
  relay.mark("toy.forwarded", LATER, [inA, inB]);
  await world.time.pass(1_000);
  expect(said.filter((line) => line.startsWith("02"))).toEqual([`02 s of ${inA}`]);
  expect(said.indexOf("a1")).toBeLessThan(said.indexOf(`02 s of ${inA}`));
  await relay.stop();
});

test("checkpoints that can't be read or saved hold nothing up for good", async () => {
  const { world, worker, said, relay: start } = await listening();
  const sound = createMemoryCheckpoints();
  let failures = 4;
  const fail = () => {
    if (failures-- > 0) throw new Error("the table is not here");
  };
  const relay = start({
    async load(partition) {
      fail();
      return await sound.load(partition);
    },
    async save(partition, position) {
      fail();
      await sound.save(partition, position);
    },
  });
  relay.own([inA]);
  await worker.submit([add("a", "1", 5)]);
  await world.time.pass(10_000);
  expect(said).toEqual(["a1"]);
  failures = 1;
  await worker.submit([add("a", "2", 5)]);
  await world.time.pass(10_000);
  expect(await sound.load(inA)).toBe("2");
  await relay.stop();
});

test("with a bus that serves log topics itself marks go straight to it", async () => {
  const { said, relay: start } = await listening();
  const relay = start(undefined);
  relay.own([inA]);
  relay.mark("toy.forwarded", SOON, [inA]);
  expect(said).toEqual([`01 s of ${inA}`]);
  await relay.stop();
});
