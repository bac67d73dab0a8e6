/**
 * Files as streams of text, unpacked when they are gzip.
 */
import { createReadStream } from "node:fs";
import { createGunzip } from "node:zlib";
import { csvRows, type CsvRow } from "./csv.ts";

/** The rows of a CSV file, or of a gzipped one whose name ends in `.gz`. Rejects with the system's error when it cannot be read. */
export function readRows(path: string): AsyncGenerator<CsvRow, undefined> {
  return csvRows(textOf(path));
}

async function* textOf(path: string): AsyncGenerator<string> {
  const file = createReadStream(path);
  const bytes = path.endsWith(".gz") ? file.pipe(createGunzip()) : file;
  // `pipe` does not pass errors on.
  file.on("error", (error) => bytes.destroy(error));
  const decoder = new TextDecoder("utf-8", { fatal: true });
  for await (const chunk of bytes as AsyncIterable<Uint8Array>) yield decoder.decode(chunk, { stream: true });
  yield decoder.decode();
}
