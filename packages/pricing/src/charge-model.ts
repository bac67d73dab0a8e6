/**
 * The frame that every charge model fills in: terms, arithmetic, worked examples.
 *
 * Owns the fields that all items share, and the parts of the arithmetic that are the same for all: what a fact counts, and the
 * allowance inside P. A model never sees an account, a period or another fact. Adding a model: one file in `models/` and its line in
 * `models/all.ts`.
 */
import { ONE, quantityFraction, subtract, ZERO, type Fraction } from "@rerate/money";
import { z } from "zod";
import { count, countFraction, key, name, unit, value } from "./document-fields.ts";
import type { PriceList } from "./price-list.ts";
import type { Measured, PricedFact, Unpriced } from "./rate.ts";

/** Which facts an item prices. All conditions hold together; a condition that is absent always holds. */
export const whenSchema = z.strictObject({
  types: z.array(value).min(1).optional().describe("Event types; any of them."),
  models: z.array(value).min(1).optional().describe("Model names, compared without case; any of them."),
  dimensions: z
    .record(key, z.union([value, z.array(value).min(1)]))
    .optional()
    .describe("Dimension values that the fact must carry; a list means any of them."),
  maxAttempt: z.int().min(1).optional().describe("Attempts above this number are recorded and not charged."),
});

const ITEM_FIELDS = {
  id: name.describe("Never reused, stable across plan versions: entries and accumulators carry it."),
  title: z.string().optional(),
  when: whenSchema.optional(),
  unit: unit.optional().describe("Currency or credit unit of the item's entries; the plan's currency if absent."),
  cellBy: z.array(key).min(1).optional().describe("Dimensions that split the item into separate accumulators."),
};
const ALLOWANCE = count.optional().describe("Included quantity per accumulator and period: P acts on what goes beyond it.");

const itemShape = z.object({ ...ITEM_FIELDS, model: z.string(), revision: z.int().min(1).optional(), allowance: ALLOWANCE });
/** What all items have in common; a model reads its own terms from the same object. */
export type PlanItem = z.infer<typeof itemShape>;
type ItemSchema = z.ZodObject<typeof itemShape.shape>;

/** What compiling hands to a model beside its terms. */
export interface ModelContext {
  readonly unit: string;
  /** The version every measure carries unless the model dates its prices. */
  readonly version: string;
  priceList(listName: string): PriceList;
}

/** A model's arithmetic for one item. `cell` is what `cellBy` made of the fact. */
export interface Meter {
  measure(fact: PricedFact, cell: string): Measured | Unpriced;
  /** P(Q) for Q beyond the allowance. */
  price(cell: string, quantity: Fraction): Fraction;
}

/** A problem within an item: `path` is relative to the item. */
export interface TermsProblem {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

/** A worked example: facts in order under some terms, and what each costs. Executed by the tests. */
export interface WorkedExample {
  readonly title: string;
  readonly terms: Readonly<Record<string, unknown>>;
  readonly facts: readonly Partial<PricedFact>[];
  /** What each fact adds, in major units (an exact decimal or fraction), or why it has no price. */
  readonly entries: readonly (string | { readonly refused: Unpriced["reason"] })[];
}

export interface ChargeModel {
  readonly name: string;
  readonly revision: number;
  readonly refundBase: "marginal" | "average";
  /** Whether more usage never costs less in total. */
  readonly monotone: boolean;
  readonly measures: "units" | "atoms";
  readonly schema: ItemSchema;
  readonly examples: readonly WorkedExample[];
  problems(item: PlanItem): readonly TermsProblem[];
  /** The price lists that the item names. */
  priceLists(item: PlanItem): readonly string[];
  compile(item: PlanItem, context: ModelContext): Meter;
}

/** What a model's file states. */
export interface ChargeModelSource<Shape extends z.ZodRawShape> {
  readonly name: string;
  readonly title: string;
  /** Raised when the arithmetic changes after it has billed money; old revisions stay. */
  readonly revision: number;
  /** "units": measures are counts and an allowance is possible. "atoms": each measure already is exact money and P is the identity. */
  readonly measures: "units" | "atoms";
  readonly refundBase: "marginal" | "average";
  readonly monotone: boolean;
  readonly terms: Shape;
  readonly examples: readonly WorkedExample[];
  problems?(terms: z.infer<z.ZodObject<Shape>>): readonly TermsProblem[];
  priceLists?(terms: z.infer<z.ZodObject<Shape>>): readonly string[];
  compile(terms: z.infer<z.ZodObject<Shape>>, context: ModelContext): Meter;
}

/** Makes a charge model from its file's statement. Inside, its terms are typed; outside, all models look alike. */
export function chargeModel<Shape extends z.ZodRawShape>(source: ChargeModelSource<Shape>): ChargeModel {
  const terms = z.object(source.terms);
  const schema = z
    .strictObject({
      ...ITEM_FIELDS,
      model: z.literal(source.name),
      revision: revisionField(source.revision),
      ...(source.measures === "units" ? { allowance: ALLOWANCE } : {}),
      ...source.terms,
    })
    .describe(source.title);
  return {
    name: source.name,
    revision: source.revision,
    refundBase: source.refundBase,
    monotone: source.monotone,
    measures: source.measures,
    // The frame reads only the shared fields; the model's own are typed inside its file.
    schema: schema as unknown as ItemSchema,
    examples: source.examples,
    problems: (item) => source.problems?.(terms.parse(item)) ?? [],
    priceLists: (item) => source.priceLists?.(terms.parse(item)) ?? [],
    compile: (item, context) => withAllowance(source.compile(terms.parse(item), context), item.allowance),
  };
}

/** What a fact counts under a named quantity; without a name each fact counts one request. */
export function counter(quantity: string | undefined): (fact: PricedFact) => Fraction | Unpriced {
  if (quantity === undefined) return () => ONE;
  return (fact) => {
    const text = fact.quantities[quantity];
    if (text === undefined) {
      return { kind: "unpriced", reason: "missing-quantity", detail: `the fact has no quantity "${quantity}"` };
    }
    return quantityFraction(text);
  };
}

/** Tells a count from a refusal. */
export function isUnpriced(result: object): result is Unpriced {
  return "kind" in result && result.kind === "unpriced";
}

/** Builds a measure; its steps are put into words only when somebody reads them. */
export function measured(
  cell: string,
  version: string,
  measure: Fraction,
  measureUnit: string,
  steps: () => readonly string[],
): Measured {
  return {
    kind: "measured",
    cell,
    version,
    measure,
    measureUnit,
    get steps() {
      return steps();
    },
  };
}

/** The identity: P of models whose measure already is money. */
export function identity(_cell: string, quantity: Fraction): Fraction {
  return quantity;
}

/** Absent means the first revision, so that a document never changes its meaning when a later one appears. */
function revisionField(revision: number): z.ZodType<number | undefined> {
  const field = z.literal(revision).describe("Revision of the model's arithmetic; 1 if absent.");
  return revision === 1 ? field.optional() : field;
}

function withAllowance(meter: Meter, allowance: string | number | undefined): Meter {
  if (allowance === undefined) return meter;
  const included = countFraction(allowance);
  return {
    measure: meter.measure,
    price: (cell, quantity) => {
      const beyond = subtract(quantity, included);
      return meter.price(cell, beyond.n > 0n ? beyond : ZERO);
    },
  };
}
