/**
 * The main job: all services in one process. Imports the bundled real data on the first start, prints totals that must equal
 * the published expectations, and leaves the ledger serving on loopback.
 */
import { PortInUseError } from "@rerate/http";
import {
  ConfigError,
  createLifecycle,
  createLogger,
  DirectoryHeldError,
  onStopSignal,
  readConfig,
  type Config,
} from "@rerate/runtime";
import { composeStandalone } from "./compose.ts";
import { firstRun, type FirstRunResult } from "./first-run.ts";
import { createProgress, printHelp, printResult, printServing, summaryOf } from "./print.ts";

interface Flags {
  readonly exit: boolean;
  readonly json: boolean;
  readonly empty: boolean;
  readonly help: boolean;
}

const FLAGS: ReadonlySet<string> = new Set(["--exit", "--json", "--empty", "--help", "-h"]);

/** Runs until a stop signal, or with `--exit` until the totals are known. Sets the exit code; never throws. */
export async function main(arguments_: readonly string[]): Promise<void> {
  const unknown = arguments_.filter((argument) => !FLAGS.has(argument));
  const flags: Flags = {
    exit: arguments_.includes("--exit"),
    json: arguments_.includes("--json"),
    empty: arguments_.includes("--empty"),
    help: arguments_.includes("--help") || arguments_.includes("-h"),
  };
  if (flags.help || unknown.length > 0) {
    printHelp(unknown);
    process.exitCode = unknown.length > 0 ? 2 : 0;
    return;
  }
  try {
    await run(flags, readConfig());
  } catch (error) {
    process.exitCode = explain(error);
  }
}

async function run(flags: Flags, config: Config): Promise<void> {
  const log = createLogger(config.logLevel === "info" ? "warn" : config.logLevel);
  const lifecycle = createLifecycle(log);
  let asked = false;
  const stop = async (code: number): Promise<void> => {
    await lifecycle.stop();
    process.exitCode = code;
  };
  try {
    const standalone = await composeStandalone({
      config,
      log,
      lifecycle,
      onFailure(error) {
        log.fatal({ err: error }, "the process cannot go on");
        // The state on the disk is what counts now: nothing is retried in this process.
        process.exit(70);
      },
    });
    const url = await standalone.server.listen();
    standalone.engines.lock.update({ url });
    onStopSignal(() => {
      asked = true;
      if (!flags.json) process.stderr.write("\nStopping. The data stays; `npx -y pnpm@12 start` goes on where this ended.\n");
      // An import that is under way must not keep the process: the next start goes on with it.
      void stop(0).then(() => process.exit());
    });
    const progress = createProgress(flags.json);
    const result: FirstRunResult | undefined = flags.empty ? undefined : await firstRun(url, standalone, progress);
    progress.done();
    if (asked) return;
    if (flags.json) process.stdout.write(`${JSON.stringify(summaryOf(url, config, result))}\n`);
    else printResult(result);
    const wrong = result?.totals.some(({ equal }) => !equal) === true;
    if (flags.exit) await stop(wrong ? 1 : 0);
    else if (!flags.json) printServing(url, config, { keyless: standalone.keyless, empty: flags.empty });
  } catch (error) {
    await lifecycle.stop();
    // What fails because everything is being stopped is no failure.
    if (asked) return;
    throw error;
  }
}

/** Says what is wrong and what to do; the exit code. */
function explain(error: unknown): number {
  if (error instanceof ConfigError) {
    process.stderr.write(`${error.message}\n`);
    return 2;
  }
  if (error instanceof DirectoryHeldError) {
    const url = error.holder?.info["url"];
    process.stderr.write(
      `Rerate is already running${error.holder === undefined ? "" : ` (process ${error.holder.pid})`}${url === undefined ? "" : ` at ${url}`}.\n` +
        `${error.message}. Stop it first, or set RERATE_DATA to another directory.\n`,
    );
    return 3;
  }
  if (error instanceof PortInUseError) {
    process.stderr.write(
      `Port ${error.port} on ${error.host} is in use by another program. Set RERATE_PORT to a free one, for example RERATE_PORT=0.\n`,
    );
    return 4;
  }
  if (error instanceof Error && "code" in error && "path" in error && "syscall" in error) {
    process.stderr.write(`${error.message}. RERATE_DATA must name a directory that can be written.\n`);
    return 2;
  }
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  return 70;
}
