/**
 * The identity of a document version: the hash of its canonical JSON.
 *
 * Canonical: keys sorted, no spaces, absent fields left out. So the same document has one hash however its text was written.
 */
import { hash } from "node:crypto";

/** SHA-256 of the canonical JSON, 64 hex digits. */
export function documentHash(document: unknown): string {
  return hash("sha256", canonicalDocument(document), "hex");
}

/** The canonical JSON text of plain data: strings, numbers, booleans, null, arrays, objects. */
export function canonicalDocument(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalDocument).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  const fields = Object.entries(value)
    .filter(([, field]) => field !== undefined)
    .toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return `{${fields.map(([key, field]) => `${JSON.stringify(key)}:${canonicalDocument(field)}`).join(",")}}`;
}
