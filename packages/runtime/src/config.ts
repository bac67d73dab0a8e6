/**
 * Configuration from environment variables: one table, validated at start, all problems listed at once.
 * The only place that reads the environment.
 */
import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";
import { z } from "zod";

const port = z.coerce.number().int().min(0).max(65_535);

/** Every variable with its meaning; the documentation's table is made from this. */
export const configSchema = z.object({
  RERATE_DATA: z
    .string()
    .refine(isAbsolute, "must be an absolute path")
    .optional()
    .describe("Where ledger.db and cache.db lie. Default: rerate in the user's data directory."),
  RERATE_HOST: z.string().default("127.0.0.1").describe("Address to listen on. Any other than loopback needs API keys."),
  RERATE_PORT: port.default(7373).describe("Port to listen on; 0 picks a free one."),
  RERATE_ALLOWED_HOSTS: z
    .string()
    .default("")
    .describe("Host names that requests may name besides loopback's, separated by commas."),
  RERATE_BODY_LIMIT: z.coerce.number().int().min(1024).default(4_194_304).describe("Largest request body in bytes."),
  RERATE_LOG_LEVEL: z
    .enum(["fatal", "error", "warn", "info", "debug", "trace", "silent"])
    .default("info")
    .describe("Least severe log lines that are written (to standard error)."),
  RERATE_PARTITIONS: z.coerce.number().int().min(1).max(256).default(4).describe("Partitions of each embedded topic."),
  RERATE_FUTURE_LIMIT_MS: z.coerce
    .number()
    .int()
    .min(0)
    .default(3_600_000)
    .describe("How far ahead of the server's clock a fact may claim to have occurred."),
  RERATE_LEAD_TIME_MS: z.coerce
    .number()
    .int()
    .min(0)
    .default(10_000)
    .describe("How far ahead a new document version or plan assignment without a date takes effect when it replaces another."),
  RERATE_URL: z.string().optional().describe("Server that the command line talks to. Default: http://127.0.0.1:7373."),
  RERATE_KEY: z.string().optional().describe("API key that the command line sends."),
});

export interface Config {
  readonly dataDirectory: string;
  readonly host: string;
  readonly port: number;
  readonly allowedHosts: readonly string[];
  readonly bodyLimit: number;
  readonly logLevel: string;
  readonly partitions: number;
  readonly futureLimitMs: number;
  readonly leadTimeMs: number;
  readonly url: string;
  readonly key: string | undefined;
}

/** Thrown for an environment that cannot be used; the message lists every problem. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
}

/** Reads the configuration. Throws a `ConfigError` that lists all problems. */
export function readConfig(environment: Readonly<Record<string, string | undefined>> = process.env): Config {
  const given = Object.fromEntries(
    Object.entries(environment).filter(([name, value]) => name.startsWith("RERATE_") && value !== ""),
  );
  const result = configSchema.safeParse(given);
  if (!result.success) {
    const problems = result.error.issues.map(({ path, message }) => `  ${path.join(".")}: ${message}`);
    throw new ConfigError(`The environment is not usable:\n${problems.join("\n")}`);
  }
  const value = result.data;
  return {
    dataDirectory: value.RERATE_DATA ?? defaultDataDirectory(environment),
    host: value.RERATE_HOST,
    port: value.RERATE_PORT,
    allowedHosts: value.RERATE_ALLOWED_HOSTS.split(",").filter((host) => host !== ""),
    bodyLimit: value.RERATE_BODY_LIMIT,
    logLevel: value.RERATE_LOG_LEVEL,
    partitions: value.RERATE_PARTITIONS,
    futureLimitMs: value.RERATE_FUTURE_LIMIT_MS,
    leadTimeMs: value.RERATE_LEAD_TIME_MS,
    url: value.RERATE_URL ?? "http://127.0.0.1:7373",
    key: value.RERATE_KEY,
  };
}

/** The table of the documentation: name, default, meaning. */
export function configTable(): readonly { readonly name: string; readonly fallback: string; readonly meaning: string }[] {
  const defaults = configSchema.parse({});
  return Object.entries(configSchema.shape).map(([name, schema]) => ({
    name,
    fallback: String(defaults[name as keyof typeof defaults] ?? ""),
    meaning: schema.description ?? "",
  }));
}

function defaultDataDirectory(environment: Readonly<Record<string, string | undefined>>): string {
  const base = environment["XDG_DATA_HOME"];
  return base !== undefined && isAbsolute(base) ? join(base, "rerate") : join(homedir(), ".local", "share", "rerate");
}
