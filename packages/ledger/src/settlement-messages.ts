/**
 * What settlement's log publishes: pure functions of one stored event, so anyone can publish it again, or find a lost tail.
 */
import type { AccountEvent, Entry } from "./account-events.ts";
import type { LedgerEntriesMessage, UsageRecordedMessage, WalletEntry } from "./messages.ts";
import { parseStreamName } from "./stream-name.ts";

interface Place {
  readonly stream: string;
  readonly revision: number;
}

/** `usage.recorded`: a usage fact that opens or joins an outcome. */
export function usageRecordedOf(event: AccountEvent, place: Place): UsageRecordedMessage | undefined {
  if (event.type !== "UsageRecorded" || event.data.published === undefined) return undefined;
  const { source, id, outcome, occurredAt, rules, published, content } = event.data;
  if (rules.outcome === undefined) throw new Error(`${place.stream}@${place.revision} publishes an outcome without a definition`);
  const { ns, name } = parseStreamName(place.stream);
  return {
    kind: "usage-recorded",
    ns,
    account: name,
    sourceStream: place.stream,
    sourceRevision: place.revision,
    number: published,
    source,
    id,
    outcome: { source, id: outcome ?? id },
    occurredAt,
    definition: rules.outcome,
    ...(content.attempt === undefined ? {} : { attempt: content.attempt }),
  };
}

/** `ledger.entries`: the entries of one event, towards each wallet that pays them. */
export function ledgerEntriesOf(event: AccountEvent, place: Place): readonly LedgerEntriesMessage[] {
  const booked = entriesOf(event);
  if (booked?.wallets === undefined) return [];
  const { ns, name } = parseStreamName(place.stream);
  const entries = booked.entries.map(walletEntry);
  return Object.entries(booked.wallets).map(([wallet, number]) => ({
    kind: "ledger-entries",
    ns,
    account: name,
    wallet,
    sourceStream: place.stream,
    sourceRevision: place.revision,
    number,
    occurredAt: booked.occurredAt,
    entries,
  }));
}

/** The entries that an event booked, with the wallets that they go to; undefined for events that book nothing by nature. */
export function entriesOf(event: AccountEvent):
  | {
      readonly entries: readonly Entry[];
      readonly wallets?: Readonly<Record<string, number>>;
      readonly occurredAt: LedgerEntriesMessage["occurredAt"];
    }
  | undefined {
  switch (event.type) {
    case "UsageRecorded":
    case "UsageCorrected":
      return event.data;
    case "VerdictApplied":
      return { ...event.data, occurredAt: event.data.decidedAt };
    case "PeriodClosed":
      return { ...event.data, occurredAt: event.data.dueAt };
    case "RulesBound":
    case "RulesRefused":
    case "CorrectionWaiting":
    case "CostRecorded":
    case "CostCorrected":
    case "VerdictWaiting":
    case "PeriodOpened":
    case "ImportStarted":
    case "ImportEnded":
    case "FactParked":
      return undefined;
  }
}

function walletEntry(entry: Entry): WalletEntry {
  const { n, unit, atoms, kind, corrects } = entry;
  return { entry: n, unit, atoms, kind, ...(corrects === undefined ? {} : { corrects }) };
}
