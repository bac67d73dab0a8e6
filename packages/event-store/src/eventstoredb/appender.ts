/**
 * Many appends in flight on one stream of appends, each with its own time limit.
 *
 * The invariant: every append is settled within the deadline, and is only ever sent again as it was: same ids, same events,
 * same expected revision. So the server writes it once, however often it was sent.
 */
import { chainHash, eventId } from "../chain.ts";
import type { Append, AppendResult } from "../port.ts";
import { type Answer, type BatchStream, type Driver, isHopeless } from "./driver.ts";

export interface AppenderOptions {
  readonly driver: Driver;
  readonly deadlineMs: number;
  readonly maxInFlight: number;
  readonly defer: (task: () => void, delayMs: number) => void;
  readonly warn: (fields: object, message: string) => void;
}

export interface Appender {
  /** Rejects only when the server refuses for good. */
  append(append: Append): Promise<AppendResult>;
  /** Settles what is still waiting as unknown. */
  close(): void;
}

/** The deadline is cut into so many ticks. After a third without an answer an append is sent again. */
const TICKS = 9;
const PATIENCE = 3;
/** No more text than this waits for answers, except one append that is larger. In UTF-16 units. */
const MAX_UNITS = 8_000_000;
const LONGEST_PAUSE_MS = 1_000;

interface Pending {
  readonly append: Append;
  readonly ids: readonly string[];
  readonly units: number;
  readonly since: number;
  readonly settle: (result: AppendResult) => void;
  readonly refuse: (error: Error) => void;
  state: "queued" | "sent" | "settled";
  sentAt: number;
  sends: number;
  cause: Error | undefined;
}

/** One stream of appends to the server, from its opening to its end. */
interface Lane {
  readonly stream: BatchStream;
  /** By correlation number. An append that was sent twice is here twice. */
  readonly waiting: Map<number, Pending>;
  writable: boolean;
  lastAnswer: number;
}

export function createAppender(options: AppenderOptions): Appender {
  const { driver, maxInFlight, defer, warn } = options;
  const tickMs = Math.max(1, Math.floor(options.deadlineMs / TICKS));
  /** Waiting to be sent, or to be sent again. */
  let queue: Pending[] = [];
  const pending = new Set<Pending>();
  let inFlight = { count: 0, units: 0 };
  let lane: Lane | undefined;
  let correlation = 0;
  let now = 0;
  let ticking = false;
  let pausing = false;
  let failures = 0;
  let closed = false;

  function fill(): void {
    if (pausing || closed) return;
    for (let next = queue[0]; next !== undefined; next = queue[0]) {
      if (next.state === "settled") {
        queue.shift();
        continue;
      }
      if (inFlight.count >= maxInFlight || (inFlight.count > 0 && inFlight.units + next.units > MAX_UNITS)) return;
      const open = (lane ??= openLane());
      if (!open.writable) return;
      queue.shift();
      send(open, next);
    }
  }

  function send(open: Lane, item: Pending): void {
    correlation += 1;
    open.waiting.set(correlation, item);
    inFlight.count += 1;
    inFlight.units += item.units;
    item.state = "sent";
    item.sentAt = now;
    item.sends += 1;
    open.writable = open.stream.send(correlation, item.append, item.ids);
  }

  function openLane(): Lane {
    const opened: Lane = {
      stream: driver.openBatch({
        answered(answered, answer) {
          const item = opened.waiting.get(answered);
          // Late answers of a lane that was given up, or of an append that is settled, change nothing.
          if (item === undefined) return;
          opened.waiting.delete(answered);
          landed(item);
          opened.lastAnswer = now;
          failures = 0;
          answeredOne(item, answer);
          fill();
        },
        drained() {
          opened.writable = true;
          fill();
        },
        ended: (cause) => laneEnded(opened, cause),
      }),
      waiting: new Map(),
      writable: true,
      lastAnswer: now,
    };
    return opened;
  }

  function landed(item: Pending): void {
    inFlight.count -= 1;
    inFlight.units -= item.units;
  }

  function answeredOne(item: Pending, answer: Answer): void {
    if (item.state === "settled") return;
    switch (answer.kind) {
      case "written":
        return settle(item, { kind: "committed", lastRevision: answer.lastRevision });
      case "conflict":
        // An append ahead of its stream that was sent twice may still be written by the other copy.
        if (answer.actualRevision < item.append.expectedRevision && item.sends > 1) {
          return settle(item, { kind: "unknown", cause: new Error("two copies of an append ahead of its stream were sent") });
        }
        return settle(item, { kind: "conflict", actualRevision: answer.actualRevision });
      case "unsure":
        item.cause = answer.cause;
        // The next tick sends it again.
        item.sentAt = now - PATIENCE + 1;
        return;
      case "refused":
        return refuse(item, answer.error);
    }
  }

  function settle(item: Pending, result: AppendResult): void {
    item.state = "settled";
    pending.delete(item);
    item.settle(result);
  }

  function refuse(item: Pending, error: Error): void {
    item.state = "settled";
    pending.delete(item);
    item.refuse(error);
  }

  /** To the front of the queue, in this order. */
  function sendAgain(items: readonly Pending[]): void {
    for (const item of items) item.state = "queued";
    queue = [...items, ...queue];
  }

  /** Everything that was on its way goes back to the front of the queue, in the order it was sent. */
  function laneEnded(ended: Lane, cause: Error): void {
    if (lane === ended) lane = undefined;
    const again = new Set<Pending>();
    for (const item of ended.waiting.values()) {
      landed(item);
      if (item.state !== "sent") continue;
      item.cause = cause;
      again.add(item);
    }
    ended.waiting.clear();
    sendAgain([...again]);
    if (isHopeless(cause)) {
      for (const item of pending) refuse(item, cause);
      queue = [];
      return;
    }
    failures += 1;
    if (queue.length > 0)
      warn({ err: cause, appends: queue.length, failures }, "the stream of appends ended; they are sent again");
    // The first try follows at once: a server that restarted is there again.
    pauseFor(failures === 1 ? 1 : Math.min(25 * 2 ** failures, LONGEST_PAUSE_MS, tickMs));
  }

  function pauseFor(delayMs: number): void {
    pausing = true;
    defer(() => {
      pausing = false;
      fill();
    }, delayMs);
  }

  /** The only clock: runs while anything is pending. */
  function tick(): void {
    now += 1;
    for (const item of pending) {
      // The first tick may come right after the append, so the last that is surely within the deadline is the one before it.
      if (now - item.since < TICKS - 1) continue;
      settle(item, { kind: "unknown", cause: item.cause ?? new Error(`no answer within ${options.deadlineMs} ms`) });
    }
    const late = [...pending].filter((item) => item.state === "sent" && now - item.sentAt >= PATIENCE);
    if (lane !== undefined && late.length > 0 && now - lane.lastAnswer >= PATIENCE) giveUp(lane);
    sendAgain(late.filter((item) => item.state === "sent"));
    if (lane !== undefined) forgetSettled(lane);
    ticking = pending.size > 0 && !closed;
    if (ticking) defer(tick, tickMs);
    fill();
  }

  /** A lane that answers nothing at all. */
  function giveUp(silent: Lane): void {
    silent.stream.cancel();
    driver.reconnect();
    laneEnded(silent, new Error(`no answer within ${PATIENCE * tickMs} ms`));
  }

  /** What was settled by another copy, or by the deadline, no longer waits for its answer and makes room. */
  function forgetSettled({ waiting }: Lane): void {
    for (const [number, item] of waiting) {
      if (item.state !== "settled") continue;
      waiting.delete(number);
      landed(item);
    }
  }

  return {
    append(append) {
      if (closed) return Promise.reject(new Error("the event store is closed"));
      return new Promise((settle, refuse) => {
        const item: Pending = {
          append,
          ids: idsOf(append),
          units: append.events.reduce((sum, { data, metadata }) => sum + data.length + metadata.length, 0),
          since: now,
          settle,
          refuse,
          state: "queued",
          sentAt: now,
          sends: 0,
          cause: undefined,
        };
        pending.add(item);
        queue.push(item);
        if (!ticking) {
          ticking = true;
          defer(tick, tickMs);
        }
        fill();
      });
    },
    close() {
      closed = true;
      lane?.stream.cancel();
      lane = undefined;
      for (const item of pending) settle(item, { kind: "unknown", cause: new Error("the event store was closed") });
      queue = [];
    },
  };
}

/** The ids of an append's events: a function of what is stored and where, so that only an identical re-send is the same. */
function idsOf({ stream, expectedRevision, events }: Append): readonly string[] {
  return events.map(({ type, data, metadata }, index) => {
    const revision = expectedRevision + 1 + index;
    return eventId(stream, revision, chainHash(stream, revision, type, data, metadata));
  });
}
