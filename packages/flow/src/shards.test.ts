import * as fc from "fast-check";
import { expect, test } from "vitest";
import { earliest, isAfter } from "./partition-checkpoints.ts";
import { ownsByShard, partitionOf, shardPrefixes, shardsOf } from "./shards.ts";

const hex = (shard: number) => shard.toString(16).padStart(2, "0");

test("every shard belongs to exactly one partition, whatever their number", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 256 }), (count) => {
      const all = Array.from({ length: count }, (_, partition) => shardsOf(partition, count)).flat();
      expect(all.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 256 }, (_, shard) => shard));
    }),
  );
});

test("prefixes, partitions and ownership say the same of every stream", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 40 }),
      fc.integer({ min: 0, max: 255 }),
      fc.uniqueArray(fc.nat(39)),
      (count, shard, some) => {
        const owned = new Set(some.map((partition) => partition % count));
        const stream = `account-${hex(shard)}.default.a`;
        const isOwned = owned.has(partitionOf(stream, count));
        expect(isOwned).toBe(ownsByShard(count)(stream, owned));
        expect(shardPrefixes("account-", owned, count).some((prefix) => stream.startsWith(prefix))).toBe(isOwned);
      },
    ),
  );
});

test("all partitions together need no shards in their prefix, and none need nothing", () => {
  expect(shardPrefixes("account-", [2, 0, 1], 3)).toEqual(["account-"]);
  expect(shardPrefixes("account-", [], 3)).toEqual([]);
  expect(shardPrefixes("account-", [85], 86)).toEqual(["account-55.", "account-ab."]);
});

test("a stream that names no shard is refused", () => {
  for (const stream of ["account", "account-", "account-zz.a", "account-0a", "account-0A.a"])
    expect(() => partitionOf(stream, 4)).toThrow(RangeError);
});

test("positions are in the order of their numbers, and an unknown place is the beginning", () => {
  expect([isAfter("10", "9"), isAfter("9", "10"), isAfter("10", "10"), isAfter("0012/0013", "0012/0012")]).toEqual([
    true,
    false,
    false,
    true,
  ]);
  expect(earliest(["12", "9", "10"])).toBe("9");
  expect(earliest(["12", undefined])).toBeUndefined();
  expect(earliest([])).toBeUndefined();
});
