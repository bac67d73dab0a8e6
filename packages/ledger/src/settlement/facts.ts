/**
 * Usage facts and their corrections: recorded once each, priced by the content of the highest revision, whatever the order of
 * arrival.
 */
import type { Instant } from "@rerate/money";
import type { AccountEvent, Entry, UsageContent, UsageRecorded } from "../account-events.ts";
import type { Decision, History } from "../decider.ts";
import type { Identity, UsageAccepted } from "../messages.ts";
import { rulesUsed, type Draft } from "./draft.ts";
import { factKey, headKey, identityKey, parkedKey, revisionKey } from "./keys.ts";
import { duplicateOrConflict, park } from "./park.ts";
import { adjustLate } from "./periods.ts";
import { bookChange, bookMeasures, measuresOf, type Unrated } from "./rate.ts";
import { gapRules, rulesBoundAt, type PlanInForce } from "./rules.ts";
import { rulesAt, type BoundRules } from "./state.ts";
import { settle, storyPosting } from "./settle.ts";
import { highestWaiting, waitForOriginal } from "./waiting.ts";
import { bindingFact, foldStory, NEW_STORY, storyOf, withEntries, type Story } from "./story.ts";

type Outcome = Decision<AccountEvent>;

/** A usage fact: an original, or a correction of one. */
export function recordUsage(draft: Draft, message: UsageAccepted, history: History<AccountEvent>): Outcome {
  const known = duplicateOrConflict(draft.state, message, history);
  if (known !== undefined) return known;
  return message.corrects === undefined
    ? recordOriginal(draft, message, history)
    : correctUsage(draft, message, message.corrects, history);
}

function recordOriginal(draft: Draft, message: UsageAccepted, history: History<AccountEvent>): Outcome {
  const { state } = draft;
  const waiting = highestWaiting(draft, message, "usage");
  const corrected =
    waiting === undefined ? undefined : { revision: waiting.revision, by: waiting.by, content: waiting.body.content };
  const content = contentOf(message);
  const priced = priceable(draft, corrected?.content ?? content, message.occurredAt);
  if (priced.kind === "wait") return priced;
  if (priced.kind === "unrated") return park(state, message, history, priced.reason, priced.detail);
  const { rules, plan, measures } = priced;
  const posting = draft.postingFor(rules, plan, message.occurredAt);
  if (posting === undefined)
    return park(state, message, history, "late-limit", "its period closed longer ago than the plan's late limit");

  const outcome: Identity = { source: message.source, id: message.outcome ?? message.id };
  const before = state.outcomesAreShared || message.outcome !== undefined ? storyOf(outcome, history) : NEW_STORY;
  const booked = bookMeasures(draft, plan, measures, posting);
  const data: UsageRecorded = {
    source: message.source,
    id: message.id,
    occurredAt: message.occurredAt,
    contentHash: message.contentHash,
    content,
    ...(message.outcome === undefined ? {} : { outcome: message.outcome }),
    ...(corrected === undefined ? {} : { corrected }),
    rules: rulesUsed(rules),
    period: posting.period,
    entries: booked,
    ...(plan.outcome?.types(message.type) === true ? { published: draft.nextPublished() } : {}),
    ...(before.head === undefined ? {} : { link: before.head }),
  };
  // Most facts meet no verdict: telling their story would cost as much as pricing them.
  const judged = before.verdict !== undefined || state.waitingVerdicts.has(identityKey(outcome));
  const story = judged ? foldStory(before, { type: "UsageRecorded", data }, draft.nextRevision) : undefined;
  const settled = story === undefined || before.verdict === undefined ? booked : [...booked, ...resettle(draft, story)];
  const late = adjustLate(draft, settled);
  const entries = late.length === 0 ? settled : [...settled, ...late];
  const wallets = draft.walletNumbers(entries, rules.wallet);
  draft.add({ type: "UsageRecorded", data: { ...data, entries, ...(wallets === undefined ? {} : { wallets }) } });
  if (story !== undefined) applyWaitingVerdict(draft, outcome, withEntries(story, entries.slice(booked.length)), entries);
  return { kind: "record", events: draft.events, answer: { status: "recorded" } };
}

interface Priceable extends PlanInForce {
  readonly kind: "priceable";
  readonly measures: Exclude<ReturnType<typeof measuresOf>, Unrated>;
}

/** The rules that price a content: those bound for its time; where they have no price, refused ones that have. */
function priceable(
  draft: Draft,
  content: UsageContent,
  occurredAt: Instant,
): Priceable | Unrated | { readonly kind: "wait"; readonly reason: string } {
  const rules = rulesAt(draft.rules, occurredAt);
  let unrated: Unrated = { kind: "unrated", reason: "no-rules", detail: `no plan is in force at ${occurredAt}` };
  if (rules !== undefined) {
    const plan = draft.context.plan(rules.plan, rules.priceLists);
    if (plan === undefined) return { kind: "wait", reason: `plan ${rules.plan} is not known here yet` };
    const measures = measuresOf(plan, content, occurredAt);
    if (!("kind" in measures)) return { kind: "priceable", rules, plan, measures };
    unrated = measures;
  }
  for (const gap of gapRules(draft, occurredAt)) {
    const measures = measuresOf(gap.plan, content, occurredAt);
    if (!("kind" in measures)) return { kind: "priceable", ...gap, measures };
  }
  return unrated;
}

/** Settles a story again after a request was added or corrected. Nothing to do without a verdict, or beyond the late limit. */
function resettle(draft: Draft, story: Story): Entry[] {
  const binding = bindingFact(story);
  if (binding === undefined || story.verdict === undefined) return [];
  const rules = rulesBoundAt(draft, binding.bound);
  const plan = rules === undefined ? undefined : draft.context.plan(rules.plan, rules.priceLists);
  if (rules === undefined || plan === undefined) return [];
  const posting = storyPosting(draft, rules, plan, story);
  return posting === undefined ? [] : settle(draft, rules, plan, story, posting);
}

/** A verdict that came before its usage is applied now, as an event of its own. */
function applyWaitingVerdict(draft: Draft, outcome: Identity, story: Story, before: readonly Entry[]): void {
  const waiting = draft.state.waitingVerdicts.get(identityKey(outcome));
  if (waiting === undefined) return;
  const judged: Story = { ...story, verdict: waiting };
  const binding = bindingFact(judged);
  const rules = binding === undefined ? undefined : rulesBoundAt(draft, binding.bound);
  const settled = resettle(draft, judged);
  const entries = [...settled, ...adjustLate(draft, settled, before)];
  const wallets = rules === undefined ? undefined : draft.walletNumbers(entries, rules.wallet);
  const { source: _from, ...verdict } = waiting;
  draft.add({
    type: "VerdictApplied",
    data: {
      ...verdict,
      ...(rules === undefined ? {} : { rules: rulesUsed(rules) }),
      entries,
      ...(wallets === undefined ? {} : { wallets }),
      ...(story.head === undefined ? {} : { link: story.head }),
    },
  });
}

function correctUsage(draft: Draft, message: UsageAccepted, corrects: Identity, history: History<AccountEvent>): Outcome {
  const revision = message.revision ?? 1;
  const original = history.find(factKey(corrects));
  if (original === undefined) {
    const body = { kind: "usage", content: contentOf(message) } as const;
    return waitForOriginal(draft, message, { corrects, revision, body }, history);
  }
  const recorded = history.at(original.revision);
  if (recorded.type !== "UsageRecorded") {
    return park(
      draft.state,
      message,
      history,
      "invalid-command",
      `${corrects.source} ${corrects.id} is no usage fact that can be corrected`,
    );
  }
  const { data } = recorded;
  if (message.occurredAt !== data.occurredAt || message.outcome !== data.outcome) {
    return park(
      draft.state,
      message,
      history,
      "corrects-other-account-fields",
      "a correction may not change the time or the outcome of its original",
    );
  }
  const outcome: Identity = { source: data.source, id: data.outcome ?? data.id };
  const story = storyOf(outcome, history);
  const fact = story.facts.find(({ identity }) => identityKey(identity) === identityKey(corrects));
  if (fact === undefined) throw new Error(`the story of ${outcome.source} ${outcome.id} lacks ${corrects.id}`);
  const rules = rulesBoundAt(draft, data.rules.bound);
  const plan = rules === undefined ? undefined : draft.context.plan(rules.plan, rules.priceLists);
  if (rules === undefined || plan === undefined)
    return { kind: "wait", reason: "the plan of the corrected fact is not known here yet" };
  const holds = revision > fact.revision;
  if (!holds && revisionTaken(history, corrects, revision, fact.revision)) {
    return park(
      draft.state,
      message,
      history,
      "revision-conflict",
      `revision ${revision} of ${corrects.id} was recorded with other content`,
    );
  }
  return recordCorrection(
    draft,
    message,
    { corrects, revision, holds, outcome, story, from: fact.content, original: fact.entries, rules },
    history,
  );
}

/** A revision at or below the one in force conflicts only when it is the one in force: lower ones are recorded without effect. */
function revisionTaken(history: History<AccountEvent>, corrects: Identity, revision: number, inForce: number): boolean {
  return revision === inForce || history.find(revisionKey(corrects, revision)) !== undefined;
}

interface Correction {
  readonly corrects: Identity;
  readonly revision: number;
  readonly holds: boolean;
  readonly outcome: Identity;
  readonly story: Story;
  readonly from: UsageContent;
  readonly original: readonly Entry[];
  readonly rules: BoundRules;
}

function recordCorrection(draft: Draft, message: UsageAccepted, correction: Correction, history: History<AccountEvent>): Outcome {
  const { corrects, revision, holds, outcome, story, from, original, rules } = correction;
  const plan = draft.context.plan(rules.plan, rules.priceLists);
  if (plan === undefined) throw new Error(`plan ${rules.plan} vanished`);
  const content = contentOf(message);
  const to = measuresOf(plan, content, message.occurredAt);
  if ("kind" in to) return park(draft.state, message, history, to.reason, to.detail);
  const was = measuresOf(plan, from, message.occurredAt);
  if ("kind" in was) throw new Error(`content that was priced has no price any more: ${was.detail}`);
  const posting = draft.postingFor(rules, plan, message.occurredAt);
  if (posting === undefined)
    return park(draft.state, message, history, "late-limit", "its period closed longer ago than the plan's late limit");
  const booked = holds ? bookChange(draft, plan, { from: was, to, original }, posting) : [];
  const data = {
    source: message.source,
    id: message.id,
    occurredAt: message.occurredAt,
    contentHash: message.contentHash,
    corrects,
    revision,
    content,
    holds,
    rules: rulesUsed(rules),
    entries: booked,
    outcomeOf: outcome,
    ...(story.head === undefined ? {} : { link: story.head }),
  };
  const after = foldStory(story, { type: "UsageCorrected", data }, draft.nextRevision);
  const settled = holds ? [...booked, ...resettle(draft, after)] : booked;
  const entries = [...settled, ...adjustLate(draft, settled)];
  const wallets = draft.walletNumbers(entries, rules.wallet);
  draft.add({ type: "UsageCorrected", data: { ...data, entries, ...(wallets === undefined ? {} : { wallets }) } });
  return { kind: "record", events: draft.events, answer: { status: "recorded" } };
}

/** The priced fields of a message, without those it does not have. */
export function contentOf(message: UsageAccepted): UsageContent {
  const { type, provider, model, quantities, dimensions, attempt, parent } = message;
  return {
    type,
    ...(provider === undefined ? {} : { provider }),
    ...(model === undefined ? {} : { model }),
    quantities,
    ...(Object.keys(dimensions).length === 0 ? {} : { dimensions }),
    ...(attempt === undefined ? {} : { attempt }),
    ...(parent === undefined ? {} : { parent }),
  };
}

/** Keys that a usage message needs: its own identity, its outcome's story where there may be one, and what it corrects. */
export function usageNeeds(
  state: { readonly outcomesAreShared: boolean; readonly anyParked: boolean },
  message: UsageAccepted,
): { keys: string[]; chains: string[] } {
  const keys = [factKey(message)];
  if (state.anyParked) keys.push(parkedKey(message, message.contentHash));
  if (message.corrects !== undefined) {
    const { corrects } = message;
    keys.push(revisionKey(corrects, message.revision ?? 1));
    const outcome = { source: corrects.source, id: message.outcome ?? corrects.id };
    return { keys, chains: [factKey(corrects), headKey(outcome), factKey(outcome)] };
  }
  if (message.outcome === undefined && !state.outcomesAreShared) return { keys, chains: [] };
  const outcome = { source: message.source, id: message.outcome ?? message.id };
  return { keys, chains: message.outcome === undefined ? [headKey(outcome)] : [headKey(outcome), factKey(outcome)] };
}
