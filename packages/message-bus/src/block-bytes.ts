/**
 * The bytes of a block of published messages: for each message the length of its key, the key, the length of its bytes, the bytes.
 *
 * Lengths are 32-bit, big-endian. Storage format: adding a new one needs a new version of the tables.
 */
import type { StoredMessage } from "./storage.ts";

export function encodeBlock(messages: readonly StoredMessage[]): Uint8Array {
  let size = 0;
  for (const { key, bytes } of messages) size += 8 + Buffer.byteLength(key) + bytes.length;
  const block = Buffer.allocUnsafe(size);
  let at = 0;
  for (const { key, bytes } of messages) {
    const keyLength = block.write(key, at + 4);
    block.writeUInt32BE(keyLength, at);
    at += 4 + keyLength;
    block.writeUInt32BE(bytes.length, at);
    block.set(bytes, at + 4);
    at += 4 + bytes.length;
  }
  return block;
}

/** Throws when the bytes are no block of so many messages: the file is damaged. */
export function decodeBlock(bytes: Uint8Array, count: number): StoredMessage[] {
  const block = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const messages: StoredMessage[] = [];
  let at = 0;
  const take = (): Buffer => {
    const end = at + 4 + block.readUInt32BE(at);
    if (end > block.length) throw new RangeError("a block of messages is cut off");
    const part = block.subarray(at + 4, end);
    at = end;
    return part;
  };
  while (at < block.length) messages.push({ key: take().toString(), bytes: take() });
  if (messages.length !== count) throw new RangeError(`a block of ${count} messages has ${messages.length}`);
  return messages;
}
