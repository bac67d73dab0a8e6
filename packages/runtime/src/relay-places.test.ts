import { expect, test } from "vitest";
import { createRelayCheckpoints, relayPlaces, type PlaceTable } from "./relay-places.ts";

function tableOf(): PlaceTable {
  const rows = new Map<string, Uint8Array>();
  return { entries: () => rows, put: async (key, value) => void rows.set(key, value) };
}

test("a place is found again by relay and partition, by every process", async () => {
  const table = tableOf();
  await createRelayCheckpoints(table, "settlement", 4).save(3, "0007");
  expect(await createRelayCheckpoints(table, "settlement", 4).load(3)).toBe("0007");
  expect(await createRelayCheckpoints(table, "settlement", 4).load(2)).toBeUndefined();
  expect(await createRelayCheckpoints(table, "wallet", 4).load(3)).toBeUndefined();
  expect(relayPlaces(table)).toEqual([{ relay: "settlement", count: 4, partition: 3, position: "0007" }]);
});

test("after the number of partitions has changed, a partition begins where all streams are done", async () => {
  const table = tableOf();
  const before = createRelayCheckpoints(table, "settlement", 2);
  await before.save(0, "0009");
  await before.save(1, "0004");
  const after = createRelayCheckpoints(table, "settlement", 3);
  expect(await Promise.all([0, 1, 2].map((partition) => after.load(partition)))).toEqual(["0004", "0004", "0004"]);
  // Shown where it stands, though nothing more may ever come.
  expect(relayPlaces(table).flatMap(({ count, position }) => (count === 3 ? [position] : []))).toEqual(["0004", "0004", "0004"]);
  await after.save(0, "0012");
  expect(await Promise.all([0, 1].map((partition) => after.load(partition)))).toEqual(["0012", "0004"]);
});

test("where not all partitions had a place, a new number begins at the beginning", async () => {
  const table = tableOf();
  await createRelayCheckpoints(table, "settlement", 2).save(0, "0009");
  expect(await createRelayCheckpoints(table, "settlement", 3).load(0)).toBeUndefined();
});
