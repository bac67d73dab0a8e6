import { createMemoryEventStore, type EventStore, type StoredEvent } from "@rerate/event-store";
import { openEventStoreDb } from "@rerate/event-store/eventstoredb";
import { describe, expect, it, onTestFinished } from "vitest";
import { FRONT_APPEND_BYTES } from "./appending.ts";
import { createFaults, type FaultSettings, parseFaultSettings } from "./faults.ts";
import { startFront } from "./front.ts";

const DEADLINE_MS = 900;

/** A front over memory, a store through it, and the log behind both. */
async function open(deadlineMs = DEADLINE_MS) {
  const log = createMemoryEventStore({ maxAppendBytes: FRONT_APPEND_BYTES });
  const front = await startFront({ eventStore: log });
  const warnings: string[] = [];
  const store = openEventStoreDb({
    connectionString: front.connectionString,
    deadlineMs,
    log: { warn: (_fields, message) => warnings.push(message) },
  });
  onTestFinished(async () => {
    await store.close();
    await front.stop();
    await log.close();
  });
  return { log, front, store, warnings };
}

/** The events `from` and on of a stream; an event's text says where it belongs. */
function numbered(stream: string, from: number, count: number) {
  return {
    stream,
    expectedRevision: from - 1,
    events: Array.from({ length: count }, (_, index) => ({ type: "Counted", data: `{"n":${from + index}}`, metadata: "{}" })),
  };
}

async function everything(log: EventStore): Promise<readonly StoredEvent[]> {
  return (await log.readAll({ maxCount: 1_000_000 })).events;
}

describe("an append survives", () => {
  const faults: [string, Partial<FaultSettings>][] = [
    ["a server that does not answer", { hang: 1 }],
    ["several appends that hang one after the other", { hang: 2 }],
    ["a server that is unavailable", { unavailable: 1 }],
    ["a server that is unavailable for a while", { unavailable: 3 }],
    ["a connection that breaks after the commit", { dropAfterCommit: 1 }],
    ["connections that break after every commit", { dropAfterCommit: 2 }],
    ["an answer that is lost", { swallow: 1 }],
    ["a stream that ends as if all was well", { endStream: 1 }],
    ["answers in another order", { reorderAnswers: 8 }],
    ["slow answers", { delayMs: 100 }],
    [
      "all of them after one another",
      { hang: 1, unavailable: 1, dropAfterCommit: 1, swallow: 1, endStream: 1, reorderAnswers: 3 },
    ],
  ];
  for (const [name, settings] of faults) {
    it(name, async () => {
      // The longest sequence of faults costs several rounds of patience.
      const { log, front, store } = await open(3_000);
      await store.append([numbered("a-1", 0, 2)]);
      front.faults.set(settings);
      const appends = [numbered("a-1", 2, 3), ...Array.from({ length: 7 }, (_, index) => numbered(`b-${index}`, 0, 2))];
      const results = await store.append(appends);
      expect(results).toEqual(
        appends.map(({ expectedRevision, events }) => ({ kind: "committed", lastRevision: expectedRevision + events.length })),
      );
      expect((await everything(log)).length).toBe(2 + 3 + 14);
    });
  }

  it("a restart of the server in the middle of many appends", async () => {
    const { log, front, store } = await open(3_000);
    const all = Array.from({ length: 200 }, (_, index) => numbered(`a-${index}`, 0, 3));
    const results = store.append(all);
    await front.restart();
    expect((await results).every((result) => result.kind === "committed")).toBe(true);
    expect((await everything(log)).length).toBe(600);
  });
});

describe("an append whose outcome cannot be learnt", () => {
  it("is unknown within the deadline, and others go on", async () => {
    const { log, front, store } = await open();
    await store.append([numbered("a-1", 0, 1)]);
    front.faults.set({ hang: 1_000 });
    const before = performance.now();
    const [hung] = await store.append([numbered("a-1", 1, 1)]);
    expect(performance.now() - before).toBeLessThan(DEADLINE_MS * 1.1);
    expect(hung?.kind).toBe("unknown");
    expect((await everything(log)).length).toBe(1);
    front.faults.set({ hang: 0 });
    expect(await store.append([numbered("a-1", 1, 1), numbered("a-2", 0, 1)])).toEqual([
      { kind: "committed", lastRevision: 1 },
      { kind: "committed", lastRevision: 0 },
    ]);
  });

  it("is settled by sending it again, whether or not it was written", async () => {
    const { log, front, store } = await open();
    front.faults.set({ swallow: 1_000 });
    expect((await store.append([numbered("a-1", 0, 2)]))[0]?.kind).toBe("unknown");
    front.faults.set({ swallow: 0 });
    expect(await store.append([numbered("a-1", 0, 2)])).toEqual([{ kind: "committed", lastRevision: 1 }]);
    expect((await everything(log)).length).toBe(2);
  });

  it("is followed by nothing in its stream", async () => {
    const { log, front, store } = await open();
    front.faults.set({ swallow: 1_000 });
    const results = await store.append([numbered("a-1", 0, 2), numbered("a-1", 2, 2)]);
    expect(results.map(({ kind }) => kind)).toEqual(["unknown", "unknown"]);
    expect((await everything(log)).length).toBe(2);
  });

  it("is unknown, too, where no server listens", async () => {
    const { front, store } = await open();
    await front.stop();
    const before = performance.now();
    expect((await store.append([numbered("a-1", 0, 1)]))[0]?.kind).toBe("unknown");
    expect(performance.now() - before).toBeLessThan(DEADLINE_MS * 1.1);
  });
});

describe("a read", () => {
  it("is tried again after a call that hangs or breaks", async () => {
    const { front, store } = await open(1_500);
    await store.append([numbered("a-1", 0, 5)]);
    for (const settings of [{ hang: 1 }, { unavailable: 1 }, { hang: 1, unavailable: 2 }, { delayMs: 50 }]) {
      front.faults.set(settings);
      expect((await store.readForward("a-1", { maxCount: 10 })).length).toBe(5);
      front.faults.set(settings);
      expect((await store.readAll({ maxCount: 10 })).events.length).toBe(5);
    }
  });

  it("fails within the deadline when nothing helps", async () => {
    const { front, store } = await open();
    await store.append([numbered("a-1", 0, 1)]);
    for (const settings of [{ hang: 1_000 }, { unavailable: 1_000 }]) {
      front.faults.set(settings);
      const before = performance.now();
      await expect(store.readLast("a-1")).rejects.toThrow("could not be read");
      expect(performance.now() - before).toBeLessThan(DEADLINE_MS * 1.2);
    }
  });
});

describe("a subscription", () => {
  it("goes on after everything that can end it, with nothing lost and nothing twice", async () => {
    const { front, store, warnings } = await open(3_000);
    const seen: string[] = [];
    const subscription = store.subscribeAll({
      prefixes: ["a-"],
      maxBatch: 7,
      onEvents: ({ events }) => void seen.push(...events.map(({ data }) => data)),
    });
    const breakers = [
      async () => front.endStreams(),
      () => front.restart(),
      async () => front.faults.set({ unavailable: 2 }),
      async () => front.faults.set({ delayMs: 5 }),
    ];
    for (const [round, breaks] of breakers.entries()) {
      await store.append([numbered("a-1", round * 50, 50)]);
      await breaks();
      await store.append([numbered("a-x", round * 10, 10), numbered("b-1", round * 10, 10)]);
    }
    const total = breakers.length * 60;
    await expect.poll(() => seen.length, { timeout: 5_000 }).toBe(total);
    expect(warnings.length).toBeGreaterThan(0);
    expect(seen.length).toBe(total);
    await subscription.stop();
    await subscription.done;
  });

  it("stops the server while its handler is busy", async () => {
    const { store } = await open(3_000);
    const text = "x".repeat(2_000);
    const events = Array.from({ length: 400 }, () => ({ type: "Large", data: JSON.stringify(text), metadata: "{}" }));
    for (let round = 0; round < 30; round++) {
      await store.append([{ stream: "a-1", expectedRevision: round * 400 - 1, events }]);
    }
    const first = Promise.withResolvers<void>();
    const go = Promise.withResolvers<void>();
    let count = 0;
    const subscription = store.subscribeAll({
      maxBatch: 100,
      async onEvents(page) {
        count += page.events.length;
        first.resolve();
        await go.promise;
      },
    });
    await first.promise;
    const before = process.memoryUsage.rss();
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(process.memoryUsage.rss() - before).toBeLessThan(40_000_000);
    go.resolve();
    await expect.poll(() => count, { timeout: 10_000 }).toBe(12_000);
    await subscription.stop();
  });
});

describe("seeded faults under load", () => {
  for (const seed of [1, 2, 3]) {
    it(`leave every event in the log exactly once (seed ${seed})`, async () => {
      const { log, front, store } = await open(3_000);
      const seen: string[] = [];
      const subscription = store.subscribeAll({
        onEvents: ({ events }) => void seen.push(...events.map(({ stream, data }) => `${stream} ${data}`)),
      });
      front.faults.set({ chaosSeed: seed, chaosOneIn: 60 });
      let unknown = 0;
      const writer = async (stream: string): Promise<void> => {
        for (let from = 0; from < 60; from += 3) {
          // What every writer does with an unknown outcome: the same again.
          for (;;) {
            const [result] = await store.append([numbered(stream, from, 3)]);
            if (result?.kind === "committed") {
              expect(result.lastRevision).toBe(from + 2);
              break;
            }
            expect(result?.kind).toBe("unknown");
            unknown += 1;
          }
        }
      };
      const streams = Array.from({ length: 40 }, (_, index) => `a-${index}`);
      await Promise.all(streams.map(writer));
      front.faults.set({ chaosOneIn: 0 });

      const events = await everything(log);
      expect(events.length).toBe(40 * 60);
      for (const stream of streams) {
        const data = (await store.readForward(stream, { maxCount: 100 })).map((event) => event.data);
        expect(data).toEqual(Array.from({ length: 60 }, (_, n) => `{"n":${n}}`));
      }
      await expect.poll(() => seen.length, { timeout: 10_000 }).toBe(40 * 60);
      expect(seen).toEqual(events.map(({ stream, data }) => `${stream} ${data}`));
      expect(unknown).toBeLessThan(40);
      await subscription.stop();
      await subscription.done;
    }, 60_000);
  }
});

describe("the switches", () => {
  it("are the same for the same seed", () => {
    const fates = (chaosSeed: number) => {
      const faults = createFaults({ chaosSeed, chaosOneIn: 3 });
      return Array.from({ length: 200 }, () => faults.fateOfAppend());
    };
    expect(fates(7)).toEqual(fates(7));
    expect(fates(7)).not.toEqual(fates(8));
    expect(new Set(fates(7)).size).toBe(8);
  });

  it("refuse what they do not know", () => {
    expect(parseFaultSettings('{"hang":2}')).toEqual({ hang: 2 });
    for (const text of ['{"hangs":2}', '{"hang":-1}', '{"hang":"2"}', "[]x", "7"])
      expect(() => parseFaultSettings(text)).toThrow(/./);
  });
});
