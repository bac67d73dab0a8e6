/**
 * The topics and their codecs: single-object Avro, each message naming its writer schema by fingerprint.
 *
 * Owns which bytes are a message of a topic. Every schema that ever wrote one stays in the catalogue
 * (`schemas/generated/catalogue.json`), so every message ever written decodes into today's fields.
 */
import { UndecodableError } from "./avro/guard.ts";
import { HEADER_BYTES, recordCodec, type RecordCodec } from "./avro/record-codec.ts";
import { KNOWN_SCHEMAS } from "./generated/schemas.ts";
import type { TopicBodies } from "./generated/topics.ts";

export { UndecodableError } from "./avro/guard.ts";

export type Topic = keyof TopicBodies;

export interface TopicCodec<Body> {
  /** Throws a TypeError for a body that is no message of the topic, naming the fields. */
  readonly encode: (body: unknown) => Uint8Array;
  /** Throws an `UndecodableError` for bytes that are no message of the topic. */
  readonly decode: (bytes: Uint8Array) => Body;
}

/** Longer messages are neither written nor read. Kafka's own default limit is about the same. */
export const MAX_MESSAGE_BYTES = 1_000_000;

/** A parked message holds another one, which was perhaps parked because it is too long. */
export const MAX_PARKED_BYTES = 16_000_000;

/** The codec of a topic. Built once per topic; cheap to ask for again. */
export function topicCodec<Name extends Topic>(topic: Name): TopicCodec<TopicBodies[Name]> {
  let codec = codecs.get(topic);
  if (codec === undefined) {
    codec = buildCodec(topic);
    codecs.set(topic, codec);
  }
  return codec as TopicCodec<TopicBodies[Name]>;
}

export function topicNames(): Topic[] {
  return [...new Set(KNOWN_SCHEMAS.flatMap(({ schema }) => schema.topics as readonly Topic[]))];
}

const codecs = new Map<Topic, TopicCodec<unknown>>();

function buildCodec(topic: Topic): TopicCodec<unknown> {
  const known = KNOWN_SCHEMAS.filter(({ schema }) => schema.topics.includes(topic));
  const current = known.filter((one) => one.current);
  const writers = new Map(current.map(({ schema }) => [schema.kind, recordCodec(schema)]));
  const readers = new Map<number, RecordCodec>();
  for (const { schema, current: isCurrent } of known) {
    const writer = isCurrent ? writers.get(schema.kind) : undefined;
    const codec = writer ?? recordCodec(schema, current.find((one) => one.schema.name === schema.name)?.schema);
    readers.set(lowHalf(codec.fingerprint), codec);
  }
  const maxBytes = topic === "parked" ? MAX_PARKED_BYTES : MAX_MESSAGE_BYTES;
  const only = writers.size === 1 ? [...writers.values()][0] : undefined;

  return {
    encode(body) {
      if (typeof body !== "object" || body === null) throw new TypeError(`a message of ${topic} is an object`);
      const { kind } = body as { kind?: unknown };
      const codec = only ?? writers.get(kind as string);
      if (codec === undefined || (kind !== undefined && kind !== codec.schema.kind))
        throw new TypeError(`${topic} has no messages of this kind`);
      return codec.encode(body, maxBytes);
    },
    decode(bytes) {
      if (bytes.length > maxBytes) throw new UndecodableError(`the message takes ${bytes.length} bytes, more than ${maxBytes}`);
      if (bytes.length < HEADER_BYTES || bytes[0] !== 0xc3 || bytes[1] !== 0x01) {
        throw new UndecodableError("no Avro single-object message: it does not start with C3 01 and a fingerprint");
      }
      const codec = readers.get(littleEndian(bytes, 2));
      if (codec === undefined || littleEndian(bytes, 6) !== highHalf(codec.fingerprint)) {
        throw new UndecodableError(`written by a schema that ${topic} does not know`);
      }
      return codec.decode(bytes);
    },
  };
}

function littleEndian(bytes: Uint8Array, at: number): number {
  return (((bytes[at + 3] ?? 0) << 24) | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at] ?? 0)) >>> 0;
}

function highHalf(id: string): number {
  return Number.parseInt(id.slice(0, 8), 16);
}

function lowHalf(id: string): number {
  return Number.parseInt(id.slice(8), 16);
}
