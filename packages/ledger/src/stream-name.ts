/**
 * The names of streams and keys: `{category}-{shard}.{namespace}.{name}`.
 *
 * One function escapes name parts, so `.` and `-` only ever separate. The shard is two hex digits of a hash of namespace
 * and name and never changes.
 */
import { hash } from "node:crypto";

/** What streams there are of. A store that other programs write to, too, has others beside them. */
export const CATEGORIES = ["account", "outcome", "wallet", "contract", "document", "key", "parked"] as const;
export type Category = (typeof CATEGORIES)[number];

/** Escapes everything but letters, digits and `_` as `~XX` of its UTF-8 bytes. Injective; undone by `unescapePart`. */
export function escapePart(part: string): string {
  if (PLAIN.test(part)) return part;
  let escaped = "";
  for (const byte of Buffer.from(part, "utf8")) {
    const char = String.fromCharCode(byte);
    escaped += byte < 0x80 && PLAIN.test(char) ? char : `~${byte.toString(16).padStart(2, "0")}`;
  }
  return escaped;
}

export function unescapePart(escaped: string): string {
  if (!escaped.includes("~")) return escaped;
  const bytes: number[] = [];
  for (let i = 0; i < escaped.length; i++) {
    if (escaped[i] === "~") {
      bytes.push(Number.parseInt(escaped.slice(i + 1, i + 3), 16));
      i += 2;
    } else bytes.push(escaped.charCodeAt(i));
  }
  return Buffer.from(bytes).toString("utf8");
}

/** Where the messages and streams of one name belong. */
export interface Place {
  /** The key messages travel under: namespace and name in one string. */
  readonly key: string;
  /** 0 to 255, from a hash of namespace and name. Fixed for ever. */
  readonly shard: number;
  /** The shard as it stands in stream names: two hex digits. */
  readonly digits: string;
}

/** Computed once per name and remembered, since every message asks. */
export function placeOf(ns: string, name: string): Place {
  let places = PLACES.get(ns);
  if (places === undefined) PLACES.set(ns, (places = new Map()));
  let place = places.get(name);
  if (place === undefined) {
    const key = `${escapePart(ns)}.${escapePart(name)}`;
    const digits = hash("sha256", key, "hex").slice(0, 2);
    place = { key, shard: Number.parseInt(digits, 16), digits };
    if (places.size >= PLACES_KEPT) places.clear();
    places.set(name, place);
  }
  return place;
}

export function shardOf(ns: string, name: string): number {
  return placeOf(ns, name).shard;
}

export function partitionKey(ns: string, name: string): string {
  return placeOf(ns, name).key;
}

export function streamName(category: Category, ns: string, name: string): string {
  const { key, digits } = placeOf(ns, name);
  return `${category}-${digits}.${key}`;
}

export interface StreamParts {
  readonly category: Category;
  readonly shard: number;
  readonly ns: string;
  readonly name: string;
}

/** Throws for a name that `streamName` did not make. */
export function parseStreamName(stream: string): StreamParts {
  let parts = PARSED.get(stream);
  if (parts === undefined) {
    const match = STREAM.exec(stream);
    if (match === null) throw new RangeError(`"${stream}" is not a stream name of this ledger`);
    const [, category = "", shard = "", ns = "", name = ""] = match;
    parts = { category: category as Category, shard: Number.parseInt(shard, 16), ns: unescapePart(ns), name: unescapePart(name) };
    if (PARSED.size >= PLACES_KEPT) PARSED.clear();
    PARSED.set(stream, parts);
  }
  return parts;
}

const PLAIN = /^[A-Za-z0-9_]*$/;
const STREAM = /^(account|outcome|wallet|contract|document|key|parked)-([0-9a-f]{2})\.([A-Za-z0-9_~]+)\.([A-Za-z0-9_~]+)$/;
const PLACES = new Map<string, Map<string, Place>>();
const PARSED = new Map<string, StreamParts>();
const PLACES_KEPT = 100_000;
