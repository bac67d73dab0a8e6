/**
 * Virtual time, and tasks in a seeded random order: the place where a simulation decides what happens next.
 *
 * Owns the clock and the waiting tasks. Among the tasks that are due, the seed picks which one runs; only when none is due
 * may time move on. Nothing here waits for real time, so the same seed gives the same run.
 */
import type { SeededRandom } from "./seeded-random.ts";

export interface VirtualClock {
  /** Milliseconds since 1970 of the virtual present. Never goes back. */
  nowMs(): number;
}

/** One process of the simulated system: its tasks die with it. */
export interface VirtualProcess {
  readonly name: string;
  readonly alive: boolean;
  defer(task: () => void, delayMs: number): void;
  /** Drops its waiting tasks; what it defers from now on never runs. */
  kill(): void;
}

export interface VirtualScheduler {
  readonly clock: VirtualClock;
  /** Runs a task after so many virtual milliseconds, never at once. */
  defer(task: () => void, delayMs: number): void;
  /** A promise that resolves after a virtual delay. */
  sleep(delayMs: number): Promise<void>;
  process(name: string): VirtualProcess;
  /** Runs one of the due tasks, with everything that follows from it without a further task. False when none is due. */
  step(): Promise<boolean>;
  /** Steps until nothing is due, at most so often. Returns how many tasks ran. */
  settle(mostSteps: number): Promise<number>;
  /** Moves time on; tasks that fall due meanwhile run when somebody steps, late, as timers do. */
  advanceTo(ms: number): void;
  /** When the soonest waiting task falls due; undefined when none waits. */
  nextDueMs(): number | undefined;
}

interface Task {
  readonly dueMs: number;
  readonly order: number;
  readonly run: () => void;
  readonly owner: { alive: boolean } | undefined;
}

export function virtualScheduler(random: SeededRandom, startMs: number): VirtualScheduler {
  let now = startMs;
  let order = 0;
  const due: Task[] = [];
  const waiting: Task[] = [];

  function add(run: () => void, delayMs: number, owner: Task["owner"]): void {
    order += 1;
    const task = { dueMs: now + Math.max(0, delayMs), order, run, owner };
    if (task.dueMs <= now) due.push(task);
    else push(waiting, task);
  }

  function collectDue(): void {
    for (let first = waiting[0]; first !== undefined && first.dueMs <= now; first = waiting[0]) due.push(pop(waiting) as Task);
  }

  async function step(): Promise<boolean> {
    for (;;) {
      if (due.length === 0) return false;
      const index = random.integer(0, due.length - 1);
      const task = due[index];
      const last = due.pop();
      if (task === undefined || last === undefined) return false;
      if (last !== task) due[index] = last;
      if (task.owner?.alive === false) continue;
      task.run();
      await promisesSettled();
      return true;
    }
  }

  return {
    clock: { nowMs: () => now },
    defer: (task, delayMs) => add(task, delayMs, undefined),
    sleep: (delayMs) => new Promise((resolve) => add(resolve, delayMs, undefined)),
    process(name) {
      const state = { alive: true };
      return {
        name,
        get alive() {
          return state.alive;
        },
        defer: (task, delayMs) => add(task, delayMs, state),
        kill() {
          state.alive = false;
        },
      };
    },
    step,
    async settle(mostSteps) {
      let steps = 0;
      while (steps < mostSteps && (await step())) steps += 1;
      return steps;
    },
    advanceTo(ms) {
      now = Math.max(now, ms);
      collectDue();
    },
    nextDueMs() {
      for (let first = waiting[0]; first?.owner?.alive === false; first = waiting[0]) pop(waiting);
      return due.some(({ owner }) => owner?.alive !== false) ? now : waiting[0]?.dueMs;
    },
  };
}

/** Every promise that can settle without a further task has settled when this resolves: the microtask queue is empty then. */
function promisesSettled(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

function isBefore(a: Task, b: Task): boolean {
  return a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.order < b.order);
}

function push(heap: Task[], task: Task): void {
  let at = heap.length;
  while (at > 0) {
    const parent = (at - 1) >> 1;
    const above = heap[parent];
    if (above === undefined || !isBefore(task, above)) break;
    heap[at] = above;
    at = parent;
  }
  heap[at] = task;
}

function pop(heap: Task[]): Task | undefined {
  const top = heap[0];
  const last = heap.pop();
  if (last === undefined || heap.length === 0) return top;
  let at = 0;
  for (;;) {
    const left = heap[2 * at + 1];
    if (left === undefined) break;
    const right = heap[2 * at + 2];
    const [sooner, child] = right !== undefined && isBefore(right, left) ? [right, 2 * at + 2] : [left, 2 * at + 1];
    if (!isBefore(sooner, last)) break;
    heap[at] = sooner;
    at = child;
  }
  heap[at] = last;
  return top;
}
