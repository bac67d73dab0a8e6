/**
 * Record batches (the Kafka message format, version 2): written without compression, read whatever anybody wrote.
 *
 * Reading never throws and never allocates more than a bound: a batch that cannot be unpacked is given as one broken record
 * with its raw bytes, and the batches around it are read as if it were not there.
 */
import { crc32c } from "./crc32c.ts";
import { decompress } from "./compression.ts";

export interface RecordHeader {
  readonly name: string;
  readonly value: Buffer | null;
}

export interface KafkaRecord {
  readonly kind: "record";
  readonly offset: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: readonly RecordHeader[];
}

/** A batch that cannot be unpacked. */
export interface BrokenBatch {
  readonly kind: "broken";
  readonly offset: number;
  /** The whole batch with its header. */
  readonly bytes: Buffer;
  readonly reason: string;
}

export interface DecodedSet {
  /** In order; offsets before the asked one left out. */
  readonly entries: readonly (KafkaRecord | BrokenBatch)[];
  /** Where to fetch next: after the last whole batch, also where that held nothing to deliver. */
  readonly next: number;
}

export interface NewRecord {
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers?: readonly { readonly name: string; readonly value: string }[];
}

/** Length of a batch before its first record. */
const HEADER = 61;
/** The part of it that is before `batchLength` counts. */
const PREFIX = 12;
const NO_HEADERS: readonly RecordHeader[] = [];

/** A batch of these records, uncompressed, stamped with this time (milliseconds since 1970). */
export function encodeBatch(records: readonly NewRecord[], timestampMs: number): Buffer {
  let size = HEADER;
  for (const { key, value, headers = [] } of records) {
    size += 24 + (key?.length ?? 0) + (value?.length ?? 0);
    for (const header of headers) size += 10 + header.name.length * 3 + header.value.length * 3;
  }
  const batch = Buffer.allocUnsafe(size);
  let at = HEADER;
  for (const [index, record] of records.entries()) at = writeRecord(batch, at, index, record);
  batch.writeBigInt64BE(0n, 0);
  batch.writeInt32BE(at - PREFIX, 8);
  batch.writeInt32BE(-1, 12); // leader epoch
  batch.writeInt8(2, 16);
  batch.writeInt16BE(0, 21); // attributes
  batch.writeInt32BE(records.length - 1, 23);
  batch.writeBigInt64BE(BigInt(timestampMs), 27);
  batch.writeBigInt64BE(BigInt(timestampMs), 35);
  batch.writeBigInt64BE(-1n, 43); // producer
  batch.writeInt16BE(-1, 51);
  batch.writeInt32BE(-1, 53);
  batch.writeInt32BE(records.length, 57);
  batch.writeUInt32BE(crc32c(batch, 21, at), 17);
  return batch.subarray(0, at);
}

/** Bytes that a record takes in a batch, at most. */
export function recordSize({ key, value, headers = [] }: NewRecord): number {
  let size = 24 + (key?.length ?? 0) + (value?.length ?? 0);
  for (const header of headers) size += 10 + header.name.length * 3 + header.value.length * 3;
  return size;
}

function writeRecord(batch: Buffer, start: number, index: number, { key, value, headers = [] }: NewRecord): number {
  const texts = headers.map((header) => ({ name: Buffer.from(header.name), value: Buffer.from(header.value) }));
  let length = 1 + 1 + varintSize(index) + lengthSize(key) + lengthSize(value) + varintSize(texts.length);
  for (const text of texts) length += lengthSize(text.name) + lengthSize(text.value);
  let at = writeVarint(batch, start, length);
  batch[at++] = 0; // attributes
  batch[at++] = 0; // timestamp, as the batch
  at = writeVarint(batch, at, index);
  at = writeBytes(batch, at, key);
  at = writeBytes(batch, at, value);
  at = writeVarint(batch, at, texts.length);
  for (const text of texts) at = writeBytes(batch, writeBytes(batch, at, text.name), text.value);
  return at;
}

function lengthSize(bytes: Uint8Array | null): number {
  return bytes === null ? 1 : varintSize(bytes.length) + bytes.length;
}

function varintSize(value: number): number {
  let size = 1;
  for (let rest = value * 2; rest >= 128; rest = Math.floor(rest / 128)) size += 1;
  return size;
}

function writeVarint(batch: Buffer, start: number, value: number): number {
  let at = start;
  let rest = value * 2;
  for (; rest >= 128; rest = Math.floor(rest / 128)) batch[at++] = (rest % 128) + 128;
  batch[at++] = rest;
  return at;
}

function writeBytes(batch: Buffer, start: number, bytes: Uint8Array | null): number {
  if (bytes === null) {
    batch[start] = 1; // -1
    return start + 1;
  }
  const at = writeVarint(batch, start, bytes.length);
  batch.set(bytes, at);
  return at + bytes.length;
}

interface BatchHeader {
  readonly base: number;
  readonly last: number;
  readonly attributes: number;
  readonly producerId: bigint;
  readonly count: number;
  /** The whole batch. */
  readonly bytes: Buffer;
}

/** Reads the record set of one partition, as fetched from `from` on. Transactions that were aborted are left out. */
export async function decodeRecordSet(
  set: Buffer,
  from: number,
  aborted: readonly { readonly producerId: bigint; readonly firstOffset: number }[],
  maxBatchBytes: number,
): Promise<DecodedSet> {
  const entries: (KafkaRecord | BrokenBatch)[] = [];
  const pending = [...aborted].sort((a, b) => a.firstOffset - b.firstOffset);
  const dropping = new Set<bigint>();
  let next = from;
  for (let at = 0; at + PREFIX + 5 <= set.length;) {
    const end = at + PREFIX + set.readInt32BE(at + 8);
    if (end > set.length || end <= at + PREFIX) break; // the last batch is cut off
    const bytes = set.subarray(at, end);
    at = end;
    if (bytes.readInt8(16) !== 2 || bytes.length < HEADER) {
      const offset = Number(bytes.readBigInt64BE(0));
      entries.push({ kind: "broken", offset, bytes, reason: "written in a message format older than 2, which is not read" });
      next = Math.max(next, offset + 1);
      continue;
    }
    const header = readHeader(bytes);
    next = Math.max(next, header.last + 1);
    while (pending[0] !== undefined && pending[0].firstOffset <= header.last) dropping.add(pending.shift()?.producerId ?? -1n);
    if ((header.attributes & CONTROL) !== 0) dropping.delete(header.producerId);
    else if ((header.attributes & TRANSACTIONAL) === 0 || !dropping.has(header.producerId)) {
      await readBatch(header, from, maxBatchBytes, entries);
    }
  }
  return { entries, next };
}

const TRANSACTIONAL = 0x10;
const CONTROL = 0x20;

function readHeader(bytes: Buffer): BatchHeader {
  const base = Number(bytes.readBigInt64BE(0));
  return {
    base,
    last: base + Math.max(0, bytes.readInt32BE(23)),
    attributes: bytes.readInt16BE(21),
    producerId: bytes.readBigInt64BE(43),
    count: bytes.readInt32BE(57),
    bytes,
  };
}

async function readBatch(
  header: BatchHeader,
  from: number,
  maxBytes: number,
  entries: (KafkaRecord | BrokenBatch)[],
): Promise<void> {
  const { base, last, attributes, count, bytes } = header;
  const before = entries.length;
  try {
    const packed = bytes.subarray(HEADER);
    const codec = attributes & 0x07;
    readRecords(codec === 0 ? packed : await decompress(codec, packed, maxBytes), base, count, from, entries);
  } catch (error) {
    entries.length = before;
    const reason = error instanceof Error ? error.message : String(error);
    entries.push({ kind: "broken", offset: last, bytes, reason: `offsets ${base} to ${last}: ${reason}` });
  }
}

/** Every length is checked against what is there before anything is kept, so a count that lies costs nothing. */
function readRecords(records: Buffer, base: number, count: number, from: number, entries: (KafkaRecord | BrokenBatch)[]): void {
  let at = 0;

  function varint(): number {
    let value = 0;
    let factor = 1;
    for (let index = 0; index < 10; index++) {
      const byte = records[at++];
      if (byte === undefined) throw new RangeError("the batch is cut off");
      value += (byte & 0x7f) * factor;
      if (byte < 128) return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
      factor *= 128;
    }
    throw new RangeError("a number in the batch has no end");
  }

  function take(limit: number): Buffer | null {
    const length = varint();
    if (length === -1) return null;
    if (length < 0 || at + length > limit) throw new RangeError("a length in the batch goes past its end");
    at += length;
    return records.subarray(at - length, at);
  }

  for (let index = 0; index < count; index++) {
    const length = varint();
    const end = at + length;
    if (length < 0 || end > records.length) throw new RangeError("a record goes past the end of its batch");
    at += 1;
    varint(); // timestamp
    const offset = base + varint();
    const key = take(end);
    const value = take(end);
    const headerCount = varint();
    let headers = NO_HEADERS;
    if (headerCount > 0) {
      const read: RecordHeader[] = [];
      for (let header = 0; header < headerCount; header++) {
        const name = take(end);
        read.push({ name: name?.toString() ?? "", value: take(end) });
      }
      headers = read;
    }
    if (at !== end) throw new RangeError("a record does not end where it says");
    if (offset >= from) entries.push({ kind: "record", offset, key, value, headers });
  }
  if (at !== records.length) throw new RangeError("the batch holds more than its records");
}
