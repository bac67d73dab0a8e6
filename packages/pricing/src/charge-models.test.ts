import { add, formatDecimal, fraction, instant, parseFraction, round, subtract, ZERO, type Fraction } from "@rerate/money";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { chargeModel, measured, type ChargeModel, type PlanItem, type WorkedExample } from "./charge-model.ts";
import { compileItem } from "./compile-item.ts";
import { money } from "./document-fields.ts";
import { chargeModels, itemSchema, modelOf, schemaOf } from "./models/all.ts";
import type { CompiledItem, PricedFact } from "./rate.ts";

const NOON = instant("2026-03-02T12:00:00Z");
const noPriceLists = () => {
  throw new Error("examples state their prices themselves");
};

function itemOf(model: ChargeModel, example: WorkedExample): PlanItem {
  return itemSchema.parse({ id: "example", model: model.name, revision: model.revision, ...example.terms });
}

function compiled(model: ChargeModel, example: WorkedExample): CompiledItem {
  return compileItem(itemOf(model, example), "USD", noPriceLists);
}

function factOf(part: Partial<PricedFact>): PricedFact {
  return { type: "usage", occurredAt: NOON, quantities: {}, dimensions: {}, ...part };
}

/** Prices facts one after the other, as the law of cumulative pricing says; entries are exact major units. */
function entries(item: CompiledItem, facts: readonly Partial<PricedFact>[]): (string | { refused: string })[] {
  const totals = new Map<string, Fraction>();
  return facts.map((part) => {
    const result = item.measure(factOf(part));
    if (result.kind === "unpriced") return { refused: result.reason };
    const accumulator = `${result.version} ${result.cell}`;
    const before = totals.get(accumulator) ?? ZERO;
    const after = add(before, result.measure);
    totals.set(accumulator, after);
    const entry = subtract(item.price(result.version, result.cell, after), item.price(result.version, result.cell, before));
    return formatDecimal(fraction(entry.n, entry.d * 1_000_000_000n), 30);
  });
}

describe.each(named(chargeModels))("the charge model %s", (_name, model) => {
  test("has at least one worked example", () => {
    expect(model.examples.length).toBeGreaterThan(0);
  });

  test.each(model.examples.map((example) => [example.title, example] as const))("%s", (_title, example) => {
    expect(entries(compiled(model, example), example.facts)).toEqual(example.entries);
  });

  test("explains every measure", () => {
    for (const example of model.examples) {
      const item = compiled(model, example);
      for (const fact of example.facts) {
        const result = item.measure(factOf(fact));
        if (result.kind === "measured") expect(result.steps.length).toBeGreaterThan(0);
        else expect(result.detail).not.toBe("");
      }
    }
  });

  test("no usage costs nothing", () => {
    for (const { item, version, cell } of accumulators(model)) expect(item.price(version, cell, ZERO)).toEqual(ZERO);
  });

  test("usage in steps costs what it costs at once, in any order", () => {
    for (const { item, version, cell } of accumulators(model)) {
      fc.assert(
        fc.property(fc.array(fc.nat({ max: 300_000 }), { maxLength: 12 }), (parts) => {
          const booked = (steps: readonly number[]) => {
            let quantity = ZERO;
            let sum = 0n;
            for (const step of steps) {
              const next = add(quantity, fraction(BigInt(step), 1000n));
              sum += round(item.price(version, cell, next)) - round(item.price(version, cell, quantity));
              quantity = next;
            }
            return sum;
          };
          const whole = booked([parts.reduce((a, b) => a + b, 0)]);
          expect(booked(parts)).toBe(whole);
          expect(booked(parts.toReversed())).toBe(whole);
        }),
        { numRuns: 30 },
      );
    }
  });
});

test.each(named(chargeModels.filter((model) => model.monotone)))("more usage never costs less under %s", (_name, model) => {
  for (const { item, version, cell } of accumulators(model)) {
    fc.assert(
      fc.property(fc.nat({ max: 3_000_000 }), fc.nat({ max: 3_000_000 }), (a, b) => {
        const less = item.price(version, cell, fraction(BigInt(a), 1000n));
        const more = item.price(version, cell, fraction(BigInt(a + b), 1000n));
        expect(subtract(more, less).n >= 0n).toBe(true);
      }),
      { numRuns: 50 },
    );
  }
});

test.each(named(chargeModels.filter((model) => model.measures === "atoms")))(
  "a measure in atoms is its price under %s",
  (_name, model) => {
    for (const { item, version, cell } of accumulators(model)) {
      expect(item.price(version, cell, parseFraction("7/3"))).toEqual(parseFraction("7/3"));
    }
  },
);

function named(models: readonly ChargeModel[]): (readonly [string, ChargeModel])[] {
  return models.map((model) => [model.name, model]);
}

/** The accumulators that the worked examples touch. */
function accumulators(model: ChargeModel): { item: CompiledItem; version: string; cell: string }[] {
  return model.examples.flatMap((example) => {
    const item = compiled(model, example);
    return example.facts.flatMap((fact) => {
      const result = item.measure(factOf(fact));
      return result.kind === "measured" ? [{ item, version: result.version, cell: result.cell }] : [];
    });
  });
}

describe("a charge item", () => {
  const perRequest = { id: "call", model: "per-request", price: "0.01" };
  const compile = (terms: object) => compileItem(itemSchema.parse({ ...perRequest, ...terms }), "USD", noPriceLists);

  test("prices the facts that all its conditions accept", () => {
    const item = compile({ when: { types: ["a", "b"], models: ["GPT-4o"], dimensions: { tier: ["x", "y"], region: "eu" } } });
    const fact = factOf({ type: "b", model: "gpt-4O", dimensions: { tier: "y", region: "eu" } });
    expect(item.applies(fact)).toBe(true);
    expect(item.applies({ ...fact, type: "c" })).toBe(false);
    expect(item.applies({ ...fact, model: "gpt-5" })).toBe(false);
    expect(item.applies({ ...fact, dimensions: { tier: "z", region: "eu" } })).toBe(false);
    expect(item.applies({ ...fact, dimensions: { tier: "y" } })).toBe(false);
  });

  test("records attempts above its limit without a charge, and says so", () => {
    const item = compile({ when: { maxAttempt: 3 } });
    expect(entries(item, [{ attempt: 3 }, { attempt: 4 }, {}])).toEqual(["0.01", "0", "0.01"]);
    const beyond = item.measure(factOf({ attempt: 4 }));
    expect(beyond.kind === "measured" && beyond.steps).toEqual([
      "attempt 4 is beyond the 3 that are charged: recorded, not charged",
    ]);
  });

  test("splits its accumulator by the dimensions it names, and each part has its own allowance", () => {
    const item = compile({ cellBy: ["team", "project"], allowance: 1 });
    const cell = (team: string, project: string) => item.measure(factOf({ dimensions: { team, project } }));
    expect(cell("red", "one")).toMatchObject({ cell: "team=red;project=one" });
    expect(cell("a;b=c%", "d")).toMatchObject({ cell: "team=a%3Bb%3Dc%25;project=d" });
    expect(item.measure(factOf({ dimensions: { team: "red" } }))).toMatchObject({ reason: "missing-dimension" });
    const [red, blue] = [{ dimensions: { team: "red", project: "p" } }, { dimensions: { team: "blue", project: "p" } }];
    expect(entries(item, [red, blue, red, blue])).toEqual(["0", "0", "0.01", "0.01"]);
  });

  test("different dimension values never share a cell", () => {
    const item = compile({ cellBy: ["a", "b"] });
    const text = fc.string({ unit: fc.constantFrom("a", "b", ";", "=", "%", "2", "5"), maxLength: 6 });
    fc.assert(
      fc.property(text, text, text, text, (a, b, c, d) => {
        const cellFor = (first: string, second: string) => {
          const result = item.measure(factOf({ dimensions: { a: first, b: second } }));
          return result.kind === "measured" ? result.cell : "refused";
        };
        expect(cellFor(a, b) === cellFor(c, d)).toBe(a === c && b === d);
      }),
    );
  });

  test("keeps its version when only its title or its conditions change, and gets another when its price does", () => {
    const versionOf = (terms: object) => {
      const result = compile(terms).measure(factOf({ type: "a" }));
      return result.kind === "measured" ? result.version : "refused";
    };
    expect(versionOf({ title: "Calls", when: { types: ["a"] } })).toBe(versionOf({}));
    expect(versionOf({ price: "0.02" })).not.toBe(versionOf({}));
    expect(versionOf({ unit: "EUR" })).not.toBe(versionOf({}));
    expect(versionOf({ allowance: 5 })).not.toBe(versionOf({}));
  });

  test("refuses to price an accumulator of other terms", () => {
    expect(() => compile({}).price("another", "", ZERO)).toThrow(RangeError);
  });

  test("names the revision of its model's arithmetic, and an unknown one is no model", () => {
    expect(compile({ revision: 1 })).toMatchObject({ model: "per-request", revision: 1 });
    expect(modelOf({ model: "per-request", revision: 99 })).toBeUndefined();
    expect(itemSchema.safeParse({ ...perRequest, revision: 99 }).success).toBe(false);
  });

  test("may have several revisions of its model, and a later one must be asked for", () => {
    const source = {
      name: "toll",
      title: "A toll.",
      measures: "units" as const,
      refundBase: "marginal" as const,
      monotone: true,
      examples: [],
      compile: () => ({ measure: () => measured("", "", ZERO, "requests", () => []), price: () => ZERO }),
    };
    const first = chargeModel({ ...source, revision: 1, terms: { price: money } });
    const second = chargeModel({ ...source, revision: 2, terms: { amount: money } });
    const schema = schemaOf([...chargeModels, first, second]);
    const accepts = (terms: object) => schema.safeParse({ id: "toll", model: "toll", ...terms }).success;
    expect(accepts({ price: "1" })).toBe(true);
    expect(accepts({ price: "1", revision: 1 })).toBe(true);
    expect(accepts({ amount: "1", revision: 2 })).toBe(true);
    expect(accepts({ amount: "1" })).toBe(false);
    expect(accepts({ price: "1", revision: 2 })).toBe(false);
  });

  test("may split by a dimension that its model uses as well", () => {
    const bands = [{ name: "all", price: "2" }];
    const terms = { id: "x", model: "size-bands", quantity: "size", bands, cellBy: ["band"] };
    const item = compileItem(itemSchema.parse(terms), "USD", noPriceLists);
    expect(entries(item, [{ quantities: { size: "1" }, dimensions: { band: "jazz;=%3B" } }])).toEqual(["2"]);
  });
});
