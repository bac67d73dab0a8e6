/**
 * The report of `pnpm bench stream`: markdown that can go into `docs/benchmarks.md` as it is. Computes nothing but medians.
 */
import { idleText, type Idle } from "../idle/idle.ts";
import { median } from "../ingest/figures.ts";
import type { Shape } from "../ingest/load.ts";
import type { Latencies } from "./latency.ts";

export interface WindowRow {
  /** Windows and raw rates of one round were measured one after the other: only they compare. */
  readonly round: string;
  readonly shape: Shape;
  readonly settlements: number;
  /** Usages from the first message until everything can be read. */
  readonly perSecond: number;
  /** Events that settlement and wallet appended in that time. */
  readonly appendedPerSecond: number;
  readonly eventsPerUsage: number;
  readonly eventsPerAppend: number;
  readonly sentSeconds: number;
  readonly seconds: number;
  /** CPU by process, per usage. */
  readonly microsPerUsage: ReadonlyMap<string, number>;
}

export interface RawRow {
  readonly round: string;
  readonly name: "produce" | "consume" | "append, 100 events each" | "append, sizes as ours";
  readonly perSecond: number;
  /** Per message or event: of the client alone, and of broker and front. */
  readonly clientMicros: number;
  readonly serverMicros: number;
}

export interface LatencyRow extends Latencies {
  readonly shape: Shape;
  readonly settlements: number;
  readonly perSecond: number;
}

export interface Results {
  readonly about: string;
  readonly sums: string;
  readonly windows: readonly WindowRow[];
  readonly raws: readonly RawRow[];
  readonly latencies: readonly LatencyRow[];
  readonly idle: Idle | undefined;
}

const RAW = ["produce", "consume", "append, 100 events each", "append, sizes as ours"] as const;
const SHAPES: Readonly<Record<Shape, string>> = { many: "many accounts", hot: "one hot account" };

export function report({ about, sums, windows, raws, latencies, idle }: Results): string {
  const rows = series(windows);
  const sections = [
    `${about}\n\nChecked: ${sums}.`,
    markdown([
      [
        "settlement processes",
        "usages/s",
        "min–max",
        "appended events/s",
        "min–max",
        "of the lower raw rate",
        "the same, raw appends of our sizes",
      ],
      ...rows.map(({ name, of }) => {
        const appended = of.map((row) => row.appendedPerSecond);
        return [
          name,
          ...spread(of.map((row) => row.perSecond)),
          ...spread(appended),
          ratios(of, raws, "append, 100 events each"),
          ratios(of, raws, "append, sizes as ours"),
        ];
      }),
    ]),
    markdown([
      ["raw client", "per second", "min–max", "µs CPU of the client", "µs of broker and front"],
      ...RAW.map((name) => {
        const of = raws.filter((row) => row.name === name);
        const client = median(of.map((row) => row.clientMicros)).toFixed(1);
        return [name, ...spread(of.map((row) => row.perSecond)), client, median(of.map((row) => row.serverMicros)).toFixed(1)];
      }),
    ]),
    cpuTable(rows),
    markdown([
      ["events", "per usage", "per append"],
      ...rows.map(({ name, of }) => [
        name,
        median(of.map((row) => row.eventsPerUsage)).toFixed(2),
        median(of.map((row) => row.eventsPerAppend)).toFixed(1),
      ]),
    ]),
    ...(latencies.length === 0 ? [] : [latencyTable(latencies)]),
    ...(idle === undefined ? [] : [idleText(idle).trimEnd()]),
  ];
  return `${sections.join("\n\n")}\n`;
}

/** Appended events to the lowest raw rate of the same round: the median of the rounds, with the least and the most. */
function ratios(of: readonly WindowRow[], raws: readonly RawRow[], append: RawRow["name"]): string {
  const all = of.map(({ round, appendedPerSecond }) => {
    const rates = raws.filter((row) => row.round === round && ["produce", "consume", append].includes(row.name));
    return appendedPerSecond / Math.min(...rates.map(({ perSecond }) => perSecond));
  });
  return `${median(all).toFixed(2)} (${Math.min(...all).toFixed(2)}–${Math.max(...all).toFixed(2)})`;
}

interface Series {
  readonly name: string;
  readonly of: readonly WindowRow[];
}

function series(windows: readonly WindowRow[]): readonly Series[] {
  const names = new Map<string, WindowRow[]>();
  for (const row of windows) {
    const name = nameOf(row);
    names.set(name, [...(names.get(name) ?? []), row]);
  }
  return [...names].map(([name, of]) => ({ name, of }));
}

function nameOf({ settlements, shape }: Pick<WindowRow, "settlements" | "shape">): string {
  return `${settlements}, ${SHAPES[shape]}`;
}

function cpuTable(rows: readonly Series[]): string {
  const processes = [...(rows[0]?.of[0]?.microsPerUsage.keys() ?? [])];
  const micros = (of: readonly WindowRow[], name: string): number => median(of.map((row) => row.microsPerUsage.get(name) ?? 0));
  const all = (of: readonly WindowRow[]): number =>
    processes.reduce((sum, name) => sum + (name === "load maker" ? 0 : micros(of, name)), 0);
  return markdown([
    ["µs CPU per usage", ...processes, "all but the load maker"],
    ...rows.map(({ name, of }) => [name, ...processes.map((one) => micros(of, one).toFixed(0)), all(of).toFixed(0)]),
  ]);
}

function latencyTable(latencies: readonly LatencyRow[]): string {
  return markdown([
    ["ms from usage.reported to ledger.entries", "usages/s", "p50", "p99", "longest"],
    ...latencies.map((row) => [
      nameOf(row),
      thousands(row.perSecond),
      row.p50.toFixed(0),
      row.p99.toFixed(0),
      row.most.toFixed(0),
    ]),
  ]);
}

function spread(values: readonly number[]): [string, string] {
  return [thousands(median(values)), `${thousands(Math.min(...values))}–${thousands(Math.max(...values))}`];
}

function thousands(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}

/** Columns padded, so that it reads well as text, too. */
function markdown(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(3, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`;
  const [head = [], ...body] = rows;
  return [line(head), `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`, ...body.map(line)].join("\n");
}
