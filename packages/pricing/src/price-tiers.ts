/**
 * Tiers of quantity, as graduated, volume and stairstep prices and outcome policies use them.
 *
 * A tier reaches from the end of the one before it (exclusive) to its own end (inclusive); the last one has no end. So every
 * quantity lies in exactly one tier.
 */
import { add, atomsExactly, compare, multiply, subtract, ZERO, type Fraction } from "@rerate/money";
import { z } from "zod";
import type { TermsProblem } from "./charge-model.ts";
import { count, countFraction, money } from "./document-fields.ts";

export const priceTier = z.strictObject({
  upTo: count.optional().describe("Where the tier ends, inclusive; the last tier has no end."),
  price: money.describe("Per unit."),
  fee: money.optional().describe("Added once when the quantity reaches into the tier."),
});

interface TierTerms {
  readonly upTo?: string | number | undefined;
  readonly price: string;
  readonly fee?: string | undefined;
}

/** A tier in exact atoms. */
export interface Tier {
  readonly after: Fraction;
  /** Undefined in the last tier. */
  readonly upTo: Fraction | undefined;
  readonly price: Fraction;
  readonly fee: Fraction;
}

export function compileTiers(terms: readonly TierTerms[]): readonly Tier[] {
  let after = ZERO;
  return terms.map((tier) => {
    const upTo = tier.upTo === undefined ? undefined : countFraction(tier.upTo);
    const compiled = { after, upTo, price: atomsExactly(tier.price), fee: atomsExactly(tier.fee ?? "0") };
    after = upTo ?? after;
    return compiled;
  });
}

/** Each tier prices the part of the quantity that falls into it. Nothing costs nothing. */
export function graduatedPrice(tiers: readonly Tier[], quantity: Fraction): Fraction {
  let price = ZERO;
  for (const tier of tiers) {
    if (compare(quantity, tier.after) <= 0) break;
    const end = tier.upTo === undefined || compare(quantity, tier.upTo) < 0 ? quantity : tier.upTo;
    price = add(price, add(multiply(tier.price, subtract(end, tier.after)), tier.fee));
  }
  return price;
}

/** The tier that a whole quantity lies in. */
export function tierOf(tiers: readonly Tier[], quantity: Fraction): Tier {
  const found = tiers.find((tier) => tier.upTo === undefined || compare(quantity, tier.upTo) <= 0);
  if (found === undefined) throw new RangeError("the last tier has no end");
  return found;
}

/** Tiers ascend, and only the last one is open: otherwise some quantity would have no price, or two. */
export function tierProblems(tiers: readonly { readonly upTo?: string | number | undefined }[], at: string): TermsProblem[] {
  const problems: TermsProblem[] = [];
  let after = ZERO;
  for (const [index, tier] of tiers.entries()) {
    const last = index === tiers.length - 1;
    const path = [at, index, "upTo"];
    if (tier.upTo === undefined) {
      if (!last) problems.push({ path: [at, index], message: "only the last tier has no upTo" });
      continue;
    }
    if (last) problems.push({ path, message: "the last tier has no upTo: without it larger quantities would have no price" });
    const end = countFraction(tier.upTo);
    if (compare(end, after) <= 0) problems.push({ path, message: "tiers stand in ascending order" });
    after = end;
  }
  return problems;
}
