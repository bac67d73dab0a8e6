import { instant } from "@rerate/money";
import { planSchema } from "@rerate/pricing";
import { beforeAll, describe, expect, test } from "vitest";
import { compare } from "./compare.ts";
import { sampleHistory, smallLedger, TOKEN_PLAN, usage, type SmallLedger } from "./testing/small-ledger.ts";

let ledger: SmallLedger;

beforeAll(async () => {
  ledger = await sampleHistory();
});

const plan = (document: object) => planSchema.parse(document);

describe("compare", () => {
  test("the plan that priced the history changes nothing", async () => {
    const report = await compare({ eventStore: ledger.eventStore, plan: plan(TOKEN_PLAN) });
    expect(report.differingFacts).toBe(0);
    expect(report.unpriced.count).toBe(0);
    expect(report.totals).toMatchObject([{ unit: "USD", differenceAtoms: "0" }]);
    expect(report.totals[0]?.recordedAtoms).toBe(report.totals[0]?.comparedAtoms);
  });

  test("twice the price charges exactly twice, refunds and corrections included", async () => {
    const [chat] = TOKEN_PLAN.items;
    const dearer = {
      ...TOKEN_PLAN,
      baseFee: { id: "fee", amount: "10" },
      items: [{ ...chat, prices: { input: "20", output: "60" } }],
    };
    const report = await compare({ eventStore: ledger.eventStore, plan: plan(dearer) });
    const [usd] = report.totals;
    expect(BigInt(usd?.comparedAtoms ?? 0)).toBe(2n * BigInt(usd?.recordedAtoms ?? 0));
    expect(report.accounts.map(({ account }) => account)).toEqual(["acme", "beta"]);
    expect(report.largest[0]).toMatchObject({
      account: "acme",
      type: "PeriodClosed",
      recordedAtoms: "5000000000",
      comparedAtoms: "10000000000",
    });
    expect(report.largest.find(({ id }) => id === "r2")).toMatchObject({
      type: "UsageRecorded",
      recordedAtoms: "25000000",
      comparedAtoms: "50000000",
      differenceAtoms: "25000000",
    });
    expect(report.largest.find(({ id }) => id === "r2")?.compared.at(-1)).toBe("charge chat: 0.05 USD");
  });

  test("gives the same report again, and names log, plan and engine", async () => {
    const options = { eventStore: ledger.eventStore, plan: plan({ ...TOKEN_PLAN, baseFee: undefined }) };
    const [first, second] = [await compare(options), await compare(options)];
    expect(JSON.stringify(second)).toBe(JSON.stringify(first));
    expect(first).toMatchObject({ planId: "tokens", engine: "settlement@1", chainProblems: 0 });
    expect(first.plan).toMatch(/\w{20}/);
    expect(first.log).toMatch(/^[0-9a-f]{64}$/);
  });

  test("facts without a price under the other plan are counted, never taken as free", async () => {
    const other = {
      kind: "plan",
      id: "images",
      title: "Images",
      currency: "USD",
      items: [{ id: "image", model: "per-unit", when: { types: ["image"] }, quantity: "images", price: "1" }],
    };
    const report = await compare({ eventStore: ledger.eventStore, plan: plan(other), accounts: ["beta"] });
    expect(report.unpriced).toMatchObject({ count: 1, reasons: { "no-charge-item": 1 } });
    expect(report.accounts).toHaveLength(1);
    const begins = await compare({ eventStore: ledger.eventStore, plan: plan(other), accounts: ["be*", "nobody*"] });
    expect(begins.accounts).toEqual(report.accounts);
  });

  test("periods that only the other plan has close when they fall due", async () => {
    const free = { kind: "plan", id: "free", title: "Calls", currency: "USD", items: TOKEN_PLAN.items };
    const small = await smallLedger();
    await small.publish("plan", "free", free);
    await small.open("acme", "free");
    await small.deliver(usage("acme", "r1"), "2026-01-10T00:00:00Z");
    await small.deliver(usage("acme", "r2", { occurredAt: instant("2026-03-10T00:00:00Z") }), "2026-03-10T00:00:00Z");
    const withFee = { ...free, baseFee: { id: "fee", amount: "5" } };
    const report = await compare({ eventStore: small.eventStore, plan: plan(withFee) });
    expect(report.totals).toMatchObject([{ recordedAtoms: "50000000", comparedAtoms: "10050000000" }]);
  });

  test("refuses a plan whose price list nobody has", async () => {
    const listed = { ...TOKEN_PLAN, items: [{ id: "chat", model: "tokens", priceList: "nobody" }] };
    await expect(compare({ eventStore: ledger.eventStore, plan: plan(listed) })).rejects.toThrow(/price list "nobody"/);
  });
});
