/**
 * EventStoreDB as the log, behind the port.
 *
 * Data and metadata travel as the bytes of their texts and come back as such; positions are commit and prepare position.
 * The invariant: one result per append, within the deadline, and never a guess: what could not be learnt is `unknown`.
 */
import { checkAppend } from "../append-rules.ts";
import type { Append, AppendResult, EventStore, Subscription } from "../port.ts";
import { createAppender } from "./appender.ts";
import { connect } from "./driver.ts";
import { createReader } from "./reader.ts";
import { startSubscriber } from "./subscriber.ts";

export interface EventStoreDbOptions {
  /** `esdb://host:2113?tls=false`, or any other that the client knows. */
  readonly connectionString: string;
  /** After so long an append is `unknown` and a read fails. Default 10,000. */
  readonly deadlineMs?: number;
  /** So many appends are sent without an answer at most. Default 512. */
  readonly maxInFlight?: number;
  /** Structured logging, called once per lost connection. Default: silence. */
  readonly log?: { readonly warn: (fields: object, message: string) => void };
  /** Runs a task after so many milliseconds, without keeping the process alive. Default: a timer. */
  readonly defer?: (task: () => void, delayMs: number) => void;
}

const DEFAULT_DEADLINE_MS = 10_000;
const DEFAULT_IN_FLIGHT = 512;
const HOLD_MS = 60_000;

/** Connects at the first call, and again whenever it must. Closing the store ends its subscriptions and its calls. */
export function openEventStoreDb(options: EventStoreDbOptions): EventStore {
  const { deadlineMs = DEFAULT_DEADLINE_MS, maxInFlight = DEFAULT_IN_FLIGHT } = options;
  const warn = (fields: object, message: string) => options.log?.warn(fields, message);
  const defer = options.defer ?? ((task, delayMs) => void setTimeout(task, delayMs).unref());
  const driver = connect(options.connectionString);
  const reader = createReader({ driver, deadlineMs, defer, assertOpen });
  const appender = createAppender({ driver, deadlineMs, maxInFlight, defer, warn });
  const subscriptions = new Set<Subscription>();
  const hold = createHold();
  let closed = false;

  function assertOpen(): void {
    if (closed) throw new Error("the event store is closed");
  }

  return {
    append: (appends) => hold(appendAll(appends)),
    readForward: (stream, { from = 0, maxCount }) => hold(reader.page({ stream, from }, maxCount)),
    readLast: async (stream) => (await hold(reader.page({ stream, from: "end", backwards: true }, 1)))[0],
    readAll: (asked) => hold(reader.all(asked)),

    subscribeAll(subscribing) {
      assertOpen();
      const subscription = startSubscriber({ driver, defer, warn }, subscribing);
      subscriptions.add(subscription);
      const ended = () => subscriptions.delete(subscription);
      subscription.done.then(ended, ended);
      return subscription;
    },

    async close() {
      closed = true;
      appender.close();
      const ending = [...subscriptions];
      await Promise.all(ending.map((subscription) => subscription.stop()));
      await Promise.allSettled(ending.map((subscription) => subscription.done));
      driver.reconnect();
    },
  };

  async function appendAll(appends: readonly Append[]): Promise<AppendResult[]> {
    assertOpen();
    for (const append of appends) checkAppend(append);
    const ofStream = new Map<string, Promise<AppendResult>>();
    const results = appends.map((append) => {
      const before = ofStream.get(append.stream);
      const result = before === undefined ? appender.append(append) : before.then((outcome) => appendAfter(outcome, append));
      ofStream.set(append.stream, result);
      return result;
    });
    const settled = await Promise.allSettled(results);
    return settled.map((result) => {
      if (result.status === "rejected") throw result.reason;
      return result.value;
    });
  }

  /** Nothing follows an append whose outcome is unknown. */
  async function appendAfter(before: AppendResult, append: Append): Promise<AppendResult> {
    if (before.kind === "unknown") return { kind: "unknown", cause: before.cause };
    return await appender.append(append);
  }
}

/** Keeps the process alive as long as something is asked of the server: a connection that cannot be made would not. */
function createHold(): <Result>(work: Promise<Result>) => Promise<Result> {
  let count = 0;
  let timer: NodeJS.Timeout | undefined;
  return async (work) => {
    count += 1;
    timer ??= setInterval(() => undefined, HOLD_MS);
    try {
      return await work;
    } finally {
      count -= 1;
      if (count === 0) {
        clearInterval(timer);
        timer = undefined;
      }
    }
  };
}
