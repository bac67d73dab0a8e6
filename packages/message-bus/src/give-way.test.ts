/**
 * Who waits for whom when messages come faster than they are handled: for a while, never for good.
 */
import { expect, test } from "vitest";
import { SUITE_CODEC } from "./conformance.ts";
import { createMemoryBus } from "./memory.ts";
import type { LogEvent, LogReader, Message } from "./port.ts";

const NOW = "2026-01-01T00:00:00.000000000Z";
/** Messages or events that are far more than anybody may be ahead. */
const MANY = 9_000;

function messages(count: number): Message[] {
  return Array.from({ length: count }, (_, index) => ({ key: "k", shard: 0, body: { index } }));
}

/** Time that only passes when the test says so; tasks without a delay run at once. */
function slowTime() {
  const pauses: { readonly task: () => void; readonly delayMs: number }[] = [];
  return {
    defer(task: () => void, delayMs: number) {
      if (delayMs === 0) setImmediate(task);
      else if (delayMs < 100) pauses.push({ task, delayMs });
    },
    pauses,
    async pass(milliseconds: number) {
      for (let passed = 0; passed < milliseconds && pauses.length > 0;) {
        const next = pauses.shift();
        passed += next?.delayMs ?? 0;
        next?.task();
        await turn();
      }
    },
  };
}

async function turn(): Promise<void> {
  for (let turns = 0; turns < 4; turns++) await new Promise((resolve) => setImmediate(resolve));
}

test("a publisher far ahead of a consumer waits, keeps its order, and is let through when the consumer stands still", async () => {
  const time = slowTime();
  const topics = [{ name: "t", partitions: 1, codec: SUITE_CODEC }];
  const bus = createMemoryBus({ topics, now: () => NOW, defer: time.defer });
  const consumer = bus.consume({ group: "g", topics: ["t"], onChunk: () => new Promise(() => undefined) });
  await bus.publish("t", messages(MANY));
  const done: string[] = [];
  const first = bus.publish("t", messages(1)).then(() => done.push("first"));
  const second = bus.publish("t", messages(1)).then(() => done.push("second"));
  await turn();
  expect(done).toEqual([]);
  await time.pass(1_000);
  await Promise.all([first, second]);
  expect(done).toEqual(["first", "second"]);
  consumer.done.catch(() => undefined);
});

test("a publisher does not wait where nobody consumes", async () => {
  const time = slowTime();
  const bus = createMemoryBus({ topics: [{ name: "t", partitions: 1, codec: SUITE_CODEC }], now: () => NOW, defer: time.defer });
  await bus.publish("t", messages(MANY));
  await bus.publish("t", messages(1));
  expect(time.pauses).toEqual([]);
});

test("what doors publish is handled later while readers of the log are far behind, but it is handled", async () => {
  const time = slowTime();
  const events = Array.from({ length: MANY }, (_, index): LogEvent => {
    const position = String(index + 1);
    return { stream: "s-1", revision: index, type: "E", data: "{}", metadata: "{}", position };
  });
  const log: LogReader = {
    readAll: async ({ after, maxCount }) => {
      const start = Number(after ?? 0);
      const page = events.slice(start, start + maxCount);
      return { events: page, next: page.at(-1)?.position ?? after, end: start + page.length === events.length };
    },
    onAppended: () => () => undefined,
  };
  const bus = createMemoryBus({
    topics: [{ name: "t", partitions: 1, codec: SUITE_CODEC }],
    logTopics: [{ topic: "view", streamPrefix: "s-", partitions: 1, messagesOf: () => [{ key: "k", shard: 0, body: {} }] }],
    log,
    now: () => NOW,
    defer: time.defer,
  });
  bus.consume({ group: "slow", topics: ["view"], onChunk: () => new Promise(() => undefined) });
  await turn();
  const handled: number[] = [];
  bus.consume({
    group: "g",
    topics: ["t"],
    onChunk: async (chunk) => {
      handled.push(chunk.messages.length);
    },
  });
  await bus.publish("t", messages(1));
  await turn();
  const scannedFarAhead = time.pauses.length > 0;
  expect({ scannedFarAhead, handled }).toEqual({ scannedFarAhead: true, handled: [] });
  await time.pass(1_000);
  expect(handled).toEqual([1]);
});
