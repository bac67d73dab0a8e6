import { describe, expect, it } from "vitest";
import { describeEventStore } from "./conformance.ts";
import { createMemoryEventStore } from "./memory.ts";
import { NO_STREAM } from "./port.ts";

describeEventStore({ describe, it, expect }, "the memory engine", async () => {
  const store = createMemoryEventStore();
  return { store, close: () => store.close() };
});

describe("the memory engine", () => {
  it("wakes subscriptions only through the scheduler it is given", async () => {
    const tasks: (() => void)[] = [];
    const store = createMemoryEventStore({ defer: (task) => tasks.push(task) });
    let calls = 0;
    store.subscribeAll({ onEvents: () => void calls++ });
    await new Promise((resolve) => setImmediate(resolve));
    await store.append([{ stream: "a-1", expectedRevision: NO_STREAM, events: [{ type: "X", data: "{}", metadata: "{}" }] }]);
    await new Promise((resolve) => setImmediate(resolve));
    expect([calls, tasks.length]).toEqual([0, 1]);
    tasks[0]?.();
    await new Promise((resolve) => setImmediate(resolve));
    expect(calls).toBe(1);
  });
});
