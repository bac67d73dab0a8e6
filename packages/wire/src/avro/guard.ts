/**
 * Walks the bytes of a message by its writer schema before anything is decoded.
 *
 * A decoder that trusts block counts can be made to allocate without end by six bytes; after this walk every length and count
 * is known to fit into the bytes that are there, every text is UTF-8, and nothing trails.
 */
import { isUtf8 } from "node:buffer";
import type { AvroRecord, AvroType } from "./schema.ts";

/** Says why bytes are no message. Its text holds no content. */
export class UndecodableError extends Error {
  constructor(reason: string) {
    super(reason);
    this.name = "UndecodableError";
  }
}

/** Checks `bytes` from `start` to its end. Throws an `UndecodableError`. */
export type Guard = (bytes: Uint8Array, start: number) => void;

export function guardFor(schema: AvroRecord): Guard {
  const walk = walkRecord(schema, new Map());
  return (bytes, start) => {
    const end = walk(bytes, start);
    if (end < bytes.length) throw new UndecodableError(`${bytes.length - end} bytes too many at the end`);
  };
}

/** Returns the position after the value. */
type Walk = (bytes: Uint8Array, position: number) => number;

function walkRecord(schema: AvroRecord, named: Map<string, Walk>): Walk {
  const fields = schema.fields.map((field) => walkType(field.type, named));
  const walk: Walk = (bytes, position) => {
    let next = position;
    for (const field of fields) next = field(bytes, next);
    return next;
  };
  named.set(schema.name, walk);
  return walk;
}

function walkType(type: AvroType, named: Map<string, Walk>): Walk {
  if (typeof type === "string") return walkNamed(type, named);
  if ("length" in type) return walkNullable(walkType(type[1], named));
  if (type.type === "record") return walkRecord(type, named);
  if (type.type === "array") return walkBlocks(walkType(type.items, named));
  if (type.type === "string") return walkText;
  const value = walkType(type.values, named);
  return walkBlocks((bytes, position) => value(bytes, walkKey(bytes, position)));
}

/** A map becomes an object, which would lose this key without a word. */
const NO_KEY = Buffer.from("__proto__");

function walkKey(bytes: Uint8Array, position: number): number {
  const end = walkText(bytes, position);
  if (end - position === 1 + NO_KEY.length && NO_KEY.equals(bytes.subarray(position + 1, end)))
    throw new UndecodableError("a map key that no record can hold");
  return end;
}

function walkNamed(name: string, named: Map<string, Walk>): Walk {
  switch (name) {
    case "string":
      return walkText;
    case "bytes":
      return walkBytes;
    case "int":
      return (bytes, position) => skipVarint(bytes, position, 5);
    case "long":
      return (bytes, position) => skipVarint(bytes, position, 10);
    case "boolean":
      return (bytes, position) => inside(bytes, position, 1);
    case "null":
      return (_bytes, position) => position;
    default: {
      const known = named.get(name);
      if (known === undefined) throw new TypeError(`the schema names "${name}" before defining it`);
      return known;
    }
  }
}

function walkNullable(value: Walk): Walk {
  return (bytes, position) => {
    const branch = bytes[position];
    if (branch === 0) return position + 1;
    if (branch === 2) return value(bytes, position + 1);
    throw new UndecodableError(branch === undefined ? TRUNCATED : "an unknown branch of a union");
  };
}

/** Blocks of a map or an array. Every item of our schemas takes at least one byte, so no honest count exceeds the bytes left. */
function walkBlocks(item: Walk): Walk {
  return (bytes, position) => {
    let next = position;
    for (;;) {
      const count = readLength(bytes, next, true);
      next = skipVarint(bytes, next, 10);
      if (count === 0) return next;
      // A negative count is followed by the block's size in bytes, which other writers use to skip.
      if (count < 0) next = skipVarint(bytes, next, 10);
      const items = Math.abs(count);
      if (items > bytes.length - next) throw new UndecodableError("a block claims more items than there are bytes");
      for (let i = 0; i < items; i += 1) next = item(bytes, next);
    }
  };
}

function walkBytes(bytes: Uint8Array, position: number): number {
  return inside(bytes, skipVarint(bytes, position, 10), readLength(bytes, position, false));
}

function walkText(bytes: Uint8Array, position: number): number {
  let length = bytes[position] ?? 0;
  let start = position + 1;
  if (length >= 0x80) {
    length = readLength(bytes, position, false);
    start = skipVarint(bytes, position, 10);
  } else {
    if ((length & 1) === 1) throw new UndecodableError("a negative length");
    length >>>= 1;
  }
  const end = inside(bytes, start, length);
  let all = 0;
  for (let i = start; i < end; i += 1) all |= bytes[i] ?? 0;
  if (all >= 0x80 && !isUtf8(bytes.subarray(start, end))) throw new UndecodableError("a text that is not UTF-8");
  return end;
}

function inside(bytes: Uint8Array, position: number, length: number): number {
  const end = position + length;
  if (end > bytes.length) throw new UndecodableError(TRUNCATED);
  return end;
}

function skipVarint(bytes: Uint8Array, position: number, most: number): number {
  let next = position;
  while ((bytes[next] ?? 0) >= 0x80) next += 1;
  if (next >= bytes.length) throw new UndecodableError(TRUNCATED);
  if (next - position >= most) throw new UndecodableError("a number with too many bytes");
  return next + 1;
}

/** A zigzag number as a length or count; anything beyond 2^31 is more than a message can hold. */
function readLength(bytes: Uint8Array, position: number, maybeNegative: boolean): number {
  let value = 0;
  let factor = 1;
  for (let next = position; ; next += 1) {
    const byte = bytes[next];
    if (byte === undefined) throw new UndecodableError(TRUNCATED);
    value += (byte & 0x7f) * factor;
    if (byte < 0x80) break;
    factor *= 128;
    if (factor > 2 ** 35) throw new UndecodableError("a length or count beyond any message");
  }
  const negative = value % 2 === 1;
  if (negative && !maybeNegative) throw new UndecodableError("a negative length");
  return negative ? -(value + 1) / 2 : value / 2;
}

const TRUNCATED = "the message ends too early";
