import type { Instant } from "@rerate/money";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fingerprint } from "./avro/fingerprint.ts";
import { recordCodec } from "./avro/record-codec.ts";
import type { AvroType, TopicRecord } from "./avro/schema.ts";
import { KNOWN_SCHEMAS } from "./generated/schemas.ts";
import { MAX_MESSAGE_BYTES, MAX_PARKED_BYTES, topicCodec, topicNames, UndecodableError, type Topic } from "./topics.ts";

/** Any value of a field, as TypeScript sees it; undefined for an absent one. */
function valueOf(type: AvroType, named: Map<string, fc.Arbitrary<unknown>>): fc.Arbitrary<unknown> {
  if (typeof type === "string") {
    if (type === "string") return fc.string({ unit: "grapheme" });
    if (type === "bytes") return fc.uint8Array().map((bytes) => Buffer.from(bytes));
    if (type === "int") return fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
    if (type === "long") return fc.maxSafeInteger();
    return named.get(type) ?? fc.boolean();
  }
  if ("length" in type) return fc.option(valueOf(type[1], named), { nil: undefined });
  if (type.type === "record") return recordOf(type, named);
  if (type.type === "array") return fc.array(valueOf(type.items, named), { maxLength: 5 });
  if (type.type === "map")
    return fc.dictionary(
      fc.string().filter((key) => key !== "__proto__"),
      fc.string(),
      { noNullPrototype: true },
    );
  return type.logicalType === "rerate-choice" ? fc.constantFrom(...type.values) : fc.constant("2026-03-01T09:30:00.000000000Z");
}

function recordOf(
  schema: Pick<TopicRecord, "name" | "fields">,
  named = new Map<string, fc.Arbitrary<unknown>>(),
): fc.Arbitrary<object> {
  const fields = schema.fields.map((field) => [field.name, valueOf(field.type, named)] as const);
  const record = fc.record(Object.fromEntries(fields)).map(withoutAbsent);
  named.set(schema.name, record);
  return record;
}

function withoutAbsent(record: Record<string, unknown>): object {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined));
}

const current = KNOWN_SCHEMAS.filter((known) => known.current);

describe.each(current.map(({ schema }) => [schema.name, schema] as const))("%s", (_name, schema) => {
  const bodies = recordOf(schema).map((body) => (schema.kind === undefined ? body : { kind: schema.kind, ...body }));

  test("comes back from bytes as it was, on every topic it travels on", () => {
    for (const topic of schema.topics as readonly Topic[]) {
      const codec = topicCodec(topic);
      fc.assert(
        fc.property(bodies, (body) => {
          expect(codec.decode(codec.encode(body))).toEqual(body);
        }),
        { numRuns: 60 },
      );
    }
  });

  test("is refused when bytes are missing, trailing or foreign, and never by anything but a clear error", () => {
    const codec = topicCodec(schema.topics[0] as Topic);
    fc.assert(
      fc.property(bodies, fc.nat(), fc.uint8Array({ minLength: 1 }), (body, cut, more) => {
        const bytes = codec.encode(body);
        expect(() => codec.decode(bytes.subarray(0, cut % bytes.length))).toThrow(UndecodableError);
        expect(() => codec.decode(Buffer.concat([bytes, more]))).toThrow(UndecodableError);
      }),
      { numRuns: 60 },
    );
  });

  test("with any bytes changed either decodes or says that it does not", () => {
    const codec = topicCodec(schema.topics[0] as Topic);
    fc.assert(
      fc.property(bodies, fc.nat(), fc.nat(255), (body, at, value) => {
        const bytes = Buffer.from(codec.encode(body));
        bytes[at % bytes.length] = value;
        let thrown: unknown;
        try {
          codec.decode(bytes);
        } catch (error) {
          thrown = error;
        }
        expect(thrown === undefined || thrown instanceof UndecodableError).toBe(true);
      }),
      { numRuns: 200 },
    );
  });
});

const usage = {
  kind: "usage",
  ns: "default",
  account: "acme",
  source: "api",
  id: "req-1",
  occurredAt: "2026-03-01T09:30:00.000000000Z",
  receivedAt: "2026-03-01T09:30:01.000000000Z",
  contentHash: "1:abc",
  type: "llm.completion",
  quantities: { input_tokens: "812" },
  dimensions: {},
};

describe("poison", () => {
  const codec = topicCodec("usage.accepted");
  const decodeHead = (body: readonly number[]) => {
    const head = codec.encode(usage).subarray(0, 10);
    return () => codec.decode(Buffer.concat([head, Buffer.from(body)]));
  };

  test("a block that claims a billion items is refused before anything is allocated", () => {
    const known = current.find(({ schema }) => schema.name === "LedgerEntriesMessage");
    const ledger = topicCodec("ledger.entries");
    const sane = Buffer.from(
      ledger.encode({
        kind: "ledger-entries",
        ns: "d",
        account: "a",
        sourceStream: "s",
        sourceRevision: 1,
        number: 1,
        wallet: "w",
        occurredAt: usage.occurredAt,
        entries: [],
      }),
    );
    expect(known).toBeDefined();
    const bomb = Buffer.concat([sane.subarray(0, -1), Buffer.from([0x80, 0xa8, 0xd6, 0xb9, 0x07])]);
    expect(() => ledger.decode(bomb)).toThrow(/more items than there are bytes/);
  });

  test("says why bytes are no message", () => {
    const good = Buffer.from(codec.encode(usage));
    const foreign = Buffer.from(topicCodec("contract.changed").encode({ ns: "d", account: "a", sourceRevision: 1 }));
    expect(() => codec.decode(Buffer.of())).toThrow(/single-object/);
    expect(() => codec.decode(Buffer.from("{}"))).toThrow(/single-object/);
    expect(() => codec.decode(Buffer.concat([Buffer.of(0), good.subarray(1)]))).toThrow(/single-object/);
    expect(() => codec.decode(foreign)).toThrow(/does not know/);
    expect(() => codec.decode(Buffer.alloc(MAX_MESSAGE_BYTES + 1))).toThrow(/more than/);
    expect(decodeHead([0x01])).toThrow(/negative length/);
    expect(decodeHead([0x04, 0xff, 0xfe])).toThrow(/not UTF-8/);
    expect(decodeHead([0xff, 0xff, 0xff, 0xff, 0xff, 0xff])).toThrow(UndecodableError);
  });

  test("an integer beyond 2^53 is refused, not rounded", () => {
    const standing = topicCodec("contract.changed");
    const bytes = Buffer.from(standing.encode({ ns: "", account: "", sourceRevision: Number.MAX_SAFE_INTEGER }));
    expect(standing.decode(bytes).sourceRevision).toBe(Number.MAX_SAFE_INTEGER);
    for (const beyond of [-(2n ** 53n) - 1n, 2n ** 53n, 2n ** 63n - 1n, -(2n ** 63n), 1_772_357_400_000_000_000n]) {
      expect(() => standing.decode(Buffer.concat([bytes.subarray(0, 12), zigzag(beyond)]))).toThrow(/beyond 2\^53/);
    }
    expect(standing.decode(Buffer.concat([bytes.subarray(0, 12), zigzag(-(2n ** 52n) - 1n)])).sourceRevision).toBe(
      -(2 ** 52) - 1,
    );
  });

  test("a text outside its closed set is refused both ways", () => {
    const standing = topicCodec("account.standing");
    const body = { ns: "d", wallet: "w", standing: "good", unit: "USD", balanceAtoms: "1", sourceStream: "s", sourceRevision: 0 };
    const bytes = Buffer.from(standing.encode(body));
    expect(() => standing.encode({ ...body, standing: "fine" })).toThrow(/standing/);
    expect(() => standing.decode(Buffer.from(bytes.toString("latin1").replace("good", "fine"), "latin1"))).toThrow(/closed set/);
  });

  test("a body that does not fit names the fields and never their values", () => {
    const wrong = { ...usage, account: 5n, quantities: { input_tokens: 812 } };
    expect(() => codec.encode(wrong)).toThrow(/account.*quantities/);
    expect(() => codec.encode({ ...usage, kind: "other" })).toThrow(/kind/);
    expect(() => codec.encode(null)).toThrow(/object/);
    expect(() => codec.encode({ ...usage, parent: "x".repeat(MAX_MESSAGE_BYTES) })).toThrow(RangeError);
    expect(codec.decode(codec.encode({ ...usage, parent: "x".repeat(200_000) }))).toMatchObject({ parent: "x".repeat(200_000) });
  });
});

test("a parked message holds one that is itself too long, with its headers", () => {
  const codec = topicCodec("parked");
  const parkedAt = "2026-03-01T09:30:00.000000000Z" as Instant;
  const text = { id: "i", service: "s", ns: "n", account: "a", topic: "t", reason: "too-large", detail: "d", key: "k" };
  const record = { ...text, parkedAt, bytes: Buffer.alloc(10_000_000, 7), headers: { ce_id: "x" } };
  const { bytes, ...others } = codec.decode(codec.encode(record));
  expect(record.bytes.equals(bytes)).toBe(true);
  expect({ ...others, bytes: undefined }).toEqual({ ...record, bytes: undefined });
  expect(() => codec.encode({ ...record, bytes: Buffer.alloc(MAX_PARKED_BYTES) })).toThrow(RangeError);
});

describe("the catalogue of schemas", () => {
  test("fingerprints as the Avro specification does", () => {
    expect([fingerprint('"null"'), fingerprint('"int"')]).toEqual(["63dd24e7cc258f8a", "7275d51a3f395c8f"]);
  });

  test("names each schema by its own fingerprint, and every topic has one", () => {
    for (const known of KNOWN_SCHEMAS) expect(recordCodec(known.schema).fingerprint).toBe(known.fingerprint);
    expect(topicNames()).toHaveLength(12);
  });

  test("reads what an older schema wrote into today's fields", () => {
    const today: TopicRecord = {
      type: "record",
      name: "Trial",
      topics: ["trial"],
      fields: [
        { name: "id", type: "string" },
        { name: "more", type: ["null", "string"], default: null },
      ],
    };
    const old: TopicRecord = { ...today, fields: today.fields.slice(0, 1) };
    const bytes = recordCodec(old).encode({ id: "x" }, 1000);
    expect(recordCodec(old, today).decode(bytes)).toEqual({ id: "x" });
    expect(recordCodec(old).fingerprint).not.toBe(recordCodec(today).fingerprint);
  });
});

function zigzag(value: bigint): Buffer {
  let rest = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n));
  const bytes: number[] = [];
  while (rest >= 0x80n) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  return Buffer.from([...bytes, Number(rest)]);
}
