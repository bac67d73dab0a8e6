/**
 * The events of `parked-{shard}.{ns}.{service}`: notes of parked messages that no owner's stream can take, because their bytes
 * cannot be read. Identity, hash and reason are noted, never the content.
 */
import { hash } from "node:crypto";
import { partitionKey, streamName } from "./stream-name.ts";

export interface MessageParked {
  /** Id of the parked record that keeps the bytes. */
  readonly id: string;
  readonly topic: string;
  /** Namespace and account, as far as they are known: what a producer used as key stays with the bytes, where it can be erased. */
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
  readonly account: string;
  readonly reason: string;
  readonly bytes: Uint8Array;
}): { readonly stream: string; readonly type: "MessageParked"; readonly data: MessageParked } {
  const { id, ns, service, topic, account, reason, bytes } = record;
  const data = { id, topic, key: partitionKey(ns, account), reason, bytesHash: hash("sha256", bytes, "base64url") };
  return { stream: streamName("parked", ns, service), type: "MessageParked", data };
}
