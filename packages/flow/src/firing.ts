/**
 * When deadlines fire, and when the marks of log topics move.
 *
 * A deadline fires strictly after its due time, and only when every input has been read past it. A mark says that everything
 * the inputs made this worker publish up to a time is in the log: so what can fire, fires before the mark moves. It is said
 * about the partitions that the worker has had all the while.
 * Owns one timer at most, and none while nothing is pending.
 */
import type { Consumer } from "@rerate/message-bus";
import { type Deadlines, HELD, type StreamDeadline, UNKNOWN } from "./deadlines.ts";
import { toMilliseconds } from "./milliseconds.ts";
import type { Limits, WorkerOptions } from "./worker-options.ts";

export interface Firing {
  /** Looks whether something may fire or a mark may move. Cheap when not; never rejects. */
  look(): void;
  /** Resolves when nothing is firing any more; nothing fires after it. */
  stop(): Promise<void>;
}

export interface FiringOptions extends Pick<
  WorkerOptions<unknown, never, never, unknown>,
  "clock" | "defer" | "outputs" | "log" | "name"
> {
  readonly topics: readonly string[];
  readonly mark: (topic: string, readUpTo: string, sources: readonly number[]) => void;
  /** The partitions whose deadlines are known, each with the number of its assignment. */
  readonly ready: () => ReadonlyMap<number, number>;
  readonly limits: Limits;
  /**
   * Decides what is due before a time in these streams, as far as they are of these partitions, and sets their deadlines anew.
   * Returns those that have to wait.
   */
  readonly fire: (
    streams: readonly string[],
    before: string,
    partitions: ReadonlySet<number>,
  ) => Promise<readonly StreamDeadline[]>;
}

export function createFiring(options: FiringOptions, deadlines: Deadlines, consumer: () => Consumer | undefined): Firing {
  const { clock, defer, limits, topics, outputs = [] } = options;
  const marked = new Map<string, string>();
  let running: Promise<void> | undefined;
  let lookAgain = false;
  let stopped = false;
  let failures = 0;
  /** The time the only timer that counts is set to; others that are still under way do nothing. */
  let timer: { readonly at: number } | undefined;

  /** Everything published before this time has been read from all these topics. */
  function readUpTo(names: readonly string[], now: string): string | undefined {
    let lowest: string | undefined = now;
    for (const topic of names) {
      const upTo = consumer()?.readUpTo(topic);
      if (upTo === undefined) return undefined;
      if (upTo < lowest) lowest = upTo;
    }
    return lowest;
  }

  async function fireAndMark(): Promise<void> {
    const now = clock.now();
    // Asked before anything fires: a mark must not promise more than what had been read then.
    const marks = outputs.map(({ topic, inputs }) => ({ topic, upTo: readUpTo(inputs, now) }));
    // How far the inputs have been read says nothing about partitions that come while this goes on.
    const ready = options.ready();
    const partitions = new Set(ready.keys());
    const before = readUpTo(topics, now) ?? LOOK_UP_ONLY;
    const postponed: StreamDeadline[] = [];
    for (;;) {
      const streams = stopped ? [] : deadlines.takeDue(before, limits.deadlineStreams);
      if (streams.length === 0) break;
      postponed.push(...(await options.fire(streams, before, partitions)));
    }
    for (const { stream, dueAt } of postponed) deadlines.set(stream, dueAt);
    // Of a partition that was lost meanwhile, what was due has perhaps not been fired here.
    const still = options.ready();
    const sources = [...ready]
      .flatMap(([partition, assignment]) => (still.get(partition) === assignment ? [partition] : []))
      .sort((a, b) => a - b);
    if (stopped || sources.length === 0) return;
    for (const { topic, upTo } of marks) {
      if (upTo === undefined || upTo <= (marked.get(topic) ?? "")) continue;
      marked.set(topic, upTo);
      options.mark(topic, upTo, sources);
    }
  }

  function look(): void {
    if (stopped) return;
    if (running !== undefined) {
      lookAgain = true;
      return;
    }
    lookAgain = false;
    running = fireOnce();
  }

  async function fireOnce(): Promise<void> {
    try {
      await fireAndMark();
      failures = 0;
    } catch (error) {
      failures += 1;
      options.log.warn({ service: options.name, err: error }, "deadlines could not be fired; they are tried again");
    }
    running = undefined;
    if (lookAgain && failures === 0) look();
    else setTimer();
  }

  function setTimer(): void {
    if (stopped) return;
    const delayMs = nextLook();
    if (delayMs === undefined) return;
    const at = toMilliseconds(clock.now()) + delayMs;
    if (timer !== undefined && timer.at <= at) return;
    const set = { at };
    timer = set;
    defer(() => {
      if (timer !== set) return;
      timer = undefined;
      look();
    }, delayMs);
  }

  /** Milliseconds until it is worth looking again; undefined: only when something happens. */
  function nextLook(): number | undefined {
    if (failures > 0) return Math.min(limits.pauseMs * 2 ** failures, limits.markEveryMs * 10);
    const marks = outputs.length > 0 ? limits.markEveryMs : undefined;
    const due = deadlines.soonest()?.dueAt;
    if (due === undefined || due === HELD) return marks;
    if (due === UNKNOWN) return 0;
    const now = clock.now();
    // Past due and not fired: an input has not been read so far yet. Waiting for another service's mark costs its interval anyway.
    const wait = due < now ? limits.markEveryMs : Math.min(toMilliseconds(due) + 1 - toMilliseconds(now), LONGEST_TIMER_MS);
    return marks === undefined ? wait : Math.min(marks, wait);
  }

  return {
    look,
    async stop() {
      stopped = true;
      await running;
    },
  };
}

/** Before every instant, and after "unknown": streams whose deadlines must be looked up are taken, nothing fires. */
const LOOK_UP_ONLY = "!";
/** Timers of Node hold 31 bits. */
const LONGEST_TIMER_MS = 86_400_000;
