/**
 * The kinds of columns of a read model: how a column starts, how two parts of a fold merge, and how it is stored.
 *
 * Owns the law that makes a fold independent of where its batches end: `merge` is associative, and `empty()` changes
 * nothing. `older` comes before `newer` in the log; sums, counts, sets and maxima do not care, the others do.
 */
import { exact, exactText, plus, type Exact } from "./exact.ts";

export type SqlValue = string | number | null;

export interface Field<T> {
  empty(): T;
  /** May change and return `newer`. */
  merge(older: T, newer: T): T;
  encode(value: T): SqlValue;
  decode(value: SqlValue): T;
}

/** Whole numbers beyond ±(2^53 − 1) and fractions are kept as text in the same column: columns have no affinity (`ANY`). */
export const SUM: Field<Exact> = {
  empty: () => 0,
  merge: plus,
  encode: (value) => (typeof value === "number" ? value : exactText(value)),
  decode: (value) => (typeof value === "number" ? value : exact(value ?? "0")),
};

export const COUNT: Field<number> = {
  empty: () => 0,
  merge: (older, newer) => older + newer,
  encode: (value) => value,
  decode: (value) => (typeof value === "number" ? value : 0),
};

/** The first number or text of its order; undefined while there is none. */
export const MIN: Field<number | undefined> = {
  empty: () => undefined,
  merge: (older, newer) => (older === undefined ? newer : newer === undefined ? older : Math.min(older, newer)),
  encode: (value) => value ?? null,
  decode: (value) => (typeof value === "number" ? value : undefined),
};

export const MAX: Field<number | undefined> = {
  ...MIN,
  merge: (older, newer) => (older === undefined ? newer : newer === undefined ? older : Math.max(older, newer)),
};

/** The greatest text: for instants the latest. */
export const LATEST: Field<string | undefined> = {
  empty: () => undefined,
  merge: (older, newer) => (older === undefined ? newer : newer === undefined || older > newer ? older : newer),
  encode: (value) => value ?? null,
  decode: (value) => (typeof value === "string" ? value : undefined),
};

/** The value that the log said last; undefined says nothing. */
export const LAST: Field<string | number | undefined> = {
  empty: () => undefined,
  merge: (older, newer) => newer ?? older,
  encode: (value) => value ?? null,
  decode: (value) => value ?? undefined,
};

/** The value that the log said first; undefined says nothing. */
export const FIRST: Field<string | number | undefined> = { ...LAST, merge: (older, newer) => older ?? newer };

/** Sums by name. Stored as JSON with sorted names. */
export const SUMS: Field<Map<string, Exact>> = {
  empty: () => new Map(),
  merge(older, newer) {
    for (const [name, value] of older) addTo(newer, name, value);
    return newer;
  },
  encode: (value) => JSON.stringify(sortedEntries(value).map(([name, sum]) => [name, exactText(sum)])),
  decode: (value) => new Map(pairs(value).map(([name, sum]) => [name, exact(sum)])),
};

/** A set of texts. Stored as a sorted JSON list. */
export const SET: Field<Set<string>> = {
  empty: () => new Set(),
  merge(older, newer) {
    for (const value of older) newer.add(value);
    return newer;
  },
  encode: (value) => JSON.stringify([...value].toSorted()),
  decode: (value) => new Set(JSON.parse(textOf(value)) as string[]),
};

/** A list in log order, all of it or its last `most` items. For short lists: every change writes it whole. */
export function listOf<T>(most = Number.POSITIVE_INFINITY): Field<T[]> {
  return {
    empty: () => [],
    merge: (older, newer) => (newer.length >= most ? newer.slice(-most) : [...older, ...newer].slice(-most)),
    encode: (value) => JSON.stringify(value.slice(-most)),
    decode: (value) => JSON.parse(textOf(value)) as T[],
  };
}

/** Values over growing numbers, noted where they change: `[number, value]`, valid until the next pair. */
export const RUNS: Field<[number, string][]> = {
  empty: () => [],
  merge(older, newer) {
    const first = newer[0];
    const last = older.at(-1);
    return [...older, ...(first !== undefined && last !== undefined && first[1] === last[1] ? newer.slice(1) : newer)];
  },
  encode: (value) => JSON.stringify(value),
  decode: (value) => JSON.parse(textOf(value)) as [number, string][],
};

/** Adds to one of several sums. */
export function addTo(sums: Map<string, Exact>, name: string, value: Exact): void {
  const known = sums.get(name);
  sums.set(name, known === undefined ? value : plus(known, value));
}

function sortedEntries<T>(map: ReadonlyMap<string, T>): [string, T][] {
  const entries = [...map];
  return entries.length < 2 ? entries : entries.toSorted(([a], [b]) => (a < b ? -1 : 1));
}

function pairs(value: SqlValue): [string, string][] {
  return JSON.parse(textOf(value)) as [string, string][];
}

function textOf(value: SqlValue): string {
  return typeof value === "string" ? value : "[]";
}
