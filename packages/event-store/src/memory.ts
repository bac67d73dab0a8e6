/**
 * The event store in memory: for tests and for the simulation.
 *
 * Deterministic and without timers: what it does depends only on the order of the calls. Keeps every event until it is
 * dropped as a whole; nothing is durable.
 */
import { checkAppend, judgeAppend } from "./append-rules.ts";
import { createListeners, type LocalEventStore, numberOf } from "./local.ts";
import { type AllOptions, type Append, type AppendResult, type EventPage, NO_STREAM, type StoredEvent } from "./port.ts";
import { createSubscriptions } from "./subscriptions.ts";

export interface MemoryOptions {
  /** How a waiting subscription is woken; the simulation schedules it. Default: a microtask. */
  readonly defer?: (task: () => void) => void;
  /** Default `MAX_APPEND_BYTES`. More for a store whose writer adds something of its own to what it is given. */
  readonly maxAppendBytes?: number;
}

export function createMemoryEventStore(options: MemoryOptions = {}): LocalEventStore {
  const log: StoredEvent[] = [];
  const streams = new Map<string, StoredEvent[]>();
  const listeners = createListeners();
  let closed = false;

  function assertOpen(): void {
    if (closed) throw new Error("the event store is closed");
  }

  function appendOne(append: Append): AppendResult {
    const stored = streams.get(append.stream) ?? [];
    const actualRevision = stored.length - 1;
    const judged = judgeAppend(append, actualRevision, (from, maxCount) => stored.slice(from, from + maxCount));
    if (judged !== "write") return judged;
    if (actualRevision === NO_STREAM) streams.set(append.stream, stored);
    for (const { type, data, metadata, body } of append.events) {
      const position = String(log.length + 1);
      const event = { stream: append.stream, revision: stored.length, position, type, data, metadata, body };
      stored.push(event);
      log.push(event);
    }
    return { kind: "committed", lastRevision: stored.length - 1 };
  }

  async function readAll({ after, prefixes, maxCount }: AllOptions): Promise<EventPage> {
    assertOpen();
    const events: StoredEvent[] = [];
    let index = numberOf(after);
    for (; index < log.length && events.length < maxCount; index++) {
      const event = log[index];
      if (event !== undefined && (prefixes === undefined || prefixes.some((prefix) => event.stream.startsWith(prefix))))
        events.push(event);
    }
    return { events, next: index === 0 ? undefined : String(index), end: index >= log.length };
  }

  const subscriptions = createSubscriptions({ readAll, onAppended: listeners.add, defer: options.defer ?? queueMicrotask });

  return {
    async append(appends) {
      assertOpen();
      for (const append of appends) checkAppend(append, options.maxAppendBytes);
      const before = log.length;
      const results = appends.map(appendOne);
      if (log.length > before) listeners.call();
      return results;
    },
    async readForward(stream, { from = 0, maxCount }) {
      assertOpen();
      return streams.get(stream)?.slice(from, from + maxCount) ?? [];
    },
    async readLast(stream) {
      assertOpen();
      return streams.get(stream)?.at(-1);
    },
    readAll,
    subscribeAll: subscriptions.start,
    onAppended: listeners.add,
    async close() {
      closed = true;
      await subscriptions.stopAll();
    },
  };
}
