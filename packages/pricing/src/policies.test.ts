import { formatAmount, fraction, ONE, parseAmount, parseFraction, round, ZERO } from "@rerate/money";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compilePlan, PlanError, priceListNames } from "./compile-plan.ts";
import { planSchema, type QualityPolicy } from "./plan-document.ts";
import { compileQuality } from "./quality-policy.ts";
import type { CompiledPlan, PricedFact } from "./rate.ts";
import { instant } from "@rerate/money";

const base = { kind: "plan", id: "p", title: "P", currency: "USD" };
const call = { id: "call", model: "per-request", price: "0.01" };

function compile(fields: object): CompiledPlan {
  return compilePlan({ hash: "h", document: planSchema.parse({ ...base, ...fields }), priceLists: new Map() });
}

function fact(type: string, part: Partial<PricedFact> = {}): PricedFact {
  return { type, occurredAt: instant("2026-01-01T00:00:00Z"), quantities: {}, dimensions: {}, ...part };
}

describe("a compiled plan", () => {
  test("selects the items of a fact, in the plan's order", () => {
    const plan = compile({
      items: [
        { ...call, id: "all" },
        { ...call, id: "chat", when: { types: ["chat"] } },
        { ...call, id: "premium", when: { dimensions: { tier: "premium" } } },
      ],
      recordOnly: ["heartbeat"],
    });
    const ids = (of: PricedFact) => plan.itemsFor(of).map(({ id }) => id);
    expect(ids(fact("chat"))).toEqual(["all", "chat"]);
    expect(ids(fact("chat", { dimensions: { tier: "premium" } }))).toEqual(["all", "chat", "premium"]);
    expect(ids(fact("image", { dimensions: { tier: "premium" } }))).toEqual(["all", "premium"]);
    expect(ids(fact("heartbeat"))).toEqual([]);
    expect([plan.recordsOnly("heartbeat"), plan.recordsOnly("chat")]).toEqual([true, false]);
  });

  test("has a month, 35 days for late facts and an hour to close unless it says otherwise", () => {
    expect(compile({ items: [call] })).toMatchObject({
      period: { every: "month" },
      lateLimitNanos: 35n * 24n * 3600n * 1_000_000_000n,
      closeAfterNanos: 3600n * 1_000_000_000n,
    });
    expect(compile({ items: [call], period: "day", lateLimit: "PT0S", closeAfter: "PT0.5S" })).toMatchObject({
      period: { every: "day" },
      lateLimitNanos: 0n,
      closeAfterNanos: 500_000_000n,
    });
  });

  test("states its fee, minimum and maximum in atoms", () => {
    const plan = compile({
      items: [call],
      baseFee: { id: "fee", amount: "20" },
      minimum: { id: "least", amount: "99.50", unit: "EUR" },
      maximum: { id: "most", amount: "1000" },
    });
    expect(plan.baseFee).toEqual({ id: "fee", unit: "USD", atoms: parseAmount("20") });
    expect(plan.minimum).toEqual({ id: "least", unit: "EUR", atoms: parseAmount("99.5") });
    expect(plan.maximum).toEqual({ id: "most", unit: "USD", atoms: parseAmount("1000") });
  });

  test("needs the price lists that it names, in its own unit", () => {
    const document = planSchema.parse({ ...base, items: [{ id: "t", model: "tokens", priceList: "list" }] });
    expect(priceListNames(document)).toEqual(["list"]);
    expect(() => compilePlan({ hash: "h", document, priceLists: new Map() })).toThrow(PlanError);
    const list = { kind: "price-list", id: "list", currency: "EUR", providers: [] } as const;
    const priceLists = new Map([["list", { hash: "l", document: { ...list, providers: [] } }]]);
    expect(() => compilePlan({ hash: "h", document, priceLists })).toThrow(/in EUR/);
  });
});

describe("an outcome policy", () => {
  const outcome = { id: "o", definition: "d", price: "0.50" };

  test("counts a success wholly and nothing else unless it says otherwise", () => {
    const plain = compile({ outcome }).outcome;
    expect([plain?.share("success"), plain?.share("partial"), plain?.share("failure")]).toEqual([ONE, ZERO, ZERO]);
    const shared = compile({ outcome: { ...outcome, shares: { partial: "0.5" } } }).outcome;
    expect(shared?.share("partial")).toEqual(fraction(1n, 2n));
    expect(plain).toMatchObject({
      definition: "d",
      countedAt: "request",
      item: { model: "per-outcome", unit: "USD", revision: 1 },
    });
  });

  test("prices the sum of the shares", () => {
    const compiled = compile({ outcome }).outcome;
    expect(compiled?.item.price(compiled.version, "", fraction(5n, 2n))).toEqual(fraction(parseAmount("1.25")));
    expect(() => compiled?.item.price("another", "", ONE)).toThrow(RangeError);
  });

  test("may be graduated over the period", () => {
    const tiers = [{ upTo: 2, price: "1" }, { price: "0.10" }];
    const compiled = compile({ outcome: { id: "o", definition: "d", tiers } }).outcome;
    const prices = ["1", "2", "5/2", "12"].map((quantity) =>
      formatAmount(round(compiled?.item.price(compiled.version, "", parseFraction(quantity)) ?? ZERO)),
    );
    expect(prices).toEqual(["1", "2", "2.05", "3"]);
  });

  test("opens outcomes for its types, or for all that are not only recorded", () => {
    const named = compile({ outcome: { ...outcome, types: ["task"] } }).outcome;
    expect([named?.types("task"), named?.types("chat")]).toEqual([true, false]);
    const all = compile({ outcome, recordOnly: ["heartbeat"] }).outcome;
    expect([all?.types("chat"), all?.types("heartbeat")]).toEqual([true, false]);
  });

  test("keeps its version when only its definition or its shares change", () => {
    const version = (change: object) => compile({ outcome: { ...outcome, ...change } }).outcome?.version;
    expect(version({ definition: "other", shares: { partial: "0.5" } })).toBe(version({}));
    expect(version({ price: "0.60" })).not.toBe(version({}));
  });
});

describe("a quality policy", () => {
  const s5: QualityPolicy = {
    id: "q",
    base: "marginal",
    scale: 100,
    refund: { below: "40", share: "linear" },
    bonus: { above: "90", share: "0.2" },
    rounding: "floor",
    step: "1",
  };

  test("gives S5's refunds and bonuses", () => {
    const policy = compileQuality(s5, "marginal");
    const given = [0, 20, 30, 39, 40, 90, 91, 100].map((q) => {
      const result = policy.adjust(fraction(BigInt(q), 100n), fraction(parseAmount("10")));
      return `${q}: ${formatAmount(result.refundAtoms)} ${formatAmount(result.bonusAtoms)}`;
    });
    expect(given).toEqual(["0: 10 0", "20: 5 0", "30: 2 0", "39: 0 0", "40: 0 0", "90: 0 0", "91: 0 2", "100: 0 2"]);
  });

  test("explains itself", () => {
    const policy = compileQuality(s5, "marginal");
    expect(policy.adjust(fraction(3n, 10n), fraction(parseAmount("10"))).steps).toEqual(["score 30", "refund: 10 × 0.25 → 2"]);
    expect(policy.adjust(fraction(1n, 2n), fraction(parseAmount("10"))).steps).toEqual(["score 50", "neither refund nor bonus"]);
  });

  test("takes a fixed base in place of the charge", () => {
    const policy = compileQuality({ ...s5, base: "fixed", amount: "4" }, "marginal");
    expect(policy.adjust(ZERO, fraction(parseAmount("10"))).refundAtoms).toBe(parseAmount("4"));
  });

  test("follows the plan's items when it names no base", () => {
    const quality = { id: "q", refund: { below: "0.5", share: "1" } };
    expect(compile({ items: [call], quality }).quality?.base).toBe("marginal");
    const volume = { id: "v", model: "volume", tiers: [{ price: "1" }] };
    expect(compile({ items: [call, volume], quality }).quality?.base).toBe("average");
  });

  test("never refunds more than the base, whatever the rounding", () => {
    fc.assert(
      fc.property(
        fc.constantFrom("half-even" as const, "half-up" as const, "floor" as const, "ceiling" as const),
        fc.constantFrom("1", "0.01", "3", undefined),
        fc.bigInt({ min: 0n, max: 20_000_000_000n }),
        fc.bigInt({ min: 1n, max: 7n }),
        fc.integer({ min: 0, max: 100 }),
        (rounding, step, n, d, score) => {
          const policy = compileQuality(
            { id: "q", refund: { below: "0.9", share: "1" }, rounding, ...(step && { step }) },
            "marginal",
          );
          const charge = fraction(n, d);
          const { refundAtoms } = policy.adjust(fraction(BigInt(score), 100n), charge);
          expect(refundAtoms >= 0n && refundAtoms * charge.d <= charge.n).toBe(true);
        },
      ),
    );
  });

  test("a charge that is negative gives nothing back", () => {
    const { refundAtoms, bonusAtoms } = compileQuality(s5, "marginal").adjust(ZERO, fraction(-5n));
    expect([refundAtoms, bonusAtoms]).toEqual([0n, 0n]);
  });
});
