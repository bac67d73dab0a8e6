/**
 * The suite for engines that serve topics as views of the log, over a small log of its own.
 *
 * An event of a stream `in-…` with data `[[shard, body], …]` publishes these messages.
 */
import { type TestFunctions, watch } from "./conformance.ts";
import type { Chunk, LogEvent, LogReader, LogTopic, MessageBus } from "./port.ts";

export const SUITE_VIEW: LogTopic = {
  topic: "view",
  streamPrefix: "in-",
  messagesOf: ({ stream, data }) =>
    (JSON.parse(data) as [number, unknown][]).map(([shard, body]) => ({ key: stream, shard, body })),
};

export interface OpenedView {
  readonly bus: MessageBus;
  readonly reopen: () => Promise<MessageBus>;
  readonly close: () => Promise<void>;
}

/** `open` gives a bus with `SUITE_VIEW` in four partitions over this log. */
export function describeLogTopics(
  { describe, it, expect }: TestFunctions,
  name: string,
  open: (log: LogReader) => Promise<OpenedView>,
): void {
  function test(title: string, body: (opened: OpenedView, log: SuiteLog) => Promise<void>): void {
    it(title, async () => {
      const log = createSuiteLog();
      const opened = await open(log);
      try {
        await body(opened, log);
      } finally {
        await opened.close();
      }
    });
  }
  const view = { topics: ["view"] };

  describe(`${name} serves a view of the log`, () => {
    test("with what was there and what comes, in log order, by shard", async ({ bus }, log) => {
      log.append("in-1", [
        [0, "a"],
        [5, "b"],
        [0, "c"],
      ]);
      log.append("out-1", [[0, "not this"]]);
      const { chunks, consumer, reached } = watch(bus, "group", view);
      await reached(3);
      log.append("in-2", [[4, "d"]]);
      log.append("in-1", []);
      log.append("in-1", [[255, "e"]]);
      await reached(5);
      expect(placed(chunks, 0)).toEqual([
        [1, "in-1", "a"],
        [1, "in-1", "c"],
        [3, "in-2", "d"],
      ]);
      expect(placed(chunks, 1)).toEqual([[1, "in-1", "b"]]);
      expect(placed(chunks, 3)).toEqual([[5, "in-1", "e"]]);
      expect(
        chunks.every(({ topic, messages }) => topic === "view" && messages.every((message) => message.topic === "view")),
      ).toEqual(true);
      await consumer.stop();
    });

    test("that goes on where the group was, partition by partition, also past events that publish nothing", async ({
      bus,
      reopen,
    }, log) => {
      for (let n = 0; n < 10; n++) log.append("in-1", [[n, n]]);
      let refuse = true;
      const before = async ({ partition }: Chunk) => {
        if (refuse && partition === 2) throw new Error("not this one");
      };
      const first = watch(bus, "group", { ...view, before });
      await first.reached(8);
      for (let n = 0; n < 5; n++) log.append("out-1", []);
      await first.consumer.stop();
      refuse = false;
      log.append("in-1", [[1, "new"]]);
      const again = await reopen();
      expect(await again.lag("group")).toEqual([0, 1, 2, 0].map((lag, partition) => ({ topic: "view", partition, lag })));
      const second = watch(again, "group", view);
      await second.reached(3);
      await turns();
      expect(placed(second.chunks, 1).map(([, , body]) => body)).toEqual(["new"]);
      expect(placed(second.chunks, 2).map(([, , body]) => body)).toEqual([2, 6]);
      expect(second.count()).toEqual(3);
      await second.consumer.stop();
      expect(await again.lag("group")).toEqual([0, 0, 0, 0].map((lag, partition) => ({ topic: "view", partition, lag })));
    });

    test("in chunks that split one event without losing any of it", async ({ bus, reopen }, log) => {
      log.append(
        "in-1",
        Array.from({ length: 7 }, (_, n): [number, unknown] => [0, n]),
      );
      let handled = 0;
      const before = async () => {
        if (handled === 2) throw new Error("no more");
        handled += 1;
      };
      const first = watch(bus, "group", { ...view, maxChunk: 2, before });
      await first.reached(4);
      await first.consumer.stop();
      const second = watch(await reopen(), "group", { ...view, maxChunk: 2 });
      await turns();
      const bodies = new Set([...placed(first.chunks, 0), ...placed(second.chunks, 0)].map(([, , body]) => body));
      expect([...bodies]).toEqual([0, 1, 2, 3, 4, 5, 6]);
      await second.consumer.stop();
    });

    test("much longer than a page or a chunk", async ({ bus }, log) => {
      const total = 5_000;
      for (let n = 0; n < total; n++) log.append(n % 3 === 0 ? "out-1" : "in-1", [[n % 256, n]]);
      const { chunks, consumer, reached } = watch(bus, "group", { ...view, maxChunk: 300 });
      await reached(total - Math.ceil(total / 3));
      for (const partition of [0, 1, 2, 3]) {
        const bodies = placed(chunks, partition).map(([, , body]) => body);
        const expected = Array.from({ length: total }, (_, n) => n).filter((n) => n % 3 !== 0 && (n % 256) % 4 === partition);
        expect(bodies).toEqual(expected);
      }
      await consumer.stop();
    });
  });

  describe(`${name} passes marks`, () => {
    test("once everything in the log before them was handled", async ({ bus }, log) => {
      let finish = () => {};
      const finished = new Promise<void>((resolve) => {
        finish = resolve;
      });
      const { consumer, reached } = watch(bus, "group", {
        ...view,
        before: ({ partition }) => (partition === 1 ? finished : Promise.resolve()),
      });
      await turns();
      expect(consumer.readUpTo("view")).toEqual(undefined);
      bus.mark("view", "t1");
      await turns();
      expect(consumer.readUpTo("view")).toEqual("t1");
      log.append("in-1", [
        [0, "a"],
        [1, "b"],
      ]);
      bus.mark("view", "t2");
      await reached(1);
      await turns();
      expect(consumer.readUpTo("view")).toEqual("t1");
      bus.mark("view", "t3");
      bus.mark("view", "t0");
      await turns();
      expect(consumer.readUpTo("view")).toEqual("t1");
      finish();
      await reached(2);
      await turns();
      expect(consumer.readUpTo("view")).toEqual("t3");
      await consumer.stop();
    });

    test("of several sources by the least of them", async ({ bus }) => {
      const { consumer } = watch(bus, "group", view);
      await turns();
      bus.mark("view", "t3", [0, 1]);
      bus.mark("view", "t2", [2]);
      await turns();
      expect(consumer.readUpTo("view")).toEqual(undefined);
      bus.mark("view", "t5", [3]);
      await turns();
      expect(consumer.readUpTo("view")).toEqual("t2");
      bus.mark("view", "t4", [2, 3]);
      await turns();
      expect(consumer.readUpTo("view")).toEqual("t3");
      bus.mark("view", "t6");
      await turns();
      expect(consumer.readUpTo("view")).toEqual("t6");
      await consumer.stop();
    });

    test("to each consumer for its own partitions", async ({ bus }, log) => {
      const never = new Promise<void>(() => {});
      const stuck = watch(bus, "group", { ...view, before: ({ partition }) => (partition === 0 ? never : Promise.resolve()) });
      const free = watch(bus, "group", view);
      while (stuck.owned.size + free.owned.size < 4) await turns();
      log.append("in-1", [
        [0, "a"],
        [1, "b"],
      ]);
      bus.mark("view", "t1");
      await turns();
      expect([stuck.consumer.readUpTo("view"), free.consumer.readUpTo("view")]).toEqual([undefined, "t1"]);
      await free.consumer.stop();
      // The stuck one has no end of its own: only a process that dies leaves like this.
      if ("abandon" in stuck.consumer && typeof stuck.consumer.abandon === "function") stuck.consumer.abandon();
    });
  });
}

/** A log in memory, with just what a bus needs of it. */
interface SuiteLog extends LogReader {
  append(stream: string, messages: readonly (readonly [number, unknown])[]): void;
}

function createSuiteLog(): SuiteLog {
  const events: LogEvent[] = [];
  const callbacks = new Set<() => void>();
  return {
    append(stream, messages) {
      const position = String(events.length + 1);
      events.push({
        stream,
        revision: events.length,
        type: "Published",
        data: JSON.stringify(messages),
        metadata: "{}",
        position,
      });
      for (const callback of callbacks) callback();
    },
    async readAll({ after, prefixes, maxCount }) {
      const found: LogEvent[] = [];
      let index = Number(after ?? 0);
      for (; index < events.length && found.length < maxCount; index++) {
        const event = events[index];
        if (event !== undefined && (prefixes?.some((prefix) => event.stream.startsWith(prefix)) ?? true)) found.push(event);
      }
      return { events: found, next: index === 0 ? undefined : String(index), end: index >= events.length };
    },
    onAppended(callback) {
      callbacks.add(callback);
      return () => callbacks.delete(callback);
    },
  };
}

function placed(chunks: readonly Chunk[], partition: number): [number, string, unknown][] {
  return chunks
    .filter((chunk) => chunk.partition === partition)
    .flatMap(({ messages }) =>
      messages.map(({ offset, key, content }): [number, string, unknown] => [
        offset,
        key,
        content.kind === "body" ? content.body : content,
      ]),
    );
}

async function turns(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setTimeout(resolve, 1));
}
