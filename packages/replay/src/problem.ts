/**
 * What a check found, at an exact place. Keeps the first problems of each kind and counts the rest, so a log that is wrong
 * everywhere gives a short report.
 */

/**
 * `chain` the hash chain is broken or not continuous · `unreadable` an event cannot be read · `decision` deciding again gives
 * something else · `exchange` two streams disagree about a message · `balance` the books do not add up · `projection` a read
 * model is not the fold of the log
 */
export type ProblemKind = "chain" | "unreadable" | "decision" | "exchange" | "balance" | "projection";

export interface Problem {
  readonly kind: ProblemKind;
  readonly stream?: string | undefined;
  readonly revision?: number | undefined;
  /** Number of the ledger entry, where the difference lies in one. */
  readonly entry?: number | undefined;
  /** Where in the event's data, for example `entries[0].atoms`. */
  readonly field?: string | undefined;
  readonly recorded?: string | undefined;
  readonly recomputed?: string | undefined;
  readonly message: string;
  /** The arithmetic of the recomputed entry, a step a line. */
  readonly explanation?: readonly string[] | undefined;
}

export interface ProblemLog {
  add(problem: Problem): void;
  /** In the order they were found, at most `KEPT` of each kind. */
  readonly problems: readonly Problem[];
  readonly counts: Readonly<Record<ProblemKind, number>>;
}

/** Problems of one kind that are kept with all details. */
const KEPT = 20;

export function createProblemLog(): ProblemLog {
  const problems: Problem[] = [];
  const counts: Record<ProblemKind, number> = { chain: 0, unreadable: 0, decision: 0, exchange: 0, balance: 0, projection: 0 };
  return {
    problems,
    counts,
    add(problem) {
      counts[problem.kind] += 1;
      if (counts[problem.kind] <= KEPT) problems.push(problem);
    },
  };
}

/** One line for people: place, what differs, why. */
export function describeProblem(problem: Problem): string {
  const { kind, stream, revision, entry, field, recorded, recomputed, message } = problem;
  const place = [
    ...(stream === undefined ? [] : [stream]),
    ...(revision === undefined ? [] : [`revision ${revision}`]),
    ...(entry === undefined ? [] : [`entry ${entry}`]),
    ...(field === undefined ? [] : [field]),
  ].join(", ");
  const values =
    recorded === undefined && recomputed === undefined
      ? ""
      : ` (recorded ${recorded ?? "nothing"}, recomputed ${recomputed ?? "nothing"})`;
  return `${kind}: ${place === "" ? "" : `${place}: `}${message}${values}`;
}
