import { partitionKey } from "@rerate/ledger";
import {
  doorAt,
  intakeDoorAt,
  readReported,
  toCostFact,
  toSignal,
  toUsageFact,
  type ReportedTopic,
  type UsageDataBody,
} from "@rerate/wire";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Trouble, Undelivered } from "./facts.ts";
import { createKafkaEmitter, keyOf, type KafkaBatch, type KafkaEmitterOptions } from "./kafka-emitter.ts";

const NOW = "2026-03-01T09:30:00.000000000Z";

/** A producer that does as the next of these says; the last one stands for all that follow. */
function producer(...answers: ((batch: KafkaBatch) => unknown)[]) {
  const sent: KafkaBatch[] = [];
  const send = async (batch: KafkaBatch): Promise<unknown> => {
    const answer = answers[Math.min(sent.length, answers.length - 1)];
    sent.push(batch);
    return answer?.(batch);
  };
  return { sent, send };
}

const down = () => {
  throw new Error("no broker");
};

function emitterOn(send: KafkaEmitterOptions["send"], more: Partial<KafkaEmitterOptions> = {}) {
  const troubles: Trouble[] = [];
  const undelivered: Undelivered[] = [];
  const emitter = createKafkaEmitter({
    source: "api",
    send,
    now: () => NOW,
    lingerMs: 2,
    pauseMs: 1,
    maxPauseMs: 2,
    onTrouble: (trouble) => troubles.push(trouble),
    onUndelivered: (one) => undelivered.push(one),
    ...more,
  });
  return { emitter, troubles, undelivered };
}

const usage = (
  n: number,
  data: UsageDataBody = { model: "gpt-4o", input_tokens: n, feature: "chat", quantities: { seconds: 1.5 } },
) => ({
  id: `req-${n}`,
  account: "ac/me",
  data,
});

/** What the intake makes of everything that was sent. */
function factsOf(sent: readonly KafkaBatch[]): object[] {
  return sent.flatMap(({ topic, messages }) =>
    messages.flatMap(({ value, headers }) => {
      const bytes = Buffer.from(value as string);
      const read = readReported(topic as ReportedTopic, { bytes, headers }, intakeDoorAt(NOW, NOW));
      if (!("facts" in read)) throw new Error(read.detail);
      return read.facts;
    }),
  );
}

describe.each(["json", "avro"] as const)("the Kafka emitter in %s", (encoding) => {
  test("sends what the intake reads as the facts that HTTP would have taken", async () => {
    const { sent, send } = producer();
    const { emitter } = emitterOn(send, { encoding });
    emitter.usage(usage(1));
    emitter.usage(usage(2, { input_tokens: 0, corrects: { id: "req-1" }, revision: 1, attempt: 2 }));
    emitter.signal({ id: "s-1", account: "ac/me", outcome: "req-1", signal: "quality", value: 0.75, confidence: "0.50" });
    emitter.signal({ id: "s-2", account: "ac/me", outcome: { source: "web", id: "x" }, signal: "edit" });
    emitter.cost({ id: "c-1", account: "ac/me", amount: "1.2e-7", currency: "USD", about: { source: "api", id: "req-1" } });
    expect(await emitter.flush()).toEqual({ waiting: 0, sent: 5, refused: 0, dropped: 0 });
    const door = doorAt("default", Date.parse(NOW));
    const event = (n: number, data: object) => ({
      specversion: "1.0",
      type: "llm.completion",
      source: "api",
      id: `req-${n}`,
      subject: "ac/me",
      time: NOW,
      data,
    });
    const known = { source: "api", account: "ac/me", time: NOW };
    const signal = { ...known, id: "s-1", outcome: "req-1", signal: "quality", value: "0.75", confidence: 0.5 };
    const edit = { ...known, id: "s-2", outcome: { source: "web", id: "x" }, signal: "edit" };
    const cost = { ...known, id: "c-1", amount: "1.2e-7", currency: "USD", about: { source: "api", id: "req-1" } };
    const expected = [
      toUsageFact(event(1, usage(1).data), door),
      toUsageFact(event(2, { input_tokens: 0, corrects: { id: "req-1" }, revision: 1, attempt: 2 }), door),
      ...[toSignal(signal, door), toSignal(edit, door), toCostFact(cost, door)].map((read) => "fact" in read && read.fact),
    ];
    const facts = factsOf(sent);
    expect(facts).toHaveLength(5);
    for (const fact of expected) expect(facts).toContainEqual(fact);
    expect(new Set(sent.map(({ topic }) => topic))).toEqual(new Set(["usage.reported", "signal.reported"]));
    expect(sent[0]?.messages[0]?.key).toBe(partitionKey("default", "ac/me"));
  });

  test("names its namespace", async () => {
    const { sent, send } = producer();
    const { emitter } = emitterOn(send, { encoding, namespace: "shop" });
    emitter.usage(usage(1));
    await emitter.flush();
    expect(factsOf(sent)).toMatchObject([{ ns: "shop" }]);
    expect(sent[0]?.messages[0]?.key).toBe(partitionKey("shop", "ac/me"));
  });
});

describe("the Kafka emitter", () => {
  test("sends the same batch again until it is through, in order, also when the producer never answers", async () => {
    const never = async () => new Promise(() => undefined);
    const { sent, send } = producer(down, never, () => undefined);
    const { emitter, troubles } = emitterOn(send, { timeoutMs: 10, maxBatch: 2 });
    for (let n = 1; n <= 3; n += 1) emitter.usage(usage(n));
    expect(await emitter.flush()).toMatchObject({ sent: 3, waiting: 0 });
    expect(sent.map(({ messages }) => messages.length)).toEqual([2, 2, 2, 1]);
    expect(sent[2]).toEqual(sent[0]);
    expect(troubles.map(({ kind }) => kind)).toEqual(["retrying", "retrying"]);
  });

  test("makes smaller batches where the broker says so, and gives up one fact that never fits", async () => {
    const tooLarge = Object.assign(new Error("wrapped"), { cause: { type: "MESSAGE_TOO_LARGE" } });
    const { send } = producer(({ messages }) => {
      if (messages.length > 1 || String(messages[0]?.value).includes("req-2")) throw tooLarge;
    });
    const { emitter, undelivered } = emitterOn(send);
    for (let n = 1; n <= 3; n += 1) emitter.usage(usage(n));
    expect(await emitter.flush()).toMatchObject({ sent: 2, refused: 1 });
    expect(undelivered).toMatchObject([{ reason: "refused", facts: [{ body: { id: "req-2" } }] }]);
  });

  test("gives up what cannot be encoded, and sends the rest of the batch", async () => {
    const { sent, send } = producer();
    const { emitter, troubles } = emitterOn(send, { encoding: "avro" });
    emitter.usage(usage(1, { prompt: "x" }));
    emitter.usage(usage(2));
    emitter.signal({ id: "s-1", account: "acme", outcome: "o", signal: "not a name" });
    emitter.cost({ id: "c-1", account: "acme", amount: "a lot", currency: "USD" });
    expect(await emitter.flush()).toMatchObject({ sent: 1, refused: 3 });
    expect(troubles.map((one) => (one.kind === "refused" ? one.detail : ""))).toContainEqual(
      expect.stringContaining("/data/prompt"),
    );
    expect(factsOf(sent)).toMatchObject([{ id: "req-2" }]);
    const long = emitterOn(send);
    long.emitter.usage(usage(3, { feature: "x".repeat(1_000_001) }));
    expect(await long.emitter.flush()).toMatchObject({ refused: 1 });
  });

  test("keeps a bounded queue while Kafka is down and hands over what is left at the end", async () => {
    const { emitter, undelivered } = emitterOn(producer(down).send, { maxQueue: 2 });
    for (let n = 1; n <= 3; n += 1) emitter.usage(usage(n));
    expect(await emitter.close(20)).toMatchObject({ waiting: 2, sent: 0, dropped: 1 });
    expect(undelivered.map(({ reason, facts }) => `${reason} ${facts.length}`)).toEqual(["queue-full 1", "closed 2"]);
  });
});

test("every fact ends as sent, given up or still waiting, whatever the producer does, and the counts say so", async () => {
  const answer = fc.constantFrom("ok", "down", "too large", "late");
  await fc.assert(
    fc.asyncProperty(
      fc.array(answer, { maxLength: 12 }),
      fc.integer({ min: 1, max: 30 }),
      fc.integer({ min: 1, max: 7 }),
      async (answers, facts, maxBatch) => {
        const script = answers.values();
        const delivered: string[] = [];
        const send = async ({ messages }: KafkaBatch): Promise<void> => {
          const next = script.next().value ?? "ok";
          if (next === "down") throw new Error("no broker");
          if (next === "too large") throw Object.assign(new Error("too large"), { code: 10 });
          if (next === "late") await new Promise(() => undefined);
          for (const { value } of messages) delivered.push((JSON.parse(String(value)) as { id: string }).id);
        };
        const options = { maxBatch, maxQueue: 20, timeoutMs: 3, pauseMs: 0, maxPauseMs: 0 };
        const { emitter, undelivered } = emitterOn(send, options);
        for (let n = 1; n <= facts; n += 1) emitter.usage(usage(n));
        const counts = await emitter.close(5_000);
        const given = undelivered.flatMap((one) => one.facts.map(({ body }) => body.id));
        expect(new Set([...delivered, ...given]).size).toBe(facts);
        expect(delivered).toEqual([...new Set(delivered)].toSorted((a, b) => Number(a.slice(4)) - Number(b.slice(4))));
        expect(counts.sent + counts.refused + counts.dropped + counts.waiting).toBe(facts);
        expect(counts).toMatchObject({ sent: delivered.length, waiting: 0, dropped: Math.max(0, facts - 20) });
      },
    ),
    { numRuns: 50 },
  );
});

test("keys are the ledger's", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), fc.string({ unit: "grapheme" }), (ns, account) => {
      expect(keyOf(ns, account)).toBe(partitionKey(ns, account));
    }),
  );
});
