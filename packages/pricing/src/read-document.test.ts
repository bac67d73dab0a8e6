import { expect, test } from "vitest";
import { planSchema } from "./plan-document.ts";
import { readDocument } from "./read-document.ts";

function problems(text: string): string[] {
  const result = readDocument(text, planSchema);
  return result.ok ? [] : result.problems.map(({ line, column, path, message }) => `${line}:${column} ${path}: ${message}`);
}

test("lists every problem with its line and column", () => {
  const text = `kind: plan
id: Bad Id
title: T
currency: USD
periode: month
items:
  - id: calls
    model: per-request
    price: 0.50
  - id: pages
    model: per-unit
    quantity: pages
    price: "0,10"
    prize: "1"
  - id: mystery
    model: perunit
`;
  expect(problems(text)).toEqual([
    "2:5 id: a name has lower-case letters, digits, and . _ -, at most 100",
    '5:1 periode: "periode" is not a known field',
    '9:12 items[0].price: money is a quoted decimal: write "0.5", not 0.5',
    '13:12 items[1].price: money is a plain decimal such as "0.50"',
    '14:5 items[1].prize: "prize" is not a known field',
    expect.stringMatching(/^16:12 items\[2\]\.model: model is one of flat, per-unit, .*, not "perunit"$/),
  ]);
});

test("names a missing field where it is missing", () => {
  expect(problems("kind: plan\nid: a\ntitle: A\ncurrency: USD\nitems:\n  - id: x\n    model: per-request\n")).toEqual([
    '6:5 items[0].price: money is missing: write a quoted decimal such as "0.50"',
  ]);
});

test("reads JSON as well, with the same places", () => {
  const text =
    '{\n "kind": "plan", "id": "a", "title": "A",\n "currency": "USD",\n "items": [{ "id": "x", "model": "flat", "amount": 3 }]\n}';
  expect(problems(text)).toEqual(['4:52 items[0].amount: money is a quoted decimal: write "3", not 3']);
  expect(readDocument(text.replace("3 }", '"3" }'), planSchema).ok).toBe(true);
});

test("reports text that is no YAML, and fields given twice", () => {
  expect(problems("kind: plan\nitems: [").length).toBeGreaterThan(0);
  expect(problems("kind: plan\nkind: plan\n")).toEqual([expect.stringMatching(/^2:1 : .*unique/i)]);
  expect(problems("")).toEqual([expect.stringMatching(/^1:1 : /)]);
  expect(problems("just words")).toEqual([expect.stringMatching(/^1:1 : /)]);
});

test("refuses a document that multiplies itself through aliases", () => {
  const bomb = ["a: &a [x, x, x, x, x, x, x, x, x]"];
  for (const [from, to] of [
    ["a", "b"],
    ["b", "c"],
    ["c", "d"],
    ["d", "e"],
    ["e", "f"],
  ]) {
    bomb.push(`${to}: &${to} [${Array.from({ length: 9 }, () => `*${from}`).join(", ")}]`);
  }
  expect(problems(bomb.join("\n"))).toEqual([expect.stringMatching(/alias/i)]);
});

test("takes the value as it is written, without filling in defaults", () => {
  const text = 'kind: plan\nid: a\ntitle: A\ncurrency: USD\nitems: [{ id: x, model: flat, amount: "1" }]\n';
  expect(readDocument(text, planSchema)).toEqual({
    ok: true,
    value: { kind: "plan", id: "a", title: "A", currency: "USD", items: [{ id: "x", model: "flat", amount: "1" }] },
  });
});

test("says what is wrong inside a value that may take several forms", () => {
  const prices = "{ input: { base: '1', tiers: [{ above: 5, price: 2 }] }, output: 3 }";
  expect(
    problems(`kind: plan\nid: a\ntitle: A\ncurrency: USD\nitems:\n  - { id: t, model: tokens, prices: ${prices} }\n`),
  ).toEqual([
    '6:86 items[0].prices.input.tiers[0].price: money is a quoted decimal: write "2", not 2',
    '6:102 items[0].prices.output: a price is a quoted decimal such as "0.50", or a base with tiers',
  ]);
});
