/**
 * The events of `parked-{shard}.{ns}.{service}`: notes of parked messages that no owner's stream can take, because their bytes
 * cannot be read. Identity, hash and reason are noted, never the content.
 */
import { hash } from "node:crypto";
import { streamName } from "./stream-name.ts";

export interface MessageParked {
  /** Id of the parked record that keeps the bytes. */
  readonly id: string;
  readonly topic: string;
  readonly key: string;
  readonly reason: string;
  /** SHA-256 of the bytes, base64url. */
  readonly bytesHash: string;
}

/** The note of a parked record: where it is appended and what it says. */
export function parkedNoteOf(record: {
  readonly id: string;
  readonly ns: string;
  readonly service: string;
  readonly topic: string;
  readonly key: string;
  readonly reason: string;
  readonly bytes: Uint8Array;
}): { readonly stream: string; readonly type: "MessageParked"; readonly data: MessageParked } {
  const { id, ns, service, topic, key, reason, bytes } = record;
  const data = { id, topic, key, reason, bytesHash: hash("sha256", bytes, "base64url") };
  return { stream: streamName("parked", ns, service), type: "MessageParked", data };
}
