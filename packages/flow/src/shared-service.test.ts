/** Several processes of one service: who speaks, fires and tries again for which partitions. */
import { expect, test } from "vitest";
import { ownsByShard, partitionOf } from "./shards.ts";
import {
  add,
  eventsOf,
  idsOf,
  jsonCodec,
  message,
  send,
  streamOf,
  type Surroundings,
  surroundings,
  toyWorker,
} from "./toy-service.ts";

const PARTITIONS = 4;
const at = (seconds: number) => `${new Date(Date.UTC(2026, 0, 1) + seconds * 1_000).toISOString().slice(0, 23)}000000Z`;
const place = (account: string) => partitionOf(streamOf(account), PARTITIONS);
const typesOf = async (world: Surroundings, account: string) =>
  (await eventsOf(world, streamOf(account))).map(({ type }) => type);

interface Said {
  readonly owned: (readonly number[])[];
  readonly marks: { readonly readUpTo: string; readonly sources: readonly number[] }[];
}

/** A worker that shares its streams with others, and what it tells its relay. */
function member(world: Surroundings, more: Parameters<typeof toyWorker>[1] = {}) {
  const said: Said = { owned: [], marks: [] };
  const relay = {
    own: (partitions: Iterable<number>) => void said.owned.push([...partitions].toSorted((a, b) => a - b)),
    mark: (_topic: string, readUpTo: string, sources: readonly number[] = []) => void said.marks.push({ readUpTo, sources }),
  };
  const outputs = [{ topic: "toy.forwarded", inputs: ["toy.in"] }];
  const worker = toyWorker(world, { owns: ownsByShard(PARTITIONS), relay, outputs, watchRetries: true, ...more });
  return { worker, said };
}

/** An event store whose log as a whole cannot be read at times. */
function unreadable({ eventStore }: Surroundings) {
  const log = {
    readable: true,
    eventStore: {
      ...eventStore,
      readAll: async (options: Parameters<typeof eventStore.readAll>[0]) => {
        if (!log.readable) throw new Error("the log cannot be read");
        return await eventStore.readAll(options);
      },
    },
  };
  return log;
}

test("each member speaks for its own partitions, and for those of another as soon as that one has gone", async () => {
  const world = surroundings();
  const [one, two] = [member(world), member(world)];
  await one.worker.start();
  await two.worker.start();
  await world.time.pass(5_000);
  const [first = [], second = []] = [one.said.owned.at(-1), two.said.owned.at(-1)];
  expect([...first, ...second].toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3]);
  expect([one.said.marks.at(-1)?.sources, two.said.marks.at(-1)?.sources]).toEqual([first, second]);
  await one.worker.stop();
  const before = one.said.marks.length;
  await world.time.pass(5_000);
  expect(one.said.marks).toHaveLength(before);
  expect(one.said.owned.at(-1)).toEqual([]);
  expect(two.said.marks.at(-1)?.sources).toEqual([0, 1, 2, 3]);
  await two.worker.stop();
});

test("nothing is said of a partition before everything that others wrote to its streams is known", async () => {
  const world = surroundings();
  const one = member(world);
  await one.worker.start();
  await send(world, add("a", "1", 5, { due: at(60) }));
  await world.time.pass(10_000);
  const log = unreadable(world);
  const two = member({ ...world, eventStore: log.eventStore });
  await two.worker.start();
  await world.time.pass(5_000);
  log.readable = false;
  await one.worker.stop();
  await world.time.pass(100_000);
  expect(two.said.marks.every(({ sources }) => sources.length < PARTITIONS)).toBe(true);
  log.readable = true;
  await world.time.pass(20_000);
  expect(await typesOf(world, "a")).toEqual(["Added", "TimedOut"]);
  expect(two.said.marks.at(-1)?.sources).toEqual([0, 1, 2, 3]);
  await two.worker.stop();
});

test("a stream whose state was loaded before what others wrote was read has its deadlines all the same", async () => {
  const world = surroundings();
  const one = member(world);
  await one.worker.start();
  const fact = add("a", "1", 5, { due: at(60) });
  const log = unreadable(world);
  const two = member({ ...world, eventStore: log.eventStore });
  await two.worker.start();
  await world.time.pass(1_000);
  log.readable = false;
  await send(world, fact);
  await world.time.pass(5_000);
  await one.worker.stop();
  // Known as a duplicate, so nothing is decided that would count the deadlines.
  await send(world, fact);
  await world.time.pass(5_000);
  log.readable = true;
  await world.time.pass(100_000);
  expect(await typesOf(world, "a")).toEqual(["Added", "TimedOut"]);
  await two.worker.stop();
});

test("deadlines of a partition that comes while others fire wait until its inputs are asked about", async () => {
  const world = surroundings();
  const fired: string[] = [];
  const [mine, theirs] = ["a", "b"];
  const one = member(world, { answers: () => {} });
  await one.worker.start();
  await send(world, add(mine, "1", 5, { due: at(60) }), add(theirs, "1", 5, { due: at(60) }));
  await world.time.pass(1_000);
  await one.worker.stop();
  // A bus that says of the first partition that its inputs are read, and of the second that they are far behind.
  let owned: readonly number[] = [place(mine)];
  let assign: (partitions: readonly number[]) => void = () => {};
  const bus: Surroundings["bus"] = {
    ...world.bus,
    consume(options) {
      assign = (partitions) => options.onAssigned?.(partitions);
      return {
        readUpTo: () => (owned.includes(place(theirs)) ? at(1) : at(1_000)),
        done: new Promise(() => {}),
        stop: async () => {},
        abandon: () => {},
      };
    },
  };
  const { eventStore } = world;
  const two = member(
    {
      ...world,
      bus,
      eventStore: {
        ...eventStore,
        async append(appends) {
          fired.push(...appends.map(({ stream }) => stream));
          // The other partition comes in the middle of the first one's firing.
          if (owned.length === 1) {
            owned = [...owned, place(theirs)];
            assign([place(theirs)]);
            await world.time.pass(0);
          }
          return await eventStore.append(appends);
        },
      },
    },
    { limits: { deadlineStreams: 1 } },
  );
  await world.time.pass(100_000);
  await two.worker.start();
  assign([place(mine)]);
  await world.time.pass(10_000);
  expect(fired).toEqual([streamOf(mine)]);
  await two.worker.stop();
});

test("a member that was taken for dead appends nothing on top of what its successor wrote", async () => {
  const world = surroundings();
  const [one, two] = [member(world), member(world)];
  await one.worker.start();
  await send(world, ...["a", "b", "c", "d"].map((account) => add(account, "1", 5)));
  await world.time.pass(1_000);
  await two.worker.start();
  await world.time.pass(1_000);
  await send(world, ...["a", "b", "c", "d"].map((account) => add(account, "2", 6)));
  await world.time.pass(1_000);
  // Both still know every stream; both are asked the same.
  await Promise.all([one, two].map(({ worker }) => worker.submit(["a", "b", "c", "d"].map((account) => add(account, "3", 7)))));
  for (const account of ["a", "b", "c", "d"]) expect(await idsOf(world, account)).toEqual(["1", "2", "3"]);
  await one.worker.stop();
  await two.worker.stop();
});

test("a retry that was asked for elsewhere is done by the owner; what parks anew is no longer asked for", async () => {
  const world = surroundings();
  world.context = { ...world.context, known: new Set(["nobody"]) };
  const members = [member(world), member(world)];
  for (const { worker } of members) await worker.start();
  await send(world, add("a", "1", 5), add("b", "1", 6));
  await world.time.pass(1_000);
  const ids = (await world.bus.parked.list({ limit: 10 })).map(({ id }) => id);
  expect(ids).toHaveLength(2);
  for (const id of ids) await world.bus.parked.askRetry(id, world.time.now());
  await world.time.pass(6_000);
  expect(await world.bus.parked.list({ limit: 10, retryAsked: true })).toEqual([]);
  expect(await world.bus.parked.count()).toBe(2);
  world.context = { ...world.context, known: new Set(["a"]) };
  for (const id of ids) await world.bus.parked.askRetry(id, world.time.now());
  await world.time.pass(6_000);
  expect(await idsOf(world, "a")).toEqual(["1"]);
  expect((await world.bus.parked.list({ limit: 10 })).map(({ account }) => account)).toEqual(["b"]);
  for (const { worker } of members) await worker.stop();
});

test("bytes that still can't be read are no longer asked for, and keep what was sent beside them", async () => {
  const world = surroundings();
  const { worker } = member(world);
  await worker.start();
  const record = {
    id: "x",
    service: "toy",
    ns: "default",
    account: "a",
    topic: "toy.in",
    reason: "malformed",
    detail: "no such schema",
    parkedAt: at(0),
    key: "default.a",
    bytes: jsonCodec.encode(add("a", "undecodable", 1)),
    headers: { "ce-id": "1" },
  };
  await world.bus.parked.put([record]);
  await world.bus.parked.askRetry("x", at(1));
  await world.time.pass(6_000);
  expect(await world.bus.parked.list({ limit: 10 })).toEqual([record]);
  await worker.stop();
});

test("only with watchRetries does a worker look for them", async () => {
  const world = surroundings();
  let lists = 0;
  const parked = {
    ...world.bus.parked,
    list: async (filter: Parameters<typeof world.bus.parked.list>[0]) => {
      lists += 1;
      return await world.bus.parked.list(filter);
    },
  };
  const { worker } = member({ ...world, bus: { ...world.bus, parked } }, { watchRetries: false });
  await worker.start();
  await world.time.pass(60_000);
  expect(lists).toBe(0);
  await worker.stop();
});

test("an answer says whether somebody waits for it", async () => {
  const world = surroundings();
  const answers: string[] = [];
  // The local buses drop the hint: answers are heard in the same process.
  const consume: typeof world.bus.consume = (options) =>
    world.bus.consume({
      ...options,
      onChunk: (chunk) =>
        options.onChunk({ ...chunk, messages: chunk.messages.map((one, i) => (i === 1 ? { ...one, awaited: true } : one)) }),
    });
  const { worker } = member(
    { ...world, bus: { ...world.bus, consume } },
    {
      answers: (given, { status }, awaited) => void answers.push(`${"id" in given ? given.id : ""} ${status} ${awaited}`),
    },
  );
  await worker.start();
  await world.bus.publish("toy.in", [message(add("a", "1", 5)), message(add("a", "2", 6))]);
  await world.time.pass(1_000);
  expect(answers).toEqual(["1 recorded false", "2 recorded true"]);
  await worker.stop();
});

test("two accounts of these tests are in different partitions", () => {
  expect(place("a")).not.toBe(place("b"));
});
