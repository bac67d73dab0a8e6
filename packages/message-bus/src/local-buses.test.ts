import { createGroupCommit, openDatabase } from "@rerate/sqlite";
import { describe, expect, it } from "vitest";
import { describeMessageBus, SUITE_CODEC, SUITE_HINTS, SUITE_PARTITIONS, SUITE_TOPICS, watch } from "./conformance.ts";
import { createEmbeddedBus } from "./embedded.ts";
import type { LocalBusOptions } from "./local-bus.ts";
import { describeLogTopics, SUITE_VIEW } from "./log-conformance.ts";
import { createMemoryBus } from "./memory.ts";
import { createMemoryStorage } from "./memory-storage.ts";
import type { MessageBus } from "./port.ts";

const OPTIONS: LocalBusOptions = {
  topics: SUITE_TOPICS.map((name) => ({ name, partitions: SUITE_PARTITIONS, codec: SUITE_CODEC })),
  hintTopics: [{ name: SUITE_HINTS, codec: SUITE_CODEC }],
  now: () => "2026-01-01T00:00:00.000000000Z",
  // Pauses are cut short, so that a test of a redelivery does not wait for one.
  defer: (task, delayMs) => (delayMs === 0 ? setImmediate(task) : setTimeout(task, Math.min(delayMs, 3))),
};

function openMemory(options: LocalBusOptions) {
  const storage = createMemoryStorage();
  return reopenable(
    () => createMemoryBus(options, storage),
    () => undefined,
  );
}

function openEmbedded(options: LocalBusOptions) {
  const database = openDatabase(":memory:", { synchronous: "FULL" });
  const commit = createGroupCommit(database);
  const opened = reopenable(
    () => createEmbeddedBus({ ...options, database, commit }),
    () => {
      commit.close();
      database.close();
    },
  );
  return { ...opened, database };
}

function reopenable<Bus extends MessageBus>(open: () => Bus, end: () => void) {
  let bus = open();
  return {
    bus,
    async reopen() {
      await bus.close();
      bus = open();
      return bus;
    },
    async close() {
      await bus.close();
      end();
    },
  };
}

for (const [memory, keep] of [
  ["", undefined],
  [" without memory", { messages: 0, bytes: 0 }],
  [" with little memory", { messages: 3, bytes: 1_000 }],
] as const) {
  const kept = keep === undefined ? {} : { keep };
  describeMessageBus({ describe, it, expect }, `the memory bus${memory}`, async (now) =>
    openMemory({ ...OPTIONS, ...kept, now }),
  );
  describeMessageBus({ describe, it, expect }, `the embedded bus${memory}`, async (now) =>
    openEmbedded({ ...OPTIONS, ...kept, now }),
  );
}
const logTopics = [{ ...SUITE_VIEW, partitions: 4 }];
describeLogTopics({ describe, it, expect }, "the memory bus", async (log) => openMemory({ ...OPTIONS, log, logTopics }));
describeLogTopics({ describe, it, expect }, "the embedded bus", async (log) => openEmbedded({ ...OPTIONS, log, logTopics }));

const settle = async () => {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setTimeout(resolve, 1));
};

describe("the local buses", () => {
  const message = (shard: number, body: unknown) => ({ key: "k", shard, body });

  it("trim what every known group has passed, and nothing before", async () => {
    const { bus, database, close } = openEmbedded(OPTIONS);
    const blocks = () => database.prepare<{ count: number }>("SELECT count(*) AS count FROM topic_blocks").get()?.count;
    const slow = watch(bus, "slow");
    const fast = watch(bus, "fast");
    await slow.consumer.stop();
    for (let n = 0; n < 5; n++) await bus.publish("orders", [message(0, n)]);
    await fast.reached(5);
    await settle();
    expect(blocks()).toBe(5);
    const late = watch(bus, "slow");
    await late.reached(5);
    await late.consumer.stop();
    await settle();
    expect(blocks()).toBe(0);
    await close();
  });

  it("deliver again what an abandoned consumer had not saved, and ignore what it still does", async () => {
    const tasks: (() => void)[] = [];
    const bus = createMemoryBus({
      ...OPTIONS,
      defer: (task, delayMs) => (delayMs === 0 ? setImmediate(task) : tasks.push(task)),
    });
    let finish = () => {};
    const finished = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const seen: number[] = [];
    const consumer = bus.consume({
      group: "group",
      topics: ["orders"],
      maxChunk: 1,
      async onChunk({ messages }) {
        seen.push(...messages.map(({ offset }) => offset));
        if (seen.length === 2) await finished;
      },
    });
    await bus.publish("orders", [message(0, "a"), message(0, "b"), message(0, "c")]);
    await settle();
    expect(seen).toEqual([0, 1]);
    consumer.abandon();
    await consumer.done;
    finish();
    const next = watch(bus, "group");
    await next.reached(3);
    expect(seen).toEqual([0, 1]);
    await next.consumer.stop();
    await bus.close();
  });

  it("give the partitions of an abandoned consumer to the others, whatever its handlers still do", async () => {
    const bus = createMemoryBus(OPTIONS);
    let finish = () => {};
    const finished = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const dying = watch(bus, "group", { before: () => finished });
    const other = watch(bus, "group");
    await settle();
    await bus.publish(
      "orders",
      [0, 1, 2, 3].map((shard) => message(shard, shard)),
    );
    await settle();
    expect(other.count()).toBe(2);
    dying.consumer.abandon();
    await other.reached(4);
    expect(other.owned.size).toBe(4);
    await bus.publish("orders", [message(0, 4)]);
    await other.reached(5);
    // Had the late end of the first handler counted, the offset would have gone back to after its chunk.
    finish();
    await settle();
    await bus.publish("orders", [message(0, 5)]);
    await settle();
    const bodies = other.chunks.flatMap(({ messages }) =>
      messages.map(({ content }) => (content.kind === "body" ? content.body : "poison")),
    );
    expect([bodies.length, new Set(bodies)]).toEqual([6, new Set([0, 1, 2, 3, 4, 5])]);
    await other.consumer.stop();
  });

  it("have nothing scheduled when nothing happens", async () => {
    let scheduled = 0;
    const bus = createMemoryBus({
      ...OPTIONS,
      defer(task, delayMs) {
        scheduled += 1;
        OPTIONS.defer(task, delayMs);
      },
    });
    const { consumer, reached } = watch(bus, "group");
    await bus.publish("orders", [message(0, 1)]);
    await reached(1);
    await settle();
    const before = scheduled;
    await settle();
    expect(scheduled).toBe(before);
    await consumer.stop();
  });

  it("end their consumers with the error when the log cannot be read any more", async () => {
    const log = { readAll: () => Promise.reject(new Error("the log is gone")), onAppended: () => () => undefined };
    const bus = createMemoryBus({ ...OPTIONS, log, logTopics });
    const { consumer } = watch(bus, "group", { topics: ["view"] });
    await expect(consumer.done).rejects.toThrow("the log is gone");
    await bus.close();
  });

  it("refuse consumers of one group that name different topics, and topics that are not there", async () => {
    const bus = createMemoryBus(OPTIONS);
    const { consumer } = watch(bus, "group", { topics: ["orders"] });
    expect(() => watch(bus, "group", { topics: ["payments"] })).toThrow("different topics");
    expect(() => watch(bus, "other", { topics: ["nowhere"] })).toThrow("no topic nowhere");
    expect(() => bus.mark("orders", "t1")).toThrow("no view of the log");
    expect(() => bus.listen("orders", () => undefined)).toThrow("no topic orders of hints");
    await consumer.stop();
  });
});
