/**
 * Marks: records without key and value among the messages of a published topic, which say how far its inputs have been worked off.
 *
 * Headers: `rerate-mark` the instant, `rerate-source` the source partitions it is said about (separated by commas),
 * `rerate-sources` how many source partitions there are.
 */
import type { KafkaRecord, NewRecord } from "./record-batch.ts";

export interface Mark {
  readonly readUpTo: string;
  readonly sources: readonly number[];
  /** How many source partitions there are. */
  readonly sourceCount: number;
}

const MARK = "rerate-mark";
const SOURCE = "rerate-source";
const SOURCES = "rerate-sources";

export function markRecord({ readUpTo, sources, sourceCount }: Mark): NewRecord {
  const headers = [
    { name: MARK, value: readUpTo },
    { name: SOURCE, value: sources.join(",") },
    { name: SOURCES, value: String(sourceCount) },
  ];
  return { key: null, value: null, headers };
}

/** The mark that a record is, or undefined for a message. */
export function markOf({ key, value, headers }: KafkaRecord): Mark | undefined {
  if (key !== null || value !== null || headers.length === 0) return undefined;
  const text = (name: string) => headers.find((header) => header.name === name)?.value?.toString();
  const [readUpTo, sources, count] = [text(MARK), text(SOURCE), text(SOURCES)];
  if (readUpTo === undefined || sources === undefined || count === undefined) return undefined;
  return { readUpTo, sources: sources.split(",").map(Number), sourceCount: Number(count) };
}

/** The marks that one partition has passed. */
export interface MarkedSources {
  pass(record: KafkaRecord): void;
  /** The time up to which every source that can reach this partition has spoken; undefined while one is silent. */
  least(): string | undefined;
}

/** `only`: the one source partition that can reach this partition; undefined when all can. */
export function createMarkedSources(only: number | undefined): MarkedSources {
  const marks = new Map<number, string>();
  let expected = only === undefined ? undefined : 1;
  return {
    pass(record) {
      const mark = markOf(record);
      if (mark === undefined) return;
      if (only === undefined) expected = mark.sourceCount;
      for (const source of mark.sources) {
        if (only !== undefined && source !== only) continue;
        if ((marks.get(source) ?? "") < mark.readUpTo) marks.set(source, mark.readUpTo);
      }
    },
    least() {
      if (expected === undefined || marks.size < expected) return undefined;
      let lowest: string | undefined;
      for (const mark of marks.values()) if (lowest === undefined || mark < lowest) lowest = mark;
      return lowest;
    },
  };
}
