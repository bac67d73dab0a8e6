import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { CostReported, SignalReported, UsageReported } from "../generated/topics.ts";
import { toCostFact } from "../http/cost.ts";
import { doorAt } from "../http/door.ts";
import { toSignal } from "../http/signal.ts";
import { toUsageFact } from "../http/usage-fact.ts";
import { MAX_MESSAGE_BYTES, topicCodec } from "../topics.ts";
import { readReported, type IntakeDoor, type NotTaken } from "./read-reported.ts";
import { reportedCodec, type Reported, type ReportedTopic } from "./reported.ts";

const door = doorAt("default", Date.parse("2026-03-01T12:00:00Z"));
const intake: IntakeDoor = { now: door.now, latest: door.latest };

const event = {
  specversion: "1.0",
  type: "llm.completion",
  source: "api",
  id: "req-1",
  subject: "acme",
  time: "2026-03-01T09:30:00Z",
  data: { model: "gpt-4o", provider: "openai", input_tokens: 812, output_tokens: "204.0", feature: "chat", outcome: "o-1" },
};
const usageBody: UsageReported = {
  kind: "usage",
  source: "api",
  id: "req-1",
  account: "acme",
  type: "llm.completion",
  occurredAt: "2026-03-01T10:30:00+01:00",
  provider: "openai",
  model: "gpt-4o",
  quantities: { input_tokens: "812", output_tokens: "204" },
  dimensions: { feature: "chat" },
  outcome: "o-1",
};
const cost = {
  source: "bill",
  id: "c-1",
  account: "acme",
  amount: "1.2e-7",
  currency: "USD",
  about: { source: "api", id: "req-1" },
};
const costBody: CostReported = { kind: "cost", ...cost };
const signal = { source: "api", id: "s-1", account: "acme", outcome: "req-1", signal: "quality", value: 0.75, confidence: "0.5" };
const signalBody: SignalReported = {
  kind: "signal",
  source: "api",
  id: "s-1",
  account: "acme",
  outcome: { id: "req-1" },
  signal: "quality",
  value: "0.75",
  confidence: "0.5",
};

const STRUCTURED = { "content-type": "application/cloudevents+json; charset=UTF-8" };

function json(value: unknown, headers: Reported["headers"] = {}): Reported {
  return { bytes: Buffer.from(JSON.stringify(value)), headers };
}

function avro(topic: ReportedTopic, body: object, headers: Reported["headers"] = {}): Reported {
  return { bytes: topicCodec(topic).encode(body), headers };
}

/** A CloudEvent in binary mode: attributes in headers. */
function binary({ data, ...attributes }: Record<string, unknown>, contentType = "application/json"): Reported {
  const headers = Object.fromEntries(Object.entries(attributes).map(([name, value]) => [`ce_${name}`, String(value)]));
  return json(data, { ...headers, "content-type": contentType });
}

function asEvent({ source, id, account, ...data }: Record<string, unknown>, type: string): Record<string, unknown> {
  return { specversion: "1.0", source, id, subject: account, type, data };
}

function factsOf(topic: ReportedTopic, reported: Reported, given: IntakeDoor = intake): readonly object[] {
  const read = readReported(topic, reported, given);
  if (!("facts" in read)) throw new Error(`${read.reason}: ${read.detail}`);
  return read.facts;
}

function refusalOf(topic: ReportedTopic, reported: Reported, given: IntakeDoor = intake): NotTaken {
  const read = readReported(topic, reported, given);
  if ("facts" in read) throw new Error("it was taken");
  return read;
}

describe("a fact is the same fact as over HTTP", () => {
  const usageOverHttp = toUsageFact(event, door);
  const costOverHttp = toCostFact(cost, door);
  const signalOverHttp = toSignal(signal, door);

  test.each<[string, Reported]>([
    ["as a structured CloudEvent", json(event, STRUCTURED)],
    ["as a CloudEvent without a header", json(event)],
    ["as a batch of one", json([event], { "content-type": "application/cloudevents-batch+json" })],
    ["as a CloudEvent in binary mode", binary(event)],
    ["as Avro", avro("usage.reported", usageBody)],
  ])("%s, a usage", (_, reported) => {
    expect(factsOf("usage.reported", reported)).toEqual([usageOverHttp]);
  });

  test.each<[string, Reported]>([
    ["as HTTP takes it", json(cost)],
    ["as a structured CloudEvent", json(asEvent(cost, "rerate.cost"), STRUCTURED)],
    ["as a CloudEvent in binary mode", binary(asEvent(cost, "rerate.cost"))],
    ["as Avro", avro("usage.reported", costBody)],
  ])("%s, a cost", (_, reported) => {
    expect(factsOf("usage.reported", reported)).toEqual([(costOverHttp as { fact: object }).fact]);
  });

  test.each<[string, Reported]>([
    ["as HTTP takes it", json(signal)],
    ["as a structured CloudEvent of any type", json(asEvent(signal, "com.acme.answer.rated.v1"), STRUCTURED)],
    ["as a CloudEvent in binary mode", binary(asEvent(signal, "rerate.signal"))],
    ["as Avro", avro("signal.reported", signalBody)],
  ])("%s, a signal", (_, reported) => {
    expect(factsOf("signal.reported", reported)).toEqual([(signalOverHttp as { fact: object }).fact]);
  });

  test("a correction, of usage and of a cost, and a signal about another source's outcome", () => {
    const corrects = { id: "req-0" };
    const fix = { ...event, id: "fix-1", data: { input_tokens: 0, corrects, revision: 1 } };
    const { outcome: _outcome, provider: _provider, model: _model, ...plain } = usageBody;
    const avroFix = { ...plain, id: "fix-1", quantities: { input_tokens: "0" }, dimensions: {}, corrects, revision: 1 };
    expect(factsOf("usage.reported", avro("usage.reported", avroFix))).toEqual([toUsageFact(fix, door, { correction: true })]);
    const costFix = { ...cost, id: "c-2", corrects: { source: "bill", id: "c-1" }, revision: 1 };
    const overHttp = toCostFact(costFix, door) as { fact: object };
    expect(factsOf("usage.reported", avro("usage.reported", { kind: "cost", ...costFix }))).toEqual([overHttp.fact]);
    const foreign = { ...signal, outcome: { source: "web", id: "req-1" } };
    const body = { ...signalBody, outcome: foreign.outcome };
    expect(factsOf("signal.reported", avro("signal.reported", body))).toEqual([
      (toSignal(foreign, door) as { fact: object }).fact,
    ]);
  });

  test("any usage, in every form", () => {
    const text = fc.stringMatching(/^[a-zé]{1,8}$/);
    const name = fc.stringMatching(/^k_[a-z.]{1,8}$/);
    const usage = fc.record({
      id: text,
      account: text,
      time: fc.option(fc.constantFrom("2026-03-01T09:30:00Z", "2026-02-01T09:30:00.123456789+02:00"), { nil: undefined }),
      model: fc.option(text, { nil: undefined }),
      quantities: fc.dictionary(name, fc.integer({ min: 0, max: 1e9 }).map(String), { maxKeys: 4 }),
      dimensions: fc.dictionary(name, text, { maxKeys: 4 }),
      attempt: fc.option(fc.integer({ min: 1, max: 9 }), { nil: undefined }),
    });
    fc.assert(
      fc.property(usage, ({ id, account, time, model, quantities, dimensions, attempt }) => {
        const data = {
          quantities,
          dimensions,
          ...(model === undefined ? {} : { model }),
          ...(attempt === undefined ? {} : { attempt }),
        };
        const sent = {
          specversion: "1.0",
          source: "api",
          type: "t",
          id,
          subject: account,
          data,
          ...(time === undefined ? {} : { time }),
        };
        const body = {
          kind: "usage",
          source: "api",
          type: "t",
          id,
          account,
          ...data,
          ...(time === undefined ? {} : { occurredAt: time }),
        };
        const expected = [toUsageFact(sent, door)];
        for (const reported of [json(sent), json(sent, STRUCTURED), binary(sent), avro("usage.reported", body)])
          expect(factsOf("usage.reported", reported)).toEqual(expected);
      }),
      { numRuns: 100 },
    );
  });
});

describe("forms", () => {
  test("binary mode takes texts as they are, data without a content type as JSON, and no data at all", () => {
    expect(factsOf("usage.reported", binary({ ...event, id: "réq 100%41" }))).toMatchObject([{ id: "réq 100%41" }]);
    const { "content-type": _, ...untyped } = binary(event).headers;
    expect(factsOf("usage.reported", { ...binary(event), headers: untyped })).toHaveLength(1);
    expect(factsOf("usage.reported", { bytes: Buffer.alloc(0), headers: untyped })).toMatchObject([
      { id: "req-1", quantities: {} },
    ]);
  });

  test("a batch is taken as a whole or not at all", () => {
    expect(factsOf("usage.reported", json([event, { ...event, id: "req-2" }]))).toMatchObject([{ id: "req-1" }, { id: "req-2" }]);
    expect(refusalOf("usage.reported", json([event, { ...event, id: "" }]))).toMatchObject({
      reason: "malformed",
      detail: expect.stringMatching(/^\/1\/id /) as string,
      account: "acme",
    });
    expect(refusalOf("usage.reported", json([])).detail).toContain("without events");
    expect(refusalOf("usage.reported", json(Array.from({ length: 1_001 }, () => 1))).detail).toContain("more than 1000");
  });

  test.each<[string, Reported, string, RegExp]>([
    ["nothing", { bytes: Buffer.alloc(0), headers: {} }, "malformed", /empty/],
    ["no JSON", { bytes: Buffer.from("{"), headers: {} }, "malformed", /no JSON/],
    ["bytes", { bytes: Buffer.from([0xff, 1, 2]), headers: {} }, "unknown-format", /neither Avro/],
    ["a registry's framing", { bytes: Buffer.from([0, 0, 0, 0, 1, 2]), headers: {} }, "unknown-format", /single-object/],
    [
      "another CloudEvents format",
      json(event, { "content-type": "application/cloudevents+avro" }),
      "unknown-format",
      /only JSON/,
    ],
    ["binary data of another type", binary(event, "text/xml"), "unknown-format", /application\/json/],
    ["an unknown schema", { bytes: Buffer.from("c3010102030405060708", "hex"), headers: {} }, "malformed", /does not know/],
    ["a schema of another topic", avro("signal.reported", signalBody), "malformed", /does not know/],
    ["too much", { bytes: Buffer.alloc(MAX_MESSAGE_BYTES + 1, 0x20), headers: {} }, "too-large", /1000001 bytes/],
    ["a number", json(7), "malformed", /./],
    ["an event without its version", json({ ...event, specversion: undefined }), "malformed", /specversion/],
    ["binary mode without an id", binary({ ...event, id: "" }), "malformed", /\/id/],
    ["a signal on the topic for usage", json(asEvent(signal, "rerate.signal")), "malformed", /signal\.reported/],
    ["a prompt", json({ ...event, data: { prompt: "top secret" } }), "malformed", /\/data\/prompt/],
    ["a fact from the future", json({ ...event, time: "2030-01-01T00:00:00Z" }), "malformed", /future/],
  ])("%s is not taken", (_, reported, reason, detail) => {
    const refusal = refusalOf("usage.reported", reported);
    expect(refusal).toMatchObject({ reason, detail: expect.stringMatching(detail) as string });
    expect(JSON.stringify(refusal)).not.toContain("top secret");
  });

  test("a cost or signal as an event says where it is wrong", () => {
    const wrong = { ...asEvent({ ...cost, amount: 1 }, "rerate.cost"), prompt: "x", specversion: "0.3" };
    const { detail } = refusalOf("usage.reported", json(wrong));
    for (const pointer of ["/specversion", "/prompt", "/data/amount"]) expect(detail).toContain(pointer);
    const clash = asEvent(signal, "rerate.signal");
    expect(refusalOf("signal.reported", json({ ...clash, data: { ...signal } })).detail).toContain("/data/account");
    expect(refusalOf("signal.reported", json({ ...clash, subject: 7 })).detail).toContain("/subject");
    expect(refusalOf("signal.reported", json({ ...clash, data: 7 })).detail).toContain("/data must be an object");
    expect(refusalOf("signal.reported", json(asEvent(cost, "rerate.cost"))).detail).toContain("usage.reported");
  });

  test("a map key that no object can hold is not lost without a word", () => {
    const named = avro("usage.reported", { ...usageBody, dimensions: { xxprotoxx: "v" } });
    const bytes = Buffer.from(Buffer.from(named.bytes).toString("latin1").replace("xxprotoxx", "__proto__"), "latin1");
    expect(refusalOf("usage.reported", { bytes, headers: {} })).toMatchObject({ reason: "malformed" });
  });
});

describe("namespaces", () => {
  test.each<[string, Reported]>([
    ["the header", json(event, { "rerate-ns": "shop" })],
    ["the event's attribute", json({ ...event, reratens: "shop" })],
    ["its short form", json({ ...event, ns: "shop" }, { "rerate-ns": "shop" })],
    ["a header in binary mode", binary({ ...event, reratens: "shop" })],
    ["the Avro field", avro("usage.reported", { ...usageBody, ns: "shop" })],
    ["a cost's field", json({ ...cost, ns: "shop" })],
    ["a cost's Avro field", avro("usage.reported", { ...costBody, ns: "shop" })],
  ])("come from %s, and are no part of the content", (_, reported) => {
    const [fact] = factsOf("usage.reported", reported);
    const inDefault = [toUsageFact(event, door), (toCostFact(cost, door) as { fact: object }).fact];
    expect(inDefault).toContainEqual({ ...fact, ns: "default" });
    expect(fact).toMatchObject({ ns: "shop" });
  });

  test("that contradict each other, or are no text, refuse the message", () => {
    expect(refusalOf("usage.reported", json({ ...event, ns: "a" }, { "rerate-ns": "b" })).detail).toContain("several namespaces");
    expect(refusalOf("usage.reported", json({ ...event, ns: "" }))).toMatchObject({ reason: "malformed", ns: "default" });
  });

  test("outside the list are foreign, and filed where the intake's own operators see them", () => {
    const only = { ...intake, namespaces: new Set(["shop"]) };
    expect(factsOf("usage.reported", json({ ...event, ns: "shop" }), only)).toMatchObject([{ ns: "shop" }]);
    expect(refusalOf("usage.reported", json(event), only)).toMatchObject({
      reason: "foreign-namespace",
      ns: "shop",
      account: "",
    });
    const mixed = json([
      { ...event, ns: "shop" },
      { ...event, ns: "other" },
    ]);
    expect(refusalOf("usage.reported", mixed, only)).toMatchObject({
      reason: "foreign-namespace",
      detail: expect.stringContaining("other") as string,
    });
    expect(refusalOf("usage.reported", json({ ...event, ns: "shop", id: "" }), only)).toMatchObject({
      ns: "shop",
      account: "acme",
    });
  });
});

describe("hostile bytes", () => {
  const headers = fc.dictionary(
    fc.constantFrom("content-type", "rerate-ns", "ce_id", "ce_source", "ce_type", "ce_specversion", "ce_data", "ce___proto__"),
    fc.oneof(fc.string(), fc.constantFrom("1.0", "application/json", "application/cloudevents+json", "a")),
  );

  test("are never more than a refusal", () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.json().map((text) => Buffer.from(text)),
      fc.json().map((text) => Buffer.from(text.replace("{", '{"specversion":"1.0",'))),
      fc.object().map((data) => json({ ...event, data }).bytes),
      fc.object().map((more) => json({ ...event, ...more }).bytes),
      fc.object().map((more) => json({ ...cost, ...more }).bytes),
      fc.tuple(fc.nat(), fc.nat(255)).map(([at, value]) => {
        const changed = Buffer.from(avro("usage.reported", usageBody).bytes);
        changed[10 + (at % (changed.length - 10))] = value;
        return changed;
      }),
    );
    fc.assert(
      fc.property(bytes, headers, fc.constantFrom<ReportedTopic>("usage.reported", "signal.reported"), (some, more, topic) => {
        const read = readReported(topic, { bytes: some, headers: more }, intake);
        if ("facts" in read)
          for (const fact of read.facts)
            topicCodec(topic === "usage.reported" ? "usage.accepted" : "signal.accepted").encode(fact);
        else expect(read.detail.length).toBeGreaterThan(0);
      }),
      { numRuns: 2_000 },
    );
  });

  test("cost no more than their length", () => {
    const header = Buffer.from(avro("usage.reported", usageBody).bytes).subarray(0, 10);
    const bomb = Buffer.concat([header, Buffer.from("0200".repeat(4), "hex"), Buffer.from("0080a8d6b90780a8d6b907", "hex")]);
    expect(refusalOf("usage.reported", { bytes: bomb, headers: {} })).toMatchObject({ reason: "malformed" });
    const started = performance.now();
    const deep = Buffer.from("[".repeat(MAX_MESSAGE_BYTES));
    const closed = Buffer.from(`${"[".repeat(400_000)}${"]".repeat(400_000)}`);
    const nested = Buffer.from(`{"specversion":"1.0","data":${'{"a":'.repeat(100_000)}1${"}".repeat(100_000)}}`);
    const wide = json({ ...event, data: Object.fromEntries(Array.from({ length: 60_000 }, (_, n) => [`k${n}`, "v"])) });
    const many = json(Array.from({ length: 300_000 }, () => 1));
    for (const bytes of [deep, closed, nested, wide.bytes, many.bytes]) {
      for (const topic of ["usage.reported", "signal.reported"] as const) {
        const refusal = refusalOf(topic, { bytes, headers: {} });
        expect(refusal.detail.length).toBeLessThan(2_100);
      }
    }
    expect(performance.now() - started).toBeLessThan(10_000);
  });
});

test("an engine without headers carries the bytes alone", () => {
  const reported = json(event);
  expect(reportedCodec.decode(reportedCodec.encode(reported))).toEqual(reported);
  expect(() => reportedCodec.encode(binary(event))).toThrow(TypeError);
});
