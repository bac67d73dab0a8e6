/**
 * The clock and the timers of a running process. The only place that reads the time.
 */
import { fromMilliseconds, type Instant } from "@rerate/money";

export interface SystemClock {
  now(): Instant;
  nowMs(): number;
}

export const systemClock: SystemClock = {
  now: () => fromMilliseconds(Date.now()),
  nowMs: () => Date.now(),
};

/** Milliseconds on a clock that never goes back, for measuring how long something took. */
export function elapsedMs(): number {
  return performance.now();
}

/** Runs a task after so many milliseconds, 0 as soon as possible; a waiting task does not keep the process alive. */
export function defer(task: () => void, delayMs: number): void {
  if (delayMs === 0) setImmediate(task);
  else setTimeout(task, delayMs).unref();
}

/** Resolves after so many milliseconds; keeps the process alive. */
export function sleep(delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, delayMs);
  });
}
