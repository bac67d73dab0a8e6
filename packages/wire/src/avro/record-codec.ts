/**
 * Records to bytes and back by Avro: the only file that knows avsc.
 *
 * Works around what avsc 5.7 gets wrong: longs are read as 64-bit integers and refused beyond 2^53 instead of being rounded,
 * its error texts (which fail on BigInt) are never used, and nothing is decoded before the guard has walked the bytes.
 * A field that is absent in TypeScript is `null` in Avro; no decoded body contains a null.
 */
import avro from "avsc";
import { fingerprint } from "./fingerprint.ts";
import { guardFor, UndecodableError } from "./guard.ts";
import type { AvroRecord, AvroType, TopicRecord } from "./schema.ts";

/** Bytes before the body: the magic C3 01 and eight bytes of fingerprint, little-endian. */
export const HEADER_BYTES = 10;

export interface RecordCodec {
  readonly schema: TopicRecord;
  readonly fingerprint: string;
  /** Single-object encoding. Throws a TypeError naming the field that does not fit. */
  encode(body: object, maxBytes: number): Uint8Array;
  /** The body of single-object bytes that this codec's schema wrote. Throws an `UndecodableError`. */
  decode(bytes: Uint8Array): object;
}

/** Codec of one record. With `reader`, decodes into the fields of that newer schema. */
export function recordCodec(schema: TopicRecord, reader: TopicRecord = schema): RecordCodec {
  const type = typeOf(schema);
  const readerType = reader === schema ? type : typeOf(reader);
  const resolver = reader === schema ? undefined : readerType.createResolver(type);
  const id = fingerprint(canonicalForm(schema));
  const header = headerOf(id);
  const guard = guardFor(schema);
  const toBody = bodyOf(reader, new Map());
  const kind = reader.kind;
  const hasBytes = schema.fields.some((field) => field.type === "bytes");

  return {
    schema,
    fingerprint: id,
    encode(body, maxBytes) {
      const record = hasBytes ? withBuffers(body) : body;
      let end: number;
      try {
        end = type.encode(record, scratch, HEADER_BYTES);
        if (end < 0) end = type.encode(record, grow(HEADER_BYTES + scratch.length - end, maxBytes), HEADER_BYTES);
      } catch (error) {
        if (error instanceof RangeError) throw error;
        throw new TypeError(`the body does not fit ${schema.name}: ${misfits(type, record)}`, { cause: error });
      }
      if (end > maxBytes) throw tooLarge(end, maxBytes);
      scratch.set(header, 0);
      return Buffer.from(scratch.subarray(0, end));
    },
    decode(bytes) {
      guard(bytes, HEADER_BYTES);
      const buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      let record: Record<string, unknown>;
      try {
        record = readerType.decode(buffer, HEADER_BYTES, resolver).value as Record<string, unknown>;
      } catch (error) {
        throw new UndecodableError(error instanceof ValueError ? error.message : `the bytes are no ${schema.name}`);
      }
      return toBody(record, kind);
    },
  };
}

/** Parsing canonical form: what the fingerprint is taken of. */
export function canonicalForm(schema: AvroRecord): string {
  return JSON.stringify(typeOf(schema).schema());
}

let scratch: Buffer = Buffer.allocUnsafe(64 * 1024);

function grow(needed: number, maxBytes: number): Buffer {
  if (needed > maxBytes) throw tooLarge(needed, maxBytes);
  scratch = Buffer.allocUnsafe(Math.min(2 * needed, Math.max(maxBytes, needed)));
  return scratch;
}

function tooLarge(bytes: number, maxBytes: number): RangeError {
  return new RangeError(`the message takes ${bytes} bytes, more than ${maxBytes}`);
}

function headerOf(id: string): Buffer {
  return Buffer.from([0xc3, 0x01, ...Buffer.from(id, "hex").toReversed()]);
}

function withBuffers(body: object): object {
  return Object.fromEntries(
    Object.entries(body).map(([name, value]) => [
      name,
      value instanceof Uint8Array ? Buffer.from(value.buffer, value.byteOffset, value.byteLength) : value,
    ]),
  );
}

/** Names the fields that do not fit; never their values. */
function misfits(type: avro.Type, record: object): string {
  const paths: string[] = [];
  try {
    type.isValid(record, { errorHook: (path) => paths.push(path.join(".")) });
  } catch {
    return "it cannot be read";
  }
  return paths.length === 0 ? "unknown field values" : `wrong or missing ${paths.join(", ")}`;
}

function typeOf(schema: AvroRecord): avro.Type {
  return avro.Type.forSchema(structuredClone(schema) as unknown as avro.Schema, {
    wrapUnions: "never",
    omitRecordMethods: true,
    logicalTypes: { "rerate-choice": ChoiceType },
    typeHook: (part) => ((typeof part === "string" ? part : (part as { type?: unknown }).type) === "long" ? safeLong : undefined),
  });
}

class ValueError extends Error {}

/** 64-bit integers as numbers; beyond 2^53 they are refused, since a number would round them. */
const safeLong: avro.Type = avro.types.LongType.__with({
  fromBuffer: (buffer: Buffer) => {
    const value = Number(buffer.readBigInt64LE());
    if (!Number.isSafeInteger(value)) throw new ValueError("an integer beyond 2^53");
    return value;
  },
  toBuffer: (value: number) => {
    if (!Number.isSafeInteger(value)) throw new ValueError("not a safe integer");
    const buffer = Buffer.allocUnsafe(8);
    buffer.writeBigInt64LE(BigInt(value));
    return buffer;
  },
  fromJSON: Number,
  toJSON: (value: number) => value,
  isValid: Number.isSafeInteger,
  compare: (a: number, b: number) => Math.sign(a - b),
});

/** A closed set of texts. */
class ChoiceType extends avro.types.LogicalType {
  readonly #values: ReadonlySet<unknown>;

  constructor(schema: avro.Schema, options?: unknown) {
    super(schema, options);
    this.#values = new Set((schema as unknown as { values: readonly string[] }).values);
  }

  override _fromValue(value: unknown): unknown {
    if (!this.#values.has(value)) throw new ValueError("a text outside its closed set");
    return value;
  }

  override _toValue(value: unknown): unknown {
    return this.#values.has(value) ? value : undefined;
  }

  /** An older schema's text, choice or not, is checked against today's set. */
  override _resolve(writer: avro.Type): ((value: unknown) => unknown) | undefined {
    const isText = writer instanceof ChoiceType || writer.typeName === "string";
    return isText ? (value) => this._fromValue(value) : undefined;
  }
}

type ToBody = (record: Record<string, unknown>, kind: string | undefined) => Record<string, unknown>;

/** Makes plain objects of decoded records: absent instead of null, with the kind that the schema stands for. */
function bodyOf(schema: AvroRecord, named: Map<string, ToBody>): ToBody {
  const fields = schema.fields.map((field) => ({ name: field.name, convert: conversionOf(field.type, named) }));
  const toBody: ToBody = (record, kind) => {
    const body: Record<string, unknown> = kind === undefined ? {} : { kind };
    for (const { name, convert } of fields) {
      const value = record[name];
      if (value !== null) body[name] = convert === undefined ? value : convert(value);
    }
    return body;
  };
  named.set(schema.name, toBody);
  return toBody;
}

function conversionOf(type: AvroType, named: Map<string, ToBody>): ((value: unknown) => unknown) | undefined {
  if (typeof type === "string") {
    const known = named.get(type);
    return known === undefined ? undefined : (value) => known(value as Record<string, unknown>, undefined);
  }
  if ("length" in type) return conversionOf(type[1], named);
  if (type.type === "record") {
    const convert = bodyOf(type, named);
    return (value) => convert(value as Record<string, unknown>, undefined);
  }
  const convert = type.type === "array" ? conversionOf(type.items, named) : undefined;
  return convert === undefined ? undefined : (value) => (value as unknown[]).map((item) => convert(item));
}
