/**
 * The three messages of the protocol that are sent once per append or per event, written and read by hand.
 *
 * Field numbers are those of the client's stubs, which make and read all other messages. The front parses with the stubs what
 * is written here, and the client's own calls read what the front writes, so a mistake would not fit on both sides.
 */
import type { Append, StoredEvent } from "../port.ts";
import { NO_STREAM } from "../port.ts";
import { positionText } from "./position.ts";
import { createMessageWriter, readFields } from "./protobuf.ts";

/** Room for an event's id, type tags and lengths, beside its texts. */
const EVENT_BYTES = 160;
const APPEND_BYTES = 160;

/** `BatchAppendReq` with everything in one frame. Data and metadata are the bytes of their texts, and said to be JSON. */
export function writeBatchAppend(
  correlation: number,
  { stream, expectedRevision, events }: Append,
  ids: readonly string[],
): Buffer {
  let most = APPEND_BYTES + stream.length * 3;
  for (const { type, data, metadata } of events) {
    most += EVENT_BYTES + type.length * 3 + Buffer.byteLength(data) + Buffer.byteLength(metadata);
  }
  const writer = createMessageWriter(most);
  writer.uint64(4, 1);
  for (let index = events.length - 1; index >= 0; index--) {
    const event = events[index];
    if (event === undefined) continue;
    const message = writer.mark();
    writer.text(4, event.data);
    writer.text(3, event.metadata);
    const contentType = writer.mark();
    writer.text(2, "application/json");
    writer.text(1, "content-type");
    writer.message(2, contentType);
    const type = writer.mark();
    writer.text(2, event.type);
    writer.text(1, "type");
    writer.message(2, type);
    const id = writer.mark();
    writer.text(2, ids[index] ?? "");
    writer.message(1, id);
    writer.message(3, message);
  }
  const options = writer.mark();
  if (expectedRevision === NO_STREAM) writer.message(3, options);
  else writer.uint64(2, expectedRevision);
  const name = writer.mark();
  writer.text(3, stream);
  writer.message(1, name);
  writer.message(2, options);
  const id = writer.mark();
  writer.text(2, correlationText(correlation));
  writer.message(1, id);
  return writer.finish();
}

/** `BatchAppendResp`, as far as most answers go. */
export interface BatchAnswer {
  readonly correlation: number;
  /** Undefined for an error, which the whole message tells. */
  readonly lastRevision: number | undefined;
}

export function readBatchAnswer(bytes: Buffer): BatchAnswer {
  const answer = { correlation: -1, lastRevision: undefined as number | undefined };
  readFields(bytes, 0, bytes.length, {
    bytes(field, from, to) {
      if (field === 1) answer.correlation = readCorrelation(bytes, from, to);
      if (field !== 3) return;
      answer.lastRevision = 0;
      readFields(bytes, from, to, {
        integer(inner, value) {
          if (inner === 1) answer.lastRevision = Number(value);
        },
      });
    },
  });
  return answer;
}

/** A number as the UUID that the protocol wants; unique within one batch stream, which is all it needs. */
function correlationText(correlation: number): string {
  return `00000000-0000-4000-8000-${correlation.toString(16).padStart(12, "0")}`;
}

/** As text, or as two integers, whose second has the number in its lower 48 bits. */
function readCorrelation(bytes: Buffer, from: number, to: number): number {
  let correlation = -1;
  readFields(bytes, from, to, {
    bytes(field, start, end) {
      if (field === 2) correlation = Number.parseInt(bytes.toString("latin1", end - 12, end), 16);
      if (field !== 1) return;
      readFields(bytes, start, end, {
        integer(inner, value) {
          if (inner === 2) correlation = Number(BigInt.asUintN(48, BigInt(value)));
        },
      });
    },
  });
  return correlation;
}

/** `ReadResp`, as far as this adapter asks. */
export interface ReadAnswer {
  readonly event: StoredEvent | undefined;
  readonly caughtUp: boolean;
}

export function readReadAnswer(bytes: Buffer): ReadAnswer {
  const answer = { event: undefined as StoredEvent | undefined, caughtUp: false };
  readFields(bytes, 0, bytes.length, {
    bytes(field, from, to) {
      if (field === 8) answer.caughtUp = true;
      if (field !== 1) return;
      readFields(bytes, from, to, {
        bytes(inner, start, end) {
          if (inner === 1) answer.event = readEvent(bytes, start, end);
        },
      });
    },
  });
  return answer;
}

function readEvent(bytes: Buffer, from: number, to: number): StoredEvent {
  const event = { stream: "", revision: 0, type: "", data: "", metadata: "" };
  const position = { commit: 0 as number | bigint, prepare: 0 as number | bigint };
  readFields(bytes, from, to, {
    integer(field, value) {
      if (field === 3) event.revision = Number(value);
      else if (field === 4) position.prepare = value;
      else if (field === 5) position.commit = value;
    },
    bytes(field, start, end) {
      if (field === 8) event.data = bytes.toString("utf8", start, end);
      else if (field === 7) event.metadata = bytes.toString("utf8", start, end);
      else if (field === 6) event.type = typeOf(bytes, start, end) ?? event.type;
      else if (field === 2)
        readFields(bytes, start, end, {
          bytes(_, first, last) {
            event.stream = bytes.toString("utf8", first, last);
          },
        });
    },
  });
  return { ...event, position: positionText(position) };
}

/** The value of an entry of the system's metadata whose key is "type". */
function typeOf(bytes: Buffer, from: number, to: number): string | undefined {
  let isType = false;
  let value: readonly [number, number] = [0, 0];
  readFields(bytes, from, to, {
    bytes(field, start, end) {
      if (field === 1) isType = bytes.toString("latin1", start, end) === "type";
      else if (field === 2) value = [start, end];
    },
  });
  return isType ? bytes.toString("utf8", ...value) : undefined;
}
