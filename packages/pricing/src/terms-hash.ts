/**
 * The short hash that names price terms. Equal terms have equal hashes whatever the order of their fields, so an accumulator goes
 * on when a new version of a plan leaves an item's terms as they were.
 */
import { createHash } from "node:crypto";

/** Twelve hex digits over the canonical JSON of the terms. */
export function termsHash(terms: unknown): string {
  return createHash("sha256").update(canonicalJson(terms)).digest("hex").slice(0, 12);
}

function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  const fields = Object.entries(value)
    .filter(([, field]) => field !== undefined)
    .toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return `{${fields.map(([key, field]) => `${JSON.stringify(key)}:${canonicalJson(field)}`).join(",")}}`;
}
