/**
 * Positions of the log of an EventStoreDB as text: commit and prepare position, padded, so that the order of the texts is the
 * order of the log.
 */
import type { Position } from "../port.ts";

export interface LogPosition {
  readonly commit: number | bigint;
  readonly prepare: number | bigint;
}

const DIGITS = 20;

export function positionText({ commit, prepare }: LogPosition): Position {
  return `${String(commit).padStart(DIGITS, "0")}/${String(prepare).padStart(DIGITS, "0")}`;
}

/** Throws a RangeError for another engine's position. */
export function parsePosition(text: Position): LogPosition {
  const match = /^(\d{1,20})\/(\d{1,20})$/.exec(text);
  if (match?.[1] === undefined || match[2] === undefined) throw new RangeError(`"${text}" is no position of this log`);
  return { commit: BigInt(match[1]), prepare: BigInt(match[2]) };
}
