/**
 * Quality policies: what a score gives back, and what it earns on top.
 *
 * Owns the shares and their rounding. Money beside P: a refund never changes a quantity. Invariant: a refund is never negative and
 * never more than its base.
 */
import {
  atomsExactly,
  clamp,
  compare,
  divide,
  formatAmount,
  formatDecimal,
  fraction,
  isZero,
  multiply,
  ONE,
  parseDecimal,
  round,
  subtract,
  ZERO,
  type Fraction,
  type RoundingMode,
} from "@rerate/money";
import type { QualityPolicy } from "./plan-document.ts";
import type { CompiledQuality, QualityAdjustment, RefundBase } from "./rate.ts";
import { termsHash } from "./terms-hash.ts";

/** Compiles a policy; `base` is what the plan's items suggest when the policy names none. */
export function compileQuality(policy: QualityPolicy, base: RefundBase): CompiledQuality {
  const { title: _title, ...terms } = policy;
  const fixed = atomsExactly(policy.amount ?? "0");
  const scale = fraction(BigInt(policy.scale ?? 1));
  const refundShare = refundShares(policy.refund);
  const bonusShare = bonusShares(policy.bonus);
  const mode = policy.rounding ?? "half-even";
  const step = policy.step === undefined ? ONE : atomsExactly(policy.step);
  const chosen = policy.base ?? base;
  return {
    id: policy.id,
    base: chosen,
    version: termsHash({ ...terms, base: chosen }),
    adjust(score, baseAtoms): QualityAdjustment {
      const of = chosen === "fixed" ? fixed : baseAtoms;
      const scaled = multiply(clamp(score, ZERO, ONE), scale);
      const refund = refundShare(scaled);
      const bonus = bonusShare(scaled);
      const refundAtoms = of.n <= 0n ? 0n : atMost(inSteps(multiply(of, refund), step, mode), of);
      const bonusAtoms = of.n <= 0n ? 0n : inSteps(multiply(of, bonus), step, mode);
      return {
        refundAtoms,
        bonusAtoms,
        refundShare: refund,
        get steps() {
          return explain(scaled, of, { refund, refundAtoms, bonus, bonusAtoms });
        },
      };
    },
  };
}

type Shares = (score: Fraction) => Fraction;

function refundShares(refund: QualityPolicy["refund"]): Shares {
  if (refund === undefined) return () => ZERO;
  const below = parseDecimal(refund.below);
  if (refund.share === "linear") {
    return (score) => (compare(score, below) < 0 ? divide(subtract(below, score), below) : ZERO);
  }
  const share = parseDecimal(refund.share);
  return (score) => (compare(score, below) < 0 ? share : ZERO);
}

function bonusShares(bonus: QualityPolicy["bonus"]): Shares {
  if (bonus === undefined) return () => ZERO;
  const above = parseDecimal(bonus.above);
  const share = parseDecimal(bonus.share);
  return (score) => (compare(score, above) > 0 ? share : ZERO);
}

function inSteps(atoms: Fraction, step: Fraction, mode: RoundingMode): bigint {
  return round(multiply(fraction(round(divide(atoms, step), mode)), step), mode);
}

/** Rounding to a step may go beyond the base; a refund does not. */
function atMost(atoms: bigint, base: Fraction): bigint {
  const whole = round(base, "floor");
  return atoms > whole ? whole : atoms;
}

function explain(
  score: Fraction,
  base: Fraction,
  found: { readonly refund: Fraction; readonly refundAtoms: bigint; readonly bonus: Fraction; readonly bonusAtoms: bigint },
): readonly string[] {
  const of = formatDecimal(divide(base, atomsExactly("1")));
  const steps = [`score ${formatDecimal(score)}`];
  if (!isZero(found.refund)) steps.push(`refund: ${of} × ${formatDecimal(found.refund)} → ${formatAmount(found.refundAtoms)}`);
  if (!isZero(found.bonus)) steps.push(`bonus: ${of} × ${formatDecimal(found.bonus)} → ${formatAmount(found.bonusAtoms)}`);
  if (steps.length === 1) steps.push("neither refund nor bonus");
  return steps;
}
