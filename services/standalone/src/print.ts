/**
 * What the start command says to people (standard error while it works, standard output for results) and to programs (`--json`).
 */
import type { Config } from "@rerate/runtime";
import type { FirstRunResult, Progress } from "./first-run.ts";

export interface ProgressLine extends Progress {
  done(): void;
}

/** A line that rewrites itself on a terminal; one line per step elsewhere; silent with `--json`. */
export function createProgress(json: boolean): ProgressLine {
  const live = !json && process.stderr.isTTY;
  let name = "";
  let total: number | undefined;
  const write = (text: string): void => {
    process.stderr.write(`\r\u001b[2K${text}`);
  };
  return {
    step(next, of) {
      name = next;
      total = of;
      if (json) return;
      if (live) write(`${name} …`);
      else process.stderr.write(`${name}\n`);
    },
    at(count) {
      if (live)
        write(`${name}: ${count.toLocaleString("en")}${total === undefined ? "" : ` of about ${total.toLocaleString("en")}`}`);
    },
    done() {
      if (live) write("");
    },
  };
}

export function printHelp(unknown: readonly string[]): void {
  if (unknown.length > 0) process.stderr.write(`unknown option ${unknown.join(" ")}\n\n`);
  process.stdout.write(`npx -y pnpm@12 start [options]

Starts all services of Rerate in one process on embedded engines, imports the bundled real data on the first start,
prints its totals beside the published ones, and serves on loopback until Ctrl-C.

  --exit    stop once the totals are known; the exit code is 1 if any differs
  --json    print one JSON summary on standard output, nothing else
  --empty   import nothing
  --help    this text

Configuration comes from environment variables (RERATE_DATA, RERATE_PORT, …): see docs/guides/operating.md.
`);
}

export function printResult(result: FirstRunResult | undefined): void {
  if (result === undefined) return;
  const { imported, milliseconds, totals } = result;
  const how =
    imported === 0
      ? "The bundled history is there already: nothing was imported again."
      : `Imported ${imported.toLocaleString("en")} facts in ${(milliseconds / 1000).toFixed(1)} s, each settled, paid and projected.`;
  process.stdout.write(`${how}\n`);
  for (const { name, unit, expected, actual, equal } of totals) {
    process.stdout.write(`  ${equal ? "equal " : "DIFFERS"} ${name}: ${actual} ${unit} (published: ${expected})\n`);
  }
}

export function printServing(url: string, config: Config, serving: { readonly keyless: boolean; readonly empty: boolean }): void {
  const { keyless, empty } = serving;
  // The lines are to be copied: where the command line would look elsewhere, they say where.
  const at = url === config.url ? "" : ` --url ${url}`;
  process.stdout.write(`
Rerate serves ${url}  (API: ${url}/docs${keyless ? "; no keys needed on loopback" : "; API keys are required"})
Data: ${config.dataDirectory}  (reset: stop, then delete that directory)

Try, in another terminal:
${(empty ? EMPTY : DEMO).map((words) => `  npx rerate ${words}${at}\n`).join("")}
Ctrl-C stops; the data stays.
`);
}

const EMPTY = ["account open --help"];
const DEMO = [
  "usage send --account demo --model gpt-4o --input 812 --output 204 --id first",
  "signal send --account demo --outcome first --signal thumbs_down",
  "invoice demo",
];

/** The one JSON document of `--json`. */
export function summaryOf(url: string, config: Config, result: FirstRunResult | undefined): object {
  return {
    url,
    dataDirectory: config.dataDirectory,
    imported: result?.imported ?? 0,
    milliseconds: result?.milliseconds ?? 0,
    totals: result?.totals ?? [],
    ok: result?.totals.every(({ equal }) => equal) ?? true,
  };
}
