/**
 * Brings what a verdict moves to where it should be: each target is computed from the whole story, and the difference to what
 * is posted is booked. So a revised verdict, a late request and a corrected usage are one mechanism.
 */
import { add, divide, isZero, min, multiply, parseFraction, round, subtract, ZERO, type Fraction } from "@rerate/money";
import type { CompiledItem, CompiledOutcome, CompiledPlan, CompiledQuality } from "@rerate/pricing";
import type { Entry } from "../account-events.ts";
import { accumulatorKey, type AccumulatorPlace } from "./accumulator.ts";
import type { Draft, Posting } from "./draft.ts";
import type { BoundRules } from "./state.ts";
import { bindingFact, OUTCOMES, withEntries, type BookedMeasure, type Story } from "./story.ts";

/** Everything a settlement of a story books, in order: what the outcome counts, then refunds and bonuses. */
export function settle(draft: Draft, rules: BoundRules, plan: CompiledPlan, story: Story, posting: Posting): Entry[] {
  if (story.verdict === undefined) return [];
  const counted = plan.outcome === undefined && story.counted.size === 0 ? [] : settleOutcome(draft, rules, plan, story, posting);
  const quality =
    plan.quality === undefined ? [] : settleQuality(draft, plan, plan.quality, withEntries(story, counted), posting);
  return [...counted, ...quality];
}

/** DESIGN law 6: an outcome policy makes the verdict a measure. */
function settleOutcome(draft: Draft, rules: BoundRules, plan: CompiledPlan, story: Story, posting: Posting): Entry[] {
  const { verdict } = story;
  if (verdict === undefined) return [];
  const targets = new Map<string, { place: AccumulatorPlace; measure: Fraction; outcome: CompiledOutcome | undefined }>();
  for (const [key, counted] of story.counted)
    targets.set(key, { place: counted.place, measure: ZERO, outcome: outcomeOf(draft, counted.place) });
  if (plan.outcome !== undefined) {
    const { item, version } = plan.outcome;
    const place = { item: item.id, unit: item.unit, version, period: posting.period, cell: "" };
    targets.set(accumulatorKey(place), { place, measure: plan.outcome.share(verdict.verdict), outcome: plan.outcome });
  }
  const entries: Entry[] = [];
  for (const [key, { place, measure: target, outcome }] of targets) {
    if (outcome === undefined) throw new Error(`no plan of ${draft.state.stream} (rules ${rules.revision}) prices ${key}`);
    const booked = story.counted.get(key);
    const measure = subtract(target, booked?.measure ?? ZERO);
    if (isZero(measure) && (booked !== undefined || isZero(target))) continue;
    const fields = {
      kind: measure.n < 0n ? "refund" : "charge",
      place,
      model: `${outcome.item.model}@${outcome.item.revision}`,
      measure,
      measureUnit: OUTCOMES,
      posting: place.period === posting.period ? posting : { period: place.period, ...postedElsewhere(posting) },
      corrects: booked?.firstEntry,
      steps: [
        `verdict ${verdict.verdict} (score ${verdict.score}) counts ${text(target)} outcome${booked === undefined ? "" : `, was ${text(booked.measure)}`}`,
      ],
    } as const;
    entries.push(draft.bookMeasured(fields, (quantity) => outcome.item.price(place.version, place.cell, quantity)));
  }
  return entries;
}

function postedElsewhere(posting: Posting): { postedIn: string } | Record<string, never> {
  return { postedIn: posting.postedIn ?? posting.period };
}

/** The outcome policy whose price terms an accumulator bears: an earlier binding may have had other terms. */
function outcomeOf(draft: Draft, place: AccumulatorPlace): CompiledOutcome | undefined {
  for (const rules of [...draft.rules, ...draft.refused]) {
    const plan = draft.context.plan(rules.plan, rules.priceLists);
    if (plan?.outcome?.item.id === place.item && plan.outcome.version === place.version) return plan.outcome;
  }
  return undefined;
}

/** DESIGN law 6: a quality policy is money beside P and never changes Q. */
function settleQuality(draft: Draft, plan: CompiledPlan, quality: CompiledQuality, story: Story, posting: Posting): Entry[] {
  if (story.verdict === undefined) return [];
  const score = parseFraction(story.verdict.score);
  const entries = quality.base === "average" ? settleAverage(draft, plan, quality, story, score, posting) : [];
  for (const [unit, { atoms, firstEntry }] of chargedByUnit(story)) {
    const target = quality.adjust(score, { n: atoms, d: 1n });
    const posted = story.quality.get(unit) ?? { refund: 0n, bonus: 0n };
    const fields = {
      place: { item: quality.id, unit, version: quality.version, period: posting.period, cell: "" },
      model: `quality-${quality.base}@1`,
      measure: target.refundShare,
      measureUnit: "share",
      posting,
      corrects: firstEntry,
      steps: target.steps,
    } as const;
    // Under the average base the refund follows the accumulator; a bonus is always a share of the outcome's own charge.
    const most = atoms > 0n ? atoms : 0n;
    const refund = quality.base === "average" ? posted.refund : target.refundAtoms > most ? most : target.refundAtoms;
    if (refund !== posted.refund) entries.push(draft.bookQuality({ ...fields, kind: "refund" }, posted.refund - refund));
    if (target.bonusAtoms !== posted.bonus)
      entries.push(draft.bookQuality({ ...fields, kind: "bonus" }, posted.bonus - target.bonusAtoms));
  }
  return entries;
}

/** The story's own net charges, outcome fees apart, by unit. */
function chargedByUnit(story: Story): Map<string, { atoms: bigint; firstEntry: number }> {
  const sums = new Map<string, { atoms: bigint; firstEntry: number }>();
  for (const { place, atoms, firstEntry } of story.charges.values()) {
    const known = sums.get(place.unit);
    sums.set(place.unit, { atoms: (known?.atoms ?? 0n) + atoms, firstEntry: known?.firstEntry ?? firstEntry });
  }
  return sums;
}

/** Under the average base a refund follows P·W/Q of its accumulator; this story's part of W is share × measure. */
function settleAverage(
  draft: Draft,
  plan: CompiledPlan,
  quality: CompiledQuality,
  story: Story,
  score: Fraction,
  posting: Posting,
): Entry[] {
  const entries: Entry[] = [];
  for (const [key, booked] of story.charges) {
    const { refundShare, steps } = quality.adjust(score, { n: booked.atoms, d: 1n });
    const target = multiply(min(refundShare, { n: 1n, d: 1n }), booked.measure);
    const change = subtract(target, story.averages.get(key) ?? ZERO);
    if (isZero(change)) continue;
    entries.push(...bookAverage(draft, quality, itemPrice(plan, booked), booked, change, posting, steps));
  }
  return entries;
}

/**
 * Keeps the refunds of an accumulator at round(P·W/Q) after its quantity changed. Nothing to do while nothing was refunded
 * on average.
 */
export function averageUpkeep(
  draft: Draft,
  plan: CompiledPlan,
  item: CompiledItem,
  place: AccumulatorPlace,
  posting: Posting,
): Entry[] {
  if (plan.quality?.base !== "average") return [];
  if (isZero(draft.accumulator(accumulatorKey(place)).refundedMeasure)) return [];
  const price = (quantity: Fraction): Fraction => item.price(place.version, place.cell, quantity);
  return bookAverage(draft, plan.quality, price, { place, firstEntry: undefined }, ZERO, posting, [
    "average price of the accumulator changed",
  ]);
}

function bookAverage(
  draft: Draft,
  quality: CompiledQuality,
  price: (quantity: Fraction) => Fraction,
  booked: { readonly place: AccumulatorPlace; readonly firstEntry: number | undefined },
  change: Fraction,
  posting: Posting,
  steps: readonly string[],
): Entry[] {
  const key = accumulatorKey(booked.place);
  const accumulator = draft.accumulator(key);
  const weighted = add(accumulator.refundedMeasure, change);
  const quantity = accumulator.quantity;
  const target = quantity.n === 0n ? 0n : round(divide(multiply(price(quantity), weighted), quantity));
  const atoms = accumulator.refunded - target;
  if (atoms === 0n && isZero(change)) return [];
  const fields = {
    kind: "refund",
    place: { item: quality.id, unit: booked.place.unit, version: quality.version, period: booked.place.period, cell: "" },
    model: "quality-average@1",
    measure: change,
    measureUnit: "share×measure",
    posting,
    corrects: booked.firstEntry,
    steps,
  } as const;
  return [draft.bookQuality(fields, atoms, { accumulator: key, refundedMeasure: change, newRefundedMeasure: weighted })];
}

function itemPrice(plan: CompiledPlan, booked: BookedMeasure): (quantity: Fraction) => Fraction {
  const item = plan.items.find(({ id }) => id === booked.place.item);
  if (item === undefined) throw new Error(`plan ${plan.id} has no item ${booked.place.item}`);
  return (quantity) => item.price(booked.place.version, booked.place.cell, quantity);
}

/** The posting of a story: that of its earliest request. */
export function storyPosting(draft: Draft, rules: BoundRules, plan: CompiledPlan, story: Story): Posting | undefined {
  const binding = bindingFact(story);
  if (binding === undefined) throw new Error("a story without requests has no period");
  const time =
    plan.outcome?.countedAt === "settlement" && story.verdict !== undefined ? story.verdict.decidedAt : binding.occurredAt;
  return draft.postingFor(rules, plan, time);
}

function text(value: Fraction): string {
  return value.d === 1n ? value.n.toString() : `${value.n}/${value.d}`;
}
