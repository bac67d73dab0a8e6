/**
 * Reads a YAML or JSON document against a schema and reports every problem with its place in the text.
 *
 * Generic: plans, price lists, outcome definitions and scenarios are all read here. Knows nothing of what they mean; what goes
 * beyond single fields is a check of the schema itself (`superRefine`). The value is what the text says: no defaults, no repairs.
 */
import { isMap, isNode, isScalar, LineCounter, parseDocument, type Document } from "yaml";
import type { z } from "zod";

/** One thing to mend. Lines and columns count from 1. */
export interface Problem {
  /** Where in the document, for example `items[2].price`; "" for the document itself. */
  readonly path: string;
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

export type ReadDocument<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** Reads a text as the schema says. All problems are listed, in the order of the text. */
export function readDocument<Value>(text: string, schema: z.ZodType<Value>): ReadDocument<Value> {
  const lines = new LineCounter();
  const parsed = parseDocument(text, { lineCounter: lines, prettyErrors: false, version: "1.2", stringKeys: true });
  if (parsed.errors.length > 0) {
    return { ok: false, problems: parsed.errors.map((error) => problem(lines, error.pos[0], [], error.message)) };
  }
  const plain = toPlain(parsed);
  if (!plain.ok) return { ok: false, problems: [problem(lines, 0, [], plain.message)] };
  const result = schema.safeParse(plain.value);
  if (result.success) return { ok: true, value: result.data };
  const problems = result.error.issues.flatMap(innermost).flatMap((issue) => problemsOf(parsed, lines, issue));
  return { ok: false, problems: problems.toSorted((a, b) => a.line - b.line || a.column - b.column) };
}

/** Prints a path the way people write it: `items[2].price`. */
export function formatPath(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === "number") return `${text}[${part}]`;
    return text === "" ? String(part) : `${text}.${String(part)}`;
  }, "");
}

type Plain = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly message: string };

/** Refuses what has no plain value, such as an alias that multiplies itself. */
function toPlain(parsed: Document.Parsed): Plain {
  try {
    return { ok: true, value: parsed.toJS({ maxAliasCount: 100 }) };
  } catch (error) {
    return { ok: false, message: error instanceof Error ? error.message : "the document cannot be read" };
  }
}

/**
 * Of several forms a value may take, the one it was meant to be is the one whose complaints all lie deeper. Where there is
 * exactly one such form, its complaints say more than "none of them".
 */
function innermost(issue: z.core.$ZodIssue): z.core.$ZodIssue[] {
  if (issue.code !== "invalid_union") return [issue];
  const meant = issue.errors.filter((issues) => issues.length > 0 && issues.every(({ path }) => path.length > 0));
  const [issues] = meant;
  if (issues === undefined || meant.length > 1) return [issue];
  return issues.flatMap((inner) => innermost({ ...inner, path: [...issue.path, ...inner.path] }));
}

function problemsOf(parsed: Document.Parsed, lines: LineCounter, issue: z.core.$ZodIssue): Problem[] {
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => {
      const path = [...issue.path, key];
      return problem(lines, keyOffset(parsed, issue.path, key), path, `"${key}" is not a known field`);
    });
  }
  return [problem(lines, valueOffset(parsed, issue.path), issue.path, issue.message)];
}

function problem(lines: LineCounter, offset: number, path: readonly PropertyKey[], message: string): Problem {
  const { line, col } = lines.linePos(offset);
  return { path: formatPath(path), line: Math.max(line, 1), column: Math.max(col, 1), message };
}

/** Where the value at a path starts; for a missing one, where the nearest thing around it starts. */
function valueOffset(parsed: Document.Parsed, path: readonly PropertyKey[]): number {
  for (let length = path.length; length >= 0; length -= 1) {
    const node = length === 0 ? parsed.contents : parsed.getIn(path.slice(0, length), true);
    if (isNode(node) && node.range) return node.range[0];
  }
  return 0;
}

function keyOffset(parsed: Document.Parsed, path: readonly PropertyKey[], key: string): number {
  const node = path.length === 0 ? parsed.contents : parsed.getIn(path, true);
  const pair = isMap(node) ? node.items.find((item) => isScalar(item.key) && String(item.key.value) === key) : undefined;
  return pair !== undefined && isScalar(pair.key) && pair.key.range ? pair.key.range[0] : valueOffset(parsed, path);
}
