/**
 * One process's connection to the event store: calls take time, get lost, commit in part, and end when the process dies.
 *
 * The invariant: after a process was killed none of its calls comes back, whatever became of them in the store.
 */
import type { Append, AppendResult, EventStore, Subscription } from "@rerate/event-store";
import type { VirtualProcess } from "@rerate/testkit";
import { InjectedOutage, type Faults } from "./faults.ts";

export function faultyEventStore(real: EventStore, process: VirtualProcess, faults: Faults): EventStore {
  const hop = (): Promise<void> => pass(process, faults.delayMs());
  const subscriptions: Subscription[] = [];

  async function read<Result>(call: () => Promise<Result>): Promise<Result> {
    await hop();
    if (faults.strikes("read-rejects")) throw new InjectedOutage("the event store cannot be read");
    return await call();
  }

  async function appendOne(append: Append): Promise<AppendResult> {
    if (faults.strikes("append-unknown-before")) return unknown("the request was lost");
    const [result = unknown("no result")] = await real.append([append]);
    return faults.strikes("append-unknown-after") ? unknown("the answer was lost") : result;
  }

  return {
    async append(appends) {
      await hop();
      if (faults.strikes("append-rejects")) throw new InjectedOutage("the event store is down");
      const partial = faults.strikes("append-partial");
      const results: AppendResult[] = [];
      for (const append of faults.random.shuffle(appends)) {
        if (partial && faults.random.chance(0.5)) continue;
        results[appends.indexOf(append)] = await appendOne(append);
      }
      await hop();
      if (partial) throw new InjectedOutage("the event store went down while it appended");
      return results;
    },
    readForward: (stream, options) => read(() => real.readForward(stream, options)),
    readLast: (stream) => read(() => real.readLast(stream)),
    readAll: (options) => read(() => real.readAll(options)),
    subscribeAll(options) {
      const subscription = real.subscribeAll({
        ...options,
        async onEvents(page) {
          await hop();
          await options.onEvents(page);
        },
      });
      subscriptions.push(subscription);
      return subscription;
    },
    close: async () => {},
  };
}

/** Resolves after a task of the process; never, if the process dies before. */
export function pass(process: VirtualProcess, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    process.defer(resolve, delayMs);
  });
}

function unknown(cause: string): AppendResult {
  return { kind: "unknown", cause: new InjectedOutage(cause) };
}
