/**
 * Verdicts from outcome-signal: applied in the order of their numbers, each once, priced under the rules of the earliest
 * request of the outcome.
 */
import type { AccountEvent, VerdictWaiting } from "../account-events.ts";
import type { Decision, History } from "../decider.ts";
import type { OutcomeDecidedMessage } from "../messages.ts";
import { rulesUsed, type Draft } from "./draft.ts";
import { adjustLate } from "./periods.ts";
import { rulesBoundAt } from "./rules.ts";
import { settle, storyPosting } from "./settle.ts";
import { bindingFact, storyOf, type Story } from "./story.ts";

export function applyVerdict(
  draft: Draft,
  message: OutcomeDecidedMessage,
  history: History<AccountEvent>,
): Decision<AccountEvent> {
  const last = draft.state.sources.get(message.sourceStream);
  if (message.number <= (last?.number ?? 0)) return { kind: "skip", answer: { status: "duplicate" } };
  if (message.number !== (last?.number ?? 0) + 1) {
    return { kind: "gap", sourceStream: message.sourceStream, fromRevision: last === undefined ? 0 : last.revision + 1 };
  }
  const given: VerdictWaiting = {
    outcome: message.outcome,
    verdict: message.verdict,
    score: message.score,
    reason: message.reason,
    verdictRevision: message.verdictRevision,
    decidedAt: message.decidedAt,
    definition: message.definition,
    source: { stream: message.sourceStream, revision: message.sourceRevision, number: message.number },
  };
  const story = storyOf(message.outcome, history);
  const binding = bindingFact(story);
  if (binding === undefined) {
    draft.add({ type: "VerdictWaiting", data: given });
    return { kind: "record", events: draft.events, answer: { status: "recorded", detail: "waits for its usage" } };
  }
  const rules = rulesBoundAt(draft, binding.bound);
  const plan = rules === undefined ? undefined : draft.context.plan(rules.plan, rules.priceLists);
  if (rules === undefined || plan === undefined)
    return { kind: "wait", reason: "the plan of the outcome's request is not known here yet" };
  const link = story.head === undefined ? {} : { link: story.head };
  const holds = message.verdictRevision > (story.verdict?.verdictRevision ?? 0);
  const judged: Story = { ...story, verdict: holds ? given : story.verdict };
  const posting = holds ? storyPosting(draft, rules, plan, judged) : undefined;
  if (posting === undefined) {
    draft.add({ type: "VerdictApplied", data: { ...given, entries: [], ...link } });
    return { kind: "record", events: draft.events, answer: { status: "recorded", detail: "without effect" } };
  }
  const settled = settle(draft, rules, plan, judged, posting);
  const entries = [...settled, ...adjustLate(draft, settled)];
  const wallets = draft.walletNumbers(entries, rules.wallet);
  draft.add({
    type: "VerdictApplied",
    data: { ...given, rules: rulesUsed(rules), entries, ...(wallets === undefined ? {} : { wallets }), ...link },
  });
  return { kind: "record", events: draft.events, answer: { status: "recorded" } };
}
