import { expect, test } from "vitest";
import { runSeed } from "./run-seed.ts";

test("the same seed does the same again, byte for byte, whatever goes wrong in it", async () => {
  for (const seed of [3, 11, 42]) {
    const [first, second] = [await runSeed({ seed, thorough: false }), await runSeed({ seed, thorough: false })];
    expect(second.trace).toBe(first.trace);
    expect(first.events).toBeGreaterThan(50);
  }
});

test("faults happen, and another seed is another story", async () => {
  const [one, other] = [await runSeed({ seed: 1, thorough: false }), await runSeed({ seed: 2, thorough: false })];
  expect(one.trace).not.toBe(other.trace);
  expect(one.faults.size + other.faults.size).toBeGreaterThan(5);
});

test("a short simulation, as before every commit", async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const { problems } = await runSeed({ seed });
    expect(problems, `repeat it with: pnpm simulate --seed ${seed} --verbose`).toEqual([]);
  }
}, 60_000);
