/**
 * The hash chain of a stream: each event's metadata carries the hash of the event before it.
 *
 * The hash covers stream, revision, type, data and metadata (its own link included), so no stored byte can change, move or
 * vanish in the middle of a stream without breaking the link after it. The first link is all zeros.
 */
import { hash } from "node:crypto";
import { v5 } from "uuid";

/** The link of the first event of a stream: 32 zero bytes in base64url. */
export const FIRST_LINK = "A".repeat(43);

/** SHA-256 (base64url, 43 characters) over the event's place and its exact stored text. */
export function chainHash(stream: string, revision: number, type: string, data: string, metadata: string): string {
  return hash("sha256", `${stream}\n${revision}\n${type}\n${data}\n${metadata}`, "base64url");
}

/** The event id that engines with ids use: UUIDv5 of stream, revision and the hash, so only an identical re-send counts as a retry. */
export function eventId(stream: string, revision: number, chained: string): string {
  return v5(`${stream}\n${revision}\n${chained}`, NAMESPACE);
}

/** Fixed for ever: ids of stored events depend on it. */
const NAMESPACE = "5f3a8f8e-5e0c-4f0a-9c55-6d1d2a7b9e10";
