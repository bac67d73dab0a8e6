/**
 * What a client of the protocol stores, and how it lies in an `EventStore`, which keeps texts: the event's id and what kind of
 * bytes it has go in front of its metadata.
 *
 * The invariant: id, content type and both byte strings come back exactly, whatever they are.
 */
import { isUtf8 } from "node:buffer";
import type { NewEvent, StoredEvent } from "@rerate/event-store";

/** An event as a client sends it. */
export interface Proposed {
  readonly id: string;
  readonly type: string;
  readonly isJson: boolean;
  readonly data: Uint8Array;
  readonly metadata: Uint8Array;
}

/** Length of the id and the three marks before the metadata: `{uuid} {j|b}{t|x}{t|x} `. */
const PREFIX = 36 + 1 + 3 + 1;

/** The events to append. Bytes that are no storable text are kept as base64, which the second and third mark say. */
export function toStored({ id, type, isJson, data, metadata }: Proposed): NewEvent {
  const dataText = textOf(data);
  const metadataText = textOf(metadata);
  const marks = `${isJson ? "j" : "b"}${dataText === undefined ? "x" : "t"}${metadataText === undefined ? "x" : "t"}`;
  return {
    type,
    data: dataText ?? Buffer.from(data).toString("base64"),
    metadata: `${id} ${marks} ${metadataText ?? Buffer.from(metadata).toString("base64")}`,
  };
}

export function idOf({ metadata }: StoredEvent): string {
  return metadata.slice(0, 36);
}

/** The event as it was sent. */
export function fromStored(event: StoredEvent): Proposed {
  const { type, data, metadata } = event;
  return {
    id: idOf(event),
    type,
    isJson: metadata[37] === "j",
    data: Buffer.from(data, metadata[38] === "x" ? "base64" : "utf8"),
    metadata: Buffer.from(metadata.slice(PREFIX), metadata[39] === "x" ? "base64" : "utf8"),
  };
}

/** The text with exactly these bytes that an event store keeps as given, or undefined. */
function textOf(bytes: Uint8Array): string | undefined {
  if (bytes.includes(10) || bytes.includes(13) || bytes.includes(0) || !isUtf8(bytes)) return undefined;
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");
}
