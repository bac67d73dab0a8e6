import type { ConsumeOptions, MessageBus } from "@rerate/message-bus";
import { expect, test } from "vitest";
import { createMemoryCheckpoints, createSqliteCheckpoints, type PartitionCheckpoints } from "./partition-checkpoints.ts";
import { partitionOf } from "./shards.ts";
import { openDatabase } from "@rerate/sqlite";
import {
  add,
  eventsOf,
  forwardedInput,
  send,
  streamOf,
  type Surroundings,
  surroundings,
  type ToyMessage,
  toyWorker,
} from "./toy-service.ts";

const PARTITIONS = 4;
const ACCOUNTS = ["a", "b", "c"];

/** A bus on which messages of the log topic reach the follower only if `arrives` says so. */
function lossy(world: Surroundings, arrives: (number: number) => boolean | "later"): MessageBus {
  const wrap = (options: ConsumeOptions): ConsumeOptions => ({
    ...options,
    async onChunk(chunk) {
      const numbered = chunk.messages.map((message) => ({
        message,
        arrival: arrives(message.content.kind === "body" ? (message.content.body as { number: number }).number : 0),
      }));
      if (numbered.some(({ arrival }) => arrival === "later")) throw new Error("not yet");
      const messages = numbered.flatMap(({ message, arrival }) => (arrival === true ? [message] : []));
      if (messages.length > 0) await options.onChunk({ ...chunk, messages });
    },
  });
  return { ...world.bus, consume: (options) => world.bus.consume(wrap(options)) };
}

/** A service that forwards what it adds, and one that follows it over a bus that may lose things. */
async function follow(
  arrives: (number: number) => boolean | "later",
  more: { readonly checkpoints?: PartitionCheckpoints; readonly isDown?: () => boolean } = {},
) {
  const world = surroundings();
  const source = toyWorker(world, { outputs: [{ topic: "toy.forwarded", inputs: ["toy.in"] }] });
  const reads: (string | undefined)[] = [];
  const { eventStore } = world;
  const target = toyWorker(
    {
      ...world,
      bus: lossy(world, arrives) as Surroundings["bus"],
      eventStore: {
        ...eventStore,
        append: async (appends) => {
          if (more.isDown?.() === true) throw new Error("down");
          return await eventStore.append(appends);
        },
        readAll(options) {
          if (options.prefixes?.some((prefix) => prefix.startsWith("toy-")) === true) reads.push(options.after);
          return eventStore.readAll(options);
        },
      },
    },
    {
      name: "follower",
      prefixes: ["follow-"],
      streamOf: ({ account }: ToyMessage) => streamOf(account, "follow"),
      inputs: [forwardedInput],
      sweep: { partitionCount: PARTITIONS, checkpointsOf: () => more.checkpoints ?? createMemoryCheckpoints() },
    },
  );
  await source.start();
  await target.start();
  const add3 = (from: number) =>
    send(world, ...ACCOUNTS.flatMap((account) => [0, 1, 2].map((i) => add(account, `${from + i}`, 1))));
  const forwarded = async () => {
    const events = await Promise.all(ACCOUNTS.map((account) => eventsOf(world, streamOf(account, "follow"))));
    return events.map((list) => {
      const last = list.at(-1);
      return last?.type === "Forwarded" ? last.data.number : 0;
    });
  };
  return { world, target, add3, forwarded, reads, swept: () => world.counts.get("swept") ?? 0 };
}

test("a tail that was lost on the way is found in the source log", async () => {
  const { world, add3, forwarded, swept } = await follow((number) => number < 3);
  await add3(0);
  await add3(3);
  await world.time.pass(50_000);
  expect(await forwarded()).toEqual([2, 2, 2]);
  await world.time.pass(100_000);
  expect(await forwarded()).toEqual([6, 6, 6]);
  expect(swept()).toBeGreaterThan(0);
});

test("without a loss a sweep changes nothing, and goes on where the last one stood", async () => {
  const checkpoints = createSqliteCheckpoints(openDatabase(":memory:", { synchronous: "NORMAL" }), "follower toy.forwarded");
  const { world, add3, forwarded, reads, swept } = await follow(() => true, { checkpoints });
  const end = "12";
  await add3(0);
  await world.time.pass(130_000);
  expect(await forwarded()).toEqual([3, 3, 3]);
  expect(swept()).toBe(0);
  expect(world.counts.get("gaps")).toBeUndefined();
  expect(reads).toEqual([undefined, end]);
  const events = await world.eventStore.readAll({ maxCount: 1_000 });
  expect(events.events).toHaveLength(12);
  expect(await checkpoints.load(partitionOf(streamOf("a"), PARTITIONS))).toBe(end);
});

test("what is only late is left to the topic", async () => {
  let late = true;
  const { world, add3, forwarded, swept } = await follow(() => (late ? "later" : true));
  await add3(0);
  await world.time.pass(200_000);
  expect(await forwarded()).toEqual([0, 0, 0]);
  late = false;
  await world.time.pass(200_000);
  expect(await forwarded()).toEqual([3, 3, 3]);
  expect(swept()).toBe(0);
});

test("where nobody says how far a topic was read, only what is very old counts as lost", async () => {
  const world = surroundings();
  const source = toyWorker(world, { inputs: [] });
  await source.start();
  await source.submit([add("a", "1", 1)]);
  const target = toyWorker(
    { ...world, bus: lossy(world, () => false) as Surroundings["bus"] },
    {
      name: "follower",
      prefixes: ["follow-"],
      streamOf: ({ account }: ToyMessage) => streamOf(account, "follow"),
      inputs: [forwardedInput],
      sweep: { partitionCount: PARTITIONS, checkpointsOf: () => createMemoryCheckpoints() },
    },
  );
  await target.start();
  await world.time.pass(3_500_000);
  expect(await eventsOf(world, streamOf("a", "follow"))).toEqual([]);
  await world.time.pass(200_000);
  expect(await eventsOf(world, streamOf("a", "follow"))).toHaveLength(1);
  await target.stop();
});

test("a place is not kept while something before it has to wait or cannot be written", async () => {
  const checkpoints = createMemoryCheckpoints();
  let down = false;
  const { world, add3, forwarded } = await follow((number) => number < 3, { checkpoints, isDown: () => down });
  await add3(0);
  await world.time.pass(10_000);
  down = true;
  await world.time.pass(120_000);
  for (let partition = 0; partition < PARTITIONS; partition++) expect(await checkpoints.load(partition)).toBeUndefined();
  down = false;
  await world.time.pass(70_000);
  expect(await forwarded()).toEqual([3, 3, 3]);
  expect(await checkpoints.load(0)).toBeDefined();
});
