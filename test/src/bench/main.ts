/**
 * `pnpm bench NAME`: runs one benchmark of this directory. Each says itself what it measures and how.
 */
import { benchIdle } from "./idle/idle.ts";
import { benchIngest } from "./ingest/ingest.ts";
import { benchStream } from "./stream/stream.ts";

const BENCHMARKS: Readonly<Record<string, (arguments_: readonly string[]) => Promise<void>>> = {
  ingest: benchIngest,
  stream: benchStream,
  idle: benchIdle,
};

const [name = "", ...rest] = process.argv.slice(2);
const bench = BENCHMARKS[name];
if (bench === undefined) {
  process.stderr.write(`Say which benchmark: ${Object.keys(BENCHMARKS).join(", ")}. Each takes --help.\n`);
  process.exitCode = 2;
} else await bench(rest);
