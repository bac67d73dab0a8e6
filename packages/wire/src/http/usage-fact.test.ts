import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { topicCodec } from "../topics.ts";
import { doorAt } from "./door.ts";
import { toUsageFact } from "./usage-fact.ts";
import { usageEventProblems } from "./usage-event.ts";

const door = doorAt("default", Date.parse("2026-03-01T12:00:00Z"));

const event = {
  specversion: "1.0",
  type: "llm.completion",
  source: "api",
  id: "req-1",
  subject: "acme",
  time: "2026-03-01T10:30:00+01:00",
  data: {
    model: "gpt-4o",
    provider: "openai",
    input_tokens: 812,
    cached_input_tokens: "512",
    output_tokens: "204.0",
    feature: "chat",
  },
};

const withData = (data: unknown) => ({ ...event, data });
const pointers = (value: unknown) => usageEventProblems(value, door).map(({ pointer }) => pointer);

describe("a usage event", () => {
  test("becomes a fact with canonical quantities, dimensions and time", () => {
    expect(toUsageFact(event, door)).toMatchObject({
      kind: "usage",
      ns: "default",
      account: "acme",
      source: "api",
      id: "req-1",
      occurredAt: "2026-03-01T09:30:00.000000000Z",
      receivedAt: "2026-03-01T12:00:00.000000000Z",
      model: "gpt-4o",
      quantities: { cached_input_tokens: "512", input_tokens: "812", output_tokens: "204" },
      dimensions: { feature: "chat" },
    });
  });

  test("takes quantities and dimensions flat or by name, decimals where nothing is counted", () => {
    const flat = toUsageFact(withData({ requests: 1, tier: "gold", quantities: { audio_seconds: "1.50" } }), door);
    const named = toUsageFact(
      withData({ quantities: { requests: "1", audio_seconds: 1.5 }, dimensions: { tier: "gold" } }),
      door,
    );
    expect(flat).toEqual(named);
    expect(flat?.quantities).toEqual({ audio_seconds: "1.5", requests: "1" });
  });

  test("without a time happened now, and that is not part of its content", () => {
    const { time: _, ...untimed } = event;
    const first = toUsageFact(untimed, door);
    const again = toUsageFact(untimed, doorAt("default", Date.parse("2026-03-01T13:00:00Z")));
    expect(first?.occurredAt).toBe(door.now);
    expect(again?.occurredAt).not.toBe(first?.occurredAt);
    expect(again?.contentHash).toBe(first?.contentHash);
    expect(toUsageFact(event, door)?.contentHash).not.toBe(first?.contentHash);
  });

  test("may correct another one, under the same source unless it says so", () => {
    const fact = toUsageFact(withData({ input_tokens: 1, corrects: { id: "req-0" }, revision: 2 }), door, { correction: true });
    expect(fact).toMatchObject({ corrects: { source: "api", id: "req-0" }, revision: 2 });
    expect(toUsageFact(event, door, { correction: true })).toBeUndefined();
    expect(usageEventProblems(event, door, { correction: true })).toMatchObject([{ pointer: "/data/corrects" }]);
  });

  test.each([
    [{ input_tokens: -1 }, "/data/input_tokens"],
    [{ input_tokens: 1.5 }, "/data/input_tokens"],
    [{ input_tokens: 2 ** 60 }, "/data/input_tokens"],
    [{ input_tokens: "1000000000000000" }, "/data/input_tokens"],
    [{ input_tokens: true }, "/data/input_tokens"],
    [{ quantities: { image_tokens: "0.5" } }, "/data/quantities/image_tokens"],
    [{ quantities: { seconds: "1.0000000001" } }, "/data/quantities/seconds"],
    [{ input_tokens: 10, cached_input_tokens: 6, cache_write_tokens: 5 }, "/data/input_tokens"],
    [{ cached_input_tokens: 1 }, "/data/input_tokens"],
    [{ input_tokens: 1, quantities: { input_tokens: 1 } }, "/data/quantities/input_tokens"],
    [{ total: 5 }, "/data/total"],
    [{ flag: true }, "/data/flag"],
    [{ nested: { a: 1 } }, "/data/nested"],
    [{ feature: "x".repeat(257) }, "/data/feature"],
    [{ feature: "a\nb" }, "/data/feature"],
    [{ prompt: "hello" }, "/data/prompt"],
    [{ Messages: [] }, "/data/Messages"],
    [{ dimensions: { completion: "hi" } }, "/data/dimensions/completion"],
    [{ "gen_ai.input.messages": "hi" }, "/data/gen_ai.input.messages"],
    [JSON.parse('{"__proto__": "x"}'), "/data/__proto__"],
    [{ dimensions: { constructor: "x" } }, "/data/dimensions/constructor"],
    [{ quantities: JSON.parse('{"__proto__": 1}') as object }, "/data/quantities/__proto__"],
    [{ attempt: 0 }, "/data/attempt"],
    [{ corrects: { id: "req-0" } }, "/data/revision"],
    [{ revision: 1 }, "/data/revision"],
    [{ corrects: { id: "req-1" }, revision: 1 }, "/data/corrects"],
    [Object.fromEntries(Array.from({ length: 33 }, (_, n) => [`d${n}`, "x"])), "/data/dimensions"],
    [[], "/data"],
    ["text", "/data"],
  ])("with data %j is refused at %s", (data, pointer) => {
    expect(toUsageFact(withData(data), door)).toBeUndefined();
    expect(pointers(withData(data))).toContain(pointer);
  });

  test.each([
    [{ ...event, specversion: "0.3" }, "/specversion"],
    [{ ...event, id: "" }, "/id"],
    [{ ...event, subject: undefined }, "/subject"],
    [{ ...event, time: "yesterday" }, "/time"],
    [{ ...event, time: "2026-03-01T13:00:01Z" }, "/time"],
    [{ ...event, time: "1999-12-31T23:59:59Z" }, "/time"],
    [{ ...event, data_base64: "aGk=" }, "/data_base64"],
    [{ ...event, prompt: "hello" }, "/prompt"],
    [{ ...event, extension: { a: 1 } }, "/extension"],
    [null, ""],
    [[event], ""],
  ])("like %j is refused at %s", (value, pointer) => {
    expect(toUsageFact(value, door)).toBeUndefined();
    expect(pointers(value)).toContain(pointer);
  });

  test("lists all problems at once", () => {
    expect(pointers({ ...event, id: 7, data: { input_tokens: -1, prompt: "x", attempt: 1.5 } }).length).toBeGreaterThanOrEqual(4);
  });

  test("never repeats what a refused field said", () => {
    const problems = usageEventProblems(withData({ prompt: "top secret", feature: "top secret\n" }), door);
    expect(JSON.stringify(problems)).not.toContain("top secret");
  });

  test("fits its topic", () => {
    const codec = topicCodec("usage.accepted");
    expect(codec.decode(codec.encode(toUsageFact(event, door)))).toEqual(toUsageFact(event, door));
  });
});

const oddText = fc.oneof(
  fc.string({ maxLength: 8 }),
  fc.constantFrom("", "x".repeat(256), "x".repeat(257), "a\u0000", "\ud800", "é✓"),
);
const oddNumber = fc.oneof(
  fc.integer({ min: -2, max: 20 }),
  fc.double(),
  fc.constantFrom(2 ** 53, 1e15, 1e15 - 1, 0.1, 1e-7, -0),
);
const decimalText = fc.constantFrom(
  "0",
  "12",
  "12.0",
  "012",
  "1.5",
  "-1",
  "1e3",
  "",
  "999999999999999",
  "1000000000000000",
  "0.123456789",
  ".5",
);
const leaf = fc.oneof(oddText, oddNumber, decimalText, fc.boolean(), fc.constant(null));
const nameKey = fc.constantFrom(
  "feature",
  "key",
  "seconds",
  "image_tokens",
  "requests",
  "prompt",
  "constructor",
  "__proto__",
  "a b",
  "x.y",
  "input_tokens",
  "output",
);
const anything = fc.oneof(
  { weight: 4, arbitrary: leaf },
  { weight: 1, arbitrary: fc.dictionary(nameKey, leaf, { maxKeys: 3 }) },
  { weight: 1, arbitrary: fc.array(leaf, { maxLength: 2 }) },
);
const goodQuantity = fc.oneof(fc.nat(1000), fc.constantFrom("7", "12.0", "500"));

const dataArbitrary = fc.record(
  {
    model: fc.oneof({ weight: 4, arbitrary: fc.constant("gpt-4o") }, { weight: 1, arbitrary: anything }),
    input_tokens: fc.oneof({ weight: 4, arbitrary: goodQuantity }, { weight: 1, arbitrary: anything }),
    cached_input_tokens: fc.oneof({ weight: 4, arbitrary: goodQuantity }, { weight: 1, arbitrary: anything }),
    cache_write_tokens: fc.oneof({ weight: 4, arbitrary: goodQuantity }, { weight: 1, arbitrary: anything }),
    requests: fc.oneof({ weight: 4, arbitrary: goodQuantity }, { weight: 1, arbitrary: anything }),
    attempt: fc.oneof(fc.nat(3), fc.constantFrom(null, 1_000_001, 1.5, "1")),
    revision: fc.oneof(fc.nat(3), fc.constantFrom(null, "1")),
    corrects: fc.oneof(
      fc.record(
        { id: fc.constantFrom("req-0", "req-1", "", 1), source: fc.constantFrom("api", "x", null, 3) },
        { requiredKeys: [] },
      ),
      fc.constantFrom(null, "req-0", { id: "req-0", more: 1 }),
    ),
    quantities: fc.oneof(fc.dictionary(nameKey, fc.oneof(goodQuantity, leaf), { maxKeys: 3 }), anything),
    dimensions: fc.oneof(fc.dictionary(nameKey, oddText, { maxKeys: 3 }), anything),
    feature: fc.oneof({ weight: 4, arbitrary: fc.constant("chat") }, { weight: 1, arbitrary: anything }),
    tier: anything,
    prompt: anything,
    "a b": anything,
  },
  { requiredKeys: [] },
);

const eventArbitrary = fc
  .record({
    base: fc.constant(event),
    change: fc.record(
      {
        id: fc.oneof({ weight: 3, arbitrary: fc.constant("req-1") }, { weight: 1, arbitrary: anything }),
        source: fc.oneof({ weight: 3, arbitrary: fc.constant("api") }, { weight: 1, arbitrary: anything }),
        time: fc.constantFrom(
          "2026-03-01T10:30:00Z",
          null,
          "2026-03-01T13:00:00.000000001Z",
          "2026-03-01T13:00:00Z",
          "soon",
          5,
          "1999-12-31T23:59:59Z",
        ),
        datacontenttype: fc.constantFrom("application/json", null, 5),
        traceparent: anything,
        data: fc.oneof({ weight: 6, arbitrary: dataArbitrary }, { weight: 1, arbitrary: anything }),
      },
      { requiredKeys: [] },
    ),
  })
  .map(({ base, change }) => ({ ...base, ...change }));

describe("the fast reader and the schema", () => {
  test("give the same verdict on any event, good or bad", () => {
    let good = 0;
    fc.assert(
      fc.property(
        fc.oneof({ weight: 9, arbitrary: eventArbitrary }, { weight: 1, arbitrary: anything }),
        fc.boolean(),
        (value, correction) => {
          const fact = toUsageFact(value, door, { correction });
          const problems = usageEventProblems(value, door, { correction });
          if (fact !== undefined) good += 1;
          expect(problems.length === 0).toBe(fact !== undefined);
        },
      ),
      { numRuns: 5000 },
    );
    expect(good).toBeGreaterThan(50);
  });

  test("see the same in a batch that went through JSON", () => {
    fc.assert(
      fc.property(eventArbitrary, (value) => {
        const parsed: unknown = JSON.parse(JSON.stringify(value));
        expect(toUsageFact(parsed, door) === undefined).toBe(usageEventProblems(parsed, door).length > 0);
      }),
      { numRuns: 1000 },
    );
  });
});

describe("the content hash", () => {
  const shuffled = (value: object, seed: number) => {
    const keys = Object.keys(value).map((key, index) => [key, (index * 7919 + seed) % 101] as const);
    const ordered = keys.toSorted((a, b) => a[1] - b[1]).map(([key]) => [key, (value as Record<string, unknown>)[key]]);
    return Object.fromEntries(ordered) as typeof value;
  };
  const full = {
    ...event.data,
    outcome: "o-1",
    attempt: 2,
    parent: "req-0",
    corrects: { source: "api", id: "req-0" },
    revision: 1,
    quantities: { seconds: "2", images: 1 },
    dimensions: { key: "k1", user: "u1" },
  };

  test("does not depend on the order of keys, nor on how a number is written", () => {
    const hash = toUsageFact(withData(full), door)?.contentHash;
    expect(hash).toMatch(/^1:[A-Za-z0-9_-]{43}$/);
    fc.assert(
      fc.property(fc.nat(100), (seed) => {
        expect(toUsageFact(shuffled({ ...event, data: shuffled(full, seed) }, seed), door)?.contentHash).toBe(hash);
      }),
    );
    expect(toUsageFact(withData({ ...full, input_tokens: "812.0" }), door)?.contentHash).toBe(hash);
  });

  test("changes with every field of the content, and not with the identity", () => {
    const variants: unknown[] = [
      withData(full),
      { ...withData(full), type: "llm.embedding" },
      { ...withData(full), time: "2026-03-01T09:30:00.000000001Z" },
      ...Object.entries({
        model: "other",
        provider: "other",
        input_tokens: 813,
        output_tokens: 205,
        cached_input_tokens: 511,
        feature: "search",
        outcome: "o-2",
        attempt: 3,
        parent: "req-00",
        corrects: { source: "api", id: "req-00" },
        revision: 2,
        quantities: { seconds: "3", images: 1 },
        dimensions: { key: "k1", user: "u2" },
      }).map(([name, value]) => withData({ ...full, [name]: value })),
      ...Object.keys(full)
        .filter((name) => name !== "corrects" && name !== "revision")
        .map((name) => withData({ ...full, [name]: null })),
    ];
    const hashes = variants.map((variant) => toUsageFact(variant, door)?.contentHash);
    // Nulling cached_input_tokens etc. leaves a valid event, so no hash is undefined; nulling input_tokens does not.
    const valid = hashes.filter((hash) => hash !== undefined);
    expect(valid.length).toBe(hashes.length - 1);
    expect(new Set(valid).size).toBe(valid.length);
    const elsewhere = toUsageFact({ ...withData(full), id: "req-9", subject: "other" }, door);
    expect(elsewhere?.contentHash).toBe(hashes[0]);
  });
});
