import { type Database, openDatabase, type Value } from "@rerate/sqlite";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { createBloomFilter, type StoredGeneration } from "./bloom-filter.ts";
import { type Checkpoint, createMemoryIndex, createSqliteIndex, type IdentityIndex } from "./identity-index.ts";

const memory = () => openDatabase(":memory:", { synchronous: "NORMAL" });
const place = (position: number): Checkpoint => ({
  position: String(position),
  witness: { stream: "s", revision: position, link: "A".repeat(43) },
});
const atOnce = async () => undefined;

test("the filter never says no to a key it was given, also after it was stored, and seldom yes to others", () => {
  const filter = createBloomFilter();
  const keys = Array.from({ length: 250_000 }, (_, i) => `0190a1b2-c3d4-7e5f-8a9b-${String(i).padStart(12, "0")}`);
  for (const key of keys) filter.add(7, key);
  const stored: StoredGeneration[] = [];
  filter.save((generation, count, bits) => {
    stored[generation] = { keys: count, bits: bits.slice() };
  });
  const again = createBloomFilter(stored);
  expect(keys.every((key) => filter.has(7, key) && again.has(7, key))).toBe(true);
  const wrong = keys.filter((key) => filter.has(8, key)).length;
  expect(wrong / keys.length).toBeLessThan(0.015);
  expect(again.size).toBe(filter.size);
  expect(filter.bytes / filter.size).toBeLessThan(3);
  let changed = 0;
  again.save(() => (changed += 1));
  expect(changed).toBe(0);
});

test.each<[string, () => IdentityIndex]>([
  ["in memory", createMemoryIndex],
  ["in a cache file", () => createSqliteIndex(memory(), "toy")],
])("the index %s finds the last event of every key, saved or not", async (_name, open) => {
  const streams = fc.constantFrom("a", "b", "c");
  const step = fc.oneof(
    fc.record({ stream: streams, key: fc.string({ maxLength: 3 }), tag: fc.string({ maxLength: 2 }) }),
    fc.constant("save" as const),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const index = open();
      const model = new Map<string, { revision: number; tag: string }>();
      for (const [i, taken] of steps.entries()) {
        if (taken === "save") await index.save(place(i), { whole: i % 2 === 0, pause: atOnce });
        else {
          index.add(index.numberOf(taken.stream), taken.key, i, taken.tag);
          model.set(`${taken.stream} ${taken.key}`, { revision: i, tag: taken.tag });
        }
      }
      for (const stream of ["a", "b", "c"]) {
        for (const taken of steps) {
          if (taken === "save") continue;
          const found = index.find(index.numberOf(stream), taken.key);
          expect(found === undefined ? undefined : { ...found }).toEqual(model.get(`${stream} ${taken.key}`));
        }
      }
    }),
    { numRuns: 50 },
  );
});

test("what was saved is there after a restart, with the checkpoint it belongs to", async () => {
  const database = memory();
  const first = createSqliteIndex(database, "toy");
  for (let i = 0; i < 10_000; i++) first.add(first.numberOf(`s${i % 10}`), `key ${i}`, i, "x");
  let pauses = 0;
  await first.save(place(5), {
    whole: true,
    pause: async () => {
      pauses += 1;
      // Keys that are being written are still found.
      expect(first.find(first.numberOf("s9"), "key 9999")).toEqual({ revision: 9_999, tag: "x" });
    },
  });
  expect(pauses).toBeGreaterThan(0);
  first.add(first.numberOf("s0"), "unsaved", 1, "x");
  const second = createSqliteIndex(database, "toy");
  expect(second.checkpoint).toEqual(place(5));
  expect({ ...second.find(second.numberOf("s3"), "key 3") }).toEqual({ revision: 3, tag: "x" });
  expect(second.find(second.numberOf("s0"), "unsaved")).toBeUndefined();
  expect(second.find(second.numberOf("s4"), "key 3")).toBeUndefined();
});

test("rows without a checkpoint are forgotten: nobody knows what they cover", async () => {
  const database = memory();
  const first = createSqliteIndex(database, "toy");
  for (let i = 0; i < 10_000; i++) first.add(first.numberOf("s"), `key ${i}`, i, "x");
  const dies = () => Promise.reject(new Error("the process dies"));
  await expect(first.save(place(5), { whole: true, pause: dies })).rejects.toThrow("dies");
  const second = createSqliteIndex(database, "toy");
  expect(second.checkpoint).toBeUndefined();
  expect(second.find(second.numberOf("s"), "key 1")).toBeUndefined();
});

test("the indexes of two services in one file know nothing of each other", async () => {
  const database = memory();
  const [one, two] = [createSqliteIndex(database, "outcome-signal"), createSqliteIndex(database, "settlement")];
  one.add(one.numberOf("s"), "key", 1, "x");
  await one.save(place(1), { whole: true, pause: atOnce });
  expect(two.find(two.numberOf("s"), "key")).toBeUndefined();
});

test("a look-up that misses seldom reaches the table", async () => {
  const database = memory();
  let reads = 0;
  const counting: Database = {
    ...database,
    prepare<Row>(sql: string) {
      const statement = database.prepare<Row>(sql);
      const get = (...parameters: readonly Value[]) => {
        if (sql.startsWith("SELECT revision")) reads += 1;
        return statement.get(...parameters);
      };
      return { ...statement, get };
    },
  };
  const index = createSqliteIndex(counting, "toy");
  const keyOf = (i: number, kind: string) => `0190a1b2-c3d4-7e5f-8a9${kind}-${String(i).padStart(12, "0")}`;
  for (let i = 0; i < 200_000; i++) index.add(1, keyOf(i, "b"), i, "x");
  await index.save(place(1), { whole: true, pause: atOnce });
  for (let i = 0; i < 50_000; i++) expect(index.find(1, keyOf(i, "c"))).toBeUndefined();
  expect(reads).toBeLessThan(1_000);
  expect(index.find(1, keyOf(7, "b"))?.revision).toBe(7);
});
