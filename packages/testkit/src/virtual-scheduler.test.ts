import { expect, test } from "vitest";
import { seededRandom } from "./seeded-random.ts";
import { virtualScheduler } from "./virtual-scheduler.ts";

function schedule(seed: number) {
  const scheduler = virtualScheduler(seededRandom(seed), 1_000);
  const ran: string[] = [];
  const note = (name: string) => () => {
    ran.push(name);
  };
  return { scheduler, ran, note };
}

test("due tasks run in an order that the seed decides", async () => {
  const run = async (seed: number): Promise<string> => {
    const { scheduler, ran, note } = schedule(seed);
    for (const name of "abcdefgh") scheduler.defer(note(name), 0);
    await scheduler.settle(100);
    return ran.join("");
  };
  expect(await run(1)).toBe(await run(1));
  expect(new Set(await Promise.all([1, 2, 3, 4, 5].map(run))).size).toBeGreaterThan(1);
});

test("a task never runs before its time, and time only moves when somebody moves it", async () => {
  const { scheduler, ran, note } = schedule(1);
  scheduler.defer(note("later"), 500);
  expect(await scheduler.settle(10)).toBe(0);
  expect(scheduler.nextDueMs()).toBe(1_500);
  scheduler.advanceTo(1_499);
  expect(await scheduler.settle(10)).toBe(0);
  scheduler.advanceTo(1_500);
  expect(await scheduler.settle(10)).toBe(1);
  expect(ran).toEqual(["later"]);
  scheduler.advanceTo(10);
  expect(scheduler.clock.nowMs()).toBe(1_500);
});

test("one step runs a task with all that follows from it without a further task", async () => {
  const { scheduler, ran, note } = schedule(1);
  scheduler.defer(() => {
    Promise.resolve()
      .then(() => Promise.resolve())
      .then(note("followed"), note("failed"));
  }, 0);
  await scheduler.step();
  expect(ran).toEqual(["followed"]);
});

test("a killed process runs nothing any more, neither what waits nor what it defers later", async () => {
  const { scheduler, ran, note } = schedule(1);
  const victim = scheduler.process("victim");
  victim.defer(note("waiting"), 0);
  victim.defer(note("timer"), 100);
  victim.kill();
  victim.defer(note("afterwards"), 0);
  scheduler.defer(note("other"), 0);
  scheduler.advanceTo(2_000);
  await scheduler.settle(10);
  expect(ran).toEqual(["other"]);
  expect(scheduler.nextDueMs()).toBeUndefined();
});

test("timers come in the order of their time", async () => {
  const { scheduler, ran, note } = schedule(4);
  for (const delay of [30, 10, 50, 20, 40]) scheduler.defer(note(String(delay)), delay);
  for (let next = scheduler.nextDueMs(); next !== undefined; next = scheduler.nextDueMs()) {
    scheduler.advanceTo(next);
    await scheduler.settle(10);
  }
  expect(ran).toEqual(["10", "20", "30", "40", "50"]);
});
