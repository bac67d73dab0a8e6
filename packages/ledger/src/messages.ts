/**
 * The messages that services exchange, as the deciders see them. `wire` gives each its Avro schema; the shapes agree
 * structurally and the type checker holds them together in the service shells.
 */
import type { Instant } from "@rerate/money";

/** Who a fact is about and who it is: identity is (namespace, account, source, id). */
export interface Identity {
  readonly source: string;
  readonly id: string;
}

/** What a message says about itself that stays the same however often it is delivered. */
interface Delivered {
  readonly kind: string;
  readonly ns?: string;
  readonly account?: string;
  readonly wallet?: string;
  readonly source?: string;
  readonly id?: string;
  readonly phase?: string;
  readonly contentHash?: string;
}

/**
 * What makes two deliveries of a fact, a signal or a command the same: whose it is, its identity and its content, never when it
 * came. A parked message is kept once under it.
 */
export function deliveryIdentity(message: Delivered): string {
  const { kind, ns, account, wallet, source, id, phase, contentHash } = message;
  return JSON.stringify([kind, ns, account ?? wallet, source, id, phase, contentHash].map((part) => part ?? null));
}

interface FactHead extends Identity {
  readonly ns: string;
  readonly account: string;
  readonly occurredAt: Instant;
  /** When the door accepted it (the door's clock); for logs and lag, never for prices. */
  readonly receivedAt: Instant;
  /** `1:` and the SHA-256 of the canonical fields as sent (base64url). */
  readonly contentHash: string;
  /** A correction names the fact it replaces and counts its revisions from 1; the original is revision 0. */
  readonly corrects?: Identity | undefined;
  readonly revision?: number | undefined;
}

/** `usage.accepted`: what a request consumed. */
export interface UsageAccepted extends FactHead {
  readonly kind: "usage";
  readonly type: string;
  readonly provider?: string | undefined;
  readonly model?: string | undefined;
  /** Canonical quantities by name. */
  readonly quantities: Readonly<Record<string, string>>;
  readonly dimensions: Readonly<Record<string, string>>;
  /** Outcome reference; by default the usage is an outcome of its own. */
  readonly outcome?: string | undefined;
  readonly attempt?: number | undefined;
  readonly parent?: string | undefined;
}

/** `usage.accepted`: what something cost us (cost of goods), about a usage fact or an outcome of the same account. */
export interface CostAccepted extends FactHead {
  readonly kind: "cost";
  readonly unit: string;
  /** Atoms as a decimal string. */
  readonly atoms: string;
  /** The amount as it came. */
  readonly text: string;
  readonly about?: Identity | undefined;
}

/** `usage.accepted` and `signal.accepted`: an import holds the deadlines of an account while it runs. */
export interface ImportCommand {
  readonly kind: "import";
  readonly ns: string;
  readonly account: string;
  readonly source: string;
  readonly id: string;
  readonly phase: "started" | "ended";
  /** When a forgotten import stops holding deadlines. */
  readonly expiresAt: Instant;
  readonly receivedAt: Instant;
}

export type FactMessage = UsageAccepted | CostAccepted | ImportCommand;

/** `signal.accepted`: one observation about a result. `outcome` names the usage's source and the outcome reference (or the usage's id). */
export interface SignalAccepted extends Identity {
  readonly kind: "signal";
  readonly ns: string;
  readonly account: string;
  readonly outcome: Identity;
  /** For example `explicit_accept`, `edit`, `quality`. */
  readonly signal: string;
  /** 0 to 1 as a decimal string; 1 when absent. */
  readonly confidence?: string | undefined;
  /** A signal's number where it has one (a quality score), as a decimal string. */
  readonly value?: string | undefined;
  readonly occurredAt: Instant;
  readonly receivedAt: Instant;
  readonly contentHash: string;
  readonly validatorHash?: string | undefined;
}

export type SignalMessage = SignalAccepted | ImportCommand;

/** Published from a log: where it came from and its number without gaps per (stream, topic, key). */
export interface Published {
  readonly ns: string;
  readonly account: string;
  /** Stream and revision of the event that published it. */
  readonly sourceStream: string;
  readonly sourceRevision: number;
  /** 1, 2, 3 … per (source stream, topic, key). */
  readonly number: number;
}

/** `usage.recorded`: a usage fact with an outcome policy, from settlement to outcome-signal. */
export interface UsageRecordedMessage extends Published {
  readonly kind: "usage-recorded";
  readonly source: string;
  readonly id: string;
  readonly outcome: Identity;
  readonly occurredAt: Instant;
  /** Hash of the outcome definition that settlement bound. */
  readonly definition: string;
  readonly attempt?: number | undefined;
}

/** `outcome.decided`: a verdict, from outcome-signal to settlement. */
export interface OutcomeDecidedMessage extends Published {
  readonly kind: "outcome-decided";
  readonly outcome: Identity;
  readonly verdict: Verdict;
  /** Exact score, `n` or `n/d`, 0 to 1. */
  readonly score: string;
  readonly reason: string;
  /** Counts the verdicts of one outcome from 1; the highest holds. */
  readonly verdictRevision: number;
  readonly definition: string;
  readonly decidedAt: Instant;
}

export type Verdict = "success" | "partial" | "failure";

/** `ledger.entries`: the entries of one settlement event towards one wallet. */
export interface LedgerEntriesMessage extends Published {
  readonly kind: "ledger-entries";
  /** Present on messages merged by the wallet's decider: the first of the consecutive numbers that this one carries. */
  readonly firstNumber?: number | undefined;
  readonly wallet: string;
  readonly occurredAt: Instant;
  readonly entries: readonly WalletEntry[];
}

/** What a wallet needs to know of an entry. */
export interface WalletEntry {
  /** The entry's number in its account. */
  readonly entry: number;
  readonly unit: string;
  /** Signed atoms: positive is owed by the customer, negative goes back to the customer. */
  readonly atoms: string;
  readonly kind: EntryKind;
  /** The entry that this one takes back, wholly or partly. */
  readonly corrects?: number | undefined;
}

export type EntryKind = "charge" | "refund" | "bonus" | "fee" | "true-up" | "correction" | "cap";

/** `wallet.requested`: commands to a wallet; `id` is the command's identity. */
export type WalletCommand = GrantCredits | VoidGrant;

export interface GrantCredits {
  readonly kind: "grant";
  readonly ns: string;
  readonly wallet: string;
  readonly id: string;
  readonly unit: string;
  readonly atoms: string;
  readonly source: "purchase" | "promotion" | "rollover" | "adjustment";
  /** Lower is drawn first; then the sooner expiry, then the earlier grant. Default 100. */
  readonly priority: number;
  readonly effectiveAt: Instant;
  readonly expiresAt?: Instant | undefined;
  readonly contentHash: string;
  readonly receivedAt: Instant;
}

/** Voids what is left of a grant (a mistaken or refunded purchase). */
export interface VoidGrant {
  readonly kind: "void-grant";
  readonly ns: string;
  readonly wallet: string;
  readonly id: string;
  /** The command id of the grant. */
  readonly grant: string;
  readonly contentHash: string;
  readonly receivedAt: Instant;
}

/** `account.standing`: a hint whether a wallet may go on. The highest source revision wins. */
export interface AccountStanding {
  readonly ns: string;
  readonly wallet: string;
  readonly standing: "good" | "low" | "exhausted";
  readonly unit: string;
  readonly balanceAtoms: string;
  readonly sourceStream: string;
  readonly sourceRevision: number;
}
