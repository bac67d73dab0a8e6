/**
 * Who may do what: every route with every kind of key of two namespaces, over real HTTP. The table is generated from the routes
 * that the server offers, so a new route is in it the day it appears.
 *
 * What must hold: a role does what its routes say and nothing else; of another namespace, or another account, nothing can be read,
 * changed, or even told apart from what does not exist.
 */
import { accessCases, ROLES, routeTable, type AccessCase, type Role, type RouteLine } from "@rerate/http";
import { createLifecycle, createLogger, readConfig } from "@rerate/runtime";
import { serviceOf } from "@rerate/stack";
import { composeStandalone } from "@rerate/standalone";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { get } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startTrial, type Reply, type Trial } from "./trial.ts";

const PLAN = `kind: plan
id: marker-a-plan
title: Of namespace A
currency: USD
items:
  - id: chat
    model: tokens
    prices: { input: "1", output: "2" }
  - id: answers
    model: per-request
    price: "0.5"
    when: { types: [answer] }
`;
const SINCE = "2000-01-01T00:00:00Z";

type Space = "A" | "B";
const SPACES: readonly Space[] = ["A", "B"];

/** What namespace A holds, under names that can be recognised in any answer. */
const OWN = {
  account: "marker-a-account",
  wallet: "marker-a-wallet",
  grant: "marker-a-grant",
  source: "marker-a-source",
  id: "marker-a-fact",
};
const UNKNOWN = "unknown-to-all";

let trial: Trial;
const keys = new Map<string, string>();
const revoked = new Map<Space, string>();
/** Of B, for one account that is nowhere. */
let strangerKey = "";
/** Ids that the server gave: of a document version, a parked message and a key of namespace A. */
const given = { hash: "", parked: "", key: "" };

const keyOf = (space: Space, role: Role): string => keys.get(`${space} ${role}`) ?? "no such key";

beforeAll(async () => {
  trial = await startTrial();
  await createKeys();
  await trial.restart();
  if (trial.standalone().keyless) throw new Error("the server asks for no keys, though there are some");
  await fillNamespaceA();
});

afterAll(async () => {
  await trial.stop();
});

async function createKeys(): Promise<void> {
  for (const space of SPACES) {
    for (const role of [...ROLES, "revoked"] as const) {
      const kept = role === "revoked" ? "operate" : role;
      const body = {
        role: kept,
        label: `${space} ${role}`,
        namespace: `space-${space.toLowerCase()}`,
        ...(kept === "read-account" ? { account: OWN.account } : {}),
      };
      const reply = await trial.ask("POST", "/v1/keys", { body });
      expect(reply.status).toBe(201);
      const { key } = reply.json as { readonly key: string };
      if (role === "revoked") revoked.set(space, key);
      else keys.set(`${space} ${role}`, key);
    }
  }
}

async function fillNamespaceA(): Promise<void> {
  ({ key: strangerKey } = await trial
    .client(keyOf("B", "operate"))
    .createKey({ role: "read-account", account: UNKNOWN, label: "stranger" }));
  for (const space of SPACES) {
    const client = trial.client(keyOf(space, "operate"));
    const dead = (await client.keys()).keys.find(({ label }) => label === `${space} revoked`);
    await client.revokeKey(dead?.id ?? "");
  }
  const client = trial.client(keyOf("A", "operate"));
  const { hash } = await client.publishDocument(PLAN, { effectiveFrom: SINCE });
  await client.openAccount({ account: OWN.account, currency: "USD", wallet: OWN.wallet });
  await client.assignPlan(OWN.account, { planId: "marker-a-plan", from: SINCE });
  const event = (id: string, subject: string) =>
    ({
      specversion: "1.0",
      type: "llm",
      source: OWN.source,
      id,
      subject,
      time: "2026-03-01T12:00:00Z",
      data: { input_tokens: 1000, output_tokens: 1000 },
    }) as const;
  await client.grant(OWN.wallet, { id: OWN.grant, amount: "1", unit: "USD" }, { waitSeconds: 10 });
  await client.sendUsage([event(OWN.id, OWN.account), event(OWN.id, "marker-a-nobody")], { waitSeconds: 10 });
  await client.sendSignals(
    { source: OWN.source, id: "marker-a-signal", account: OWN.account, outcome: OWN.id, signal: "edit" },
    { waitSeconds: 10 },
  );
  await trial.settled();
  const { parked } = await client.parked();
  given.hash = hash;
  given.parked = parked[0]?.id ?? "";
  given.key = (await client.keys()).keys[0]?.id ?? "";
  expect([given.hash, given.parked, given.key].every((id) => id.length > 5)).toBe(true);
}

/** A path with its parameters filled: with what namespace A holds, or with what nobody holds. */
function pathOf(path: string, which: "own" | "unknown"): string {
  const own = which === "own";
  const value = (name: string): string => {
    if (name === "hash") return own ? given.hash : "0".repeat(given.hash.length);
    if (name === "period") return "2026-03";
    if (name === "entry" || name === "n" || name === "number") return "1";
    if (name === "id" && path.startsWith("/v1/parked")) return own ? given.parked : "A".repeat(given.parked.length);
    if (name === "id" && path.startsWith("/v1/keys")) return own ? given.key : "0".repeat(given.key.length);
    if (name in OWN) return own ? OWN[name as keyof typeof OWN] : UNKNOWN;
    throw new Error(`what is :${name} in ${path}?`);
  };
  return path.replace(/:(\w+)/g, (_, name: string) => encodeURIComponent(value(name)));
}

/** A body that is valid, so that what is answered is not about its form. It names what namespace A holds. */
function bodyOf({ method, path }: Pick<RouteLine, "method" | "path">): { readonly body?: unknown; readonly type?: string } {
  if (method === "GET" || method === "DELETE") return {};
  const event = {
    specversion: "1.0",
    type: "llm",
    source: "probe",
    id: "probe",
    subject: "probe-account",
    data: { input_tokens: 1, output_tokens: 1 },
  };
  const bodies: Readonly<Record<string, unknown>> = {
    "/api/v1/events": event,
    "/v1/corrections": { ...event, id: "fix", data: { ...event.data, corrects: { id: "probe" }, revision: 1 } },
    "/v1/costs": { source: "probe", id: "cost", account: "probe-account", amount: "1", currency: "USD" },
    "/v1/signals": { source: "probe", id: "signal", account: "probe-account", outcome: "probe", signal: "edit" },
    "/v1/imports": { account: "probe-account", source: "probe", id: "import", phase: "started" },
    "/v1/accounts": { account: "probe-account", currency: "USD" },
    "/v1/accounts/:account/plan": { planId: "marker-a-plan", from: SINCE },
    "/v1/keys": { role: "read", label: "made by a probe" },
    "/v1/wallets/:wallet/grants": { id: "probe-grant", amount: "1", unit: "USD" },
    "/v1/wallets/:wallet/grants/:grant/void": {},
    "/v1/parked/:id/retry": undefined,
  };
  if (path.startsWith("/v1/documents")) return { body: PLAN.replaceAll("marker-a", "probe"), type: "application/yaml" };
  if (!(path in bodies)) throw new Error(`what does one send to ${method} ${path}?`);
  return { body: bodies[path] };
}

const probe = async (
  line: Pick<RouteLine, "method" | "path">,
  key: string | undefined,
  which: "own" | "unknown",
): Promise<Reply> => trial.ask(line.method, pathOf(line.path, which), { ...bodyOf(line), key });

/** An answer without what is different every time or repeats the question. */
function shape(reply: Reply): unknown {
  const text = reply.text
    .replace(/"traceId":"[^"]*"/, "")
    .replace(/"instance":"[^"]*"/, "")
    .replaceAll(/(?:marker-a-(?:account|wallet|grant|source|fact)|unknown-to-all)/g, "NAME")
    .replaceAll(given.parked, "PARKED")
    .replaceAll("A".repeat(given.parked.length), "PARKED")
    .replaceAll(/\d{4}-\d\d-\d\dT[0-9:.]+Z/g, "TIME");
  return [reply.status, reply.headers.get("content-type"), text];
}

/** Everything that can be read of namespace A by those who may read everything. */
async function stateOfA(): Promise<Readonly<Record<string, string>>> {
  await trial.settled();
  const reads = routeTable(trial.standalone().plugins).filter(
    ({ method, path, roles }) => method === "GET" && roles !== "public" && path !== "/v1/status",
  );
  const state: Record<string, string> = {};
  for (const line of reads)
    state[line.path] = (await probe(line, keyOf("A", "operate"), "own")).text.replace(/"traceId":"[^"]*"/, "");
  return state;
}

describe("every route with every kind of key of both namespaces", () => {
  test("a caller without a valid key gets 401, a role without the right 403, the others reach the route", async () => {
    const cases: readonly AccessCase[] = accessCases(trial.standalone().plugins);
    // Reads first and deletions last, so that no case takes away what a later one needs.
    const order = ["GET", "POST", "PUT", "DELETE"];
    const sorted = cases.toSorted((a, b) => order.indexOf(a.method) - order.indexOf(b.method));
    const counts = { 401: 0, 403: 0, passes: 0 };
    const wrong: string[] = [];
    for (const line of sorted) {
      for (const space of SPACES) {
        const key =
          line.caller === "none" ? undefined : line.caller === "revoked" ? revoked.get(space) : keyOf(space, line.caller);
        const { status } = await probe(line, key, "unknown");
        const right = line.expected === "passes" ? status !== 401 && status !== 403 && status < 500 : status === line.expected;
        counts[line.expected] += 1;
        if (!right)
          wrong.push(`${line.method} ${line.path} as ${line.caller} of ${space}: ${status} instead of ${line.expected}`);
      }
    }
    expect(wrong).toEqual([]);
    const routes = routeTable(trial.standalone().plugins).length;
    console.info(
      `${cases.length * SPACES.length} cases: ${routes} routes × ${ROLES.length + 2} callers × 2 namespaces; ${JSON.stringify(counts)}`,
    );
    expect(cases.length).toBe(routes * (ROLES.length + 2));
  });

  test("no route is outside of the table, apart from those that say nothing about anybody", async () => {
    const { paths } = (await trial.ask("GET", "/docs/json")).json as {
      readonly paths: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
    };
    const documented = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    const table = routeTable(trial.standalone().plugins).map(
      ({ method, path }) => `${method} ${path.replace(/:(\w+)/g, "{$1}")}`,
    );
    expect(documented.sort()).toEqual(table.sort());
    for (const path of ["/livez", "/readyz", "/problems", "/metrics", "/docs/"]) {
      const reply = await trial.ask("GET", path);
      expect([path, reply.status, reply.text.includes("marker-a")]).toEqual([path, 200, false]);
    }
  });

  test("garbage in the place of a key is 401 on every route, and the answer does not say what was wrong", async () => {
    const good = keyOf("A", "operate");
    const [, id = "", secret = ""] = /^rk_([^_]+)_(.+)$/.exec(good) ?? [];
    const garbage = [
      "",
      "x",
      "rk_",
      `rk_${id}`,
      `rk_${id}_`,
      `rk_${id}_${"A".repeat(secret.length)}`,
      `rk_${"0".repeat(id.length)}_${secret}`,
      `${good}x`,
      good.slice(0, -1),
      good.toUpperCase(),
      `rk_${id}_${secret} extra`,
      "rk_' OR 1=1_aaaaaaaaaaaaaaaaaaaaaaaa",
      "x".repeat(4000),
    ];
    const answers = new Set<string>();
    for (const line of routeTable(trial.standalone().plugins)) {
      if (line.roles === "public") continue;
      for (const key of garbage) {
        const reply = await probe(line, key, "own");
        expect([line.path, key, reply.status]).toEqual([line.path, key, 401]);
        expect(reply.headers.get("www-authenticate")).toContain("Bearer");
        answers.add((reply.json as { readonly detail: string }).detail);
      }
    }
    expect(answers).toEqual(new Set(["the API key is not valid"]));
    expect(
      (
        await trial.ask("GET", "/v1/totals", {
          headers: { authorization: `Basic ${Buffer.from(`x:${good}`).toString("base64")}` },
        })
      ).status,
    ).toBe(401);
    expect((await trial.ask("GET", `/v1/totals?key=${good}`)).status).toBe(401);
  });
});

describe("of namespace A, namespace B", () => {
  test("sees nothing: a foreign id is answered exactly like one that does not exist, and lists do not show it", async () => {
    const compared: string[] = [];
    // Reads first: what B asks for itself afterwards is B's own.
    const lines = routeTable(trial.standalone().plugins).toSorted(
      (a, b) => Number(b.method === "GET") - Number(a.method === "GET"),
    );
    for (const line of lines) {
      if (line.roles === "public" || (line.method !== "GET" && !line.path.includes(":"))) continue;
      for (const role of ROLES.filter((each) => line.roles.includes(each))) {
        const foreign = await probe(line, keyOf("B", role), "own");
        // A key for one account asks for its own account, which is there in A and nowhere.
        const key = role === "read-account" ? strangerKey : keyOf("B", role);
        const unknown = await probe(line, key, "unknown");
        expect([line.method, line.path, role, shape(foreign)]).toEqual([line.method, line.path, role, shape(unknown)]);
        compared.push(`${line.method} ${line.path}`);
        if (line.method !== "GET") continue;
        const said = foreign.text
          .replaceAll(encodeURI(pathOf(line.path, "own")), "")
          .replaceAll(given.parked, "")
          .replaceAll(`"account":"${OWN.account}","label":"B `, "");
        const names = said.match(/marker-a-\w+/g) ?? [];
        // An answer may repeat the name that it was asked about, never tell one that it was not.
        expect([line.path, names.filter((name) => !pathOf(line.path, "own").includes(name))]).toEqual([line.path, []]);
      }
    }
    console.info(`${compared.length} answers about foreign ids equal those about unknown ids`);
    expect(compared.length).toBeGreaterThan(40);
  });

  test("changes nothing, though it uses the same names", async () => {
    const before = await stateOfA();
    expect(before["/v1/accounts/:account/balance"]).toContain("0.003");
    const client = trial.client(keyOf("B", "operate"));
    for (const line of routeTable(trial.standalone().plugins)) {
      if (line.roles === "public" || line.method === "GET") continue;
      for (const role of ROLES) await probe(line, keyOf("B", role), "own");
    }
    // The very names of A, as accounts, facts, signals, wallets and documents of B.
    await client.publishDocument(PLAN.replace('"1"', '"1000"'), { effectiveFrom: SINCE });
    await client.openAccount({ account: OWN.account, currency: "EUR", wallet: OWN.wallet });
    await client.publishDocument(PLAN.replace("USD", "EUR").replace('"1"', '"500"'), { effectiveFrom: SINCE });
    await client.assignPlan(OWN.account, { planId: "marker-a-plan", from: SINCE });
    const event = {
      specversion: "1.0",
      type: "llm",
      source: OWN.source,
      id: OWN.id,
      subject: OWN.account,
      time: "2026-03-01T12:00:00Z",
      data: { input_tokens: 7, output_tokens: 7 },
    } as const;
    const { answers } = await client.sendUsage(event, { waitSeconds: 10 });
    // In its own namespace it is a fact of its own: no duplicate, no conflict.
    expect(answers).toMatchObject([{ status: "recorded" }]);
    await client.sendSignals(
      { source: OWN.source, id: "marker-a-signal", account: OWN.account, outcome: OWN.id, signal: "explicit_reject" },
      { waitSeconds: 10 },
    );
    await client.grant(OWN.wallet, { id: OWN.grant, amount: "99", unit: "EUR" }, { waitSeconds: 10 });
    expect(await stateOfA()).toEqual(before);
    const seen = await trial.client(keyOf("B", "read")).balance(OWN.account);
    expect(seen.units.filter(({ charged }) => charged !== "0").map(({ unit }) => unit)).toEqual(["EUR"]);
  });

  test("cannot be made into A by what a body, a header or an address says", async () => {
    const before = await stateOfA();
    const key = keyOf("B", "operate");
    for (const headers of [{ "x-namespace": "space-a" }, { "ce-ns": "space-a" }, { "x-forwarded-user": "space-a" }]) {
      await trial.ask("POST", "/api/v1/events", {
        key,
        headers,
        body: {
          specversion: "1.0",
          type: "llm",
          source: "s",
          id: "x",
          subject: OWN.account,
          ns: "space-a",
          data: { input_tokens: 1, output_tokens: 1 },
        },
      });
    }
    expect(
      (await trial.ask("POST", "/v1/keys", { key, body: { role: "operate", label: "x", namespace: "space-a" } })).status,
    ).toBe(403);
    expect((await trial.ask("POST", "/v1/keys", { key, body: { role: "operate", label: "x", ns: "space-a" } })).status).toBe(422);
    for (const account of ["../space-a/marker-a-account", "space-a.marker-a-account", `${OWN.account}\u0000`, "..%2F"]) {
      const reply = await trial.ask("GET", `/v1/accounts/${encodeURIComponent(account)}/balance`, { key: keyOf("B", "read") });
      expect([account, reply.status >= 400 && reply.status < 500]).toEqual([account, true]);
    }
    expect(await stateOfA()).toEqual(before);
  });
});

describe("a key for one account", () => {
  test("reads its own and finds any other not known, be it there or not", async () => {
    await trial.client(keyOf("A", "operate")).openAccount({ account: "marker-a-neighbour", currency: "USD" });
    const key = keyOf("A", "read-account");
    let asked = 0;
    for (const line of routeTable(trial.standalone().plugins)) {
      if (line.roles === "public" || !line.roles.includes("read-account")) continue;
      expect([line.path, (await probe(line, key, "own")).status]).not.toEqual([line.path, 403]);
      const at = (account: string) => pathOf(line.path, "unknown").replace(UNKNOWN, account);
      const neighbour = await trial.ask(line.method, at("marker-a-neighbour"), { key });
      const nobody = await trial.ask(line.method, at("nobody"), { key });
      expect([line.path, neighbour.status]).toEqual([line.path, 404]);
      expect(shape(neighbour)).toEqual(shape(nobody));
      asked += 1;
    }
    expect(asked).toBeGreaterThan(5);
    for (const path of ["/v1/accounts", "/v1/totals", "/", "/?account=marker-a-account", "/v1/parked"]) {
      expect([path, (await trial.ask("GET", path, { key })).status]).toEqual([path, 403]);
    }
  });

  test("is not told what its usage costs us", async () => {
    await trial
      .client(keyOf("A", "operate"))
      .sendCosts({ source: "bill", id: "1", account: OWN.account, amount: "0.00777", currency: "USD" }, { waitSeconds: 10 });
    await trial.settled();
    const seenBy = async (role: Role) => {
      const paths = routeTable(trial.standalone().plugins).filter(
        ({ method, roles }) => method === "GET" && roles !== "public" && roles.includes("read-account"),
      );
      const texts = await Promise.all(paths.map(async (line) => (await probe(line, keyOf("A", role), "own")).text));
      return texts.filter((text) => text.includes("0.00777")).length;
    };
    expect(await seenBy("read")).toBeGreaterThan(0);
    expect(await seenBy("read-account")).toBe(0);
  });
});

test("a revoked key is refused from the next request on", async () => {
  const operate = trial.client(keyOf("A", "operate"));
  const { id, key } = await operate.createKey({ role: "read", label: "short-lived" });
  expect((await trial.ask("GET", "/v1/totals", { key })).status).toBe(200);
  await operate.revokeKey(id);
  expect((await trial.ask("GET", "/v1/totals", { key })).status).toBe(401);
  await trial.restart();
  expect((await trial.ask("GET", "/v1/totals", { key })).status).toBe(401);
});

test("a key's secret is in no later answer and in no file", async () => {
  const listed = await trial.ask("GET", "/v1/keys", { key: keyOf("A", "operate") });
  const files = readdirSync(trial.directory).map((name) => readFileSync(join(trial.directory, name)));
  expect(files.some((bytes) => bytes.includes(keyOf("A", "read").split("_")[1] ?? ""))).toBe(true);
  for (const key of keys.values()) {
    const secret = key.split("_").slice(2).join("_");
    expect(secret.length).toBeGreaterThan(40);
    expect(listed.text).not.toContain(secret);
    expect(files.some((bytes) => bytes.includes(secret))).toBe(false);
  }
});

test("on an address that others reach, with keys, a caller may use any host name", async () => {
  await trial.restart({ RERATE_HOST: "0.0.0.0" });
  const { port } = new URL(trial.url());
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const headers = { host: "ledger.example", authorization: `Bearer ${keyOf("A", "read")}` };
  get({ host: "127.0.0.1", port, path: "/v1/totals", headers }, (response) => resolve(response.resume().statusCode ?? 0)).on(
    "error",
    reject,
  );
  expect(await promise).toBe(200);
  expect((await fetch(`http://127.0.0.1:${port}/v1/totals`)).status).toBe(401);
});

test("an address that others can reach needs keys first", async () => {
  const directory = mkdtempSync(join(tmpdir(), "rerate-edges-"));
  const log = createLogger("silent");
  for (const host of ["0.0.0.0", "::", "192.0.2.1"]) {
    const lifecycle = createLifecycle(log);
    const config = readConfig("embedded", { RERATE_DATA: directory, RERATE_PORT: "0", RERATE_HOST: host });
    const composed = composeStandalone({ config, log, lifecycle, onFailure: () => undefined });
    await expect(composed).rejects.toThrow(/no API key yet[^]*keys create/);
    await lifecycle.stop();
  }
  rmSync(directory, { recursive: true });
});

test("after all of it the log verifies", async () => {
  expect(await trial.close()).toMatchObject({ ok: true, problems: [], projections: "equal" });
});

test("the gateway sends every route to the service whose it is", () => {
  const wrong = trial.standalone().plugins.flatMap(({ name, routes }) => {
    // Operators are answered by books, too.
    const service = name === "operate" ? "books" : name;
    return routes
      .filter(({ method, path }) => serviceOf(method, path) !== service)
      .map(({ method, path }) => `${method} ${path} is ${service}'s, and goes to ${serviceOf(method, path)}`);
  });
  expect(wrong).toEqual([]);
});
