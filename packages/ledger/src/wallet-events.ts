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
  | { readonly type: "GrantTookEffect"; readonly data: GrantTookEffect }
  | { readonly type: "EntriesApplied"; readonly data: EntriesApplied }
  | { readonly type: "CommandParked"; readonly data: CommandParked };

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

/** A grant that was made ahead of its time became usable, and paid what was unpaid by then. */
export interface GrantTookEffect {
  readonly grant: string;
  readonly dueAt: Instant;
  readonly paidAtoms: string;
}

/** Notes that a command was parked: identity, hash and reason. */
export interface CommandParked {
  readonly id: string;
  readonly contentHash: string;
  readonly reason: string;
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
  /**
   * Block of 512 entry numbers that this event is found under: of the entries themselves, or of the entries that they correct.
   * Absent while nothing but unpaid amounts is concerned, which needs no looking up.
   */
  readonly bucket?: number;
  /** Revision of the previous event of the same account and bucket. */
  readonly link?: number;
}

export interface AppliedEntry {
  readonly entry: number;
  readonly unit: string;
  readonly atoms: string;
  /** The entry whose composition this negative one takes back. */
  readonly corrects?: number;
  /** Grant id and signed atoms: positive was drawn from the grant, negative went back to it. Absent when no grant was touched. */
  readonly draws?: readonly (readonly [grant: string, atoms: string])[];
  /** Signed change of what is unpaid, absent when zero. `atoms` = sum of draws + unpaid. */
  readonly unpaid?: string;
}
