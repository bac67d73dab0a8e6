/**
 * The HTTP server of a process: its routes, health, metrics and access control. Listens only when told to.
 */
import { Outage } from "@rerate/flow";
import { createServer, isLoopback, type HttpServer, type ReadyCheck, type RoutePlugin } from "@rerate/http";
import { ConfigError, type Config, type Logger, type MetricsRegistry } from "@rerate/runtime";
import type { KeyRing } from "./key-ring.ts";

export const VERSION = "0.1.0";

export interface ServeOptions {
  readonly config: Config;
  readonly log: Logger;
  readonly plugins: readonly RoutePlugin[];
  readonly keys: KeyRing;
  readonly metrics: MetricsRegistry;
  readonly ready: () => readonly ReadyCheck[];
  /** True for errors of an engine that is out of reach: the same request may work later. */
  readonly isOutage?: (error: unknown) => boolean;
  /** See `ServerOptions.room`. */
  readonly room?: () => Promise<void>;
}

/** True while the server asks nobody for a key: on loopback, before any was created. Throws a `ConfigError` on other addresses. */
export function isKeyless(config: Config, keys: KeyRing): boolean {
  if (!keys.isEmpty()) return false;
  if (!isLoopback(config.host)) throw new ConfigError(withoutKeys(config.host));
  return true;
}

function withoutKeys(host: string): string {
  return (
    `RERATE_HOST ${host} can be reached from other machines, and there is no API key yet. ` +
    "Start on 127.0.0.1 first, run `npx rerate keys create --role operate --label admin`, then start again with this address."
  );
}

export function serve({ config, log, plugins, keys, metrics, ready, isOutage, room }: ServeOptions): Promise<HttpServer> {
  return createServer({
    plugins,
    keys: isKeyless(config, keys) ? undefined : keys.lookup,
    host: config.host,
    port: config.port,
    // None given is not the same as an empty list: on other addresses than loopback there is no Host check then.
    ...(config.allowedHosts.length === 0 ? {} : { allowedHosts: config.allowedHosts }),
    bodyLimitBytes: config.bodyLimit,
    ...(room === undefined ? {} : { room }),
    logger: log.child({ service: "http" }, { level: log.level === "silent" ? "silent" : "warn" }),
    info: { title: "Rerate", version: VERSION, description: "An event-sourced billing ledger for AI products." },
    ready,
    metrics: async () => ({ contentType: metrics.contentType, body: await metrics.text() }),
    onReply: ({ method, route, status }) =>
      metrics.count("rerate_http_replies_total", "Answered requests.", { method, route, status: String(status) }),
    isOutage: (error) => error instanceof Outage || isOutage?.(error) === true,
  });
}
