import type { LogTopic } from "@rerate/message-bus";
import { expect, test } from "vitest";
import { type CheckpointStore, followLog } from "./follow-log.ts";
import { startRelay } from "./relay.ts";
import { add, forwardedTopic, surroundings, toyWorker } from "./toy-service.ts";

function memoryCheckpoints(): CheckpointStore & { position: string | undefined } {
  return {
    position: undefined,
    async load() {
      return this.position;
    },
    async save(position) {
      this.position = position;
    },
  };
}

async function worldWithFacts(count: number) {
  const world = surroundings();
  const worker = toyWorker(world, { inputs: [] });
  await worker.start();
  for (let i = 0; i < count; i++) await worker.submit([add(i % 2 === 0 ? "a" : "b", `${i}`, i)]);
  return { world, worker };
}

test("a follower sees every event in order, goes on after a failure and after a restart, and repeats only what it had not finished", async () => {
  const { world, worker } = await worldWithFacts(20);
  const { eventStore, log } = world;
  const checkpoints = memoryCheckpoints();
  const seen: string[] = [];
  let fails = 2;
  const options = {
    name: "view",
    eventStore,
    prefixes: ["toy-"],
    checkpoints,
    maxBatch: 3,
    defer: world.time.defer,
    log,
    async onEvents({ events }: { readonly events: readonly { readonly position: string }[] }) {
      if (seen.length >= 6 && fails > 0) {
        fails -= 1;
        throw new Error("the disk is full");
      }
      seen.push(...events.map(({ position }) => position));
    },
  };
  const first = await followLog(options);
  await world.time.pass(10_000);
  await first.caughtUp();
  expect(seen).toEqual(Array.from({ length: 20 }, (_, i) => `${i + 1}`));
  await first.stop();
  await worker.submit([add("a", "more", 1)]);
  const second = await followLog(options);
  await second.caughtUp();
  expect(seen).toHaveLength(21);
  expect(second.position).toBe("21");
  await second.stop();
  await worker.stop();
});

test("the relay publishes from the log in order, and passes a mark on only after everything before it", async () => {
  const { world, worker } = await worldWithFacts(0);
  const said: string[] = [];
  const bus = {
    ...world.bus,
    publish: async (topic: string, messages: readonly { readonly body: unknown }[]) => {
      await new Promise<void>((resolve) => world.time.defer(resolve, 20));
      said.push(...messages.map(({ body }) => `${topic} ${JSON.stringify(body)}`));
    },
    mark: (topic: string, readUpTo: string) => void said.push(`${topic} up to ${readUpTo}`),
  };
  const topics: LogTopic[] = [forwardedTopic];
  const relay = await startRelay({
    name: "relay",
    eventStore: world.eventStore,
    bus,
    topics,
    checkpoints: memoryCheckpoints(),
    defer: world.time.defer,
    log: world.log,
  });
  await worker.submit([add("a", "1", 5), add("a", "2", 6)]);
  relay.mark("toy.forwarded", "2026-01-01T00:00:01.000000000Z");
  await world.time.pass(100);
  await worker.submit([add("a", "3", 7)]);
  await world.time.pass(100);
  expect(said.map((line) => /"number":\d|up to .*/.exec(line)?.[0])).toEqual([
    '"number":1',
    '"number":2',
    "up to 2026-01-01T00:00:01.000000000Z",
    '"number":3',
  ]);
  await relay.stop();
  await worker.stop();
});

test("a bus that serves log topics itself needs no relay: marks go straight to it", async () => {
  const { world, worker } = await worldWithFacts(0);
  const marks: string[] = [];
  const bus = { ...world.bus, mark: (topic: string) => void marks.push(topic) };
  const relay = await startRelay({
    name: "relay",
    eventStore: world.eventStore,
    bus,
    topics: [forwardedTopic],
    checkpoints: undefined,
    defer: world.time.defer,
    log: world.log,
  });
  relay.mark("toy.forwarded", "2026-01-01T00:00:01.000000000Z");
  expect(marks).toEqual(["toy.forwarded"]);
  await relay.stop();
  await worker.stop();
});
