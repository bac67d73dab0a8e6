/**
 * Rows of usage files as usage events: two known traces, and any CSV by a map of columns.
 *
 * Pure: a row in, a body for `POST /api/v1/events` out. Never invents a quantity: an empty field is left out, not zero.
 */
import { instant, parseInstant, plus, toNanos, type Instant } from "@rerate/money";
import type { UsageEventBody } from "@rerate/wire";
import type { AccountRule } from "./account-rule.ts";
import type { CsvRow } from "./csv.ts";

export type UsageMapper = (row: CsvRow) => UsageEventBody;

/** A row that cannot be mapped; the message names the line and the column. */
export class RowError extends Error {
  override readonly name = "RowError";
}

export interface TraceOptions {
  readonly account: AccountRule;
  readonly source: string;
  readonly provider?: string;
  readonly model: string;
  /** Where the trace's beginning is placed. Needed for traces that have offsets only. */
  readonly at?: Instant;
}

export const TRACES = {
  azure: { source: "azure-trace", model: "gpt-4-turbo", begins: instant("2023-11-16T18:15:46.680590000Z") },
  mooncake: { source: "mooncake-trace", model: "gpt-4o", begins: undefined },
} as const;

export type TraceName = keyof typeof TRACES;

/** Rows with `event_id, ts_utc, offset_ms, service, input_tokens, cached_input_tokens, output_tokens`. */
export function traceUsage(trace: TraceName, options: TraceOptions): UsageMapper {
  const { account, source, provider, model, at } = options;
  const { begins } = TRACES[trace];
  if (begins === undefined && at === undefined)
    throw new RangeError(
      `the ${trace} trace has offsets only: say where its beginning is placed, for example --at 2025-06-09T23:30:00Z`,
    );
  return (row) => {
    const id = required(row, "event_id");
    const cached = row.fields["cached_input_tokens"] ?? "";
    const service = row.fields["service"] ?? "";
    return {
      specversion: "1.0",
      type: "llm.completion",
      source,
      id,
      subject: account(id),
      time: placed(row, begins, at),
      data: {
        ...(provider === undefined ? {} : { provider }),
        model,
        input_tokens: required(row, "input_tokens"),
        ...(cached === "" ? {} : { cached_input_tokens: cached }),
        output_tokens: required(row, "output_tokens"),
        ...(service === "" ? {} : { dimensions: { service } }),
      },
    };
  };
}

function placed(row: CsvRow, begins: Instant | undefined, at: Instant | undefined): Instant {
  const text = row.fields["ts_utc"] ?? "";
  if (text === "") {
    const offset = required(row, "offset_ms");
    if (!/^\d{1,12}$/.test(offset))
      throw new RowError(`line ${row.line}: offset_ms "${offset}" is no whole number of milliseconds`);
    return plus(at ?? instant("1970-01-01T00:00:00Z"), BigInt(offset) * 1_000_000n);
  }
  const time = parseInstant(text);
  if (time === undefined) throw new RowError(`line ${row.line}: ts_utc "${text}" is no RFC 3339 time`);
  return at === undefined || begins === undefined ? time : plus(at, toNanos(time) - toNanos(begins));
}

export interface ColumnMap {
  /** Field of the usage event → column. Fields as in `USAGE_FIELDS`, `quantity.NAME` or `dim.NAME`. */
  readonly columns: Readonly<Record<string, string>>;
  /** Field → the same value on every row. */
  readonly fixed: Readonly<Record<string, string>>;
  /** For rows without an account column. */
  readonly account?: AccountRule;
  readonly source: string;
}

/** Fields that a column with the same name fills without being mapped. */
export const USAGE_FIELDS = [
  "id",
  "account",
  "time",
  "type",
  "provider",
  "model",
  "outcome",
  "parent",
  "attempt",
  "input_tokens",
  "cached_input_tokens",
  "cache_write_tokens",
  "output_tokens",
  "reasoning_tokens",
  "requests",
] as const;

const MAPPABLE = new Set<string>(USAGE_FIELDS);

/** Any CSV: mapped columns, fixed values, and columns that are named like a field. Throws a RangeError for a field that does not exist. */
export function mappedUsage({ columns, fixed, account, source }: ColumnMap): UsageMapper {
  for (const field of [...Object.keys(columns), ...Object.keys(fixed)]) {
    if (!MAPPABLE.has(field) && !/^(quantity|dim)\../.test(field))
      throw new RangeError(
        `"${field}" is no field of a usage event. There are ${USAGE_FIELDS.join(", ")}, quantity.NAME and dim.NAME`,
      );
  }
  return (row) => {
    const values = valuesOf(row, columns, fixed);
    const id = values.get("id") ?? "";
    if (id === "") throw new RowError(`line ${row.line}: no id. Map a column to it, for example --map id=request_id`);
    const subject = values.get("account") ?? account?.(id) ?? "";
    if (subject === "")
      throw new RowError(`line ${row.line}: no account. Map a column to it, or use --accounts N or --account NAME`);
    const time = values.get("time");
    return {
      specversion: "1.0",
      type: values.get("type") ?? "llm.completion",
      source,
      id,
      subject,
      ...(time === undefined ? {} : { time }),
      data: dataOf(row, values),
    };
  };
}

function valuesOf(row: CsvRow, columns: ColumnMap["columns"], fixed: ColumnMap["fixed"]): Map<string, string> {
  const values = new Map<string, string>();
  for (const field of USAGE_FIELDS) setText(values, field, row.fields[field] ?? "");
  for (const [field, column] of Object.entries(columns)) {
    const text = row.fields[column];
    if (text === undefined)
      throw new RowError(`line ${row.line}: there is no column "${column}". There are ${Object.keys(row.fields).join(", ")}`);
    values.delete(field);
    setText(values, field, text);
  }
  for (const [field, text] of Object.entries(fixed)) setText(values, field, text);
  return values;
}

function setText(values: Map<string, string>, field: string, text: string): void {
  if (text !== "") values.set(field, text);
}

const HEADERS = new Set(["id", "account", "time", "type"]);

function dataOf(row: CsvRow, values: ReadonlyMap<string, string>): NonNullable<UsageEventBody["data"]> {
  const plain: Record<string, string> = {};
  const quantities: Record<string, string> = {};
  const dimensions: Record<string, string> = {};
  for (const [field, text] of values) {
    if (HEADERS.has(field) || field === "attempt") continue;
    if (field.startsWith("quantity.")) quantities[field.slice("quantity.".length)] = text;
    else if (field.startsWith("dim.")) dimensions[field.slice("dim.".length)] = text;
    else plain[field] = text;
  }
  const attempt = values.get("attempt");
  if (attempt !== undefined && !/^[1-9]\d{0,5}$/.test(attempt))
    throw new RowError(`line ${row.line}: attempt "${attempt}" is no whole number from 1`);
  return {
    ...plain,
    ...(attempt === undefined ? {} : { attempt: Number(attempt) }),
    ...(Object.keys(quantities).length === 0 ? {} : { quantities }),
    ...(Object.keys(dimensions).length === 0 ? {} : { dimensions }),
  };
}

function required(row: CsvRow, column: string): string {
  const text = row.fields[column] ?? "";
  if (text === "") throw new RowError(`line ${row.line}: ${column} is missing`);
  return text;
}
