/** The simulation finds what it is there to find: every planted bug, within a bounded number of seeds. */
import { expect, test } from "vitest";
import { findBug, PLANTED, soundRuns } from "./planted-bugs.ts";

const sound = soundRuns();
const FROM = 1_001;
const MOST_SEEDS = 100;

test.each(Object.keys(PLANTED))(
  "the planted bug %s is found within so many seeds, at one where the sound system passes",
  async (name) => {
    const found = await findBug(name, FROM, MOST_SEEDS, sound);
    expect(found?.problem, `not found by the seeds ${FROM} to ${FROM + MOST_SEEDS - 1}`).toBeDefined();
  },
  300_000,
);

test("there are at least ten", () => {
  expect(Object.keys(PLANTED).length).toBeGreaterThanOrEqual(10);
});
