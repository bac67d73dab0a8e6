import * as fc from "fast-check";
import { expect, test } from "vitest";
import { assignPartitions } from "./assign.ts";

const group = fc
  .uniqueArray(fc.string({ minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 8 })
  .chain((ids) =>
    fc.tuple(
      fc.tuple(
        ...ids.map((memberId) =>
          fc.record({ memberId: fc.constant(memberId), owned: fc.array(fc.integer({ min: -1, max: 20 })) }),
        ),
      ),
      fc.integer({ min: 0, max: 16 }),
    ),
  );

test("every partition goes to exactly one member, and none has two more than another", () => {
  fc.assert(
    fc.property(group, ([members, count]) => {
      const shares = [...assignPartitions(members, count).values()];
      expect(shares.flat().sort((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, partition) => partition));
      const sizes = shares.map((share) => share.length);
      expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
    }),
  );
});

test("the order in which members are named changes nothing", () => {
  fc.assert(
    fc.property(group, ([members, count]) => {
      expect(new Map(assignPartitions(members.toReversed(), count))).toEqual(new Map(assignPartitions(members, count)));
    }),
  );
});

test("who stays keeps what it has, as far as the shares allow", () => {
  const shares = (members: readonly { readonly memberId: string; readonly owned: readonly number[] }[], count: number) =>
    Object.fromEntries(assignPartitions(members, count));
  const alone = { memberId: "a", owned: [0, 1, 2, 3, 4, 5] };
  expect(shares([alone, { memberId: "b", owned: [] }], 6)).toEqual({ a: [0, 1, 2], b: [3, 4, 5] });
  const both = [
    { memberId: "a", owned: [0, 1, 2] },
    { memberId: "b", owned: [3, 4, 5] },
  ];
  expect(shares(both, 6)).toEqual({ a: [0, 1, 2], b: [3, 4, 5] });
  expect(shares([...both, { memberId: "c", owned: [] }], 6)).toEqual({ a: [0, 1], b: [3, 4], c: [2, 5] });
  expect(shares(both.slice(1), 6)).toEqual({ b: [0, 1, 2, 3, 4, 5] });
});
