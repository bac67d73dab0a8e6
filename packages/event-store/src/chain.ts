/**
 * The hash chain of a stream: each event's metadata carries the hash of the event before it.
 *
 * The hash covers stream, revision, type, data and metadata (its own link included), so no stored byte can change, move or
 * vanish in the middle of a stream without breaking the link after it. The first link is all zeros.
 */
import { hash } from "node:crypto";

/** The link of the first event of a stream: 32 zero bytes in base64url. */
export const FIRST_LINK = "A".repeat(43);

/** SHA-256 (base64url, 43 characters) over the event's place and its exact stored text. */
export function chainHash(stream: string, revision: number, type: string, data: string, metadata: string): string {
  return hash("sha256", `${stream}\n${revision}\n${type}\n${data}\n${metadata}`, "base64url");
}

/** The event id that engines with ids use: UUIDv5 of stream, revision and the hash, so only an identical re-send counts as a retry. */
export function eventId(stream: string, revision: number, chained: string): string {
  const text = `${stream}\n${revision}\n${chained}`;
  const bytes = Buffer.allocUnsafe(NAMESPACE.length + Buffer.byteLength(text));
  NAMESPACE.copy(bytes);
  bytes.write(text, NAMESPACE.length);
  const hex = hash("sha1", bytes, "hex");
  const variant = "89ab"[Number.parseInt(hex.charAt(16), 16) & 3] ?? "";
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-5${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

/** Fixed for ever: ids of stored events depend on it. */
const NAMESPACE = Buffer.from("5f3a8f8e5e0c4f0a9c556d1d2a7b9e10", "hex");
