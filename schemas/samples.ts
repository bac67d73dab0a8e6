/**
 * Stored samples of every schema that ever wrote a message: `schemas/samples/{topic}.{record}.{fingerprint}.json`.
 *
 * A sample is written once, by the codec of its day, and never again; a test decodes all of them with today's code. So a change
 * that makes an old message unreadable, or read differently, fails before it is released.
 */
import { recordCodec } from "../packages/wire/src/avro/record-codec.ts";
import type { AvroRecord, AvroType, KnownSchema } from "../packages/wire/src/avro/schema.ts";
import { MAX_MESSAGE_BYTES } from "../packages/wire/src/topics.ts";

export interface SampleFile {
  readonly topic: string;
  readonly record: string;
  readonly fingerprint: string;
  /** `bytes` is a whole message in hex, `body` what it decodes to; byte fields of the body stand as `{ "hex": … }`. */
  readonly messages: readonly { readonly bytes: string; readonly body: object }[];
}

/** Path from the root of each topic's sample of a schema, with what a new one would hold. */
export function samplesOf({ schema, fingerprint }: KnownSchema): { readonly path: string; readonly content: () => SampleFile }[] {
  return schema.topics.map((topic) => ({
    path: `schemas/samples/${topic}.${schema.name}.${fingerprint}.json`,
    content: () => ({ topic, record: schema.name, fingerprint, messages: [message(schema, true), message(schema, false)] }),
  }));
}

/** The body of a stored sample as the codec gives it. */
export function bodyOf(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(bodyOf);
  if ("hex" in value && typeof value.hex === "string") return Buffer.from(value.hex, "hex");
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, bodyOf(inner)]));
}

/** A message with every field, or with none that may be absent. */
function message(schema: KnownSchema["schema"], full: boolean): SampleFile["messages"][number] {
  const record = recordOf(schema, full, new Map());
  const body = schema.kind === undefined ? record : { kind: schema.kind, ...record };
  const bytes = Buffer.from(recordCodec(schema).encode(bodyOf(body) as object, MAX_MESSAGE_BYTES)).toString("hex");
  return { bytes, body };
}

function recordOf(schema: AvroRecord, full: boolean, named: Map<string, AvroRecord>): object {
  named.set(schema.name, schema);
  const fields = schema.fields.map(({ name, type }) => [name, valueOf(type, name, full, named)] as const);
  return Object.fromEntries(fields.filter(([, value]) => value !== undefined));
}

function valueOf(type: AvroType, name: string, full: boolean, named: Map<string, AvroRecord>): unknown {
  if (typeof type === "string") return simpleValue(type, name, full, named);
  if ("length" in type) return full ? valueOf(type[1], name, full, named) : undefined;
  if (type.type === "record") return recordOf(type, full, named);
  if (type.type === "map") return full ? { first: `${name} 1`, "second.key": "zweitér 2 €" } : {};
  if (type.type === "array") return full ? [valueOf(type.items, name, true, named), valueOf(type.items, name, false, named)] : [];
  if (type.logicalType === "rerate-instant") return "2026-03-01T09:30:00.000000001Z";
  return full ? type.values[0] : type.values.at(-1);
}

function simpleValue(type: string, name: string, full: boolean, named: Map<string, AvroRecord>): unknown {
  const record = named.get(type);
  if (record !== undefined) return recordOf(record, full, named);
  if (type === "string") return full ? `${name} é€` : "";
  if (type === "bytes") return { hex: full ? "00ff7bc301" : "" };
  if (type === "int") return full ? 2 ** 31 - 1 : -(2 ** 31);
  if (type === "long") return full ? Number.MAX_SAFE_INTEGER : Number.MIN_SAFE_INTEGER;
  if (type === "boolean") return full;
  throw new TypeError(`no sample of ${type}`);
}
