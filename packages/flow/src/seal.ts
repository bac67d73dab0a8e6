/**
 * The metadata of every event: when it was recorded, and the link of its stream's hash chain.
 *
 * Owns the text `{"at":…,"prev":…}`, whose bytes are hashed: keys, order and spacing are fixed for ever.
 */
import { chainHash, type StoredEvent } from "@rerate/event-store";

export interface Seal {
  readonly recordedAt: string;
  /** Hash of the event before this one in its stream; `FIRST_LINK` for the first. */
  readonly previous: string;
}

/** Both parts are canonical instants and base64url, so nothing in them needs escaping. */
export function sealText(recordedAt: string, previous: string): string {
  return `{"at":"${recordedAt}","prev":"${previous}"}`;
}

/** Throws for metadata that `sealText` did not write. */
export function readSeal(metadata: string): Seal {
  const match = SEAL.exec(metadata);
  if (match === null) throw new Error(`"${metadata}" is no event metadata of this ledger`);
  return { recordedAt: match[1] ?? "", previous: match[2] ?? "" };
}

/** The link that the event after this one carries. */
export function linkAfter(event: StoredEvent): string {
  return chainHash(event.stream, event.revision, event.type, event.data, event.metadata);
}

const SEAL = /^\{"at":"([0-9T:.Z-]{30})","prev":"([A-Za-z0-9_-]{43})"\}$/;
