/**
 * What a decider sees of pricing: facts go in, exact measures and prices come out.
 *
 * Owns the words between pricing and the deciders. Knows no document format (`plan-document.ts`) and no charge model
 * (`models/`). Invariant: a measure depends on one fact and the terms alone; a price depends on one accumulator's total
 * alone, never on the order in which its facts arrived.
 */
import type { Fraction, Instant } from "@rerate/money";
import type { PeriodRule } from "./period.ts";
import type { PlanDocument } from "./plan-document.ts";

/** A usage fact as pricing reads it. Quantities are canonical (`canonicalQuantity`): pricing does not repair them. */
export interface PricedFact {
  readonly type: string;
  readonly occurredAt: Instant;
  readonly provider?: string;
  readonly model?: string;
  /** For example `input_tokens` (cached and cache-write tokens included), `cached_input_tokens`, `output_tokens`. */
  readonly quantities: Readonly<Record<string, string>>;
  readonly dimensions: Readonly<Record<string, string>>;
  /** 1 for the first attempt; absent means 1. */
  readonly attempt?: number;
}

/** A fact's exact measure and the accumulator it adds to: (account, item, `version`, period of `occurredAt`, `cell`). */
export interface Measured {
  readonly kind: "measured";
  /** Canonical text of the dimension values that split the accumulator; "" when none do. */
  readonly cell: string;
  /** Names the price terms under which P never changes: a short hash of them, and for dated prices their start. */
  readonly version: string;
  readonly measure: Fraction;
  /** What the measure counts: "requests", the name of a quantity, or "atoms" where the measure already is money. */
  readonly measureUnit: string;
  readonly exact?: undefined;
  /** The arithmetic in short lines that a customer can follow. Computed when read. */
  readonly steps: readonly string[];
}

/** Why a fact has no price under an item. Never means zero: the fact is parked until the gap is filled. */
export interface Unpriced {
  readonly kind: "unpriced";
  readonly reason:
    | "missing-price"
    | "missing-quantity"
    | "bad-quantity"
    | "missing-dimension"
    | "unknown-model"
    | "parts-exceed-total";
  readonly detail: string;
}

/** Which base a quality refund takes: this fact's own charge, a fixed amount, or the accumulator's average price. */
export type RefundBase = "marginal" | "fixed" | "average";

/** One priced thing in a plan, ready to price facts. */
export interface CompiledItem {
  /** Never reused, stable across plan versions. */
  readonly id: string;
  /** The currency or credit unit of the item's entries. */
  readonly unit: string;
  /** The charge model's name and the revision of its arithmetic. */
  readonly model: string;
  readonly revision: number;
  /** The default base of quality refunds: average where a single entry depends on arrival order. */
  readonly refundBase: "marginal" | "average";
  applies(fact: PricedFact): boolean;
  measure(fact: PricedFact): Measured | Unpriced;
  /**
   * P(Q): the exact atoms that the whole quantity of an accumulator costs. Entries are `round(P(Q+q)) − round(P(Q))`.
   * Throws a RangeError for a version or cell that this item never gave out.
   */
  price(version: string, cell: string, quantity: Fraction): Fraction;
}

/** An amount a plan states by itself: a base fee, a minimum, a maximum. */
export interface CompiledAmount {
  readonly id: string;
  readonly unit: string;
  readonly atoms: bigint;
}

/** The part of an item that prices outcomes: the measure is the sum of the verdicts' shares. */
export type OutcomeItem = Pick<CompiledItem, "id" | "unit" | "model" | "revision" | "price">;

export type Verdict = "success" | "partial" | "failure";

/** What a verdict costs. */
export interface CompiledOutcome {
  /** The name of the outcome definition document that decides verdicts. */
  readonly definition: string;
  readonly item: OutcomeItem;
  readonly version: string;
  /** Whether facts of this type open an outcome. */
  readonly types: (type: string) => boolean;
  /** How much of an outcome a verdict counts, 0 to 1. */
  share(verdict: Verdict): Fraction;
  /** Whether price and period follow the request's time or the verdict's. */
  readonly countedAt: "request" | "settlement";
}

export interface QualityAdjustment {
  /** Never more than the base, never negative. */
  readonly refundAtoms: bigint;
  readonly bonusAtoms: bigint;
  /** The share of the base before rounding: what W = Σ share × measure adds up under the average base. */
  readonly refundShare: Fraction;
  readonly steps: readonly string[];
}

/** Refunds for poor results and bonuses for excellent ones: money beside P, which never changes a quantity. */
export interface CompiledQuality {
  readonly id: string;
  readonly base: RefundBase;
  readonly version: string;
  /** What this score (an exact fraction from 0 to 1) gives back of the base; `baseAtoms` is ignored under a fixed base. */
  adjust(score: Fraction, baseAtoms: Fraction): QualityAdjustment;
}

/** A plan document, ready to price. */
export interface CompiledPlan {
  readonly hash: string;
  readonly id: string;
  readonly document: PlanDocument;
  readonly items: readonly CompiledItem[];
  /** The items that price this fact, in the plan's order. */
  itemsFor(fact: PricedFact): readonly CompiledItem[];
  /** Whether facts of this type are recorded without a charge. */
  recordsOnly(type: string): boolean;
  readonly outcome?: CompiledOutcome;
  readonly quality?: CompiledQuality;
  readonly period: PeriodRule;
  /** How long after a period's close a late fact is still rated on it. */
  readonly lateLimitNanos: bigint;
  /** How long after a period's end it is closed. */
  readonly closeAfterNanos: bigint;
  readonly baseFee?: CompiledAmount;
  /** The true-up: charges of a period before quality refunds are lifted to this amount. */
  readonly minimum?: CompiledAmount;
  readonly maximum?: CompiledAmount;
}
