import { expect, test, vi } from "vitest";
import { type CheckpointStore, followLog } from "./follow-log.ts";
import { add, surroundings, toyWorker } from "./toy-service.ts";

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
  await vi.waitFor(() => expect(first.interrupted).toBe(true));
  await world.time.pass(10_000);
  await first.caughtUp();
  await vi.waitFor(() => expect(first.interrupted).toBe(false));
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
