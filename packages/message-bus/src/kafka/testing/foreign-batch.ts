/** Record batches as foreign producers may send them: packed in any way, with any bytes, and a checksum that is right. */
import { crc32c } from "../crc32c.ts";
import { encodeBatch, type NewRecord } from "../record-batch.ts";

const HEADER = 61;

export interface ForeignBatch {
  /** How the broker must think it is packed: 0 not, 1 gzip, 2 snappy, 3 lz4, 4 zstd. */
  readonly codec: number;
  /** Packs the records; by default they stay as they are. */
  readonly pack?: (records: Buffer) => Buffer;
}

export function foreignBatch(records: readonly NewRecord[], { codec, pack }: ForeignBatch): Buffer {
  const plain = encodeBatch(records, 1_700_000_000_000);
  const packed = pack === undefined ? plain.subarray(HEADER) : pack(plain.subarray(HEADER));
  const batch = Buffer.concat([plain.subarray(0, HEADER), packed]);
  batch.writeInt32BE(batch.length - 12, 8);
  batch.writeInt16BE(codec, 21);
  batch.writeUInt32BE(crc32c(batch, 21, batch.length), 17);
  return batch;
}

/** Packs as snappy does, in the framing of its Java library, without making anything smaller: up to 60 bytes. */
export function snappy(bytes: Buffer): Buffer {
  if (bytes.length > 60) throw new RangeError("only a short literal is packed here");
  const packed = Buffer.concat([Buffer.from([bytes.length, (bytes.length - 1) << 2]), bytes]);
  const frame = Buffer.alloc(20);
  frame.set([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00]);
  frame.writeInt32BE(1, 8);
  frame.writeInt32BE(1, 12);
  frame.writeInt32BE(packed.length, 16);
  return Buffer.concat([frame, packed]);
}
