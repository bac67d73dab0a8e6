/** Reads the bundled real data for this package's tests. Not exported: nothing but tests imports it. */
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";

const DATA = new URL("../../../examples/data/", import.meta.url);

export function bundledCatalogue(): unknown {
  return JSON.parse(readFileSync(new URL("prices_catalog_2026-08-21.json", DATA), "utf8"));
}

/** The lines of a gzip file, the last line end left off. */
export function bundledLines(file: string): string[] {
  return gunzipSync(readFileSync(new URL(file, DATA)))
    .toString("utf8")
    .trimEnd()
    .split("\n");
}
