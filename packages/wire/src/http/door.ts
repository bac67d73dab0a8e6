/**
 * What every door shares: its namespace and clock reading, and problems as JSON pointers.
 */
import { fromMilliseconds, plus, type Instant } from "@rerate/money";
import type { z } from "zod";

/** One reading of the door's surroundings, the same for all facts of a request. */
export interface Door {
  readonly ns: string;
  readonly now: Instant;
  /** Facts that claim to be later are refused. */
  readonly latest: Instant;
}

/** Nothing that is charged happened before. */
export const EARLIEST = "2000-01-01T00:00:00.000000000Z" as Instant;

/** How far a sender's clock may be ahead, unless configured otherwise. */
export const FUTURE_LIMIT_MS = 3_600_000;

export function doorAt(ns: string, nowMs: number, futureLimitMs: number = FUTURE_LIMIT_MS): Door {
  const now = fromMilliseconds(nowMs);
  return { ns, now, latest: plus(now, BigInt(futureLimitMs) * 1_000_000n) };
}

/** One thing to mend; `pointer` is a JSON pointer into the value that was checked. */
export interface InputProblem {
  readonly pointer: string;
  readonly detail: string;
}

/** Why an occurredAt is refused, or undefined. */
export function timeProblem(occurredAt: Instant, door: Door): string | undefined {
  if (occurredAt < EARLIEST) return "lies before the year 2000";
  return occurredAt > door.latest ? "lies in the future" : undefined;
}

/** The issues of a zod result as problems, unknown keys one by one. */
export function problemsOfIssues(issues: readonly z.core.$ZodIssue[]): InputProblem[] {
  return issues.flatMap((issue) => {
    if (issue.code !== "unrecognized_keys") return [{ pointer: pointerTo(issue.path), detail: issue.message }];
    return issue.keys.map((key) => ({ pointer: pointerTo([...issue.path, key]), detail: "is not a known field" }));
  });
}

/** A JSON pointer (RFC 6901). */
export function pointerTo(path: readonly PropertyKey[]): string {
  return path.map((part) => `/${String(part).replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
}
