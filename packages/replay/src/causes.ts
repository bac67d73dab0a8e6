/**
 * The message that an event was decided from, rebuilt from the event itself: events carry their fact in full.
 *
 * Not recorded, and without influence on any decision: when a door received a fact. The time of recording stands in for it.
 */
import type { Instant } from "@rerate/money";
import {
  parseStreamName,
  type AccountEvent,
  type CostAccepted,
  type Identity,
  type OutcomeDecidedMessage,
  type OutcomeEvent,
  type OutcomeMessage,
  type SettlementMessage,
  type UsageAccepted,
  type UsageContent,
  type UsageRecordedMessage,
  type VerdictWaiting,
} from "@rerate/ledger";
import type { ReadEvent } from "./stream-window.ts";

/** Messages to try in order, or "given" for an event that is an input itself. */
export type Causes<Message> = readonly Message[] | "given";

interface Owner {
  readonly ns: string;
  readonly account: string;
}

/** What can have caused the decision of an account's stream that begins with the first of these events. */
export function accountCauses(stream: string, ahead: readonly ReadEvent<AccountEvent>[]): Causes<SettlementMessage> {
  const [head] = ahead;
  if (head === undefined) return [];
  const { ns, name } = parseStreamName(stream);
  const owner = { ns, account: name };
  if (head.event.type !== "PeriodOpened") return accountCause(owner, head.event, head.recordedAt);
  // A period opens with the first fact that falls into it, or by itself when the rules of a recurring fee are bound.
  const caused = ahead.find(({ event }) => event.type !== "PeriodOpened");
  const fact =
    caused === undefined || caused.recordedAt !== head.recordedAt ? [] : accountCause(owner, caused.event, caused.recordedAt);
  return [...(fact === "given" ? [] : fact), { kind: "rules-changed", ...owner, sourceRevision: 0 }];
}

/** The message of one event that is not the opening of a period. */
export function accountCause(owner: Owner, event: AccountEvent, recordedAt: Instant): Causes<SettlementMessage> {
  switch (event.type) {
    case "RulesBound":
    case "RulesRefused":
    case "FactParked":
      return "given";
    case "UsageRecorded": {
      const { data } = event;
      return [usage(owner, data, data.content, recordedAt, data.outcome)];
    }
    case "UsageCorrected": {
      const { data } = event;
      const { corrects, revision, outcomeOf } = data;
      const named = { ...usage(owner, data, data.content, recordedAt, outcomeOf.id), corrects, revision };
      // An outcome named like its own usage may have been named or not: the original knows, the decider tells.
      return outcomeOf.id === corrects.id ? [{ ...named, outcome: undefined }, named] : [named];
    }
    case "CorrectionWaiting": {
      const { data } = event;
      const { corrects, revision, body } = data;
      if (body.kind === "usage") return [{ ...usage(owner, data, body.content, recordedAt, undefined), corrects, revision }];
      return [{ ...cost(owner, { ...data, ...body }, recordedAt), corrects, revision }];
    }
    case "CostRecorded":
      return [cost(owner, event.data, recordedAt)];
    case "CostCorrected": {
      const { corrects, revision } = event.data;
      return [{ ...cost(owner, event.data, recordedAt), corrects, revision }];
    }
    case "VerdictApplied":
      return event.data.source === undefined ? [] : [verdict(owner, { ...event.data, source: event.data.source })];
    case "VerdictWaiting":
      return [verdict(owner, event.data)];
    case "PeriodOpened":
      return [];
    case "PeriodClosed":
      return [{ kind: "close-period", period: event.data.period }];
    case "ImportStarted":
      return [{ kind: "import", phase: "started", ...owner, ...event.data, receivedAt: recordedAt }];
    case "ImportEnded": {
      const { source, id } = event.data;
      return [
        { kind: "import", phase: "ended", ...owner, ...event.data, receivedAt: recordedAt },
        { kind: "expire-import", source, id },
      ];
    }
  }
}

/** What can have caused an event of an outcome stream: always one event a decision. */
export function outcomeCauses(stream: string, ahead: readonly ReadEvent<OutcomeEvent>[]): Causes<OutcomeMessage> {
  const [head] = ahead;
  if (head === undefined) return [];
  const { event, recordedAt } = head;
  const { ns, name } = parseStreamName(stream);
  const owner = { ns, account: name };
  switch (event.type) {
    case "OutcomeOpened":
    case "RequestAdded": {
      const { outcome, usage: request, occurredAt, definition, source } = event.data;
      const from = { sourceStream: source.stream, sourceRevision: source.revision, number: source.number };
      return [{ kind: "usage-recorded", ...owner, ...from, ...request, outcome, occurredAt, definition }];
    }
    case "SignalRecorded": {
      const { source, id, outcome, signal, confidence, value, occurredAt, contentHash, validatorHash } = event.data;
      const optional = { confidence, value, validatorHash };
      return [
        { kind: "signal", ...owner, source, id, outcome, signal, occurredAt, receivedAt: recordedAt, contentHash, ...optional },
      ];
    }
    case "TimeoutPassed":
      return [{ kind: "timeout", outcome: event.data.outcome, dueAt: event.data.dueAt }];
    case "ImportStarted":
      return [{ kind: "import", phase: "started", ...owner, ...event.data, receivedAt: recordedAt }];
    case "ImportEnded": {
      const { source, id } = event.data;
      return [
        { kind: "import", phase: "ended", ...owner, ...event.data, receivedAt: recordedAt },
        { kind: "expire-import", source, id },
      ];
    }
    case "FactParked":
      return "given";
  }
}

interface Fact extends Identity {
  readonly occurredAt: Instant;
  readonly contentHash: string;
}

function usage(owner: Owner, fact: Fact, content: UsageContent, receivedAt: Instant, outcome: string | undefined): UsageAccepted {
  const { source, id, occurredAt, contentHash } = fact;
  const { dimensions = {}, ...rest } = content;
  return { kind: "usage", ...owner, source, id, occurredAt, receivedAt, contentHash, ...rest, dimensions, outcome };
}

function cost(
  owner: Owner,
  fact: Fact & { readonly unit: string; readonly atoms: string; readonly text: string; readonly about?: Identity },
  receivedAt: Instant,
): CostAccepted {
  const { source, id, occurredAt, contentHash, unit, atoms, text, about } = fact;
  return { kind: "cost", ...owner, source, id, occurredAt, receivedAt, contentHash, unit, atoms, text, about };
}

function verdict(owner: Owner, given: VerdictWaiting): OutcomeDecidedMessage {
  const { source, outcome, verdict: decided, score, reason, verdictRevision, definition, decidedAt } = given;
  const from = { sourceStream: source.stream, sourceRevision: source.revision, number: source.number };
  return {
    kind: "outcome-decided",
    ...owner,
    ...from,
    outcome,
    verdict: decided,
    score,
    reason,
    verdictRevision,
    definition,
    decidedAt,
  };
}

/** The usage that an event of an outcome stream says it received. */
export function receivedUsage(stream: string, read: ReadEvent<OutcomeEvent>): UsageRecordedMessage | undefined {
  return only(outcomeCauses(stream, [read]), "usage-recorded");
}

/** The verdict that an event of an account's stream says it received; none for one that had been waiting. */
export function receivedVerdict(
  stream: string,
  { event, recordedAt }: ReadEvent<AccountEvent>,
): OutcomeDecidedMessage | undefined {
  if (event.type !== "VerdictApplied" && event.type !== "VerdictWaiting") return undefined;
  const { ns, name } = parseStreamName(stream);
  return only(accountCause({ ns, account: name }, event, recordedAt), "outcome-decided");
}

function only<Message extends { readonly kind: string }, Kind extends Message["kind"]>(
  causes: Causes<Message>,
  kind: Kind,
): Extract<Message, { readonly kind: Kind }> | undefined {
  const [message] = causes === "given" ? [] : causes;
  return message?.kind === kind ? (message as Extract<Message, { readonly kind: Kind }>) : undefined;
}
