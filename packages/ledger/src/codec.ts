/**
 * Stored form of events: the data as canonical JSON text, the type beside it.
 *
 * Owns encoding, decoding and upcasting. Text that `encodeEvent` wrote is the same text after parsing and encoding again, so
 * a store that hands events out parsed still gives back the bytes that were hashed: data holds only strings, safe integers,
 * booleans, null, arrays and objects.
 */
import type { AccountEvent } from "./account-events.ts";
import type { ContractEvent, DocumentEvent, KeyEvent } from "./contract-events.ts";
import type { DomainEvent } from "./decider.ts";
import type { OutcomeEvent } from "./outcome-events.ts";
import type { WalletEvent } from "./wallet-events.ts";

export interface EncodedEvent {
  readonly type: string;
  readonly data: string;
}

/** What decoding needs of a stored event. */
export interface StoredText {
  readonly stream: string;
  readonly type: string;
  readonly data: string;
  /** The parsed data, where the writer is in this process. */
  readonly body?: unknown;
}

export function encodeEvent(event: DomainEvent): EncodedEvent {
  return { type: event.type, data: JSON.stringify(event.data) };
}

export type EventOf = {
  readonly account: AccountEvent;
  readonly outcome: OutcomeEvent;
  readonly wallet: WalletEvent;
  readonly contract: ContractEvent;
  readonly document: DocumentEvent;
  readonly key: KeyEvent;
};

const TYPES: { readonly [C in keyof EventOf]: ReadonlySet<string> } = {
  account: names<AccountEvent>({
    RulesBound: 1,
    RulesRefused: 1,
    UsageRecorded: 1,
    UsageCorrected: 1,
    CorrectionWaiting: 1,
    CostRecorded: 1,
    CostCorrected: 1,
    VerdictApplied: 1,
    VerdictWaiting: 1,
    PeriodOpened: 1,
    PeriodClosed: 1,
    ImportStarted: 1,
    ImportEnded: 1,
    FactParked: 1,
  }),
  outcome: names<OutcomeEvent>({
    OutcomeOpened: 1,
    RequestAdded: 1,
    SignalRecorded: 1,
    TimeoutPassed: 1,
    ImportStarted: 1,
    ImportEnded: 1,
    FactParked: 1,
  }),
  wallet: names<WalletEvent>({
    CreditsGranted: 1,
    GrantTookEffect: 1,
    GrantVoided: 1,
    GrantExpired: 1,
    EntriesApplied: 1,
    CommandParked: 1,
  }),
  contract: names<ContractEvent>({ AccountOpened: 1, PlanAssigned: 1 }),
  document: names<DocumentEvent>({ DocumentPublished: 1 }),
  key: names<KeyEvent>({ KeyCreated: 1, KeyRevoked: 1 }),
};

/**
 * The event of a stream of this category. Throws for a type that this code does not know: history that cannot be read stops
 * a reader, it is never skipped.
 */
export function decodeEvent<C extends keyof EventOf>(category: C, stored: StoredText): EventOf[C] {
  if (!TYPES[category].has(stored.type))
    throw new Error(`${stored.stream} holds a "${stored.type}", which this version cannot read`);
  return { type: stored.type, data: stored.body ?? JSON.parse(stored.data) } as EventOf[C];
}

function names<E extends DomainEvent>(types: Readonly<Record<E["type"], 1>>): ReadonlySet<string> {
  return new Set(Object.keys(types));
}
