import { expect, it } from "vitest";
import type { Append, AppendResult } from "../port.ts";
import { createAppender } from "./appender.ts";
import type { Answer, BatchListener, Driver } from "./driver.ts";

/** A server in the test's hand: what was sent on which stream, and the clock. */
function createWorld(options: { readonly maxInFlight?: number } = {}) {
  const lanes: {
    readonly listener: BatchListener;
    readonly sent: { readonly number: number; readonly append: Append; readonly ids: readonly string[] }[];
    cancelled: boolean;
  }[] = [];
  const tasks: { at: number; readonly task: () => void }[] = [];
  const clock = { ms: 0 };
  const driver: Driver = {
    openBatch(listener) {
      const lane = { listener, sent: [] as (typeof lanes)[number]["sent"], cancelled: false };
      lanes.push(lane);
      return {
        send(number, append, ids) {
          lane.sent.push({ number, append, ids });
          return true;
        },
        cancel() {
          lane.cancelled = true;
        },
      };
    },
    subscribe: () => ({ pause: () => undefined, resume: () => undefined, cancel: () => undefined }),
    readPage: async () => [],
    reconnect: () => undefined,
  };
  const appender = createAppender({
    driver,
    deadlineMs: 900,
    maxInFlight: options.maxInFlight ?? 100,
    defer: (task, delayMs) => void tasks.push({ at: clock.ms + delayMs, task }),
    warn: () => undefined,
  });
  return {
    appender,
    lanes,
    answer: (lane: number, sent: number, answer: Answer) => {
      const { number } = lanes[lane]?.sent[sent] ?? { number: 0 };
      lanes[lane]?.listener.answered(number, answer);
    },
    /** Lets time go by; what falls due runs in order. */
    pass(ms: number) {
      const until = clock.ms + ms;
      for (;;) {
        const next = tasks.filter(({ at }) => at <= until).toSorted((a, b) => a.at - b.at)[0];
        if (next === undefined) break;
        tasks.splice(tasks.indexOf(next), 1);
        clock.ms = next.at;
        next.task();
      }
      clock.ms = until;
    },
  };
}

const append = (stream: string, expectedRevision = -1): Append => ({
  stream,
  expectedRevision,
  events: [{ type: "X", data: "{}", metadata: "{}" }],
});

/** What a promise has come to by now. */
async function now(promise: Promise<AppendResult>): Promise<AppendResult | "waiting"> {
  return await Promise.race([promise, new Promise<"waiting">((resolve) => setImmediate(() => resolve("waiting")))]);
}

const written = (lastRevision: number): Answer => ({ kind: "written", lastRevision });

it("no more appends are on their way than allowed, and the next goes when one is answered", async () => {
  const { appender, lanes, answer } = createWorld({ maxInFlight: 2 });
  const results = ["a", "b", "c", "d"].map((stream) => appender.append(append(stream)));
  expect(lanes[0]?.sent.map((sent) => sent.append.stream)).toEqual(["a", "b"]);
  answer(0, 1, written(0));
  expect(lanes[0]?.sent.map((sent) => sent.append.stream)).toEqual(["a", "b", "c"]);
  expect(await now(results[1] ?? Promise.reject(new Error("no result")))).toEqual({ kind: "committed", lastRevision: 0 });
});

it("an append without an answer is sent again as it was, on the same stream while that answers others", async () => {
  const { appender, lanes, answer, pass } = createWorld();
  const lost = appender.append(append("a", 4));
  for (let count = 0; count < 4; count++) {
    pass(100);
    void appender.append(append(`other-${count}`));
    answer(0, (lanes[0]?.sent.length ?? 0) - 1, written(0));
  }
  const copies = lanes[0]?.sent.filter((sent) => sent.append.stream === "a") ?? [];
  expect(copies.length).toBe(2);
  expect(copies[1]?.ids).toEqual(copies[0]?.ids);
  expect(copies[1]?.append).toEqual(copies[0]?.append);
  expect(copies[1]?.number).not.toBe(copies[0]?.number);
  answer(0, lanes[0]?.sent.indexOf(copies[1] ?? copies[0]!) ?? 0, written(5));
  expect(await now(lost)).toEqual({ kind: "committed", lastRevision: 5 });
});

it("a stream that answers nothing is given up, and everything on it is sent on the next, in order", async () => {
  const { appender, lanes, answer, pass } = createWorld();
  const results = ["a", "b", "c"].map((stream) => appender.append(append(stream)));
  pass(320);
  expect(lanes.length).toBe(2);
  expect(lanes[0]?.cancelled).toBe(true);
  expect(lanes[1]?.sent.map((sent) => sent.append.stream)).toEqual(["a", "b", "c"]);
  // A late answer on the old stream changes nothing and breaks nothing.
  answer(0, 0, { kind: "conflict", actualRevision: 9 });
  for (const index of [0, 1, 2]) answer(1, index, written(0));
  for (const result of results) expect(await now(result)).toEqual({ kind: "committed", lastRevision: 0 });
});

it("after the deadline the outcome is unknown, with what went wrong as the cause", async () => {
  const { appender, lanes, pass } = createWorld();
  const result = appender.append(append("a"));
  for (let count = 0; count < 30; count++) {
    pass(29);
    lanes.at(-1)?.listener.ended(new Error("the cable"));
  }
  expect(await now(result)).toMatchObject({ kind: "unknown", cause: { message: "the cable" } });
  const next = appender.append(append("a"));
  pass(899);
  expect(await now(next)).toMatchObject({ kind: "unknown" });
});

it("a time-out on the server is sent again", async () => {
  const { appender, lanes, answer, pass } = createWorld();
  const result = appender.append(append("a"));
  answer(0, 0, { kind: "unsure", cause: new Error("the event store answered Timeout") });
  pass(150);
  expect(lanes[0]?.sent.length).toBe(2);
  answer(0, 1, written(0));
  expect(await now(result)).toEqual({ kind: "committed", lastRevision: 0 });
});

it("a conflict ahead of the stream is unknown while another copy may still be written", async () => {
  const { appender, lanes, answer, pass } = createWorld();
  const [once, twice] = [appender.append(append("a", 5)), appender.append(append("b", 5))];
  answer(0, 0, { kind: "conflict", actualRevision: 3 });
  expect(await now(once)).toEqual({ kind: "conflict", actualRevision: 3 });
  lanes[0]?.listener.ended(new Error("the cable"));
  pass(10);
  answer(1, 0, { kind: "conflict", actualRevision: 3 });
  expect(await now(twice)).toMatchObject({ kind: "unknown" });
});

it("a refusal for good rejects, and a server that refuses everybody rejects everything", async () => {
  const { appender, lanes, answer } = createWorld();
  const refused = appender.append(append("a"));
  answer(0, 0, { kind: "refused", error: new Error("the stream was deleted") });
  await expect(refused).rejects.toThrow("deleted");
  const denied = appender.append(append("b"));
  lanes[0]?.listener.ended(Object.assign(new Error("who are you"), { code: 16 }));
  await expect(denied).rejects.toThrow("who are you");
});

it("closing settles what waits, as unknown", async () => {
  const { appender } = createWorld();
  const result = appender.append(append("a"));
  appender.close();
  expect(await now(result)).toMatchObject({ kind: "unknown" });
  await expect(appender.append(append("a"))).rejects.toThrow("closed");
});
