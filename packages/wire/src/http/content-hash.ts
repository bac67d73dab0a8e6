/**
 * The hash that tells a repeated fact from a conflicting one.
 *
 * Taken of the canonical fields as sent, in a fixed order with sorted maps: never of values that a door filled in, and not of
 * the identity itself. The version in front lets the rule change without old hashes changing their meaning.
 */
import { hash } from "node:crypto";

export type HashedField = string | number | null | readonly HashedField[];

/** `1:` and the SHA-256 (base64url) of the JSON array [kind, ...fields]. Absent fields are null. */
export function contentHash(kind: string, fields: readonly HashedField[]): string {
  return `1:${hash("sha256", JSON.stringify([kind, ...fields]), "base64url")}`;
}

/** A map as a flat array [key, value, …] sorted by key. */
export function sortedPairs(map: Readonly<Record<string, string>>): string[] {
  return Object.keys(map)
    .sort()
    .flatMap((key) => [key, map[key] ?? ""]);
}
