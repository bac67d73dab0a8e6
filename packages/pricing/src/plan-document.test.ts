import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { planJsonSchema, priceListJsonSchema } from "./json-schema.ts";
import { planSchema, type PlanDocument } from "./plan-document.ts";
import { planProblems } from "./plan-problems.ts";
import { readDocument } from "./read-document.ts";

const plan = { kind: "plan", id: "a", title: "A", currency: "USD", items: [{ id: "x", model: "flat", amount: "1" }] } as const;

function problems(change: object): string[] {
  const result = planSchema.safeParse({ ...plan, ...change });
  return result.success ? [] : result.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
}

test("an id means one thing in a plan", () => {
  const twice = [plan.items[0], { ...plan.items[0], amount: "2" }];
  expect(problems({ items: twice, baseFee: { id: "x", amount: "9" } })).toEqual([
    'items.1.id: the id "x" is used twice',
    'baseFee.id: the id "x" is used twice',
  ]);
});

test("currencies must exist; credit units are lower case", () => {
  expect(problems({ currency: "USX" })).toEqual([
    "currency: USX is no currency of ISO 4217; credit units are written in lower case",
  ]);
  expect(problems({ items: [{ ...plan.items[0], unit: "credits" }] })).toEqual([]);
  expect(problems({ minimum: { id: "m", amount: "5", unit: "XYZ" } })).toHaveLength(1);
});

test("tiers ascend and only the last one is open", () => {
  const tiers = (...ends: (number | undefined)[]) =>
    problems({
      items: [
        { id: "x", model: "graduated", tiers: ends.map((upTo) => ({ price: "1", ...(upTo === undefined ? {} : { upTo }) })) },
      ],
    });
  expect(tiers(10, 20, undefined)).toEqual([]);
  expect(tiers(10, 10, undefined)).toEqual(["items.0.tiers.1.upTo: tiers stand in ascending order"]);
  expect(tiers(undefined, undefined)).toEqual(["items.0.tiers.0: only the last tier has no upTo"]);
  expect(tiers(10)).toEqual([
    "items.0.tiers.0.upTo: the last tier has no upTo: without it larger quantities would have no price",
  ]);
  expect(tiers(0, undefined)).toEqual(["items.0.tiers.0.upTo: tiers stand in ascending order"]);
});

test("tokens need prices, and only one source for all models", () => {
  const item = { id: "x", model: "tokens" };
  expect(problems({ items: [item] })).toEqual(["items.0: tokens need prices, byModel or a priceList"]);
  expect(problems({ items: [{ ...item, prices: { input: "1" }, priceList: "l" }] })).toHaveLength(1);
});

test("an outcome policy has a price or tiers", () => {
  const outcome = { id: "o", definition: "d" };
  expect(problems({ outcome })).toEqual(["outcome: an outcome policy has either a price or tiers"]);
  expect(problems({ outcome: { ...outcome, price: "1", tiers: [{ price: "1" }] } })).toHaveLength(1);
  expect(problems({ outcome: { ...outcome, price: "1" } })).toEqual([]);
  expect(problems({ outcome: { ...outcome, price: "1", shares: { partial: "1.5" } } })).toEqual([
    "outcome.shares.partial: a share lies between 0 and 1",
  ]);
});

test("a quality policy is complete", () => {
  const quality = { id: "q", refund: { below: "0.5", share: "1" } };
  expect(problems({ quality })).toEqual([]);
  expect(problems({ quality: { id: "q" } })).toHaveLength(1);
  expect(problems({ quality: { ...quality, base: "fixed" } })).toHaveLength(1);
  expect(problems({ quality: { ...quality, amount: "1" } })).toHaveLength(1);
  expect(problems({ quality: { ...quality, base: "average", step: "1" } })).toHaveLength(1);
  expect(problems({ quality: { ...quality, refund: { below: "0.0", share: "linear" } } })).toHaveLength(1);
  expect(problems({ quality: { ...quality, step: "0" } })).toHaveLength(1);
});

test("a type is either priced or only recorded", () => {
  const items = [{ ...plan.items[0], when: { types: ["a", "b"] } }];
  expect(problems({ items, recordOnly: ["b"] })).toEqual(['items.0.when.types.1: "b" is in recordOnly and priced as well']);
});

test("what is booked as it stands has no more places than atoms have", () => {
  expect(problems({ baseFee: { id: "f", amount: "1.000000001" } })).toEqual([]);
  expect(problems({ baseFee: { id: "f", amount: "1.0000000001" } })).toEqual([
    "baseFee.amount: an amount that is booked has at most nine decimal places",
  ]);
});

test("a plan without anything to do is refused", () => {
  expect(problems({ items: [] })).toHaveLength(1);
});

test("problems of a document can be asked for without a text", () => {
  const document: PlanDocument = { kind: "plan", id: "a", title: "A", currency: "ABC", items: [{ id: "x", model: "flat" }] };
  expect(planProblems({ ...document, items: [] }).map(({ path }) => path)).toEqual(["", "currency"]);
});

test("the JSON Schemas refuse numbers for money and unknown fields", () => {
  const text = JSON.stringify(planJsonSchema());
  expect(planJsonSchema()).toMatchObject({ title: "Rerate plan", type: "object", additionalProperties: false });
  expect(priceListJsonSchema()).toMatchObject({ title: "Rerate price list", type: "object", additionalProperties: false });
  expect(text).toContain('"const":"per-request"');
  expect(planJsonSchema()).toMatchObject({ properties: { baseFee: { properties: { amount: { type: "string" } } } } });
});

const examples = new URL("../../../examples/plans/", import.meta.url);

test.each(readdirSync(examples).filter((file) => file.endsWith(".yaml")))(
  "the example plan %s is valid and named after its id",
  (file) => {
    const result = readDocument(readFileSync(new URL(file, examples), "utf8"), planSchema);
    expect(result).toMatchObject({ ok: true, value: { id: file.replace(".yaml", "") } });
  },
);
