/**
 * The events of `account-{shard}.{ns}.{account}`: everything that settlement consumed and decided for one account, in order.
 * One event is one decision: a fact together with every entry it caused.
 *
 * Names and fields are storage formats: adding is free, renaming is a migration (an upcaster in `codec.ts`).
 */
import type { Instant } from "@rerate/money";
import type { EntryKind, Identity, Verdict } from "./messages.ts";

export type AccountEvent =
  | { readonly type: "RulesBound"; readonly data: RulesBound }
  | { readonly type: "RulesRefused"; readonly data: RulesRefused }
  | { readonly type: "UsageRecorded"; readonly data: UsageRecorded }
  | { readonly type: "UsageCorrected"; readonly data: UsageCorrected }
  | { readonly type: "CorrectionWaiting"; readonly data: CorrectionWaiting }
  | { readonly type: "CostRecorded"; readonly data: CostRecorded }
  | { readonly type: "CostCorrected"; readonly data: CostCorrected }
  | { readonly type: "VerdictApplied"; readonly data: VerdictApplied }
  | { readonly type: "VerdictWaiting"; readonly data: VerdictWaiting }
  | { readonly type: "PeriodOpened"; readonly data: PeriodOpened }
  | { readonly type: "PeriodClosed"; readonly data: PeriodClosed }
  | { readonly type: "ImportStarted"; readonly data: ImportHeld }
  | { readonly type: "ImportEnded"; readonly data: ImportHeld }
  | { readonly type: "FactParked"; readonly data: FactParked };

/** The rules that price facts with `occurredAt` from `from` on, until the next binding. */
export interface RulesBound {
  readonly from: Instant;
  /** Hash and id of the plan document. */
  readonly plan: string;
  readonly planId: string;
  /** Name → hash of the price lists that the plan uses. */
  readonly priceLists: Readonly<Record<string, string>>;
  /** Hash of the outcome definition; absent without an outcome policy. */
  readonly outcomeDefinition?: string;
  /** Revision of the settlement decider; old revisions stay executable. */
  readonly decider: number;
  readonly timeZone: string;
  readonly currency: string;
  readonly wallet: string;
  /** Contract event that this comes from. */
  readonly contractRevision: number;
}

/**
 * Rules that would have changed the price of facts already recorded: not bound. A rebill is what changes history. Facts that the
 * bound rules cannot price at all are priced by them, so a published price fills a gap also on a busy account.
 */
export interface RulesRefused extends RulesBound {
  /** Start and documents of the refused segment in one text. */
  readonly segment: string;
  readonly latestFactAt: Instant;
}

/** What is priced, as sent, in canonical form. */
export interface UsageContent {
  readonly type: string;
  readonly provider?: string;
  readonly model?: string;
  readonly quantities: Readonly<Record<string, string>>;
  readonly dimensions?: Readonly<Record<string, string>>;
  readonly attempt?: number;
  readonly parent?: string;
}

/** The hashes of the rules that an event was decided under. */
export interface RulesUsed {
  /** Revision of the `RulesBound` event in this stream. */
  readonly bound: number;
  readonly plan: string;
  readonly prices?: Readonly<Record<string, string>>;
  readonly outcome?: string;
}

/**
 * Which mechanism an entry belongs to: `measured` moves an accumulator's quantity (law of cumulative pricing), `quality` is
 * money beside it that never changes a quantity, `period` is what a period adds by itself (fee, true-up, cap).
 */
export type EntryRole = "measured" | "quality" | "period";

/** One line of the ledger. Amounts are signed: positive is owed by the customer, negative goes to the customer. */
export interface Entry {
  /** Counts from 1 without gaps within the account. */
  readonly n: number;
  readonly role: EntryRole;
  readonly kind: EntryKind;
  /** Charge item id: stable across plan versions, never reused. */
  readonly item: string;
  /** Charge model and its revision, for example `tokens@1`. */
  readonly model: string;
  readonly unit: string;
  /** Booked atoms. */
  readonly atoms: string;
  /** The exact amount in atoms as a fraction: P(Q+q) − P(Q) before rounding. */
  readonly exact: string;
  readonly measure: string;
  readonly measureUnit: string;
  /** Accumulator: version of the price terms, counting period, cell; with its quantity before and after. */
  readonly version: string;
  readonly period: string;
  readonly cell: string;
  readonly before: string;
  readonly after: string;
  /** Present when posted in another period than its own (a late fact). */
  readonly postedIn?: string;
  /** The entry that this one takes back, wholly or partly. */
  readonly corrects?: number;
  /** Under an average quality policy: the accumulator that is refunded, and the change of its W = Σ share × measure. */
  readonly average?: { readonly accumulator: string; readonly refundedMeasure: string };
  readonly steps: readonly string[];
}

/** Numbers without gaps of what the event publishes to `ledger.entries`, by paying wallet. */
export type WalletNumbers = Readonly<Record<string, number>>;

export interface UsageRecorded extends Identity {
  readonly occurredAt: Instant;
  readonly contentHash: string;
  readonly content: UsageContent;
  /** Explicit outcome reference, if any. */
  readonly outcome?: string;
  /** Highest correction that had arrived before and is priced instead of the original. */
  readonly corrected?: { readonly revision: number; readonly by: Identity; readonly content: UsageContent };
  readonly rules: RulesUsed;
  readonly period: string;
  readonly entries: readonly Entry[];
  readonly wallets?: WalletNumbers;
  /** Number towards outcome-signal (`usage.recorded`), where an outcome policy applies. */
  readonly published?: number;
  /** Revision of the previous event about the same outcome. */
  readonly link?: number;
}

export interface UsageCorrected extends Identity {
  readonly occurredAt: Instant;
  readonly contentHash: string;
  readonly corrects: Identity;
  readonly revision: number;
  readonly content: UsageContent;
  /** False when a higher revision already holds: recorded, without effect. */
  readonly holds: boolean;
  readonly rules: RulesUsed;
  readonly entries: readonly Entry[];
  readonly wallets?: WalletNumbers;
  /** The outcome key of the fact it corrects. */
  readonly outcomeOf: Identity;
  readonly link?: number;
}

/** A correction that came before its original: recorded, applied when the original comes. */
export interface CorrectionWaiting extends Identity {
  readonly occurredAt: Instant;
  readonly contentHash: string;
  readonly corrects: Identity;
  readonly revision: number;
  readonly body:
    | { readonly kind: "usage"; readonly content: UsageContent }
    | { readonly kind: "cost"; readonly unit: string; readonly atoms: string; readonly text: string };
}

export interface CostRecorded extends Identity {
  readonly occurredAt: Instant;
  readonly contentHash: string;
  readonly unit: string;
  readonly atoms: string;
  readonly text: string;
  readonly about?: Identity;
  readonly corrected?: { readonly revision: number; readonly by: Identity; readonly atoms: string; readonly text: string };
  readonly link?: number;
}

export interface CostCorrected extends Identity {
  readonly occurredAt: Instant;
  readonly contentHash: string;
  readonly corrects: Identity;
  readonly revision: number;
  readonly unit: string;
  readonly atoms: string;
  readonly text: string;
  /** New minus replaced, in atoms; 0 when a higher revision already holds. */
  readonly changeAtoms: string;
  readonly holds: boolean;
  readonly about?: Identity;
  readonly link?: number;
}

export interface VerdictApplied {
  readonly outcome: Identity;
  readonly verdict: Verdict;
  readonly score: string;
  readonly reason: string;
  readonly verdictRevision: number;
  readonly decidedAt: Instant;
  readonly definition: string;
  /** Absent when the verdict had been waiting: its number was taken then. */
  readonly source?: PublishedFrom;
  /** Absent when it is recorded without effect (a lower verdict revision than the one in force, or beyond the late limit). */
  readonly rules?: RulesUsed;
  readonly entries: readonly Entry[];
  readonly wallets?: WalletNumbers;
  readonly link?: number;
}

/** A verdict that came before its usage: applied when the usage comes. */
export interface VerdictWaiting {
  readonly outcome: Identity;
  readonly verdict: Verdict;
  readonly score: string;
  readonly reason: string;
  readonly verdictRevision: number;
  readonly decidedAt: Instant;
  readonly definition: string;
  readonly source: PublishedFrom;
}

/** The message's number and the place in the source log, so that gaps can be filled. */
export interface PublishedFrom {
  readonly stream: string;
  readonly revision: number;
  readonly number: number;
}

export interface PeriodOpened {
  readonly period: string;
  readonly start: Instant;
  readonly end: Instant;
  /** When it closes, once its inputs have been read up to there. */
  readonly dueAt: Instant;
}

export interface PeriodClosed {
  readonly period: string;
  readonly start: Instant;
  readonly end: Instant;
  readonly dueAt: Instant;
  /** Base fee, true-up to a minimum, cap: without a usage of their own. */
  readonly entries: readonly Entry[];
  readonly wallets?: WalletNumbers;
  readonly rules?: RulesUsed;
  /** Periods whose late limit has passed: they take no more facts, and their accumulators are dropped. */
  readonly forgets?: readonly string[];
}

export interface ImportHeld extends Identity {
  readonly expiresAt: Instant;
}

/** Notes that a message was parked: identity, hash and reason, never its content. */
export interface FactParked extends Identity {
  readonly contentHash: string;
  readonly reason: string;
}
