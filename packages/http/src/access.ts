/**
 * Who may call what: roles of API keys and the callers that they make.
 *
 * The namespace of a request comes from its key and from nothing else. A foreign id is answered like an unknown one.
 */

export type Role = "emit" | "read-account" | "read" | "operate" | "audit";

export const ROLES: readonly Role[] = ["emit", "read-account", "read", "operate", "audit"];
/** May send usage, costs and signals. */
export const EMITTERS: readonly Role[] = ["emit", "operate"];
/** May read what is about one account; a `read-account` key only its own. */
export const ACCOUNT_READERS: readonly Role[] = ["read-account", "read", "operate", "audit"];
/** May read across the accounts of the namespace. */
export const READERS: readonly Role[] = ["read", "operate", "audit"];
/** May change accounts, documents, grants, keys and parked messages. */
export const OPERATORS: readonly Role[] = ["operate"];
/** May read what auditors need beyond the read models. */
export const AUDITORS: readonly Role[] = ["audit", "operate"];

export interface Caller {
  readonly ns: string;
  /** `local`: a keyless server on loopback, where every caller may do everything. */
  readonly role: Role | "local";
  /** The one account of a `read-account` key. */
  readonly account?: string;
  readonly keyId?: string;
}

/** An API key as the catalogue keeps it. */
export interface StoredKey {
  readonly id: string;
  /** SHA-256 of the secret, 64 hex digits. */
  readonly secretHash: string;
  readonly ns: string;
  readonly role: Role;
  readonly account?: string | undefined;
  readonly revoked: boolean;
}

/** Finds a key by its id; undefined when there is none. */
export type KeyLookup = (id: string) => StoredKey | undefined | Promise<StoredKey | undefined>;
