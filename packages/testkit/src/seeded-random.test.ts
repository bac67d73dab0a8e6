import { expect, test } from "vitest";
import { seededRandom } from "./seeded-random.ts";

test("the same seed gives the same numbers, another seed gives others", () => {
  const draw = (seed: number): number[] => {
    const random = seededRandom(seed);
    return Array.from({ length: 20 }, () => random.integer(0, 1_000_000));
  };
  expect(draw(7)).toEqual(draw(7));
  expect(draw(7)).not.toEqual(draw(8));
});

test("the numbers of a seed are fixed for ever, so that a reported seed still repeats", () => {
  const random = seededRandom(1);
  expect([random.integer(0, 99), random.integer(0, 99), random.integer(0, 99), random.integer(0, 99)]).toMatchInlineSnapshot(`
    [
      56,
      58,
      89,
      94,
    ]
  `);
});

test("integers cover their range and stay in it", () => {
  const random = seededRandom("range");
  const seen = new Set(Array.from({ length: 1_000 }, () => random.integer(3, 9)));
  expect([...seen].toSorted((a, b) => a - b)).toEqual([3, 4, 5, 6, 7, 8, 9]);
});

test("a shuffle keeps every item once", () => {
  const items = Array.from({ length: 50 }, (_, index) => index);
  const shuffled = seededRandom(3).shuffle(items);
  expect(shuffled).not.toEqual(items);
  expect(shuffled.toSorted((a, b) => a - b)).toEqual(items);
});

test("weights say how often, and a weight of 0 never comes", () => {
  const random = seededRandom(5);
  const counts = { often: 0, seldom: 0, never: 0 };
  for (let i = 0; i < 4_000; i++) counts[random.weighted({ often: 3, seldom: 1, never: 0 })] += 1;
  expect(counts.never).toBe(0);
  expect(counts.often).toBeGreaterThan(2_800);
  expect(counts.seldom).toBeGreaterThan(800);
});

test("nothing to pick from, and no weight at all, are refused", () => {
  expect(() => seededRandom(1).pick([])).toThrow(RangeError);
  expect(() => seededRandom(1).weighted({ a: 0 })).toThrow(RangeError);
});

test("a fork has numbers of its own", () => {
  const random = seededRandom(9);
  const fork = random.fork("a");
  expect(fork.integer(0, 2 ** 30)).not.toBe(random.fork("a").integer(0, 2 ** 30));
});
