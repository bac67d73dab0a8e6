/**
 * The events of `wallet-{shard}.{ns}.{wallet}`: grants, and which grant paid which entries.
 * Conservation: up to any applied entry number, the sum of entries = draws + what is unpaid.
 */
import type { Instant } from "@rerate/money";
import type { PublishedFrom } from "./account-events.ts";

export type WalletEvent =
  | { readonly type: "CreditsGranted"; readonly data: CreditsGranted }
  | { readonly type: "GrantVoided"; readonly data: GrantVoided }
  | { readonly type: "GrantExpired"; readonly data: GrantExpired }
  | { readonly type: "EntriesApplied"; readonly data: EntriesApplied };

export interface CreditsGranted {
  /** The command's id: also the grant's. */
  readonly id: string;
  readonly contentHash: string;
  readonly unit: string;
  readonly atoms: string;
  readonly source: string;
  readonly priority: number;
  readonly effectiveAt: Instant;
  readonly expiresAt?: Instant;
  /** What was unpaid and this grant pays at once. */
  readonly paidAtoms: string;
}

export interface GrantVoided {
  readonly id: string;
  readonly grant: string;
  readonly contentHash: string;
  readonly atoms: string;
}

/** What was left of a grant at its expiry: breakage. */
export interface GrantExpired {
  readonly grant: string;
  readonly dueAt: Instant;
  readonly atoms: string;
}

/**
 * Entries of one or more consecutive messages of one account, applied to the wallet in recorded order.
 * `draws` are listed per entry; an entry without draws was left unpaid (or unpaid debt was reduced).
 */
export interface EntriesApplied {
  readonly account: string;
  /** Last message that the event applied; `firstNumber` is the first. */
  readonly source: PublishedFrom;
  readonly firstNumber: number;
  readonly lines: readonly AppliedEntry[];
  /** Unpaid atoms by unit after the event, of the units that the event touched. */
  readonly unpaid: Readonly<Record<string, string>>;
}

export interface AppliedEntry {
  readonly entry: number;
  readonly unit: string;
  readonly atoms: string;
  /** Grant id and signed atoms: positive was drawn from the grant, negative went back to it. Absent when no grant was touched. */
  readonly draws?: readonly (readonly [grant: string, atoms: string])[];
  /** Signed change of what is unpaid, absent when zero. `atoms` = sum of draws + unpaid. */
  readonly unpaid?: string;
}
