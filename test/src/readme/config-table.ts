/**
 * The table of environment variables in the guide to operating, made from the configuration's own schema:
 * `node test/src/readme/config-table.ts` writes it, and `readme-blocks.test.ts` compares.
 */
import { configTable } from "@rerate/runtime";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { REPOSITORY } from "../source-files.ts";

export const CONFIGURATION_GUIDE = "docs/guides/operating.md";

const BEGIN = "<!-- configuration: written by node test/src/readme/config-table.ts -->";
const END = "<!-- end of configuration -->";

/** The guide with its table as it should be. Throws where the guide has lost the marks around it. */
export function withConfigTable(guide: string): string {
  const [begin, end] = [guide.indexOf(BEGIN), guide.indexOf(END)];
  if (begin < 0 || end < begin)
    throw new Error(`${CONFIGURATION_GUIDE} has no place for the table: put it between ${BEGIN} and ${END}`);
  return `${guide.slice(0, begin + BEGIN.length)}\n\n${markdownTable()}\n${guide.slice(end)}`;
}

/** Columns are padded the way the formatter pads them. */
function markdownTable(): string {
  const rows = [
    ["variable", "default", "meaning"],
    ...configTable().map(({ name, fallback, meaning }) => [`\`${name}\``, fallback === "" ? "" : `\`${fallback}\``, meaning]),
  ];
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]): string => `| ${cells.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(" | ")} |\n`;
  const [header = [], ...body] = rows;
  return [header, widths.map((width) => "-".repeat(width)), ...body].map(line).join("");
}

if (import.meta.main) {
  const path = join(REPOSITORY, CONFIGURATION_GUIDE);
  writeFileSync(path, withConfigTable(readFileSync(path, "utf8")));
}
