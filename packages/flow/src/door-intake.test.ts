import { createMemoryEventStore } from "@rerate/event-store";
import { createMemoryBus, type LocalBus, type Message } from "@rerate/message-bus";
import { describe, expect, test } from "vitest";
import { createDoorIntake, type DoorIntake, type DoorIntakeOptions, type ReportedBytes } from "./door-intake.ts";
import { jsonCodec, storedEvents, virtualTime, type VirtualTime } from "./toy-service.ts";

/** Bytes and headers in one text, as no producer sends them: only an engine without headers needs it. */
const reportedCodec = {
  encode: (body: unknown) => {
    const { bytes, headers } = body as ReportedBytes;
    return Buffer.from(JSON.stringify([Buffer.from(bytes).toString("hex"), headers]));
  },
  decode: (bytes: Uint8Array): ReportedBytes => {
    if (Buffer.from(bytes).toString() === '["00",{}]') throw new Error("a broken set of messages");
    const [hex, headers] = JSON.parse(Buffer.from(bytes).toString()) as [string, Record<string, string>];
    return { bytes: Buffer.from(hex, "hex"), headers };
  },
};

interface World {
  readonly time: VirtualTime;
  readonly bus: LocalBus;
  readonly eventStore: ReturnType<typeof createMemoryEventStore>;
  readonly published: { readonly id: string; readonly at: string }[];
  readonly known: Set<string>;
  down: boolean;
  intake: DoorIntake;
}

/** Reads `account:id`, for accounts that are known; the header `count` says how many facts that makes. */
function world(more: Partial<DoorIntakeOptions> = {}): World {
  const time = virtualTime();
  const eventStore = createMemoryEventStore();
  const bus = createMemoryBus({
    topics: [
      { name: "in.reported", partitions: 4, codec: reportedCodec },
      { name: "in.accepted", partitions: 4, codec: jsonCodec },
    ],
    log: eventStore,
    keep: { messages: 0, bytes: 0 },
    now: time.now,
    defer: time.defer,
  });
  const silent = () => undefined;
  const known = new Set(["a"]);
  const state = { time, bus, eventStore, known, published: [] as World["published"], down: false };
  const options: DoorIntakeOptions = {
    name: "door",
    topic: "in.reported",
    publishTo: "in.accepted",
    ns: "default",
    readerAt:
      (at) =>
      ({ bytes, headers }) => {
        const [account = "", id = ""] = Buffer.from(bytes).toString().split(":");
        if (!known.has(account)) return { reason: "foreign", detail: `no ${account}`, ns: "default", account };
        const publish = Array.from({ length: Number(headers["count"] ?? 1) }, (_, n): Message => {
          return { key: `default.${account}`, shard: 7, body: { id: `${id}.${n}`, at } };
        });
        return { publish };
      },
    bus: {
      ...bus,
      async publish(topic, messages) {
        if (result.down && topic === "in.accepted") throw new Error("no broker");
        await bus.publish(topic, messages);
        if (topic === "in.accepted") for (const { body } of messages) result.published.push(body as World["published"][number]);
      },
    },
    eventStore,
    clock: time,
    defer: time.defer,
    log: { debug: silent, info: silent, warn: silent, error: silent },
    metrics: { count: silent, gauge: silent },
    parkedNote: ({ id, reason }) => ({ stream: "parked-00.door", type: "Parked", data: { id, reason } }),
    ...more,
  };
  const result: World = { ...state, intake: createDoorIntake(options) };
  return result;
}

async function report(given: World, text: string, headers: Record<string, string> = {}): Promise<void> {
  const body: ReportedBytes = { bytes: Buffer.from(text), headers };
  await given.bus.publish("in.reported", [{ key: "whatever", shard: text.length, body }]);
  await given.time.pass(500);
}

const ids = ({ published }: World) => published.map(({ id }) => id);

describe("a door that consumes", () => {
  test("publishes what a message says, as often as it has to, and moves on", async () => {
    const given = world();
    await given.intake.start();
    await report(given, "a:1");
    await report(given, "a:2", { count: "2500" });
    expect(given.published).toHaveLength(2501);
    expect(new Set(ids(given)).size).toBe(2501);
    expect((await given.bus.lag("door")).every(({ lag }) => lag === 0)).toBe(true);
    await given.intake.stop();
    await given.intake.done;
  });

  test("parks what it does not take with bytes, headers and reason, noted once however often it comes", async () => {
    const given = world();
    await given.intake.start();
    await report(given, "b:1", { ce_id: "x" });
    await report(given, "b:1", { ce_id: "x" });
    await report(given, "b:1", { ce_id: "y" });
    await report(given, "b:1");
    await report(given, "a:1");
    const parked = await given.bus.parked.list({ limit: 10 });
    expect(parked.map(({ headers }) => headers?.["ce_id"] ?? "").toSorted()).toEqual(["", "x", "y"]);
    expect(parked[0]).toMatchObject({
      service: "door",
      ns: "default",
      account: "b",
      topic: "in.reported",
      reason: "foreign",
      detail: "no b",
      key: "whatever",
    });
    expect(parked.map(({ bytes }) => Buffer.from(bytes).toString())).toEqual(["b:1", "b:1", "b:1"]);
    expect(await storedEvents(given, "parked-00.door")).toHaveLength(3);
    expect(ids(given)).toEqual(["1.0"]);
    await given.intake.stop();
  });

  test("parks what the bus itself could not read", async () => {
    const given = world();
    await given.intake.start();
    await report(given, "\u0000");
    await report(given, "a:1");
    expect(await given.bus.parked.list({ limit: 10 })).toMatchObject([{ reason: "malformed", ns: "default", account: "" }]);
    expect(ids(given)).toEqual(["1.0"]);
    await given.intake.stop();
  });

  test("lets no offset move while nothing can be published, and loses nothing", async () => {
    const given = world();
    given.down = true;
    await given.intake.start();
    await report(given, "a:1");
    await report(given, "b:1");
    await given.time.pass(60_000);
    expect(given.published).toEqual([]);
    expect((await given.bus.lag("door")).reduce((sum, { lag }) => sum + lag, 0)).toBeGreaterThan(0);
    expect(given.intake.status()).toMatchObject({ state: "running", waiting: new Map([["in.reported/3", "Error: no broker"]]) });
    given.down = false;
    await given.time.pass(20_000);
    expect(ids(given)).toEqual(["1.0"]);
    expect(given.intake.status().waiting.size).toBe(0);
    expect(await given.bus.parked.count()).toBe(1);
    await given.intake.stop();
  });

  test("reads again what somebody asked to retry: taken it is published with its first time and erased, else parked anew", async () => {
    const given = world();
    await given.intake.start();
    const first = given.time.now();
    await report(given, "b:1");
    await report(given, "c:1");
    given.known.add("b");
    await given.time.pass(10_000);
    expect(given.published).toEqual([]);
    for (const { id } of await given.bus.parked.list({ limit: 10 })) await given.bus.parked.askRetry(id, given.time.now());
    await given.time.pass(10_000);
    expect(given.published).toEqual([{ id: "1.0", at: expect.any(String) as string }]);
    expect(given.published[0]?.at.slice(0, 19)).toBe(first.slice(0, 19));
    const left = await given.bus.parked.list({ limit: 10 });
    expect(left).toMatchObject([{ account: "c", reason: "foreign" }]);
    expect(left[0]?.retryAskedAt).toBeUndefined();
    await given.intake.stop();
  });

  test("keeps a record whose retry could not be published, and tries again", async () => {
    const given = world();
    await given.intake.start();
    await report(given, "b:1");
    given.known.add("b");
    given.down = true;
    const [record] = await given.bus.parked.list({ limit: 1 });
    await given.bus.parked.askRetry(record?.id ?? "", given.time.now());
    await given.time.pass(10_000);
    expect(await given.bus.parked.count()).toBe(1);
    given.down = false;
    await given.time.pass(10_000);
    expect([await given.bus.parked.count(), ids(given)]).toEqual([0, ["1.0"]]);
    await given.intake.stop();
  });

  test("says up to when everything reported is published, never ahead of what it could publish", async () => {
    const marks: { readonly topic: string; readonly upTo: string; readonly sources: readonly number[] }[] = [];
    const given = world({ mark: (topic, upTo, sources) => void marks.push({ topic, upTo, sources }) });
    await given.intake.start();
    await report(given, "a:1");
    await given.time.pass(10_000);
    const before = marks.at(-1);
    expect(before).toMatchObject({ topic: "in.accepted", sources: [0, 1, 2, 3] });
    expect(before === undefined || before.upTo <= given.time.now()).toBe(true);
    given.down = true;
    const downAt = given.time.now();
    await report(given, "a:2");
    await given.time.pass(30_000);
    expect((marks.at(-1)?.upTo ?? "") <= downAt).toBe(true);
    given.down = false;
    await given.time.pass(30_000);
    expect((marks.at(-1)?.upTo ?? "") > downAt).toBe(true);
    await given.intake.stop();
  });
});
