/**
 * The settlement decider: every price, refund and bonus of one account, and what is a duplicate.
 *
 * Owns `account-…` streams. A decision depends on nothing but the stream, the message and documents named by hash: the same
 * functions price live traffic, previews and replays. The rules of a fact are those that the stream has bound for its
 * `occurredAt`; a new binding is recorded before the first fact that uses it.
 */
import type { Instant } from "@rerate/money";
import type { AccountEvent } from "./account-events.ts";
import type { Decider, Decision, EventKey, History, Needs, Recorded } from "./decider.ts";
import type { CostAccepted, FactMessage, ImportCommand, OutcomeDecidedMessage, UsageAccepted } from "./messages.ts";
import type { RulesSegment } from "./catalogue.ts";
import { costNeeds, recordCost } from "./settlement/costs.ts";
import { Draft, type SettlementContext } from "./settlement/draft.ts";
import { recordUsage, usageNeeds } from "./settlement/facts.ts";
import { factKey, headKey, identityKey, importKey, parkedKey, revisionKey, tagOf } from "./settlement/keys.ts";
import { park } from "./settlement/park.ts";
import { closePeriod, openDeadlines, openFirstPeriods, type ClosePeriod, type ExpireImport } from "./settlement/periods.ts";
import { bindTimeline } from "./settlement/rules.ts";
import { evolve, initialState, revive, snapshot, type AccountState } from "./settlement/state.ts";
import { linkOf, storyKeys } from "./settlement/story.ts";
import { applyVerdict } from "./settlement/verdicts.ts";
import { parseStreamName } from "./stream-name.ts";

export type SettlementMessage = FactMessage | OutcomeDecidedMessage | ClosePeriod | ExpireImport | RulesChanged;

/** A hint that the account's contract or documents changed: binds what is new and opens the period of a recurring fee. */
export interface RulesChanged {
  readonly kind: "rules-changed";
  readonly ns: string;
  readonly account: string;
  /** Revision of the contract event: the catalogue must know it before the decision. */
  readonly sourceRevision: number;
}

/** Raised with every change that can alter an amount; old revisions stay executable. */
export const SETTLEMENT_REVISION = 1;

export const settlement: Decider<AccountState, SettlementMessage, AccountEvent, SettlementContext> = {
  name: "settlement",
  initial: initialState,
  evolve,
  needs,
  decide,
  keysOf,
  linkOf,
  deadlines: openDeadlines,
  snapshot,
  revive,
};

function needs(state: AccountState, message: SettlementMessage): Needs {
  switch (message.kind) {
    case "usage":
      return usageNeeds(state, message);
    case "cost":
      return costNeeds(state, message);
    case "outcome-decided":
      return { keys: [], chains: storyKeys(message.outcome) };
    case "import":
      return { keys: [importKey(message, message.phase)], chains: [] };
    case "close-period":
    case "expire-import":
    case "rules-changed":
      return NOTHING;
  }
}

const NOTHING: Needs = { keys: [], chains: [] };

function decide(
  state: AccountState,
  message: SettlementMessage,
  context: SettlementContext,
  history: History<AccountEvent>,
  at: Recorded,
): Decision<AccountEvent> {
  switch (message.kind) {
    case "usage":
    case "cost": {
      const draft = draftWithRules(state, context, at);
      if (draft.rules.length === 0) return unknownAccount(state, message, history);
      const bound = [...draft.events];
      const decision = message.kind === "usage" ? recordUsage(draft, message, history) : recordCost(draft, message, history);
      return decision.kind === "park" ? { ...decision, events: [...bound, ...decision.events] } : decision;
    }
    case "outcome-decided":
      return applyVerdict(new Draft(state, at, context), message, history);
    case "import":
      return holdImport(message, history);
    case "close-period":
      return closePeriod(draftWithRules(state, context, at), message);
    case "expire-import":
      return endImport(state, message);
    case "rules-changed":
      return followRules(state, message, context, at);
  }
}

/** The stream of an account may begin with such a note: it belongs to whoever opens the account under that name. */
function unknownAccount(
  state: AccountState,
  message: UsageAccepted | CostAccepted,
  history: History<AccountEvent>,
): Decision<AccountEvent> {
  return park(state, message, history, "unknown-account", `account "${message.account}" is not open, or has no plan yet`);
}

/** A draft that begins with what the stream must bind first: the account's timeline, where the stream has not bound it yet. */
function draftWithRules(state: AccountState, context: SettlementContext, at: Recorded): Draft {
  const draft = new Draft(state, at, context);
  const { ns, name } = ownerOf(state);
  const timeline = context.timeline(ns, name);
  if (timeline === undefined || SEEN.get(state) === timeline) return draft;
  bindTimeline(draft, timeline, SETTLEMENT_REVISION);
  if (draft.events.length === 0) SEEN.set(state, timeline);
  // Whoever binds rules first, the hint of a new contract or a fact that came before it: fees fall due from their beginning.
  else openFirstPeriods(draft);
  return draft;
}

/** The timeline that a state has been checked against: looking again is only needed when the catalogue has changed. */
const SEEN = new WeakMap<AccountState, readonly RulesSegment[]>();

function ownerOf(state: AccountState): { readonly ns: string; readonly name: string } {
  const known = OWNERS.get(state);
  if (known !== undefined) return known;
  const owner = parseStreamName(state.stream);
  OWNERS.set(state, owner);
  return owner;
}

const OWNERS = new WeakMap<AccountState, { readonly ns: string; readonly name: string }>();

/** Binds what is new; a plan with recurring amounts opens its first period, so that fees fall due also without usage. */
function followRules(
  state: AccountState,
  message: RulesChanged,
  context: SettlementContext,
  at: Recorded,
): Decision<AccountEvent> {
  if ((context.contractRevision(message.ns, message.account) ?? -1) < message.sourceRevision) {
    return { kind: "wait", reason: "the catalogue has not read this contract event yet" };
  }
  const draft = draftWithRules(state, context, at);
  openFirstPeriods(draft);
  if (draft.events.length > 0) return { kind: "record", events: draft.events, answer: { status: "recorded" } };
  return { kind: "skip", answer: { status: "ignored" } };
}

function holdImport(message: ImportCommand, history: History<AccountEvent>): Decision<AccountEvent> {
  if (history.find(importKey(message, message.phase)) !== undefined) return { kind: "skip", answer: { status: "duplicate" } };
  const data = { source: message.source, id: message.id, expiresAt: message.expiresAt };
  const type = message.phase === "started" ? "ImportStarted" : "ImportEnded";
  return { kind: "record", events: [{ type, data }], answer: { status: "recorded" } };
}

function endImport(state: AccountState, message: ExpireImport): Decision<AccountEvent> {
  const expiresAt: Instant | undefined = state.imports.get(identityKey(message));
  if (expiresAt === undefined) return { kind: "skip", answer: { status: "ignored" } };
  const { source, id } = message;
  return { kind: "record", events: [{ type: "ImportEnded", data: { source, id, expiresAt } }], answer: { status: "recorded" } };
}

function keysOf(event: AccountEvent): readonly EventKey[] {
  switch (event.type) {
    case "UsageRecorded": {
      const { data } = event;
      const fact = { key: factKey(data), tag: tagOf(data.contentHash) };
      if (data.outcome === undefined && data.link === undefined) return [fact];
      return [fact, { key: headKey({ source: data.source, id: data.outcome ?? data.id }), tag: "" }];
    }
    case "UsageCorrected":
      return [...correctionKeys(event.data), { key: headKey(event.data.outcomeOf), tag: "" }];
    case "CorrectionWaiting":
      return correctionKeys(event.data);
    case "CostRecorded":
      return [{ key: factKey(event.data), tag: tagOf(event.data.contentHash) }];
    case "CostCorrected":
      return [...correctionKeys(event.data), { key: headKey(event.data.corrects), tag: "" }];
    case "VerdictApplied":
      return event.data.link === undefined && event.data.rules === undefined
        ? []
        : [{ key: headKey(event.data.outcome), tag: "" }];
    case "ImportStarted":
      return [{ key: importKey(event.data, "started"), tag: "" }];
    case "ImportEnded":
      return [{ key: importKey(event.data, "ended"), tag: "" }];
    case "FactParked":
      return [{ key: parkedKey(event.data, event.data.contentHash), tag: event.data.reason }];
    case "RulesBound":
    case "RulesRefused":
    case "VerdictWaiting":
    case "PeriodOpened":
    case "PeriodClosed":
      return [];
  }
}

function correctionKeys(data: {
  readonly source: string;
  readonly id: string;
  readonly contentHash: string;
  readonly corrects: { readonly source: string; readonly id: string };
  readonly revision: number;
}): EventKey[] {
  return [
    { key: factKey(data), tag: tagOf(data.contentHash) },
    { key: revisionKey(data.corrects, data.revision), tag: "" },
  ];
}
