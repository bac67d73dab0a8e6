import { compare, fraction, instant, multiply, parseFraction, round, ZERO, add, divide, type Fraction } from "@rerate/money";
import { compilePlan, planSchema } from "@rerate/pricing";
import { harness } from "@rerate/testkit";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { AccountEvent, Entry } from "./account-events.ts";
import type { OutcomeDecidedMessage, UsageAccepted } from "./messages.ts";
import { settlement } from "./settlement.ts";
import { streamName } from "./stream-name.ts";

const NOW = instant("2026-03-10T12:00:00Z");
const PLAN = {
  kind: "plan",
  id: "p",
  title: "P",
  currency: "USD",
  items: [
    {
      id: "graduated",
      model: "graduated",
      quantity: "calls",
      tiers: [{ upTo: 20, price: "1" }, { upTo: 50, price: "0.3333333333" }, { price: "0.1" }],
    },
    { id: "volume", model: "volume", quantity: "calls", tiers: [{ upTo: 30, price: "0.7" }, { price: "0.2" }] },
    { id: "package", model: "package", quantity: "calls", size: "7", price: "1" },
  ],
  outcome: { id: "o", definition: "d", price: "0" },
  quality: { id: "q", base: "average", refund: { below: "1", share: "linear" } },
};
const compiled = compilePlan({ document: planSchema.parse(PLAN), hash: "p", priceLists: new Map() });

interface Fact {
  readonly calls: readonly [number, ...number[]];
  /** Score of the verdict in hundredths; undefined for none. */
  readonly score: number | undefined;
}

const facts = fc.array(
  fc.record({
    calls: fc
      .tuple(fc.nat(25), fc.nat(25), fc.nat(25))
      .chain((revisions) => fc.constantFrom(revisions.slice(0, 1), revisions.slice(0, 2), revisions)),
    score: fc.option(fc.nat(100), { nil: undefined }),
  }),
  { minLength: 1, maxLength: 7 },
);

function usage(index: number, revision: number, calls: number): UsageAccepted {
  return {
    kind: "usage",
    ns: "default",
    account: "acme",
    source: "app",
    id: `${index}.${revision}`,
    type: "call",
    occurredAt: instant("2026-03-01T00:00:00Z"),
    receivedAt: NOW,
    contentHash: `1:${index}.${revision}`.padEnd(40, "_"),
    quantities: { calls: String(calls) },
    dimensions: {},
    ...(revision === 0 ? {} : { corrects: { source: "app", id: `${index}.0` }, revision }),
  };
}

function verdict(index: number, score: number, number: number): OutcomeDecidedMessage {
  return {
    kind: "outcome-decided",
    ns: "default",
    account: "acme",
    sourceStream: streamName("outcome", "default", "acme"),
    sourceRevision: number,
    number,
    outcome: { source: "app", id: `${index}.0` },
    verdict: "partial",
    score: score % 100 === 0 ? String(score / 100) : `${score}/100`,
    reason: "test",
    verdictRevision: 1,
    definition: "d",
    decidedAt: NOW,
  };
}

function settleAll(list: readonly Fact[], order: readonly number[]): readonly AccountEvent[] {
  const context = {
    timeline: () => [
      {
        from: instant("2026-01-01T00:00:00Z"),
        plan: "p",
        planId: "p",
        priceLists: {},
        outcomeDefinition: "d",
        timeZone: "UTC",
        currency: "USD",
        wallet: "acme",
        contractRevision: 1,
      },
    ],
    contractRevision: () => 1,
    plan: () => compiled,
  };
  const account = harness(settlement, streamName("account", "default", "acme"), context, NOW);
  const messages: ((number: number) => UsageAccepted | OutcomeDecidedMessage)[] = list.flatMap(({ calls, score }, index) => [
    ...calls.map((quantity, revision) => () => usage(index, revision, quantity)),
    ...(score === undefined ? [] : [(number: number) => verdict(index, score, number)]),
  ]);
  const timeline = order.map((place) => place % messages.length);
  const shuffled = messages.map((message, index) => ({ message, at: timeline[index] ?? 0 })).toSorted((a, b) => a.at - b.at);
  let number = 0;
  for (const { message } of shuffled) {
    const built = message(number + 1);
    if (built.kind === "outcome-decided") number += 1;
    account.when(built, NOW);
    expect(account.when(built, NOW).kind).toBe("skip");
    if (number % 2 === 1) account.restart();
  }
  return account.events;
}

function entriesOf(events: readonly AccountEvent[]): Entry[] {
  return events.flatMap((event) => ("entries" in event.data ? [...event.data.entries] : []));
}

function sum(entries: readonly Entry[]): bigint {
  return entries.reduce((total, { atoms }) => total + BigInt(atoms), 0n);
}

test("in any order of arrival, entries of an accumulator sum to the price of the whole, and average refunds to round(P·W/Q)", () => {
  fc.assert(
    fc.property(facts, fc.array(fc.nat(1_000), { minLength: 40, maxLength: 40 }), (drawn, order) => {
      const list: readonly Fact[] = drawn.map(({ calls, score }) => ({ calls: [calls[0] ?? 0, ...calls.slice(1)], score }));
      const entries = entriesOf(settleAll(list, order));
      const inForce = list.map(({ calls }) => BigInt(calls.at(-1) ?? 0));
      const quantity = inForce.reduce((total, calls) => total + calls, 0n);
      for (const item of compiled.items) {
        const own = entries.filter((entry) => entry.role === "measured" && entry.item === item.id);
        const measured = item.measure({ type: "call", occurredAt: NOW, quantities: { calls: "1" }, dimensions: {} });
        if (measured.kind !== "measured") throw new Error("the plan prices calls");
        const price = item.price(measured.version, measured.cell, fraction(quantity));
        expect(sum(own)).toBe(round(price));

        const weighted = list.reduce<Fraction>(
          (total, { score }, index) =>
            score === undefined
              ? total
              : add(total, multiply(fraction(BigInt(100 - score), 100n), fraction(inForce[index] ?? 0n))),
          ZERO,
        );
        const refunds = entries.filter((entry) => entry.average?.accumulator.startsWith(`${item.id}|`));
        const expected = quantity === 0n ? 0n : round(divide(multiply(price, weighted), fraction(quantity)));
        expect(-sum(refunds)).toBe(expected);
        expect(compare(fraction(-sum(refunds)), fraction(sum(own)))).toBeLessThanOrEqual(0);
      }
      expect(entries.map(({ n }) => n)).toEqual(entries.map((_, index) => index + 1));
      for (const { exact, atoms } of entries.filter(({ role }) => role === "measured")) {
        const drift = add(parseFraction(exact), fraction(-BigInt(atoms)));
        expect(compare(multiply(drift, drift), fraction(1n))).toBeLessThanOrEqual(0);
      }
    }),
    { numRuns: 150 },
  );
});
