/**
 * The rules of an append that every local engine shares: what may be appended, and what a given revision says about it.
 *
 * Owns no storage. The invariant: an append is decided by its expected revision and the stored text alone, so a re-send
 * after an unknown outcome is answered like the first send, and nothing else is ever written twice.
 */
import { type Append, type AppendResult, type NewEvent, NO_STREAM, type StoredEvent } from "./port.ts";

/** EventStoreDB refuses an append of more than 1 MiB; so does every engine here. Counts type, metadata and data in UTF-8. */
export const MAX_APPEND_BYTES = 1_048_576;
/** More events than this in one append are a mistake of the caller; the recommendation is 500. */
export const MAX_APPEND_EVENTS = 1_000;

/** Throws a RangeError when the append could not be stored exactly as given. Nothing has been written then. */
export function checkAppend(append: Append, maxBytes: number = MAX_APPEND_BYTES): void {
  const { stream, expectedRevision, events } = append;
  if (stream === "" || !isStorable(stream)) throw new RangeError(`"${stream}" is no stream name`);
  if (!Number.isSafeInteger(expectedRevision) || expectedRevision < NO_STREAM) {
    throw new RangeError(`an append to ${stream} expects revision ${expectedRevision}; there is no such revision`);
  }
  if (events.length === 0) throw new RangeError(`an append to ${stream} has no events`);
  if (events.length > MAX_APPEND_EVENTS) {
    throw new RangeError(`an append to ${stream} has ${events.length} events; at most ${MAX_APPEND_EVENTS} fit`);
  }
  let units = 0;
  for (const event of events) {
    if (event.type === "" || !isStorable(event.type)) throw new RangeError(`an event of ${stream} has the type "${event.type}"`);
    if (!isStorable(event.data) || !isStorable(event.metadata)) {
      throw new RangeError(`an event ${event.type} of ${stream} has a line break, a NUL or half a character in its text`);
    }
    units += event.type.length + event.metadata.length + event.data.length;
  }
  // A UTF-16 unit takes at most three bytes of UTF-8, so most appends need no exact count.
  if (units * 3 > maxBytes && bytesOf(events) > maxBytes) {
    throw new RangeError(`an append to ${stream} has ${bytesOf(events)} bytes; at most ${maxBytes} fit`);
  }
}

/**
 * What becomes of an append to a stream whose last revision is `actualRevision`: "write" it, or the result without writing.
 *
 * `storedFrom` returns the stored events from a revision on, at most so many; it is asked only when the writer is behind.
 */
export function judgeAppend(
  append: Append,
  actualRevision: number,
  storedFrom: (revision: number, maxCount: number) => readonly StoredEvent[],
): "write" | AppendResult {
  const { expectedRevision, events } = append;
  if (expectedRevision === actualRevision) return "write";
  const lastRevision = expectedRevision + events.length;
  if (lastRevision <= actualRevision) {
    const stored = storedFrom(expectedRevision + 1, events.length);
    if (stored.length === events.length && stored.every((event, index) => sameText(event, events[index]))) {
      return { kind: "committed", lastRevision };
    }
  }
  return { kind: "conflict", actualRevision };
}

function sameText(stored: StoredEvent, sent: NewEvent | undefined): boolean {
  return sent !== undefined && stored.type === sent.type && stored.metadata === sent.metadata && stored.data === sent.data;
}

/** Three lines per event and UTF-8 hold a text exactly only when it has no line break, no NUL and no lone surrogate. */
function isStorable(text: string): boolean {
  return !text.includes("\n") && !text.includes("\r") && !text.includes("\0") && text.isWellFormed();
}

function bytesOf(events: readonly NewEvent[]): number {
  let bytes = 0;
  for (const event of events) {
    bytes += Buffer.byteLength(event.type) + Buffer.byteLength(event.metadata) + Buffer.byteLength(event.data);
  }
  return bytes;
}
