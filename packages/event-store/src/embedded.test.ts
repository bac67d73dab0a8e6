import { createGroupCommit, openDatabase } from "@rerate/sqlite";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { describeEventStore } from "./conformance.ts";
import { createEmbeddedEventStore, type EmbeddedOptions } from "./embedded.ts";
import { createMemoryEventStore } from "./memory.ts";
import { type Append, type EventStore, NO_STREAM } from "./port.ts";

function openLog() {
  const database = openDatabase(":memory:", { synchronous: "FULL" });
  const commit = createGroupCommit(database);
  const open = (options: Partial<EmbeddedOptions> = {}) => createEmbeddedEventStore({ database, commit, ...options });
  return { database, commit, open };
}

const BOUNDS = {
  "the embedded engine": {},
  "the embedded engine with a tiny memory": { keep: { events: 2, bytes: 1_000, bodies: 1 }, keepHeads: 1 },
  "the embedded engine without memory": { keep: { events: 0, bytes: 0, bodies: 0 }, keepHeads: 0 },
};
for (const [name, bounds] of Object.entries(BOUNDS)) {
  describeEventStore({ describe, it, expect }, name, async () => {
    const { database, commit, open } = openLog();
    let store = open(bounds);
    return {
      store,
      async reopen() {
        await store.close();
        store = open(bounds);
        return store;
      },
      async close() {
        await store.close();
        commit.close();
        database.close();
      },
    };
  });
}

describe("the embedded engine", () => {
  const one = (stream: string, expectedRevision: number, data: string): Append => ({
    stream,
    expectedRevision,
    events: [{ type: "X", data, metadata: "{}" }],
  });

  it("keeps the bodies of the newest events for readers here, and never needs them", async () => {
    const { open } = openLog();
    const store = open();
    const body = { decoded: true };
    await store.append([
      { stream: "a-1", expectedRevision: NO_STREAM, events: [{ type: "X", data: "{}", metadata: "{}", body }] },
    ]);
    expect((await store.readLast("a-1"))?.body).toBe(body);
    expect((await store.readAll({ maxCount: 1 })).events[0]?.body).toBe(body);
    expect((await open().readLast("a-1"))?.body).toBeUndefined();
  });

  it("shares one commit among appends of the same turn and still judges each after the other", async () => {
    const { open } = openLog();
    const store = open();
    let commits = 0;
    store.onAppended(() => (commits += 1));
    const results = await Promise.all([
      store.append([one("a-1", NO_STREAM, "1")]),
      store.append([one("a-1", NO_STREAM, "2")]),
      store.append([one("a-1", 0, "3"), one("a-1", NO_STREAM, "1")]),
    ]);
    expect(results).toEqual([
      [{ kind: "committed", lastRevision: 0 }],
      [{ kind: "conflict", actualRevision: 0 }],
      [
        { kind: "committed", lastRevision: 1 },
        { kind: "committed", lastRevision: 0 },
      ],
    ]);
    expect(commits).toBe(2);
  });

  it("puts its memory back when an append cannot be written", async () => {
    const { database, open } = openLog();
    const store = open();
    await store.append([one("a-1", NO_STREAM, "1")]);
    database.exec(
      "CREATE TRIGGER refuse BEFORE INSERT ON blocks WHEN NEW.body LIKE '%poison%' BEGIN SELECT raise(ABORT, 'refused'); END",
    );
    const [bad, good] = await Promise.allSettled([
      store.append([one("a-1", 0, "2"), one("a-2", NO_STREAM, "poison")]),
      store.append([one("a-1", 0, "3"), one("a-2", NO_STREAM, "4")]),
    ]);
    expect(bad.status).toBe("rejected");
    expect(good).toEqual({
      status: "fulfilled",
      value: [
        { kind: "committed", lastRevision: 1 },
        { kind: "committed", lastRevision: 0 },
      ],
    });
    expect((await store.readForward("a-1", { maxCount: 9 })).map(({ data, position }) => [data, position])).toEqual([
      ["1", "1"],
      ["3", "2"],
    ]);
  });

  it("can be read beside its writer, and only read", async () => {
    const { database, open } = openLog();
    const store = open();
    const reader = createEmbeddedEventStore({ database });
    expect(await reader.readAll({ maxCount: 10 })).toEqual({ events: [], next: undefined, end: true });
    await store.append([one("a-1", NO_STREAM, "1")]);
    const page = await reader.readAll({ maxCount: 10 });
    expect(page.events.map(({ data }) => data)).toEqual(["1"]);
    await store.append([one("a-1", 0, "2"), one("b-1", NO_STREAM, "3")]);
    expect((await reader.readAll({ after: page.next, prefixes: ["a-"], maxCount: 10 })).events.map(({ data }) => data)).toEqual([
      "2",
    ]);
    expect((await reader.readForward("a-1", { maxCount: 10 })).length).toBe(2);
    await expect(reader.append([one("a-1", 1, "4")])).rejects.toThrow("for reading only");
    expect(() => reader.subscribeAll({ onEvents: () => undefined })).toThrow("without subscriptions");
  });

  it("merges families over any number of blocks", async () => {
    const { open } = openLog();
    const store = open({ keep: { events: 0, bytes: 0, bodies: 0 } });
    const expected: string[] = [];
    const appends: Append[] = [];
    for (let n = 0; n < 4_000; n++) {
      // Long and short runs of each family, so that their pages end in different places.
      const family = n % 7 === 0 ? "b" : n > 1_500 && n < 3_000 ? "a" : n % 2 === 0 ? "a" : "other";
      appends.push(one(`${family}-${n}`, NO_STREAM, `${n}`));
      if (family !== "other") expected.push(`${n}`);
    }
    await store.append(appends);
    for (const maxCount of [333, 10_000]) {
      const read: string[] = [];
      let after: string | undefined;
      for (let end = false; !end;) {
        const page = await store.readAll({ after, prefixes: ["a-", "b-"], maxCount });
        read.push(...page.events.map(({ data }) => data));
        after = page.next;
        end = page.end;
      }
      expect(read).toEqual(expected);
    }
  });

  it("answers exactly like the memory engine, whatever it is asked", async () => {
    const stream = fc.constantFrom("a-1", "a-2", "b-1", "c");
    const appendOf = fc.record({
      stream,
      behind: fc.integer({ min: -1, max: 3 }),
      count: fc.integer({ min: 1, max: 3 }),
      text: fc.constantFrom("", "x"),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(appendOf, { maxLength: 4 }), { maxLength: 12 }),
        fc.integer({ min: 1, max: 7 }),
        async (lists, maxCount) => {
          const { database, open } = openLog();
          const stores: EventStore[] = [
            createMemoryEventStore(),
            open({ keep: { events: 6, bytes: 100_000, bodies: 2 }, keepHeads: 1 }),
          ];
          for (const list of lists) {
            const head = new Map<string, number>();
            for (const name of ["a-1", "a-2", "b-1", "c"])
              head.set(name, (await stores[0]?.readLast(name))?.revision ?? NO_STREAM);
            const appends = list.map(({ stream, behind, count, text }) => {
              const expectedRevision = Math.max(NO_STREAM, (head.get(stream) ?? NO_STREAM) - behind);
              const events = Array.from({ length: count }, (_, n) => ({
                type: "T",
                data: `${expectedRevision + 1 + n}${text}`,
                metadata: "{}",
              }));
              return { stream, expectedRevision, events };
            });
            const [expected, actual] = await Promise.all(stores.map((store) => store.append(appends)));
            expect(actual).toEqual(expected);
          }
          for (const prefixes of [["a-"], ["a-1", "c"], ["b-", "a-"], undefined]) {
            for (const after of [undefined, "1", "3", "8"]) {
              const asked = { after, maxCount, ...(prefixes === undefined ? {} : { prefixes }) };
              const [expected, actual] = await Promise.all(stores.map((store) => store.readAll(asked)));
              expect(actual?.events).toEqual(expected?.events);
            }
          }
          for (const name of ["a-1", "a-2", "b-1", "c"]) {
            const [expected, actual] = await Promise.all(stores.map((store) => store.readForward(name, { from: 1, maxCount })));
            expect(actual).toEqual(expected);
          }
          database.close();
        },
      ),
      { numRuns: 60 },
    );
  });
});
