/** What broken and hostile producers may put into a topic: one of every kind, for any topic. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { REPOSITORY } from "../source-files.ts";

export interface Poison {
  readonly what: string;
  readonly key: string | Buffer | null;
  readonly value: Buffer | null;
  readonly packed?: "gzip" | "zstd" | "snappy";
  /** Whether the bytes themselves are parked: a set that cannot be unpacked is parked whole. */
  readonly whole?: true;
}

const HEADER_BYTES = 10;
/** More than a set of messages may unpack to. */
const BOMB_BYTES = 33_000_000;

export function poisonOf(topic: string): readonly Poison[] {
  const sample = sampleOf(topic);
  const header = sample.subarray(0, HEADER_BYTES);
  const unknown = Buffer.from(sample);
  unknown.fill(0x5a, 2, HEADER_BYTES);
  return [
    { what: "half a message", key: "default.acme", value: sample.subarray(0, Math.floor(sample.length / 2)) },
    { what: "an unknown schema", key: "default.acme", value: unknown },
    { what: "a length of two thousand million", key: "default.acme", value: Buffer.concat([header, varint(2_000_000_000)]) },
    { what: "no value", key: "default.acme", value: null },
    { what: "no key", key: null, value: Buffer.from(`no key on ${topic}`) },
    { what: "a key that is no text", key: Buffer.from([0xff, 0xfe, 0x00]), value: Buffer.from(`strange key on ${topic}`) },
    { what: "a key of another shape", key: "a.b.c", value: Buffer.from(`a key of three parts on ${topic}`) },
    { what: "more than a message may have", key: "default.acme", value: Buffer.alloc(1_040_000, 0x20) },
    { what: "a gzip bomb", key: "default.acme", value: Buffer.alloc(BOMB_BYTES), packed: "gzip", whole: true },
    { what: "a zstd bomb", key: "default.acme", value: Buffer.alloc(BOMB_BYTES), packed: "zstd", whole: true },
    { what: "a codec that nobody reads", key: "default.acme", value: Buffer.from("snappy"), packed: "snappy", whole: true },
  ];
}

/** Not for every topic: each parked record of this kind is held by every process. */
export const TEN_MEGABYTES: readonly Poison[] = [
  { what: "ten megabytes, packed", key: "default.acme", value: Buffer.alloc(10_000_000, 0x61), packed: "gzip" },
  { what: "more than can be kept, packed", key: "default.acme", value: Buffer.alloc(20_000_000, 0x62), packed: "zstd" },
];

/** A message with one entry in a map, made to claim a thousand million of them. */
export function countBomb(message: Uint8Array, name: string): Buffer {
  const bytes = Buffer.from(message);
  const entry = Buffer.concat([varint(1), varint(name.length), Buffer.from(name)]);
  const at = bytes.indexOf(entry);
  if (at < 0) throw new Error(`the message has no map with only ${name} in it`);
  return Buffer.concat([bytes.subarray(0, at), varint(1_000_000_000), bytes.subarray(at + 1)]);
}

/** A whole message of the topic, as it was once written. */
function sampleOf(topic: string): Buffer {
  const directory = join(REPOSITORY, "schemas/samples");
  const file = readdirSync(directory).find((name) => name.startsWith(`${topic}.`));
  if (file === undefined) throw new Error(`there is no sample of ${topic}`);
  const { messages } = JSON.parse(readFileSync(join(directory, file), "utf8")) as {
    readonly messages: readonly { readonly bytes: string }[];
  };
  return Buffer.from(messages[0]?.bytes ?? "", "hex");
}

/** As Avro writes whole numbers. */
function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (let rest = BigInt(value) * 2n; ; rest >>= 7n) {
    if (rest < 128n) return Buffer.from([...bytes, Number(rest)]);
    bytes.push(Number(rest & 0x7fn) | 0x80);
  }
}
