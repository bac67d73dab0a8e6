/**
 * The first place where two JSON values differ, by path. Objects are compared by their fields, whatever their order.
 */

export interface Difference {
  /** For example `entries[0].atoms`; "" for the values themselves. */
  readonly path: string;
  readonly recorded: string | undefined;
  readonly recomputed: string | undefined;
}

/** Undefined when the values are equal. Fields are compared in the order of the recorded value, then what only the other has. */
export function firstDifference(recorded: unknown, recomputed: unknown, path = ""): Difference | undefined {
  if (recorded === recomputed) return undefined;
  if (Array.isArray(recorded) && Array.isArray(recomputed)) {
    const length = Math.max(recorded.length, recomputed.length);
    for (let index = 0; index < length; index++) {
      const difference = firstDifference(recorded[index], recomputed[index], `${path}[${index}]`);
      if (difference !== undefined) return difference;
    }
    return undefined;
  }
  if (isRecord(recorded) && isRecord(recomputed)) {
    for (const key of new Set([...Object.keys(recorded), ...Object.keys(recomputed)])) {
      const difference = firstDifference(recorded[key], recomputed[key], path === "" ? key : `${path}.${key}`);
      if (difference !== undefined) return difference;
    }
    return undefined;
  }
  return { path, recorded: textOf(recorded), recomputed: textOf(recomputed) };
}

function textOf(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
