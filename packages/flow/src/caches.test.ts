import { createMemoryEventStore, FIRST_LINK } from "@rerate/event-store";
import { openDatabase } from "@rerate/sqlite";
import { expect, test } from "vitest";
import { linkAfter, readSeal } from "./seal.ts";
import { createMemorySnapshots } from "./snapshots.ts";
import { createStateCache, type Held } from "./state-cache.ts";
import { add, idsOf, storedEvents, streamOf, surroundings, toyDecider, toyWorker } from "./toy-service.ts";
import { createMemoryCache, createSqliteCache } from "./worker-cache.ts";

const openCache = () => openDatabase(":memory:", { synchronous: "NORMAL" });
const facts = (from: number, to: number, account = "a") =>
  Array.from({ length: to - from }, (_, i) => add(account, `${from + i}`, from + i));

/** How often each stream was read, and from where. */
function countReads(world: ReturnType<typeof surroundings>) {
  const reads: { readonly stream: string; readonly from: number }[] = [];
  const { eventStore } = world;
  return {
    reads,
    world: {
      ...world,
      eventStore: {
        ...eventStore,
        readForward: (stream: string, options: { readonly from?: number; readonly maxCount: number }) => {
          reads.push({ stream, from: options.from ?? 0 });
          return eventStore.readForward(stream, options);
        },
      },
    },
  };
}

test("a deleted cache file costs only time: the index is built from the log", async () => {
  const world = surroundings();
  const limits = { unsavedKeys: 10 };
  const first = toyWorker(world, { inputs: [], cache: createSqliteCache(openCache(), "toy", "1"), limits });
  await first.start();
  await first.submit(facts(0, 100));
  await first.stop();
  const second = toyWorker(world, { inputs: [], cache: createSqliteCache(openCache(), "toy", "1"), limits });
  await second.start();
  const answers = await second.submit([...facts(0, 100), add("a", "new", 1)]);
  expect(answers.filter(({ status }) => status === "duplicate")).toHaveLength(100);
  expect(answers.at(-1)).toEqual({ status: "recorded", revision: 100 });
  await second.stop();
});

test("after an orderly stop the next start reads nothing again but one event per snapshot", async () => {
  const { world, reads } = countReads(surroundings());
  const database = openCache();
  const first = toyWorker(world, { inputs: [], cache: createSqliteCache(database, "toy", "1") });
  await first.start();
  await first.submit(facts(0, 100));
  await first.stop();
  const pages: number[] = [];
  const { readAll } = world.eventStore;
  world.eventStore.readAll = async (options) => {
    const page = await readAll(options);
    pages.push(page.events.length);
    return page;
  };
  const second = toyWorker(world, { inputs: [], cache: createSqliteCache(database, "toy", "1") });
  reads.length = 0;
  await second.start();
  expect(pages).toEqual([0]);
  await second.submit([add("a", "5", 5), add("a", "new", 1)]);
  expect(await idsOf(world, "a")).toHaveLength(101);
  // Witness of the checkpoint (once per checkpoint), then the event that the snapshot stands at.
  expect(reads.slice(0, 3).map(({ from }) => from)).toEqual([99, 99, 99]);
  await second.stop();
});

test("a crash before the index was saved is made good from the log at the next start", async () => {
  const world = surroundings();
  const database = openCache();
  const first = toyWorker(world, { inputs: [], cache: createSqliteCache(database, "toy", "1"), limits: { unsavedKeys: 30 } });
  await first.start();
  for (let i = 0; i < 10; i++) await first.submit(facts(i * 10, i * 10 + 10));
  await world.time.pass(1_000);
  // It never stops: what was in memory is lost.
  const second = toyWorker(world, { inputs: [], cache: createSqliteCache(database, "toy", "1") });
  await second.start();
  expect(new Set((await second.submit(facts(0, 100))).map(({ status }) => status))).toEqual(new Set(["duplicate"]));
  await second.stop();
});

test("caches of another log are thrown away, or facts of the new log would count as duplicates", async () => {
  const database = openCache();
  const old = surroundings();
  const first = toyWorker(old, { inputs: [], cache: createSqliteCache(database, "toy", "1") });
  await first.start();
  await first.submit(facts(0, 50));
  await first.stop();
  const world = surroundings(createMemoryEventStore());
  const second = toyWorker(world, { inputs: [], cache: createSqliteCache(database, "toy", "1") });
  await second.start();
  expect(new Set((await second.submit(facts(0, 50))).map(({ status }) => status))).toEqual(new Set(["recorded"]));
  await second.stop();
});

test("a snapshot that does not fit the log, or can't be read, is ignored", async () => {
  const world = surroundings();
  const cache = createMemoryCache();
  const first = toyWorker(world, { inputs: [], cache });
  await first.start();
  await first.submit(facts(0, 50));
  await first.stop();
  const good = cache.snapshots.get(streamOf("a"));
  if (good === undefined) throw new Error("there is no snapshot");
  const wrong = JSON.stringify({ ...toyDecider.initial(streamOf("a")), number: 7_000 });
  for (const snapshot of [
    { ...good, text: wrong, link: "B".repeat(43) },
    { ...good, text: wrong, revision: 999 },
    { ...good, text: "not JSON" },
  ]) {
    const snapshots = createMemorySnapshots();
    snapshots.put([snapshot]);
    const worker = toyWorker(world, { inputs: [], cache: { ...createMemoryCache(), snapshots } });
    await worker.start();
    const revision = (await idsOf(world, "a")).length;
    expect(await worker.submit([add("a", `new ${revision}`, 1)])).toEqual([{ status: "recorded", revision }]);
    const events = await storedEvents(world, streamOf("a"));
    expect(events.map(({ data }) => (JSON.parse(data) as { readonly number: number }).number).at(-1)).toBe(revision + 1);
    events.forEach(({ metadata }, i) => {
      const before = events[i - 1];
      expect(readSeal(metadata).previous).toBe(before === undefined ? FIRST_LINK : linkAfter(before));
    });
    await worker.stop();
  }
});

test("a snapshot is written every so many events and folding goes on from there", async () => {
  const { world, reads } = countReads(surroundings());
  const cache = createMemoryCache();
  const worker = toyWorker(world, { inputs: [], cache, limits: { snapshotEvery: 10, cachedStreams: 1, snapshotWorth: 1_000 } });
  await worker.start();
  await worker.submit(facts(0, 25));
  await worker.submit(facts(25, 30));
  expect(cache.snapshots.get(streamOf("a"))?.revision).toBe(24);
  await worker.submit(facts(0, 1, "b"));
  reads.length = 0;
  await worker.submit(facts(30, 31));
  expect(reads[0]).toEqual({ stream: streamOf("a"), from: 24 });
  expect(await idsOf(world, "a")).toHaveLength(31);
  await worker.stop();
});

test("an index covers what another worker appended before it decides on that stream", async () => {
  const world = surroundings();
  const one = toyWorker(world, { inputs: [], limits: { cachedStreams: 2 } });
  const two = toyWorker(world, { inputs: [], limits: { cachedStreams: 2 } });
  await one.start();
  await two.start();
  for (let i = 0; i < 20; i++) {
    const [from, to] = i % 2 === 0 ? [one, two] : [two, one];
    await from.submit([add("a", `${i}`, i), add(i % 3 === 0 ? "b" : "c", `${i}`, i)]);
    await world.time.pass(1);
    const pending = to.submit([add("a", `then ${i}`, i), ...Array.from({ length: i + 1 }, (_, n) => add("a", `${n}`, n))]);
    await world.time.pass(60_000);
    expect((await pending).map(({ status }) => status)).toEqual(["recorded", ...Array<string>(i + 1).fill("duplicate")]);
  }
  await one.stop();
  await two.stop();
});

test("states go out least recently used first, never one that is in use, and by size as by number", () => {
  const held = (stream: string, bytes: number): Held<object> => ({
    stream,
    streamId: 1,
    state: {},
    revision: 0,
    link: "",
    recordedAt: "",
    committed: 0,
    snapshotAt: -1,
    bytes,
    uses: 0,
    partition: undefined,
    deadlines: 0,
    eventsSinceCount: 0,
  });
  const cache = createStateCache<object>({ streams: 3, bytes: 1_000 });
  const [a, b, c, d] = ["a", "b", "c", "d"].map((stream) => held(stream, 100));
  for (const one of [a, b, c, d]) if (one !== undefined) cache.put(one);
  cache.get("a");
  if (b !== undefined) b.uses = 1;
  expect(cache.evict().map(({ stream }) => stream)).toEqual(["c"]);
  if (d !== undefined) cache.grow(d, 750);
  expect(cache.evict().map(({ stream }) => stream)).toEqual(["d"]);
  expect([cache.size, cache.bytes]).toEqual([2, 200]);
});
