/**
 * Which deliveries a stored event accounts for: the other direction of `deliveryIdentity`, for audits that compare topics with
 * the log.
 *
 * The invariant: for every fact, signal and command that a decider records or parks, its event names the identity under which
 * the message was delivered.
 */
import type { AccountEvent, FactParked } from "./account-events.ts";
import { decodeEvent, type StoredText } from "./codec.ts";
import { deliveryIdentity, type Identity, type WalletCommand } from "./messages.ts";
import type { OutcomeEvent } from "./outcome-events.ts";
import { parseStreamName, type StreamParts } from "./stream-name.ts";
import type { WalletEvent } from "./wallet-events.ts";

export interface RecordedDelivery {
  /** The topic that the message came on. */
  readonly topic: "usage.accepted" | "signal.accepted" | "wallet.requested";
  /** As `deliveryIdentity` gives it for the message. */
  readonly identity: string;
  /**
   * `recorded`: the message is in the log, and no other event may record it again. `settled`: it can have no effect any more.
   * `noted`: it was parked; where a note does not say what kind of message that was, there is one delivery for each kind.
   */
  readonly fate: "recorded" | "settled" | "noted";
}

const NONE: readonly RecordedDelivery[] = [];

/** Empty for events that no delivery of these topics causes. Throws for an event that does not decode. */
export function recordedDeliveries(stored: StoredText): readonly RecordedDelivery[] {
  const place = parseStreamName(stored.stream);
  switch (place.category) {
    case "account":
      return ofAccount(place, decodeEvent("account", stored));
    case "outcome":
      return ofOutcome(place, decodeEvent("outcome", stored));
    case "wallet":
      return ofWallet(place, decodeEvent("wallet", stored));
    case "contract":
    case "document":
    case "key":
    case "parked":
      return NONE;
  }
}

function ofAccount(place: StreamParts, event: AccountEvent): readonly RecordedDelivery[] {
  const topic = "usage.accepted";
  switch (event.type) {
    case "UsageRecorded":
    case "UsageCorrected":
      return [fact(topic, place, "usage", event.data)];
    case "CorrectionWaiting":
      return [fact(topic, place, event.data.body.kind, event.data)];
    case "CostRecorded":
    case "CostCorrected":
      return [fact(topic, place, "cost", event.data)];
    case "ImportStarted":
      return [importPhase(topic, place, "started", event.data)];
    case "ImportEnded":
      return [importPhase(topic, place, "ended", event.data)];
    case "FactParked":
      return noted(topic, place, ["usage", "cost"], event.data);
    case "RulesBound":
    case "RulesRefused":
    case "VerdictApplied":
    case "VerdictWaiting":
    case "PeriodOpened":
    case "PeriodClosed":
      return NONE;
  }
}

function ofOutcome(place: StreamParts, event: OutcomeEvent): readonly RecordedDelivery[] {
  const topic = "signal.accepted";
  switch (event.type) {
    case "SignalRecorded":
      return [fact(topic, place, "signal", event.data)];
    case "ImportStarted":
      return [importPhase(topic, place, "started", event.data)];
    case "ImportEnded":
      // A start that comes after its end is without effect and leaves no event of its own.
      return [importPhase(topic, place, "started", event.data), importPhase(topic, place, "ended", event.data)];
    case "FactParked":
      return noted(topic, place, ["signal"], event.data);
    case "OutcomeOpened":
    case "RequestAdded":
    case "TimeoutPassed":
      return NONE;
  }
}

function ofWallet(place: StreamParts, event: WalletEvent): readonly RecordedDelivery[] {
  switch (event.type) {
    case "CreditsGranted":
      return [command(place, { kind: "grant", source: event.data.source, ...content(event.data) }, "recorded")];
    case "GrantVoided":
      return [command(place, { kind: "void-grant", ...content(event.data) }, "recorded")];
    case "CommandParked":
      return [
        command(place, { kind: "void-grant", ...content(event.data) }, "noted"),
        ...GRANT_SOURCES.map((source) => command(place, { kind: "grant", source, ...content(event.data) }, "noted")),
      ];
    case "GrantExpired":
    case "GrantTookEffect":
    case "EntriesApplied":
      return NONE;
  }
}

/** Part of a grant's delivery, and not of the note that it was parked. */
const GRANT_SOURCES: readonly Extract<WalletCommand, { readonly kind: "grant" }>["source"][] = [
  "purchase",
  "promotion",
  "rollover",
  "adjustment",
];

type FactTopic = "usage.accepted" | "signal.accepted";

function fact(
  topic: FactTopic,
  { ns, name }: StreamParts,
  kind: string,
  { source, id, contentHash }: Identity & { readonly contentHash: string },
): RecordedDelivery {
  return { topic, identity: deliveryIdentity({ kind, ns, account: name, source, id, contentHash }), fate: "recorded" };
}

function noted(topic: FactTopic, place: StreamParts, kinds: readonly string[], data: FactParked): readonly RecordedDelivery[] {
  return kinds.map((kind) => ({ ...fact(topic, place, kind, data), fate: "noted" }));
}

/** An import also ends by its expiry, so an end may stand in the log before its command comes. */
function importPhase(topic: FactTopic, { ns, name }: StreamParts, phase: string, { source, id }: Identity): RecordedDelivery {
  return { topic, identity: deliveryIdentity({ kind: "import", ns, account: name, source, id, phase }), fate: "settled" };
}

function content({ id, contentHash }: { readonly id: string; readonly contentHash: string }) {
  return { id, contentHash };
}

function command(
  { ns, name }: StreamParts,
  about: { readonly kind: string; readonly source?: string; readonly id: string; readonly contentHash: string },
  fate: RecordedDelivery["fate"],
): RecordedDelivery {
  return { topic: "wallet.requested", identity: deliveryIdentity({ ...about, ns, wallet: name }), fate };
}
