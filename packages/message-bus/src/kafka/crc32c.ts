/** CRC-32C (Castagnoli), which Kafka checks on every batch; eight tables, eight bytes a step. */
const TABLES = buildTables();

/** The checksum of `bytes` from `start` up to `end`. */
export function crc32c(bytes: Uint8Array, start: number, end: number): number {
  const [t0, t1, t2, t3, t4, t5, t6, t7] = TABLES;
  let crc = 0xffffffff;
  let at = start;
  for (; at + 8 <= end; at += 8) {
    crc ^= byte(bytes, at) | (byte(bytes, at + 1) << 8) | (byte(bytes, at + 2) << 16) | (byte(bytes, at + 3) << 24);
    crc =
      entry(t7, crc) ^
      entry(t6, crc >>> 8) ^
      entry(t5, crc >>> 16) ^
      entry(t4, crc >>> 24) ^
      entry(t3, byte(bytes, at + 4)) ^
      entry(t2, byte(bytes, at + 5)) ^
      entry(t1, byte(bytes, at + 6)) ^
      entry(t0, byte(bytes, at + 7));
  }
  for (; at < end; at++) crc = entry(t0, crc ^ byte(bytes, at)) ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

function byte(bytes: Uint8Array, at: number): number {
  return bytes[at] ?? 0;
}

function entry(table: Int32Array, index: number): number {
  return table[index & 0xff] ?? 0;
}

type Tables = readonly [Int32Array, Int32Array, Int32Array, Int32Array, Int32Array, Int32Array, Int32Array, Int32Array];

function buildTables(): Tables {
  const first = new Int32Array(256);
  for (let index = 0; index < 256; index++) {
    let value = index;
    for (let bit = 0; bit < 8; bit++) value = (value & 1) === 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
    first[index] = value;
  }
  const next = (table: Int32Array) => table.map((value) => entry(first, value) ^ (value >>> 8));
  const [a, b, c] = [next(first), next(next(first)), next(next(next(first)))];
  const d = next(c);
  const e = next(d);
  const f = next(e);
  return [first, a, b, c, d, e, f, next(f)];
}
