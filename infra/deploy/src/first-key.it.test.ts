/**
 * The first start where every server can be reached from other machines, as the compose file does it, with processes for
 * containers: no key, no server; the first key; then servers that want it, behind the gateway.
 *
 * Always with a broker and an event store of its own: the first key needs a log without any.
 */
import { type Child, runCommand, startChild } from "@rerate/stack";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";

const REPOSITORY = join(import.meta.dirname, "../../..");
const folder = mkdtempSync(join(tmpdir(), "rerate-first-start-"));
const children: Child[] = [];
let environment: Readonly<Record<string, string>> = {};
let key = "";

async function start(name: string, script: string, given: readonly string[], more = {}): Promise<Child> {
  const logFile = join(folder, `${name}.log`);
  const child = await startChild({ name, script: join(REPOSITORY, script), arguments: given, environment: more, logFile });
  children.push(child);
  return child;
}

function startServer(service: string): Promise<Child> {
  return start(service, `services/${service}/src/main.ts`, [], { ...environment, RERATE_PORT: "0" });
}

beforeAll(async () => {
  mkdirSync(join(folder, "data"));
  const [kafka, store] = await Promise.all([
    start("kafka", "infra/local-kafka/src/main.ts", ["--data", join(folder, "kafka")]),
    start("event-store", "infra/event-store-front/src/main.ts", ["--data", join(folder, "event-store")]),
  ]);
  console.log(`The first start: an own Kafka at ${String(kafka.said["brokers"])}, the front as EventStoreDB.`);
  environment = {
    KAFKA_BROKERS: String(kafka.said["brokers"]),
    EVENTSTOREDB_URL: String(store.said["connectionString"]),
    RERATE_HOST: "0.0.0.0",
    RERATE_DATA: join(folder, "data"),
  };
  await runCommand(join(REPOSITORY, "packages/cli/rerate.mjs"), ["topics", "create"], environment);
});

afterAll(async () => {
  for (const child of children.toReversed()) await child.stop();
  rmSync(folder, { recursive: true, force: true });
});

test("without any key a server that others can reach refuses to start, and says what to do", async () => {
  await expect(startServer("books")).rejects.toThrow(/ended with 2[^]*no API key yet/);
});

test("the first key is made on loopback and printed once", async () => {
  const script = join(REPOSITORY, "infra/stack/src/first-key.ts");
  const said = await runCommand(script, [], environment);
  key = /^rk_\S+$/m.exec(said)?.[0] ?? "";
  expect(key).not.toBe("");
  const again = await runCommand(script, [], environment);
  expect(again).toContain("There is a key already");
  expect(again).not.toMatch(/^rk_/m);
});

test("with a key servers start, and the gateway brings to each what is its own", async () => {
  const [books, catalog] = await Promise.all([startServer("books"), startServer("catalog")]);
  const upstreams = { books, catalog, ingest: catalog, "outcome-signal": catalog, wallet: catalog };
  const gateway = await start("gateway", "infra/stack/src/gateway-main.ts", [
    "--port=0",
    ...Object.entries(upstreams).map(([name, child]) => `--upstream=${name}=${loopback(child)}`),
  ]);
  const ask = async (path: string, authorization?: string): Promise<number> => {
    const headers = authorization === undefined ? {} : { authorization };
    return (await fetch(`${loopback(gateway)}${path}`, { headers })).status;
  };
  expect(await ask("/livez")).toBe(200);
  for (const path of ["/v1/status", "/v1/keys"]) {
    expect(await ask(path)).toBe(401);
    expect(await ask(path, `Bearer ${key}`)).toBe(200);
  }
});

test("what alarms read is exported by running processes", async () => {
  const books = children.find(({ name }) => name === "books");
  if (books === undefined) throw new Error("books does not run");
  const metrics = await (await fetch(`${loopback(books)}/metrics`)).text();
  expect(metrics).toMatch(/^rerate_ready_services\{service="catalog"\} 1$/m);
  expect(metrics).toMatch(/^rerate_heartbeat_age_seconds\{service="catalog",instance="[\w.-]+"\} -?\d/m);
  expect(metrics).toMatch(/^rerate_parked_messages 0$/m);
  expect(metrics).toMatch(/^rerate_check_ok\{check="projections"\} 1$/m);
  expect(metrics).toMatch(/^rerate_disk_free_bytes \d/m);
});

/** Where a server that listens everywhere is found from here. */
function loopback({ said }: Child): string {
  return String(said["url"]).replace("0.0.0.0", "127.0.0.1");
}
