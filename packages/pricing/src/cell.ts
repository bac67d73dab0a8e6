/**
 * The canonical text of a cell: the dimension values that split one charge item into accumulators.
 *
 * Invariant: two different lists of values never have one text, whatever characters the values hold.
 */
import type { PricedFact, Unpriced } from "./rate.ts";

/** `tier=premium;region=eu`. The names come in the plan's order; `%`, `;` and `=` in values are escaped. */
export function cellOf(names: readonly string[], fact: PricedFact): string | Unpriced {
  let text = "";
  for (const name of names) {
    const value = fact.dimensions[name];
    if (value === undefined) return missingDimension(name);
    text += `${text === "" ? "" : ";"}${name}=${escapeValue(value)}`;
  }
  return text;
}

/** Puts a model's own cell before the plan's. */
export function joinCells(first: string, second: string): string {
  if (first === "") return second;
  return second === "" ? first : `${first};${second}`;
}

/** Reads a cell back. Where a name stands twice, the first counts: a model's own comes before the plan's. */
export function readCell(cell: string): ReadonlyMap<string, string> {
  if (cell === "") return new Map();
  return new Map(
    cell
      .split(";")
      .toReversed()
      .map((part) => {
        const equals = part.indexOf("=");
        return [part.slice(0, equals), unescapeValue(part.slice(equals + 1))];
      }),
  );
}

export function missingDimension(name: string): Unpriced {
  return { kind: "unpriced", reason: "missing-dimension", detail: `the fact has no dimension "${name}"` };
}

function escapeValue(value: string): string {
  return NEEDS_ESCAPE.test(value) ? value.replaceAll(NEEDS_ESCAPES, (character) => ESCAPES[character] ?? character) : value;
}

function unescapeValue(text: string): string {
  return text.replaceAll("%3D", "=").replaceAll("%3B", ";").replaceAll("%25", "%");
}

const NEEDS_ESCAPE = /[%;=]/;
const NEEDS_ESCAPES = /[%;=]/g;
const ESCAPES: Readonly<Record<string, string>> = { "%": "%25", ";": "%3B", "=": "%3D" };
