/**
 * What comes on the intake topics: bytes and headers exactly as some producer sent them.
 *
 * Reading them is `read-reported.ts`'s work, after the message has left the bus: nothing that producers send can be poison to it.
 */

import { topicCodec, type Topic } from "../topics.ts";

/** Bytes with the headers beside them: names in lower case. */
export interface Reported {
  readonly bytes: Uint8Array;
  readonly headers: Readonly<Record<string, string>>;
}

export type ReportedTopic = "usage.reported" | "signal.reported";

/** The codec that a bus is given for the intake topics. Never throws while decoding. */
export const reportedCodec = {
  /** The bytes alone. Throws for a message with headers: only an engine that has headers can carry those. */
  encode(body: unknown): Uint8Array {
    const { bytes, headers } = body as Reported;
    if (Object.keys(headers).length > 0) throw new TypeError("headers do not fit into the bytes of a reported message");
    return bytes;
  },
  decode(bytes: Uint8Array, headers: Readonly<Record<string, string>> = {}): Reported {
    return { bytes, headers };
  },
};

/** The codec that a bus is given for a topic: the intake topics carry whatever producers sent, the others our own Avro. */
export function busCodec(topic: Topic): {
  readonly encode: (body: unknown) => Uint8Array;
  readonly decode: (bytes: Uint8Array, headers?: Readonly<Record<string, string>>) => unknown;
} {
  return topic === "usage.reported" || topic === "signal.reported" ? reportedCodec : topicCodec(topic);
}
