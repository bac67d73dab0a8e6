/**
 * The fast reader of usage events: the door's hot path.
 *
 * Gives the same verdict as `usageEventProblems`, which is asked for the list of problems only when this says no; a property
 * test holds the two together. Quantities come out canonical, maps sorted, so equal facts have equal bytes.
 */
import { parseInstant, type Instant } from "@rerate/money";
import type { Identity, UsageAccepted } from "../generated/topics.ts";
import { contentHash } from "./content-hash.ts";
import { EARLIEST, type Door } from "./door.ts";
import { isText } from "./fields.ts";
import {
  extensionProblem,
  isContentKey,
  isName,
  isRecord,
  MAX_ATTEMPT,
  MAX_DATA_KEYS,
  MAX_KEYS,
  readQuantity,
} from "./usage-event.ts";

/** The fact that an event states, or undefined when it is not acceptable. An absent time becomes the door's now. */
export function toUsageFact(
  event: unknown,
  door: Door,
  options: { readonly correction?: boolean } = {},
): UsageAccepted | undefined {
  if (!isRecord(event)) return undefined;
  const attributes = readAttributes(event, door);
  if (attributes === undefined) return undefined;
  const { source, id, account, type, time } = attributes;
  const data = event["data"] ?? NO_DATA;
  if (!isRecord(data)) return undefined;
  const parts = readData(data);
  if (parts === undefined || !isConsistent(parts, options.correction === true, source, id)) return undefined;
  const { provider, model, outcome, attempt, parent, corrects, revision } = parts;
  const quantityNames = Object.keys(parts.quantities).sort();
  const dimensionNames = Object.keys(parts.dimensions).sort();
  return {
    kind: "usage",
    ns: door.ns,
    account,
    source,
    id,
    occurredAt: time ?? door.now,
    receivedAt: door.now,
    contentHash: contentHash("usage", [
      type,
      time ?? null,
      provider ?? null,
      model ?? null,
      pairs(parts.quantities, quantityNames),
      pairs(parts.dimensions, dimensionNames),
      outcome ?? null,
      attempt ?? null,
      parent ?? null,
      corrects === undefined ? null : [corrects.source ?? null, corrects.id],
      revision ?? null,
    ]),
    ...(corrects === undefined ? undefined : { corrects: { source: corrects.source ?? source, id: corrects.id }, revision }),
    type,
    ...(provider === undefined ? undefined : { provider }),
    ...(model === undefined ? undefined : { model }),
    quantities: inOrder(parts.quantities, quantityNames),
    dimensions: inOrder(parts.dimensions, dimensionNames),
    ...(outcome === undefined ? undefined : { outcome }),
    ...(attempt === undefined ? undefined : { attempt }),
    ...(parent === undefined ? undefined : { parent }),
  };
}

const NO_DATA: Readonly<Record<string, unknown>> = {};

interface Attributes extends Identity {
  readonly account: string;
  readonly type: string;
  /** As sent; undefined when it was not. */
  readonly time: Instant | undefined;
}

function readAttributes(event: Readonly<Record<string, unknown>>, door: Door): Attributes | undefined {
  let time: Instant | undefined;
  let count = 0;
  for (const key in event) {
    const value = event[key];
    count += 1;
    switch (key) {
      case "specversion":
      case "id":
      case "source":
      case "type":
      case "subject":
      case "data":
        break;
      case "time":
        if (value === null || value === undefined) break;
        if (typeof value !== "string" || value.length > 64) return undefined;
        time = parseInstant(value);
        if (time === undefined || time < EARLIEST || time > door.latest) return undefined;
        break;
      case "datacontenttype":
        if (value !== null && value !== undefined && (typeof value !== "string" || value.length > 256)) return undefined;
        break;
      default:
        if (extensionProblem(key, value) !== undefined) return undefined;
    }
  }
  const { specversion, id, source, type, subject } = event;
  if (specversion !== "1.0" || count > MAX_KEYS) return undefined;
  if (!isText(id) || !isText(source) || !isText(type) || !isText(subject)) return undefined;
  return { id, source, type, account: subject, time };
}

/** What stands in `data`, while it is being read. */
interface Parts {
  readonly quantities: Record<string, string>;
  readonly dimensions: Record<string, string>;
  model?: string;
  provider?: string;
  outcome?: string;
  parent?: string;
  attempt?: number;
  corrects?: { readonly source?: string; readonly id: string };
  revision?: number;
}

function readData(data: Readonly<Record<string, unknown>>): Parts | undefined {
  const parts: Parts = { quantities: {}, dimensions: {} };
  let count = 0;
  for (const key in data) {
    const value = data[key];
    count += 1;
    if (value !== null && value !== undefined && !readField(parts, key, value)) return undefined;
  }
  return count > MAX_DATA_KEYS ? undefined : parts;
}

/** False when the field is not acceptable. */
function readField(parts: Parts, key: string, value: unknown): boolean {
  switch (key) {
    case "input_tokens":
    case "cached_input_tokens":
    case "cache_write_tokens":
    case "output_tokens":
    case "reasoning_tokens":
    case "requests":
      return addQuantity(parts.quantities, key, value);
    case "model":
    case "provider":
    case "outcome":
    case "parent":
      if (!isText(value)) return false;
      parts[key] = value;
      return true;
    case "attempt":
    case "revision":
      if (!isOrdinal(value)) return false;
      parts[key] = value;
      return true;
    case "quantities":
      return isRecord(value) && everyEntry(value, (name, inner) => isName(name) && addQuantity(parts.quantities, name, inner));
    case "dimensions":
      return isRecord(value) && everyEntry(value, (name, inner) => addDimension(parts.dimensions, name, inner));
    case "corrects":
      return readCorrects(parts, value);
    default:
      return addDimension(parts.dimensions, key, value);
  }
}

function everyEntry(value: Readonly<Record<string, unknown>>, accept: (name: string, inner: unknown) => boolean): boolean {
  for (const name in value) if (!accept(name, value[name])) return false;
  return true;
}

function addQuantity(quantities: Record<string, string>, name: string, value: unknown): boolean {
  const canonical = readQuantity(name, value);
  if (canonical === undefined || quantities[name] !== undefined) return false;
  quantities[name] = canonical;
  return true;
}

function addDimension(dimensions: Record<string, string>, name: string, value: unknown): boolean {
  if (!isText(value) || isContentKey(name) || !isName(name) || dimensions[name] !== undefined) return false;
  dimensions[name] = value;
  return true;
}

function isOrdinal(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= MAX_ATTEMPT;
}

function readCorrects(parts: Parts, value: unknown): boolean {
  if (!isRecord(value)) return false;
  const { id, source } = value;
  if (!everyEntry(value, (name) => name === "id" || name === "source") || !isText(id)) return false;
  if (source !== null && source !== undefined && !isText(source)) return false;
  parts.corrects = isText(source) ? { source, id } : { id };
  return true;
}

function isConsistent(
  { quantities, dimensions, corrects, revision }: Parts,
  correction: boolean,
  source: string,
  id: string,
): boolean {
  if (tooMany(quantities) || tooMany(dimensions)) return false;
  const { cached_input_tokens: cached, cache_write_tokens: written } = quantities;
  if (
    (cached !== undefined || written !== undefined) &&
    Number(cached ?? 0) + Number(written ?? 0) > Number(quantities["input_tokens"] ?? 0)
  ) {
    return false;
  }
  if ((corrects === undefined) !== (revision === undefined)) return false;
  if (corrects === undefined) return !correction;
  return corrects.id !== id || (corrects.source ?? source) !== source;
}

function tooMany(map: Readonly<Record<string, string>>): boolean {
  let count = 0;
  for (const _ in map) count += 1;
  return count > MAX_KEYS;
}

function pairs(map: Readonly<Record<string, string>>, names: readonly string[]): string[] {
  const list: string[] = [];
  for (const name of names) list.push(name, map[name] ?? "");
  return list;
}

function inOrder(map: Readonly<Record<string, string>>, names: readonly string[]): Record<string, string> {
  const ordered: Record<string, string> = {};
  for (const name of names) ordered[name] = map[name] ?? "";
  return ordered;
}
