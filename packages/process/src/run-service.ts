/**
 * The `main` of a service process: environment in, exit code out.
 */
import { PortInUseError } from "@rerate/http";
import { ConfigError, configTable, createLifecycle, createLogger, onStopSignal, readConfig } from "@rerate/runtime";
import { startService, type ServiceOptions } from "./service-process.ts";

/** How a process ends: asked to (0), unusable environment (2), busy port (4), cannot go on (70). */
const EXIT = { ok: 0, config: 2, port: 4, failure: 70 } as const;
/** A stop that takes longer is cut: everything that counts is in the log and the topics. */
const STOP_WITHIN_MS = 20_000;

/** Runs one service until it is told to stop. Sets the exit code; never rejects. */
export async function runService(service: string, compose: ServiceOptions["compose"]): Promise<void> {
  if (process.argv.includes("--help") || process.argv.includes("-h")) {
    process.stdout.write(helpText(service));
    return;
  }
  try {
    const config = readConfig("stream");
    const log = createLogger(config.logLevel).child({ process: service });
    const lifecycle = createLifecycle(log);
    const onFailure = (error: unknown): void => {
      log.fatal({ err: error }, "the process cannot go on");
      process.exit(EXIT.failure);
    };
    // A late answer of a driver that nobody waits for any more must not leave a half-dead process behind.
    process.on("uncaughtException", onFailure);
    process.on("unhandledRejection", onFailure);
    onStopSignal(() => {
      setTimeout(() => process.exit(EXIT.failure), STOP_WITHIN_MS).unref();
      void lifecycle.stop().then(() => process.exit(EXIT.ok));
    });
    const { url } = await startService({ service, config, log, lifecycle, onFailure, compose });
    // One line for whoever started it, as structured as the log.
    process.stdout.write(`${JSON.stringify({ service, url, pid: process.pid })}\n`);
    log.info({ url }, "serving");
  } catch (error) {
    process.exit(explain(service, error));
  }
}

/** Says what is wrong and what to do; the exit code. */
function explain(service: string, error: unknown): number {
  if (error instanceof ConfigError) {
    process.stderr.write(`${service}: ${error.message}\n`);
    return EXIT.config;
  }
  if (error instanceof PortInUseError) {
    process.stderr.write(`${service}: port ${error.port} on ${error.host} is in use. Set RERATE_PORT to a free one, or to 0.\n`);
    return EXIT.port;
  }
  process.stderr.write(`${service}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  return EXIT.failure;
}

function helpText(service: string): string {
  const rows = configTable().map(
    ({ name, fallback, meaning }) => `  ${name}${fallback === "" ? "" : ` (${fallback})`}\n      ${meaning}`,
  );
  return `Runs the service ${service} on Kafka and EventStoreDB. Configured by environment variables:\n\n${rows.join("\n")}\n`;
}
