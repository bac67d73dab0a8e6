/**
 * A block: the events of one append, which is one row of the log.
 *
 * Owns the text form of a row: three lines per event (type, metadata, data), exactly as given. `append-rules.ts` has made
 * sure that no text contains a line break, so the lines need no escaping and anybody's tools can read them.
 */
import type { NewEvent, StoredEvent } from "./port.ts";

export interface Block {
  readonly stream: string;
  /** Number in the whole log, from 1, of the first event. */
  readonly first: number;
  readonly events: readonly KeptEvent[];
}

/** An event in memory, whose body may be forgotten: its text says the same. */
export interface KeptEvent extends Omit<StoredEvent, "body"> {
  body?: unknown;
}

/** A row as it is stored. */
export interface BlockRow {
  readonly position: number;
  readonly stream: string;
  readonly revision: number;
  readonly count: number;
  readonly body: string;
}

export function blockText(events: readonly NewEvent[]): string {
  let text = "";
  for (const { type, metadata, data } of events) text += `${text === "" ? "" : "\n"}${type}\n${metadata}\n${data}`;
  return text;
}

/** The block of events that were just appended; they keep the bodies that their writer had at hand. */
export function blockOf(stream: string, first: number, revision: number, events: readonly NewEvent[]): Block {
  return {
    stream,
    first,
    events: events.map(({ type, data, metadata, body }, index) => ({
      stream,
      revision: revision + index,
      position: String(first + index),
      type,
      data,
      metadata,
      body,
    })),
  };
}

/** The block of a stored row. Throws when the row is damaged. */
export function parseBlock(row: BlockRow): Block {
  const lines = row.body.split("\n");
  if (lines.length !== row.count * 3)
    throw new Error(`the log is damaged: block ${row.position} of ${row.stream} has ${lines.length} lines`);
  const events: KeptEvent[] = [];
  for (let index = 0; index < row.count; index++) {
    events.push({
      stream: row.stream,
      revision: row.revision + index,
      position: String(row.position + index),
      type: lines[index * 3] ?? "",
      data: lines[index * 3 + 2] ?? "",
      metadata: lines[index * 3 + 1] ?? "",
      body: undefined,
    });
  }
  return { stream: row.stream, first: row.position, events };
}
