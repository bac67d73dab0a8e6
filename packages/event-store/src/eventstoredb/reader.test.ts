import { expect, it } from "vitest";
import type { StoredEvent } from "../port.ts";
import type { Driver, ReadRequest } from "./driver.ts";
import { positionText } from "./position.ts";
import { createReader } from "./reader.ts";

const at = (number: number) => positionText({ commit: BigInt(number), prepare: BigInt(number) });

/** A log of `count` events, every `rare`th of them in a stream that begins with "r-". */
function createLog(count: number, rare: number): StoredEvent[] {
  return Array.from({ length: count }, (_, index) => ({
    stream: (index + 1) % rare === 0 ? "r-1" : "a-1",
    revision: index,
    position: at(index + 1),
    type: "X",
    data: "{}",
    metadata: "{}",
  }));
}

/** A server that is too slow for filters by prefix. */
function createSlowServer(log: readonly StoredEvent[]) {
  const asked: ReadRequest[] = [];
  const driver: Driver = {
    openBatch: () => ({ send: () => true, cancel: () => undefined }),
    subscribe: () => ({ pause: () => undefined, resume: () => undefined, cancel: () => undefined }),
    reconnect: () => undefined,
    async readPage(request, maxCount) {
      asked.push(request);
      if (request.prefixes !== undefined) throw Object.assign(new Error("4 DEADLINE_EXCEEDED"), { code: 4 });
      if (request.backwards === true) return log.slice(-1);
      const from = typeof request.from === "object" ? Number(request.from.commit) - 1 : 0;
      return log.slice(from, from + maxCount);
    },
  };
  const defer = (task: () => void, delayMs: number) => void (delayMs === 50 ? setImmediate(task) : queueMicrotask(task));
  return { asked, reader: createReader({ driver, deadlineMs: 600, defer, assertOpen: () => undefined }) };
}

it("a filter that the server cannot serve in time is served by looking at every event, page by page", async () => {
  const log = createLog(5_000, 1_800);
  const { asked, reader } = createSlowServer(log);
  const found: string[] = [];
  let after: string | undefined;
  for (let count = 0; count < 10; count++) {
    const page = await reader.all({ after, prefixes: ["r-"], maxCount: 100 });
    found.push(...page.events.map(({ position }) => position));
    after = page.next;
    if (page.end) break;
  }
  expect(found).toEqual([at(1_800), at(3_600)]);
  expect(after).toBe(at(5_000));
  // It asks the server for its filter again only once there was something to find.
  expect(asked.filter(({ prefixes }) => prefixes !== undefined).length).toBeLessThanOrEqual(3);
});

it("a page cut off by its size goes on after its last event", async () => {
  const { reader } = createSlowServer(createLog(100, 2));
  const page = await reader.all({ prefixes: ["r-"], maxCount: 3 });
  expect(page.events.map(({ position }) => position)).toEqual([at(2), at(4), at(6)]);
  expect(page).toMatchObject({ next: at(6), end: false });
});

it("positions of other engines are refused", async () => {
  const { reader } = createSlowServer(createLog(3, 2));
  await expect(reader.all({ after: "00", maxCount: 3 })).rejects.toThrow(RangeError);
});
