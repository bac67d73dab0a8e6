/**
 * The events that catalog owns: `contract-…` (who is on which plan from when), `document-…` (immutable versions of plans,
 * price lists and outcome definitions) and `key-…` (API keys, hashed).
 */
import type { Instant } from "@rerate/money";

/** The start of what was in force all along: a first assignment or first version without a date of its own. */
export const FROM_THE_BEGINNING = "0000-01-01T00:00:00.000000000Z" as Instant;

export type ContractEvent =
  | { readonly type: "AccountOpened"; readonly data: AccountOpened }
  | { readonly type: "PlanAssigned"; readonly data: PlanAssigned };

export interface AccountOpened {
  readonly account: string;
  readonly timeZone: string;
  readonly currency: string;
  /** The paying wallet; by default the account's own name. */
  readonly wallet: string;
}

export interface PlanAssigned {
  readonly planId: string;
  /** Hash of one version, or absent: the version in force at each time (by the documents' `effectiveFrom`). */
  readonly planHash?: string;
  readonly from: Instant;
}

export type DocumentKind = "plan" | "price-list" | "outcome-definition";

export type DocumentEvent = { readonly type: "DocumentPublished"; readonly data: DocumentPublished };

/** Stream name part: `{kind}:{id}`. Each event is one immutable version. */
export interface DocumentPublished {
  readonly kind: DocumentKind;
  readonly id: string;
  readonly hash: string;
  readonly effectiveFrom: Instant;
  /** The canonical JSON document. */
  readonly document: unknown;
}

export type KeyEvent =
  | { readonly type: "KeyCreated"; readonly data: KeyCreated }
  | { readonly type: "KeyRevoked"; readonly data: { readonly id: string } };

export type Role = "emit" | "read-account" | "read" | "operate" | "audit";

export interface KeyCreated {
  readonly id: string;
  /** SHA-256 of the secret. */
  readonly secretHash: string;
  readonly ns: string;
  readonly role: Role;
  /** For `read-account`. */
  readonly account?: string;
  readonly label: string;
}
