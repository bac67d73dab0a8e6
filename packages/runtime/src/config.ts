/**
 * Configuration from environment variables: one table, validated at start, all problems listed at once.
 * The only place that reads the environment.
 */
import { homedir, hostname } from "node:os";
import { isAbsolute, join } from "node:path";
import { z } from "zod";

const list = z.string().default("");
const flag = z.enum(["true", "false"]).default("false");
const port = z.coerce.number().int().min(0).max(65_535);

/** Every variable with its meaning; the documentation's table is made from this. */
export const configSchema = z.object({
  RERATE_DATA: z
    .string()
    .refine(isAbsolute, "must be an absolute path")
    .optional()
    .describe("Where ledger.db, cache.db and views.db lie. Default: rerate in the user's data directory."),
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
  RERATE_PARTITIONS: z.coerce
    .number()
    .int()
    .min(1)
    .max(256)
    .optional()
    .describe("Partitions of each topic, equal for all processes. Default: 4 on the embedded engines, 12 on Kafka."),
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
  KAFKA_BROKERS: list.describe(
    "Kafka's brokers, `host:port` separated by commas. Needed by every service process; standalone uses none.",
  ),
  KAFKA_TLS: flag.describe("`true`: talk to the brokers over TLS."),
  KAFKA_SASL_MECHANISM: z
    .enum(["plain", "scram-sha-256", "scram-sha-512"])
    .optional()
    .describe("How to log in to the brokers. Default: not at all."),
  KAFKA_SASL_USERNAME: z.string().optional().describe("Name to log in to the brokers with."),
  KAFKA_SASL_PASSWORD: z.string().optional().describe("Password to log in to the brokers with."),
  EVENTSTOREDB_URL: z
    .string()
    .regex(/^(?:esdb|kurrentdb)(?:\+discover)?:\/\//, "must start with esdb://")
    .optional()
    .describe("EventStoreDB's connection string, for example `esdb://host:2113?tls=false`. Needed by every service process."),
  RERATE_INSTANCE: z
    .string()
    .regex(/^[\w.-]{1,100}$/, "must be letters, digits, dots, dashes")
    .optional()
    .describe("Name of this process in `rerate status` and on Kafka. Default: host name and process id."),
  RERATE_INTAKE_NAMESPACES: list.describe(
    "Namespaces that producers on Kafka may send to, separated by commas; facts for others are parked. Default: `default` alone.",
  ),
  RERATE_APPEND_DEADLINE_MS: z.coerce
    .number()
    .int()
    .min(100)
    .default(10_000)
    .describe("How long an append may stay unanswered before it is sent again, the same."),
  RERATE_MARK_EVERY_MS: z.coerce
    .number()
    .int()
    .min(50)
    .default(5_000)
    .describe("How often idle services tell each other how far they have read; deadlines fire that much later, or twice that."),
  RERATE_REPLICATION: z.coerce
    .number()
    .int()
    .min(1)
    .optional()
    .describe("Copies of each topic that `rerate topics create` asks for. Default: 3, or as many as there are brokers."),
  RERATE_RETENTION_DAYS: z.coerce
    .number()
    .int()
    .min(1)
    .default(30)
    .describe("How long topics keep facts that are not recorded yet: far longer than the longest outage."),
  RERATE_URL: z.string().optional().describe("Server that the command line talks to. Default: http://127.0.0.1:7373."),
  RERATE_KEY: z.string().optional().describe("API key that the command line sends."),
});

/** Where Kafka and EventStoreDB are; empty for a process that needs neither. */
export interface StreamConfig {
  readonly brokers: readonly string[];
  readonly tls: boolean;
  readonly sasl:
    | { readonly mechanism: "plain" | "scram-sha-256" | "scram-sha-512"; readonly username: string; readonly password: string }
    | undefined;
  readonly eventStoreUrl: string;
  readonly replication: number | undefined;
  readonly retentionDays: number;
}

export interface Config {
  readonly stream: StreamConfig;
  readonly instance: string;
  readonly intakeNamespaces: readonly string[];
  readonly appendDeadlineMs: number;
  readonly markEveryMs: number;
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

/** Reads the configuration of a process on the embedded engines, of one that needs Kafka alone, or on the stream. Throws a `ConfigError` that lists all problems. */
export function readConfig(
  engines: "embedded" | "kafka" | "stream" = "embedded",
  environment: Readonly<Record<string, string | undefined>> = process.env,
): Config {
  const given: Record<string, string> = {};
  for (const name of Object.keys(configSchema.shape)) {
    const value = environment[name];
    if (value !== undefined && value !== "") given[name] = value;
  }
  const result = configSchema.safeParse(given);
  const missing = engines === "embedded" ? [] : streamProblems(given, engines);
  if (!result.success || missing.length > 0) {
    const wrong = result.error?.issues.map(({ path, message }) => `${path.join(".")}: ${message}`) ?? [];
    throw new ConfigError(`The environment is not usable:\n${[...wrong, ...missing].map((line) => `  ${line}`).join("\n")}`);
  }
  const value = result.data;
  return {
    stream: streamOf(value),
    instance: value.RERATE_INSTANCE ?? `${hostname().replaceAll(/[^\w.-]/g, "-")}-${process.pid}`,
    intakeNamespaces: listed(value.RERATE_INTAKE_NAMESPACES, ["default"]),
    appendDeadlineMs: value.RERATE_APPEND_DEADLINE_MS,
    markEveryMs: value.RERATE_MARK_EVERY_MS,
    dataDirectory: value.RERATE_DATA ?? defaultDataDirectory(environment),
    host: value.RERATE_HOST,
    port: value.RERATE_PORT,
    allowedHosts: listed(value.RERATE_ALLOWED_HOSTS, []),
    bodyLimit: value.RERATE_BODY_LIMIT,
    logLevel: value.RERATE_LOG_LEVEL,
    partitions: value.RERATE_PARTITIONS ?? (engines === "embedded" ? 4 : 12),
    futureLimitMs: value.RERATE_FUTURE_LIMIT_MS,
    leadTimeMs: value.RERATE_LEAD_TIME_MS,
    url: value.RERATE_URL ?? "http://127.0.0.1:7373",
    key: value.RERATE_KEY,
  };
}

/** What is missing or wrong for a process that runs on Kafka and EventStoreDB, a line each. */
function streamProblems(environment: Readonly<Record<string, string>>, engines: "kafka" | "stream"): string[] {
  const problems: string[] = [];
  const brokers = listed(environment["KAFKA_BROKERS"] ?? "", []);
  if (brokers.length === 0) problems.push("KAFKA_BROKERS: needed, for example 127.0.0.1:9092");
  for (const broker of brokers) if (!/^[^\s:]+:\d+$/.test(broker)) problems.push(`KAFKA_BROKERS: "${broker}" is no host:port`);
  if (engines === "stream" && environment["EVENTSTOREDB_URL"] === undefined)
    problems.push("EVENTSTOREDB_URL: needed, for example esdb://127.0.0.1:2113?tls=false");
  if (environment["KAFKA_SASL_MECHANISM"] !== undefined) {
    for (const name of ["KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD"])
      if (environment[name] === undefined) problems.push(`${name}: needed where KAFKA_SASL_MECHANISM is set`);
  }
  return problems;
}

function streamOf(value: z.infer<typeof configSchema>): StreamConfig {
  const { KAFKA_SASL_MECHANISM: mechanism, KAFKA_SASL_USERNAME: username, KAFKA_SASL_PASSWORD: password } = value;
  return {
    brokers: listed(value.KAFKA_BROKERS, []),
    tls: value.KAFKA_TLS === "true",
    sasl: mechanism === undefined ? undefined : { mechanism, username: username ?? "", password: password ?? "" },
    eventStoreUrl: value.EVENTSTOREDB_URL ?? "",
    replication: value.RERATE_REPLICATION,
    retentionDays: value.RERATE_RETENTION_DAYS,
  };
}

function listed(text: string, fallback: readonly string[]): readonly string[] {
  const items = text.split(",").map((item) => item.trim());
  const given = items.filter((item) => item !== "");
  return given.length === 0 ? fallback : given;
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
