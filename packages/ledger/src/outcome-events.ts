/**
 * The events of `outcome-{shard}.{ns}.{account}`: all outcomes of an account, opened, observed and decided.
 * An outcome's key is (the usage's source, outcome reference).
 */
import type { Instant } from "@rerate/money";
import type { Identity, Verdict } from "./messages.ts";
import type { FactParked, PublishedFrom } from "./account-events.ts";

export type OutcomeEvent =
  | { readonly type: "OutcomeOpened"; readonly data: OutcomeOpened }
  | { readonly type: "RequestAdded"; readonly data: RequestAdded }
  | { readonly type: "SignalRecorded"; readonly data: SignalRecorded }
  | { readonly type: "TimeoutPassed"; readonly data: TimeoutPassed }
  | { readonly type: "ImportStarted"; readonly data: ImportMark }
  | { readonly type: "ImportEnded"; readonly data: ImportMark }
  | { readonly type: "FactParked"; readonly data: FactParked };

/** The first usage of an outcome: binds definition and the request's time. */
export interface OutcomeOpened {
  readonly outcome: Identity;
  readonly usage: Identity;
  readonly occurredAt: Instant;
  readonly definition: string;
  readonly source: PublishedFrom;
  /** First instant at which the timeout counts; absent for a definition without timeout, or when the outcome is decided already. */
  readonly dueAt?: Instant;
  /** Signals that were waiting may decide at once. */
  readonly decided?: VerdictGiven;
  readonly link?: number;
}

/** A further request of the same outcome. The earliest by (occurredAt, id) binds definition and time, also when it arrives late. */
export interface RequestAdded {
  readonly outcome: Identity;
  readonly usage: Identity;
  readonly occurredAt: Instant;
  readonly definition: string;
  readonly source: PublishedFrom;
  /** Present when this request is the earliest so far and so moves the outcome's time. */
  readonly rebinds?: { readonly occurredAt: Instant; readonly definition: string };
  /** As in `OutcomeOpened`: what holds after this event. */
  readonly dueAt?: Instant;
  readonly decided?: VerdictGiven;
  readonly link?: number;
}

export interface SignalRecorded extends Identity {
  readonly outcome: Identity;
  readonly signal: string;
  readonly confidence?: string;
  readonly value?: string;
  readonly occurredAt: Instant;
  readonly contentHash: string;
  readonly validatorHash?: string;
  /** Present when the signal changed the verdict. */
  readonly decided?: VerdictGiven;
  /** Set when the signal came after the reversal window: recorded without effect. */
  readonly tooLate?: true;
  readonly link?: number;
}

export interface TimeoutPassed {
  readonly outcome: Identity;
  readonly dueAt: Instant;
  readonly decided?: VerdictGiven;
  readonly link?: number;
}

/** A verdict, published to `outcome.decided` under `number`. */
export interface VerdictGiven {
  readonly number: number;
  readonly verdict: Verdict;
  /** Exact fraction 0 to 1. */
  readonly score: string;
  /** For example `explicit-signal`, `minimum-signals`, `timeout`, `reversal`. */
  readonly reason: string;
  readonly revision: number;
  readonly definition: string;
  readonly decidedAt: Instant;
  /** Identities of the signals that count, in their order, with weight × confidence as exact fractions: anyone can recompute the score. */
  readonly evidence: readonly {
    readonly source: string;
    readonly id: string;
    readonly signal: string;
    readonly contribution: string;
  }[];
}

export interface ImportMark extends Identity {
  readonly expiresAt: Instant;
}
