/**
 * The suites that engines of the message bus must pass: `describeMessageBus` for every engine, `describeLogTopics` for those
 * that serve topics as views of the log.
 *
 * Nothing is assumed about offsets but that they grow within a partition, and nothing about time but the order of things.
 */
import { describeParked } from "./parked-conformance.ts";
import type { Chunk, ConsumeOptions, Consumer, Message, MessageBus, TopicCodec } from "./port.ts";

/** What the suites need of a test runner; vitest's functions fit. */
export interface TestFunctions {
  readonly describe: (name: string, body: () => void) => void;
  readonly it: (name: string, body: () => Promise<void>) => void;
  readonly expect: (actual: unknown) => { toEqual(expected: unknown): void };
}

/** The published topics that the engine is opened with, all with this codec. */
export const SUITE_TOPICS = ["orders", "payments"] as const;
export const SUITE_PARTITIONS = 4;

/** The topic of hints that the engine is opened with, with the same codec. */
export const SUITE_HINTS = "hints";

/** JSON; but bytes that begin with `!` are no message, so that poison can be published as `{ poison: "..." }`. */
export const SUITE_CODEC: TopicCodec = {
  encode(body) {
    const poison = typeof body === "object" && body !== null && "poison" in body ? body.poison : undefined;
    if (body === "unencodable") throw new TypeError("this body has no bytes");
    return new TextEncoder().encode(typeof poison === "string" ? `!${poison}` : JSON.stringify(body));
  },
  decode(bytes) {
    const text = new TextDecoder().decode(bytes);
    if (text.startsWith("!")) throw new TypeError("this is no message");
    const body: unknown = JSON.parse(text);
    return body;
  },
};

export interface OpenedBus {
  readonly bus: MessageBus;
  /** Closes the bus and opens it again over the same topics and offsets, without anything in memory. */
  readonly reopen: () => Promise<MessageBus>;
  readonly close: () => Promise<void>;
}

/** `now` must be used as the engine's clock: instants as canonical strings. */
export function describeMessageBus(
  { describe, it, expect }: TestFunctions,
  name: string,
  open: (now: () => string) => Promise<OpenedBus>,
): void {
  function test(title: string, body: (opened: OpenedBus & { readonly tick: () => string }) => Promise<void>): void {
    it(title, async () => {
      const clock = createClock();
      const opened = await open(clock.now);
      try {
        await body({ ...opened, tick: clock.tick });
      } finally {
        await opened.close();
      }
    });
  }

  describe(`${name} delivers`, () => {
    test("every message once per group, with its key and body, in partition shard mod count", async ({ bus }) => {
      const messages = numbers(10);
      await bus.publish("orders", messages);
      const [first, second] = [watch(bus, "first"), watch(bus, "second")];
      await first.reached(10);
      await second.reached(10);
      for (const { chunks, consumer } of [first, second]) {
        const received = chunks.flatMap((chunk) => chunk.messages);
        expect(received.map(({ key, content }) => ({ key, content })).sort(byBody)).toEqual(
          messages.map(({ key, body }) => ({ key, content: { kind: "body", body } })).sort(byBody),
        );
        for (const message of messages) {
          const found = received.find(({ content }) => content.kind === "body" && content.body === message.body);
          expect([found?.topic, found?.partition]).toEqual(["orders", message.shard % SUITE_PARTITIONS]);
        }
        for (const chunk of chunks) {
          expect(chunk.messages.length > 0).toEqual(true);
          expect(chunk.messages.every(({ topic, partition }) => topic === chunk.topic && partition === chunk.partition)).toEqual(
            true,
          );
        }
        await consumer.stop();
        expect(await consumer.done).toEqual(undefined);
      }
    });

    test("the messages of a key in the order they were published, with growing offsets", async ({ bus }) => {
      for (let start = 0; start < 60; start += 6) {
        await bus.publish(
          "orders",
          Array.from({ length: 6 }, (_, index) => ({ key: `k${index % 3}`, shard: index % 3, body: start + index })),
        );
      }
      const { chunks, consumer, reached } = watch(bus, "group", { maxChunk: 7 });
      await reached(60);
      const received = chunks.flatMap((chunk) => chunk.messages);
      for (const shard of [0, 1, 2]) {
        const ofKey = received.filter(({ key }) => key === `k${shard}`);
        expect(ofKey.map(bodyOf)).toEqual(
          Array.from({ length: 20 }, (_, index) => Math.floor(index / 2) * 6 + shard + (index % 2) * 3),
        );
        expect(ofKey.every(({ offset }, index) => index === 0 || offset > (ofKey[index - 1]?.offset ?? Infinity))).toEqual(true);
      }
      expect(chunks.every(({ messages }) => messages.length <= 7)).toEqual(true);
      await consumer.stop();
    });

    test("what is published while somebody consumes, on several topics", async ({ bus }) => {
      const { chunks, consumer, reached } = watch(bus, "group", { topics: ["orders", "payments"] });
      await bus.publish("orders", numbers(3));
      await reached(3);
      await Promise.all([bus.publish("payments", numbers(4)), bus.publish("orders", numbers(2))]);
      await reached(9);
      const count = (topic: string) => chunks.filter((chunk) => chunk.topic === topic).flatMap(({ messages }) => messages).length;
      expect([count("orders"), count("payments")]).toEqual([5, 4]);
      await consumer.stop();
    });

    test("one chunk at a time per partition, several partitions at a time", async ({ bus }) => {
      await bus.publish("orders", numbers(16));
      const running = new Map<number, number>();
      let most = 0;
      let overlap = 0;
      const { consumer, reached } = watch(bus, "group", {
        maxChunk: 1,
        async before({ partition }) {
          running.set(partition, (running.get(partition) ?? 0) + 1);
          most = Math.max(most, ...running.values());
          overlap = Math.max(overlap, [...running.values()].filter((count) => count > 0).length);
          await turns(3);
          running.set(partition, (running.get(partition) ?? 0) - 1);
        },
      });
      await reached(16);
      expect([most, overlap > 1]).toEqual([1, true]);
      await consumer.stop();
    });

    test("the same chunk again after a handler has rejected, and other partitions meanwhile", async ({ bus }) => {
      const tried: Chunk[] = [];
      const { chunks, consumer, reached } = watch(bus, "group", {
        async before(chunk) {
          if (chunk.partition !== 1) return;
          tried.push(chunk);
          if (tried.length < 3) throw new Error("not now");
        },
      });
      await bus.publish("orders", numbers(8));
      await reached(8);
      expect(tried.length >= 3).toEqual(true);
      expect(tried[1]).toEqual(tried[0]);
      expect(tried[2]).toEqual(tried[0]);
      expect(chunks.flatMap(({ messages }) => messages.map(bodyOf)).sort(byNumber)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
      await consumer.stop();
    });

    test("bytes that are no message as poison, and goes on", async ({ bus, reopen }) => {
      await bus.publish(
        "orders",
        [1, { poison: "bad" }, 2].map((body) => ({ key: "k", shard: 2, body })),
      );
      const { chunks, consumer, reached } = watch(await reopen(), "group");
      await reached(3);
      expect(chunks.flatMap(({ messages }) => messages.map(({ content }) => content.kind))).toEqual(["body", "poison", "body"]);
      const poison = chunks.flatMap(({ messages }) => messages)[1];
      if (poison?.content.kind !== "poison") throw new Error("the second message is poison");
      expect(new TextDecoder().decode(poison.content.bytes)).toEqual("!bad");
      expect(poison.content.error.includes("this is no message")).toEqual(true);
      expect(poison.key).toEqual("k");
      await consumer.stop();
    });
  });

  describe(`${name} refuses`, () => {
    test("to publish what cannot be encoded, to no topic, or to no shard, as a whole", async ({ bus }) => {
      expect(await rejects(bus.publish("orders", [...numbers(2), { key: "k", shard: 0, body: "unencodable" }]))).toEqual(
        "TypeError",
      );
      expect(await rejects(bus.publish("orders", [{ key: "k", shard: 256, body: 1 }]))).toEqual("RangeError");
      expect(await rejects(bus.publish("nowhere", numbers(1)))).toEqual("Error");
      await bus.publish("orders", []);
      await bus.publish("orders", [{ key: "k", shard: 0, body: "good" }]);
      const { chunks, consumer, reached } = watch(bus, "group");
      await reached(1);
      expect(chunks.flatMap(({ messages }) => messages.map(bodyOf))).toEqual(["good"]);
      await consumer.stop();
    });

    test("everything once it is closed, and has ended its consumers", async ({ bus }) => {
      const { consumer } = watch(bus, "group");
      await bus.close();
      expect(await consumer.done).toEqual(undefined);
      expect(await rejects(bus.publish("orders", numbers(1)))).toEqual("Error");
    });
  });

  describe(`${name} remembers`, () => {
    test("where a group was, when it is opened again", async ({ bus, reopen }) => {
      await bus.publish("orders", numbers(8));
      const before = watch(bus, "group");
      await before.reached(8);
      await before.consumer.stop();
      await bus.publish("orders", numbers(3, 8));
      const again = await reopen();
      const after = watch(again, "group");
      await after.reached(3);
      await turns(20);
      expect(after.chunks.flatMap(({ messages }) => messages.map(bodyOf)).sort(byNumber)).toEqual([8, 9, 10]);
      // Offsets go on growing, also where everything before was trimmed.
      const lastBefore = offsets(before.chunks);
      for (const [partition, offset] of offsets(after.chunks)) expect(offset > (lastBefore.get(partition) ?? -1)).toEqual(true);
      await after.consumer.stop();
    });

    test("what a chunk that was not handled held", async ({ bus, reopen }) => {
      await bus.publish("orders", numbers(4));
      let tries = 0;
      const failing = watch(bus, "group", {
        async before() {
          tries += 1;
          throw new Error("never");
        },
      });
      await until(() => tries >= 4);
      await failing.consumer.stop();
      const after = watch(await reopen(), "group");
      await after.reached(4);
      expect(after.chunks.flatMap(({ messages }) => messages.map(bodyOf)).sort(byNumber)).toEqual([0, 1, 2, 3]);
      await after.consumer.stop();
    });

    test("how far a group lags", async ({ bus, reopen }) => {
      await bus.publish("orders", numbers(4));
      const { consumer, reached } = watch(bus, "group");
      await reached(4);
      await consumer.stop();
      await bus.publish(
        "orders",
        [0, 0, 1].map((shard) => ({ key: "k", shard, body: shard })),
      );
      const expected = [2, 1, 0, 0].map((lag, partition) => ({ topic: "orders", partition, lag }));
      expect(await bus.lag("group")).toEqual(expected);
      const again = await reopen();
      expect(await again.lag("group")).toEqual(expected);
      expect(await again.lag("nobody")).toEqual([]);
    });
  });

  describe(`${name} shares`, () => {
    test("the partitions of a group among its consumers, each message to one of them", async ({ bus }) => {
      const [left, right] = [watch(bus, "group"), watch(bus, "group")];
      await until(() => left.owned.size === 2 && right.owned.size === 2);
      expect([...left.owned, ...right.owned].sort(byNumber)).toEqual([0, 1, 2, 3]);
      await bus.publish("orders", numbers(20));
      await until(() => left.count() + right.count() === 20);
      for (const { chunks, owned } of [left, right]) expect(chunks.every(({ partition }) => owned.has(partition))).toEqual(true);
      await left.consumer.stop();
      await until(() => right.owned.size === 4);
      await bus.publish("orders", numbers(20));
      await until(() => left.count() + right.count() === 40);
      expect(left.count()).toEqual(10);
      await right.consumer.stop();
    });

    test("a partition only after its handler has settled", async ({ bus }) => {
      let finish = () => {};
      const finished = new Promise<void>((resolve) => {
        finish = resolve;
      });
      const first = watch(bus, "group", { before: ({ partition }) => (partition === 1 ? finished : Promise.resolve()) });
      await until(() => first.owned.size === 4);
      await bus.publish("orders", numbers(4));
      await first.reached(3);
      const second = watch(bus, "group");
      await turns(20);
      expect(second.owned.has(1)).toEqual(false);
      expect(first.owned.has(1)).toEqual(true);
      finish();
      await until(() => second.owned.size === 2);
      expect([first.count(), second.count()]).toEqual([4, 0]);
      await Promise.all([first.consumer.stop(), second.consumer.stop()]);
    });
  });

  describe(`${name} knows`, () => {
    test("up to when everything published has been handled here", async ({ bus, tick }) => {
      let finish = () => {};
      const finished = new Promise<void>((resolve) => {
        finish = resolve;
      });
      const { consumer, reached } = watch(bus, "group", {
        before: ({ partition }) => (partition === 3 ? finished : Promise.resolve()),
      });
      expect(consumer.readUpTo("orders")).toEqual(undefined);
      const idle = tick();
      await until(() => (consumer.readUpTo("orders") ?? "") >= idle);
      await bus.publish("orders", numbers(4));
      await reached(3);
      const published = tick();
      await turns(20);
      const stuck = consumer.readUpTo("orders");
      expect(stuck !== undefined && stuck < published).toEqual(true);
      finish();
      await reached(4);
      await until(() => (consumer.readUpTo("orders") ?? "") >= published);
      expect(consumer.readUpTo("elsewhere")).toEqual(undefined);
      await consumer.stop();
    });
  });

  describe(`${name} broadcasts hints`, () => {
    test("to everybody who listens, and to nobody who has stopped", async ({ bus }) => {
      const heard: string[] = [];
      const listen = (who: string) => bus.listen(SUITE_HINTS, (body, key) => heard.push(`${who} ${key} ${String(body)}`));
      const [first, second] = [listen("first"), listen("second")];
      const faulty = bus.listen(SUITE_HINTS, () => {
        throw new Error("not my day");
      });
      // Hints may be lost while a listener is not connected yet, so they are repeated.
      const repeat = async (body: string, wanted: number) => {
        while (new Set(heard.filter((line) => line.endsWith(body))).size < wanted) {
          await bus.publish(SUITE_HINTS, [{ key: "k", shard: 3, body }]);
          await turns(5);
        }
      };
      await repeat("a", 2);
      await first.stop();
      await first.stop();
      await repeat("b", 1);
      await turns(20);
      expect([...new Set(heard)].sort()).toEqual(["first k a", "second k a", "second k b"]);
      await Promise.all([second.stop(), faulty.stop()]);
    });
  });

  describeParked({ it, expect, describe }, name, test);
}

/** Bodies of published numbers, in shards that spread over all partitions. */
function numbers(count: number, from = 0): Message[] {
  return Array.from({ length: count }, (_, index) => ({
    key: `k${(from + index) % 8}`,
    shard: (from + index) % 8,
    body: from + index,
  }));
}

interface WatchOptions {
  readonly topics?: readonly string[];
  readonly maxChunk?: number;
  /** Runs before a chunk counts as received; may reject. */
  readonly before?: (chunk: Chunk) => Promise<void>;
}

export interface Watch<Member extends Consumer> {
  readonly consumer: Member;
  /** Chunks that were handled. */
  readonly chunks: readonly Chunk[];
  readonly owned: ReadonlySet<number>;
  readonly count: () => number;
  /** Resolves once so many messages were handled. */
  readonly reached: (count: number) => Promise<void>;
}

/** A consumer that collects what it gets. */
export function watch<Member extends Consumer>(
  bus: { consume(options: ConsumeOptions): Member },
  group: string,
  { topics = ["orders"], maxChunk, before }: WatchOptions = {},
): Watch<Member> {
  const chunks: Chunk[] = [];
  const owned = new Set<number>();
  const count = () => chunks.reduce((sum, { messages }) => sum + messages.length, 0);
  const consumer = bus.consume({
    group,
    topics,
    ...(maxChunk === undefined ? {} : { maxChunk }),
    async onChunk(chunk) {
      await before?.(chunk);
      chunks.push(chunk);
    },
    onAssigned: (partitions) => partitions.forEach((partition) => owned.add(partition)),
    onRevoked: (partitions) => partitions.forEach((partition) => owned.delete(partition)),
  });
  return { consumer, chunks, owned, count, reached: (wanted) => until(() => count() >= wanted) };
}

/** Waits, as long as a test may take, for something that is bound to become true. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1));
}

/** Lets everything that is ready run, so many times over. */
async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setTimeout(resolve, 1));
}

function createClock(): { readonly now: () => string; readonly tick: () => string } {
  let ticks = 0;
  const now = () => `2026-01-01T00:00:00.${String(ticks).padStart(9, "0")}Z`;
  return {
    now,
    tick() {
      ticks += 1;
      return now();
    },
  };
}

function bodyOf({ content }: Chunk["messages"][number]): unknown {
  return content.kind === "body" ? content.body : content;
}

/** Numbers, in order; anything else stays where it is. */
function byNumber(a: unknown, b: unknown): number {
  return typeof a === "number" && typeof b === "number" ? a - b : 0;
}

function byBody(a: { readonly content: object }, b: { readonly content: object }): number {
  return JSON.stringify(a.content) < JSON.stringify(b.content) ? -1 : 1;
}

/** The last offset of each partition. */
function offsets(chunks: readonly Chunk[]): Map<number, number> {
  return new Map(chunks.flatMap(({ messages }) => messages.map(({ partition, offset }) => [partition, offset] as const)));
}

async function rejects(promise: Promise<unknown>): Promise<string> {
  return await promise.then(
    () => "nothing",
    (error: unknown) => (error instanceof Error ? error.name : String(error)),
  );
}
