/**
 * Which rules price which facts of an account: the catalogue's timeline, bound in the account's own stream.
 *
 * Rules never change what is recorded. A timeline that reaches behind the latest recorded fact is bound from there on, and its
 * earlier part is noted as refused: a rebill is what changes history. Facts that the bound rules cannot price at all may still
 * be priced by refused ones, since nobody has paid anything else for them.
 */
import { plus, type Instant } from "@rerate/money";
import type { CompiledPlan } from "@rerate/pricing";
import type { RulesBound } from "../account-events.ts";
import { sameRules, type RulesSegment } from "../catalogue.ts";
import type { Draft } from "./draft.ts";
import { rulesAt, type BoundRules } from "./state.ts";

/** Binds what of the timeline is not bound yet. */
export function bindTimeline(draft: Draft, timeline: readonly RulesSegment[], decider: number): void {
  const { latestFactAt } = draft.state;
  if (latestFactAt !== undefined) refusePast(draft, timeline, latestFactAt, decider);
  const since = latestFactAt === undefined ? undefined : plus(latestFactAt, 1n);
  const wanted = from(since, timeline);
  const bound = from(since, draft.rules);
  const differs = wanted.findIndex((segment, index) => !isSame(bound[index], segment));
  // All bound, but more than that: binding the last segment again takes back what was planned after it.
  const first = differs >= 0 ? differs : wanted.length < bound.length ? wanted.length - 1 : wanted.length;
  for (const segment of wanted.slice(Math.max(first, 0))) draft.bind(boundRules(segment, decider));
}

/** Notes, once each, the segments that would price recorded facts anew. */
function refusePast(draft: Draft, timeline: readonly RulesSegment[], latestFactAt: Instant, decider: number): void {
  for (const segment of timeline) {
    if (segment.from > latestFactAt) return;
    const inForce = rulesAt(draft.rules, segment.from);
    if (inForce !== undefined && sameRules(inForce, segment)) continue;
    const name = `${segment.from} ${segment.plan} ${JSON.stringify(segment.priceLists)} ${segment.outcomeDefinition ?? ""}`;
    if (draft.refused.some((refused) => refused.segment === name)) continue;
    draft.refuse({ ...boundRules(segment, decider), segment: name, latestFactAt });
  }
}

/** The part of a list of rules that counts from an instant on. */
function from<Rules extends { readonly from: Instant }>(since: Instant | undefined, rules: readonly Rules[]): readonly Rules[] {
  if (since === undefined) return rules;
  const inForce = rules.findLast((each) => each.from <= since);
  const later = rules.filter((each) => each.from > since);
  return inForce === undefined ? later : [{ ...inForce, from: since }, ...later];
}

function isSame(bound: BoundRules | undefined, segment: RulesSegment): boolean {
  return bound !== undefined && bound.from === segment.from && sameRules(bound, segment);
}

function boundRules(segment: RulesSegment, decider: number): RulesBound {
  const { plan, planId, priceLists, outcomeDefinition, timeZone, currency, wallet, contractRevision } = segment;
  return {
    from: segment.from,
    plan,
    planId,
    priceLists,
    ...(outcomeDefinition === undefined ? {} : { outcomeDefinition }),
    decider,
    timeZone,
    currency,
    wallet,
    contractRevision,
  };
}

/** Rules with their plan compiled. */
export interface PlanInForce {
  readonly rules: BoundRules;
  readonly plan: CompiledPlan;
}

/** The refused rules that reach a time, the latest refused first: what may price a fact that the bound rules cannot. */
export function* gapRules(draft: Draft, occurredAt: Instant): Iterable<PlanInForce> {
  for (const rules of draft.refused.toReversed()) {
    if (rules.from > occurredAt) continue;
    const plan = draft.context.plan(rules.plan, rules.priceLists);
    if (plan !== undefined) yield { rules, plan };
  }
}

/** The rules that an event was decided under, by the revision of their binding. */
export function rulesBoundAt(draft: Draft, bound: number): BoundRules | undefined {
  const isBound = ({ revision }: BoundRules): boolean => revision === bound;
  return draft.rules.find(isBound) ?? draft.refused.find(isBound);
}
