/**
 * Runs the command line in this process: configuration, clock and streams come from `runtime` and from the process.
 */
import { elapsedMs, newId, readConfig, sleep, systemClock } from "@rerate/runtime";
import { EXIT } from "./failure.ts";
import { runCommandLine } from "./program.ts";

/** Resolves with the exit code. Prints progress only where a terminal shows it, and never with NO_COLOR. */
export async function start(words: readonly string[]): Promise<number> {
  const out = (text: string): void => void process.stdout.write(text);
  const err = (text: string): void => void process.stderr.write(text);
  let config: ReturnType<typeof readConfig>;
  try {
    config = readConfig();
  } catch (error) {
    err(`${error instanceof Error ? error.message : String(error)}\n`);
    return EXIT.usage;
  }
  // A reader that has seen enough, such as `head`, closes the pipe: that is no error.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(EXIT.ok);
    throw error;
  });
  const live = process.stderr.isTTY && process.stderr.hasColors();
  return runCommandLine(words, { config, now: systemClock.now, elapsedMs, sleep, newId, out, err, live });
}
