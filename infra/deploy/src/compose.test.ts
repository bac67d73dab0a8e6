import { ConfigError, configTable, readConfig } from "@rerate/runtime";
import { ROUTES, SERVICES } from "@rerate/stack";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { COMPOSE_FILE, dependencies, readCompose } from "./testing/compose.ts";

const INFRA = dirname(COMPOSE_FILE);
const REPOSITORY = join(INFRA, "..");
const { services, volumes } = readCompose();
const all = Object.entries(services);
/** Those that run our own image. */
const own = all.filter(([, { image = "" }]) => image.startsWith("rerate:"));
/** Those that run once and end. */
const once = new Set(all.filter(([, { restart }]) => restart === "no").map(([name]) => name));

test("every service of the system has its container", () => {
  for (const service of SERVICES) expect(services[service]?.command).toEqual([`services/${service}/src/main.ts`]);
});

test("every container has a pinned image, a restart policy, and a health check unless it ends by itself", () => {
  const wrong = all.flatMap(([name, { image = "", restart = "", healthcheck }]) => [
    ...(/^[\w./-]+:v?\d+\.\d+\.\d+(?:-[a-z]+)?$/.test(image) ? [] : [`${name} runs ${image}`]),
    ...(["no", "unless-stopped"].includes(restart) ? [] : [`${name} restarts ${restart}`]),
    ...(once.has(name) || /^CMD(?:-SHELL)?$/.test(healthcheck?.test[0] ?? "") ? [] : [`${name} has no health check`]),
  ]);
  expect(wrong).toEqual([]);
});

test("our own image is built from the workspace, at the version that the workspace has", () => {
  const { version } = JSON.parse(readFileSync(join(REPOSITORY, "package.json"), "utf8")) as { readonly version: string };
  for (const [name, { image, build, read_only, cap_drop, mem_limit }] of own) {
    expect({ name, image, context: build?.context }).toEqual({ name, image: `rerate:${version}`, context: ".." });
    expect(existsSync(join(REPOSITORY, build?.dockerfile ?? "nothing"))).toBe(true);
    expect({ name, read_only, cap_drop }).toEqual({ name, read_only: true, cap_drop: ["ALL"] });
    expect({ name, limited: mem_limit !== undefined }).toEqual({ name, limited: true });
  }
});

test("every environment variable of our own containers is one that the configuration knows, with a value that it takes", () => {
  const known = new Set(configTable().map(({ name }) => name));
  for (const [name, { environment = {} }] of own) {
    const unknown = Object.entries(environment).filter(([variable, value]) => !known.has(variable) || typeof value !== "string");
    expect({ name, unknown }).toEqual({ name, unknown: [] });
    if (name !== "gateway") expect(() => readConfig("stream", environment as Record<string, string>)).not.toThrow();
  }
  expect(() => readConfig("stream", { EVENTSTOREDB_URL: "http://x" })).toThrow(ConfigError);
});

test("all processes agree on the engines and on the number of partitions", () => {
  const environments = own.filter(([name]) => name !== "gateway").map(([, { environment }]) => JSON.stringify(environment));
  expect(new Set(environments).size).toBe(1);
});

test("every container waits for what exists, and until something that will happen", () => {
  const wrong = all.flatMap(([name, service]) =>
    dependencies(service)
      .filter(([other, condition]) => !willHappen(other, condition))
      .map(([other, condition]) => `${name} waits for ${other} until ${condition}`),
  );
  expect(wrong).toEqual([]);
});

test("every command starts a file that exists", () => {
  const missing = own.filter(([, { command = [] }]) => !existsSync(join(REPOSITORY, command[0] ?? "nothing")));
  expect(missing).toEqual([]);
});

test("ports are open to this machine only, each once", () => {
  const ports = all.flatMap(([, { ports: some = [] }]) => some);
  for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:\d+:\d+$/);
  expect(new Set(ports.map((port) => port.split(":")[1])).size).toBe(ports.length);
});

test("what is mounted exists, and what is named is declared", () => {
  const sources = all.flatMap(([, { volumes: mounts = [] }]) => mounts.map((mount) => mount.split(":")[0] ?? ""));
  expect(sources.filter((one) => !(one.startsWith(".") ? existsSync(join(INFRA, one)) : one in volumes))).toEqual([]);
});

test("the gateway knows where each service is that it sends requests to", () => {
  const upstreams = new Map(
    (services["gateway"]?.command ?? []).flatMap((word) => pair(/^--upstream=([\w-]+)=(.*)$/.exec(word))),
  );
  for (const service of new Set([...ROUTES.map((route) => route.service), "books"])) {
    expect(upstreams.get(service)).toBe(`http://${service}:7373`);
  }
});

test("Prometheus asks every process of every service", () => {
  const { scrape_configs } = parse(readFileSync(join(INFRA, "prometheus/prometheus.yaml"), "utf8")) as {
    readonly scrape_configs: readonly [{ readonly dns_sd_configs: readonly [{ readonly names: readonly string[] }] }];
  };
  expect(scrape_configs[0].dns_sd_configs[0].names.toSorted()).toEqual(SERVICES.toSorted());
});

function willHappen(other: string, condition: string): boolean {
  const service = services[other];
  if (service === undefined) return false;
  if (condition === "service_completed_successfully") return once.has(other);
  return !once.has(other) && (condition !== "service_healthy" || service.healthcheck !== undefined);
}

function pair(match: RegExpExecArray | null): (readonly [string, string])[] {
  return match === null ? [] : [[match[1] ?? "", match[2] ?? ""]];
}
