import { expect, test } from "vitest";
import { createMarkedSources, type Mark, markOf, markRecord } from "./mark-record.ts";
import { decodeRecordSet, encodeBatch, type KafkaRecord, type NewRecord } from "./record-batch.ts";

async function stored(record: NewRecord): Promise<KafkaRecord> {
  const [entry] = (await decodeRecordSet(encodeBatch([record], 0), 0, [], 1_000)).entries;
  if (entry?.kind !== "record") throw new Error("one record was written");
  return entry;
}

const mark = (readUpTo: string, sources: readonly number[], sourceCount = 3): Mark => ({ readUpTo, sources, sourceCount });

test("a mark reads back, and a message is none", async () => {
  const said = mark("2026-01-01T00:00:00.000000000Z", [0, 2]);
  expect(markOf(await stored(markRecord(said)))).toEqual(said);
  expect(markOf(await stored({ key: Buffer.from("k"), value: null }))).toBeUndefined();
  expect(
    markOf(await stored({ ...markRecord(said), value: Buffer.from("a message with the headers of a mark") })),
  ).toBeUndefined();
});

test("a partition that all sources reach believes the least of them, once all have spoken", async () => {
  const passed = createMarkedSources(undefined);
  const pass = async (said: Mark) => passed.pass(await stored(markRecord(said)));
  await pass(mark("t5", [0, 1]));
  expect(passed.least()).toBeUndefined();
  await pass(mark("t3", [2]));
  expect(passed.least()).toBe("t3");
  await pass(mark("t1", [2]));
  expect(passed.least()).toBe("t3");
  await pass(mark("t9", [2]));
  expect(passed.least()).toBe("t5");
});

test("a partition that only its own source reaches believes that one", async () => {
  const passed = createMarkedSources(1);
  const pass = async (said: Mark) => passed.pass(await stored(markRecord(said)));
  await pass(mark("t9", [0]));
  expect(passed.least()).toBeUndefined();
  await pass(mark("t2", [1]));
  expect(passed.least()).toBe("t2");
});
