/**
 * Unpacking of compressed batches, bounded: a small batch that would unpack to gigabytes stops at the bound.
 *
 * gzip and zstd come with Node; snappy and lz4 do not, and such batches are broken ones (producers are asked for gzip or zstd).
 */
import { promisify } from "node:util";
import { gunzip, zstdDecompress } from "node:zlib";

const gunzipAsync = promisify(gunzip);
const zstdDecompressAsync = promisify(zstdDecompress);

/** Rejects when the bytes are damaged, unpack to more than `maxBytes`, or are packed in a way that is not supported. */
export async function decompress(codec: number, bytes: Buffer, maxBytes: number): Promise<Buffer> {
  try {
    if (codec === 1) return await gunzipAsync(bytes, { maxOutputLength: maxBytes });
    if (codec === 4) return await zstdDecompressAsync(bytes, { maxOutputLength: maxBytes });
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ERR_BUFFER_TOO_LARGE") {
      throw new RangeError(`unpacks to more than ${maxBytes} bytes`, { cause: error });
    }
    throw error;
  }
  const name = codec === 2 ? "snappy" : codec === 3 ? "lz4" : `codec ${codec}`;
  throw new TypeError(`compressed with ${name}, which is not supported: send gzip, zstd or nothing`);
}
