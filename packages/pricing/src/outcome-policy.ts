/**
 * Per outcome: what verdicts cost.
 *
 * The verdict is the measure: an outcome counts wholly, partly or not. So the quantity is the sum of the shares, and P prices that sum
 * like any other quantity, with one price or with graduated tiers. Who decides the verdict is not known here.
 */
import { atomsExactly, multiply, ONE, parseDecimal, ZERO, type Fraction } from "@rerate/money";
import type { OutcomePolicy } from "./plan-document.ts";
import { compileTiers, graduatedPrice } from "./price-tiers.ts";
import type { CompiledOutcome, Verdict } from "./rate.ts";
import { termsHash } from "./terms-hash.ts";

/** Raised when the arithmetic below changes after it has billed money. */
const REVISION = 1;

export function compileOutcome(policy: OutcomePolicy, currency: string, recordOnly: ReadonlySet<string>): CompiledOutcome {
  const unit = policy.unit ?? currency;
  const { price, tiers } = policy;
  const version = termsHash({ model: "per-outcome", revision: REVISION, unit, price, tiers });
  const types = policy.types === undefined ? undefined : new Set(policy.types);
  const shares: Readonly<Record<Verdict, Fraction>> = {
    success: shareOf(policy.shares?.success, ONE),
    partial: shareOf(policy.shares?.partial, ZERO),
    failure: shareOf(policy.shares?.failure, ZERO),
  };
  const total = priceOfShares(policy);
  return {
    definition: policy.definition,
    version,
    item: {
      id: policy.id,
      unit,
      model: "per-outcome",
      revision: REVISION,
      price(asked, _cell, quantity) {
        if (asked !== version) throw new RangeError(`outcome ${policy.id} never gave out the price version ${asked}`);
        return total(quantity);
      },
    },
    types: (type) => (types === undefined ? !recordOnly.has(type) : types.has(type)),
    share: (verdict) => shares[verdict],
    countedAt: policy.countedAt ?? "request",
  };
}

function priceOfShares(policy: OutcomePolicy): (quantity: Fraction) => Fraction {
  if (policy.tiers !== undefined) {
    const tiers = compileTiers(policy.tiers);
    return (quantity) => graduatedPrice(tiers, quantity);
  }
  const price = atomsExactly(policy.price ?? "0");
  return (quantity) => multiply(price, quantity);
}

function shareOf(text: string | undefined, absent: Fraction): Fraction {
  return text === undefined ? absent : parseDecimal(text);
}
