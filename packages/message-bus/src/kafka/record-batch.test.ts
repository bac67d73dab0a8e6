import * as fc from "fast-check";
import { crc32, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { expect, test } from "vitest";
import { crc32c } from "./crc32c.ts";
import { decodeRecordSet, encodeBatch, type NewRecord, recordSize } from "./record-batch.ts";

const MAX = 1_000_000;

/** A batch as a broker gives it: with offsets, and packed as its attributes say. */
function stored(
  records: readonly NewRecord[],
  base: number,
  changes: { attributes?: number; packed?: Buffer; count?: number; producer?: bigint } = {},
): Buffer {
  const plain = encodeBatch(records, 0);
  const batch = Buffer.concat([plain.subarray(0, 61), changes.packed ?? plain.subarray(61)]);
  batch.writeBigInt64BE(BigInt(base), 0);
  batch.writeInt32BE(batch.length - 12, 8);
  batch.writeInt16BE(changes.attributes ?? 0, 21);
  batch.writeBigInt64BE(changes.producer ?? -1n, 43);
  if (changes.count !== undefined) batch.writeInt32BE(changes.count, 57);
  return batch;
}

function records(...values: readonly string[]): NewRecord[] {
  return values.map((value) => ({ key: Buffer.from("k"), value: Buffer.from(value) }));
}

async function read(set: Buffer, from = 0, aborted: readonly { producerId: bigint; firstOffset: number }[] = []) {
  const { entries, next } = await decodeRecordSet(set, from, aborted, MAX);
  const shown = entries.map((entry) =>
    entry.kind === "record" ? [entry.offset, String(entry.value)] : [entry.offset, "broken", entry.reason],
  );
  return { shown, next };
}

const record = fc.record({
  key: fc.option(fc.uint8Array()),
  value: fc.option(fc.uint8Array({ maxLength: 300 })),
  headers: fc.array(fc.record({ name: fc.string(), value: fc.string() }), { maxLength: 3 }),
});

test("what is written reads back, key, value, headers and all", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(record, { minLength: 1, maxLength: 50 }),
      fc.integer({ min: 0, max: 2 ** 40 }),
      async (written, base) => {
        const { entries, next } = await decodeRecordSet(stored(written, base), base, [], MAX);
        expect(next).toBe(base + written.length);
        expect(
          entries.map((entry) =>
            entry.kind === "broken"
              ? entry
              : {
                  key: entry.key === null ? null : Uint8Array.from(entry.key),
                  value: entry.value === null ? null : Uint8Array.from(entry.value),
                  headers: entry.headers.map(({ name, value }) => ({ name, value: String(value) })),
                },
          ),
        ).toEqual(written);
        expect(entries.map(({ offset }) => offset)).toEqual(written.map((_, index) => base + index));
        expect(encodeBatch(written, 0).length).toBeLessThanOrEqual(61 + written.reduce((sum, one) => sum + recordSize(one), 0));
      },
    ),
  );
});

test("bytes that are anything at all never throw, and never hold more than they are", async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 400 }), fc.boolean(), async (bytes, isBatch) => {
      const set = Buffer.from(bytes);
      if (isBatch && set.length > 61) {
        set.writeInt32BE(set.length - 12, 8);
        set.writeInt8(2, 16);
      }
      const { entries } = await decodeRecordSet(set, 0, [], MAX);
      expect(entries.length).toBeLessThanOrEqual(bytes.length);
    }),
    { numRuns: 500 },
  );
});

test("gzip and zstd are unpacked", async () => {
  const plain = encodeBatch(records("a", "b"), 0).subarray(61);
  const set = Buffer.concat([
    stored(records("a", "b"), 0, { attributes: 1, packed: gzipSync(plain) }),
    stored(records("a", "b"), 2, { attributes: 4, packed: zstdCompressSync(plain) }),
  ]);
  const expected = [
    [0, "a"],
    [1, "b"],
    [2, "a"],
    [3, "b"],
  ];
  expect(await read(set)).toEqual({ shown: expected, next: 4 });
});

test("a batch that cannot be unpacked is one broken record, and those around it are read", async () => {
  const bomb = Buffer.alloc(50_000_000);
  const set = Buffer.concat([
    stored(records("before"), 0),
    stored(records("x", "y"), 1, { attributes: 1, packed: gzipSync(bomb) }),
    stored(records("x"), 3, { attributes: 4, packed: zstdCompressSync(bomb) }),
    stored(records("x"), 4, { attributes: 2 }),
    stored(records("x"), 5, { attributes: 3 }),
    stored(records("x"), 6, { attributes: 7 }),
    stored(records("x"), 7, { attributes: 1, packed: deflateSync("no gzip") }),
    stored(records("x"), 8, { count: 1_000_000_000 }),
    stored(records("x"), 9, { count: 0 }),
    stored(records("after"), 10),
  ]);
  expect(await read(set)).toEqual({
    shown: [
      [0, "before"],
      [2, "broken", "offsets 1 to 2: unpacks to more than 1000000 bytes"],
      [3, "broken", "offsets 3 to 3: unpacks to more than 1000000 bytes"],
      [4, "broken", expect.stringContaining("snappy, which is not supported")],
      [5, "broken", expect.stringContaining("lz4, which is not supported")],
      [6, "broken", expect.stringContaining("codec 7, which is not supported")],
      [7, "broken", expect.stringContaining("incorrect header check")],
      [8, "broken", "offsets 8 to 8: the batch is cut off"],
      [9, "broken", "offsets 9 to 9: the batch holds more than its records"],
      [10, "after"],
    ],
    next: 11,
  });
});

test("an older message format is one broken record", async () => {
  const old = stored(records("x"), 5);
  old.writeInt8(1, 16);
  expect(await read(old)).toEqual({ shown: [[5, "broken", expect.stringContaining("older than 2")]], next: 6 });
});

test("a batch that is cut off waits for the next fetch, and offsets before the asked one are left out", async () => {
  const set = Buffer.concat([stored(records("a", "b", "c"), 10), stored(records("d"), 13)]);
  expect(await read(set.subarray(0, set.length - 1), 11)).toEqual({
    shown: [
      [11, "b"],
      [12, "c"],
    ],
    next: 13,
  });
});

test("what an aborted transaction wrote is left out, up to its end, and control records are none", async () => {
  const set = Buffer.concat([
    stored(records("gone"), 0, { attributes: 0x10, producer: 7n }),
    stored(records("other"), 1, { attributes: 0x10, producer: 8n }),
    stored(records("plain"), 2),
    stored(records("abort"), 3, { attributes: 0x30, producer: 7n }),
    stored(records("kept"), 4, { attributes: 0x10, producer: 7n }),
    stored(records("commit"), 5, { attributes: 0x30, producer: 7n }),
  ]);
  expect(await read(set, 0, [{ producerId: 7n, firstOffset: 0 }])).toEqual({
    shown: [
      [1, "other"],
      [2, "plain"],
      [4, "kept"],
    ],
    next: 6,
  });
});

test("CRC-32C is the one of the standard, and not the CRC-32 of gzip", () => {
  const check = Buffer.from("123456789");
  expect(crc32c(check, 0, check.length)).toBe(0xe3069283);
  expect(crc32c(Buffer.alloc(32), 0, 32)).toBe(0x8a9136aa);
  expect(crc32c(Buffer.alloc(32, 0xff), 0, 32)).toBe(0x62a8ab43);
  expect(crc32(check)).not.toBe(0xe3069283);
  const odd = Buffer.from("x123456789y");
  expect(crc32c(odd, 1, 10)).toBe(0xe3069283);
});
