import { createHash } from "node:crypto";
import { createMemoryEventStore, FIRST_LINK, type EventStore, type StoredEvent } from "@rerate/event-store";
import { createServer, hashSecret, routeTable, type HttpServer, type StoredKey } from "@rerate/http";
import { encodeEvent, streamName, type Category, type DomainEvent } from "@rerate/ledger";
import { instant, type Instant } from "@rerate/money";
import { foldLog, openProjectionStore, type Reader } from "@rerate/projections";
import { openDatabase } from "@rerate/sqlite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { routes } from "./routes.ts";

const T0 = instant("2026-01-05T10:20:00Z");
const HOSTILE = `<script>alert("1")</script>' onx="&`;
const SECRET = "secret-of-sixteen-chars";

let server: HttpServer;
let keyed: HttpServer;
let reader: Reader;

beforeAll(async () => {
  const eventStore = createMemoryEventStore();
  await fill(eventStore);
  const recordedAt = (stored: StoredEvent) => (JSON.parse(stored.metadata) as { at: Instant }).at;
  const store = openProjectionStore(openDatabase(":memory:", { synchronous: "NORMAL" }));
  await foldLog(store, { eventStore, recordedAt });
  reader = { eventStore, recordedAt, store };
  const plugin = routes({ reader, now: () => T0 });
  const common = { plugins: [plugin], host: "127.0.0.1", port: 0, info: { title: "books", version: "0" }, checkReplies: true };
  server = await createServer({ ...common, keys: undefined });
  keyed = await createServer({ ...common, keys: (id) => KEYS.get(id) });
});

afterAll(async () => {
  await server.close();
  await keyed.close();
});

const KEYS = new Map<string, StoredKey>(
  [
    { id: "own", role: "read-account", account: "acme", ns: "default" } as const,
    { id: "all", role: "read", ns: "default" } as const,
    { id: "foreign", role: "audit", ns: "other" } as const,
  ].map((key) => [key.id, { ...key, secretHash: hashSecret(SECRET), revoked: false }]),
);

async function get(url: string, key?: string) {
  const headers = { host: "127.0.0.1", ...(key === undefined ? {} : { authorization: `Bearer rk_${key}_${SECRET}` }) };
  return (key === undefined ? server : keyed).inject({ method: "GET", url, headers });
}

const READS = [
  "/v1/accounts/acme",
  "/v1/accounts/acme/balance",
  "/v1/accounts/acme/entries",
  "/v1/accounts/acme/entries?order=newest&limit=1&period=2026-01&item=chat",
  "/v1/accounts/acme/entries/1/explanation",
  "/v1/accounts/acme/invoices",
  "/v1/accounts/acme/invoices/2026-01",
  "/v1/accounts/acme/usage?by=model",
  "/v1/accounts/acme/outcomes",
  "/v1/accounts/acme/outcomes/app/r1",
];

describe("reads", () => {
  test.each([...READS, "/v1/accounts", "/v1/accounts/acme/costs", "/v1/totals", "/v1/audit/shared-identities"])(
    "%s answers as its schema says",
    async (url) => {
      const reply = await get(url);
      expect(reply.text).not.toContain('"status":500');
      expect(reply.status).toBe(200);
    },
  );

  test("every read of the plan is a route", () => {
    expect(routeTable([routes({ reader, now: () => T0 })]).map(({ path }) => path)).toEqual([
      "/v1/accounts",
      "/v1/accounts/:account",
      "/v1/accounts/:account/balance",
      "/v1/accounts/:account/entries",
      "/v1/accounts/:account/entries/:n/explanation",
      "/v1/accounts/:account/invoices",
      "/v1/accounts/:account/invoices/:period",
      "/v1/accounts/:account/usage",
      "/v1/accounts/:account/costs",
      "/v1/accounts/:account/outcomes",
      "/v1/accounts/:account/outcomes/:source/:id",
      "/v1/totals",
      "/v1/audit/shared-identities",
      "/",
    ]);
  });

  test("a key of one account reads that account, and every other one is as unknown as one that does not exist", async () => {
    for (const url of READS) {
      expect((await get(url, "own")).status).toBe(200);
      const [foreign, unknown] = [
        await get(url.replace("acme", "globex"), "own"),
        await get(url.replace("acme", "nobody"), "own"),
      ];
      expect(foreign.status).toBe(404);
      const same = ({ json }: { json: unknown }) => ({ ...(json as object), instance: "", traceId: "" });
      expect(same(foreign)).toEqual(same(unknown));
      expect((await get(url, "foreign")).status).toBe(404);
    }
    for (const url of ["/v1/accounts", "/v1/totals", "/", "/v1/audit/shared-identities"])
      expect((await get(url, "own")).status).toBe(403);
  });

  test("what something cost us is not for a customer's key", async () => {
    const costsOf = async (key: string) =>
      ((await get("/v1/accounts/acme/usage", key)).json as { rows: { costs: object }[] }).rows.map(({ costs }) => costs);
    expect(await costsOf("all")).toContainEqual({ USD: "0.002" });
    expect((await costsOf("own")).every((costs) => Object.keys(costs).length === 0)).toBe(true);
    expect((await get("/v1/accounts/acme/costs", "own")).status).toBe(403);
  });

  test("a bad cursor and a range that cuts an hour are told, by parameter", async () => {
    for (const [url, parameter] of [
      ["/v1/accounts/acme/entries?cursor=x", "cursor"],
      ["/v1/accounts?cursor=WzEsMl0", "cursor"],
      ["/v1/audit/shared-identities?cursor=x", "cursor"],
      ["/v1/accounts/acme/usage?from=2026-01-05T10:20:00Z", "from"],
    ] as const) {
      const reply = await get(url);
      expect(reply.status).toBe(422);
      expect(reply.json).toMatchObject({ errors: [{ parameter }] });
    }
  });

  test("unknown entries, invoices and outcomes are not found", async () => {
    for (const rest of ["entries/99/explanation", "invoices/1999-01", "outcomes/app/none"]) {
      expect((await get(`/v1/accounts/acme/${rest}`)).status).toBe(404);
    }
  });
});

describe("the page", () => {
  test("shows accounts, balances and entries that unfold into their arithmetic", async () => {
    const { status, text, headers } = await get("/");
    expect(status).toBe(200);
    expect(headers["content-type"]).toContain("text/html");
    for (const part of ["<details>", "acme", "0.0105 USD", "1000 × 0.003 per 1,000", 'data-counter="facts"'])
      expect(text).toContain(part);
  });

  test("shows one account's balance, invoice, entries and outcomes", async () => {
    const { text } = await get("/?account=acme&period=2026-01");
    for (const part of ["Rounding of the lines", "Due", "pending", "plan pro"]) expect(text).toContain(part);
    expect((await get("/?account=nobody")).status).toBe(404);
    expect((await get("/?account=acme&period=1999-01")).text).toContain("No invoice");
  });

  test("escapes every text of others, in content and in attributes", async () => {
    for (const url of ["/", `/?account=${encodeURIComponent(HOSTILE)}`, `/?account=acme&period=${encodeURIComponent(HOSTILE)}`]) {
      const { status, text } = await get(url);
      expect(status).toBe(200);
      expect(text).not.toContain("<script>alert");
      // The quote before it would end an attribute; in content it is only text.
      expect(text).not.toMatch(/['"]\s*onx=/);
      expect(text).not.toMatch(/href="javascript:/i);
      // Exactly the page's own script.
      expect(text.match(/<script/g)).toHaveLength(1);
    }
    expect((await get("/")).text).toContain("&#60;script&#62;alert(&#34;1&#34;)");
  });

  test("lets in only its own style and script: the policy's hashes are theirs, and nothing comes from outside", async () => {
    const { text, headers } = await get("/");
    const policy = headers["content-security-policy"] ?? "";
    for (const name of ["style", "script"]) {
      const body = new RegExp(`<${name}>([^]*?)</${name}>`).exec(text)?.[1] ?? "";
      expect(body.length).toBeGreaterThan(100);
      expect(policy).toContain(`${name}-src 'sha256-${createHash("sha256").update(body).digest("base64")}'`);
    }
    expect(policy).toContain("default-src 'none'");
    expect(text).not.toMatch(/(src|href)="(https?:)?\/\//);
    expect(text).not.toMatch(/ (style|on[a-z]+)="/);
  });

  test("an empty ledger has a page too", async () => {
    const store = openProjectionStore(openDatabase(":memory:", { synchronous: "NORMAL" }));
    const empty = routes({ reader: { ...reader, store }, now: () => T0 });
    const fresh = await createServer({
      plugins: [empty],
      keys: undefined,
      host: "127.0.0.1",
      port: 0,
      info: { title: "books", version: "0" },
    });
    const reply = await fresh.inject({ method: "GET", url: "/", headers: { host: "127.0.0.1" } });
    expect(reply.text).toContain("No account has been opened yet.");
    await fresh.close();
  });
});

async function fill(eventStore: EventStore): Promise<void> {
  const revisions = new Map<string, number>();
  const append = async (category: Category, name: string, event: DomainEvent) => {
    const stream = streamName(category, "default", name);
    const expectedRevision = revisions.get(stream) ?? -1;
    const metadata = JSON.stringify({ at: T0, prev: FIRST_LINK });
    await eventStore.append([{ stream, expectedRevision, events: [{ ...encodeEvent(event), metadata }] }]);
    revisions.set(stream, expectedRevision + 1);
  };
  for (const [account, id] of [
    ["acme", "r1"],
    ["globex", "g1"],
    [HOSTILE, HOSTILE],
  ] as const) {
    await append("contract", account, {
      type: "AccountOpened",
      data: { account, timeZone: "UTC", currency: "USD", wallet: account },
    });
    await append("contract", account, {
      type: "PlanAssigned",
      data: { planId: account === HOSTILE ? HOSTILE : "pro", from: T0 },
    });
    const bound = {
      from: T0,
      plan: "hash",
      planId: "pro",
      priceLists: {},
      decider: 1,
      timeZone: "UTC",
      currency: "USD",
      wallet: account,
      contractRevision: 1,
    };
    await append("account", account, { type: "RulesBound", data: bound });
    const period = { period: "2026-01", start: instant("2026-01-01T00:00:00Z"), end: instant("2026-02-01T00:00:00Z"), dueAt: T0 };
    await append("account", account, { type: "PeriodOpened", data: period });
    const item = account === HOSTILE ? HOSTILE : "chat";
    const entry = {
      n: 1,
      role: "measured",
      kind: "charge",
      item,
      model: "tokens@1",
      unit: "USD",
      atoms: "10500000",
      exact: "10500000",
      measure: "1500",
      measureUnit: item,
      version: "v",
      period: "2026-01",
      cell: item,
      before: "0",
      after: "1500",
      steps: ["1000 × 0.003 per 1,000", item],
    };
    const content = { type: item, model: item, quantities: { [item]: "1000" }, dimensions: { user: item } };
    const usage = { source: "app", id };
    const rules = { bound: 0, plan: "hash", outcome: "def" };
    await append("account", account, {
      type: "UsageRecorded",
      data: { ...usage, occurredAt: T0, contentHash: "1:x", content, rules, period: "2026-01", entries: [entry], published: 1 },
    });
    await append("account", account, {
      type: "CostRecorded",
      data: { source: "erp", id, occurredAt: T0, contentHash: "1:c", unit: "USD", atoms: "2000000", text: "0.002", about: usage },
    });
    await append("outcome", account, {
      type: "OutcomeOpened",
      data: {
        outcome: usage,
        usage,
        occurredAt: T0,
        definition: "def",
        source: { stream: "a", revision: 2, number: 1 },
        dueAt: T0,
      },
    });
    await append("wallet", account, {
      type: "CreditsGranted",
      data: { id: item, contentHash: "h", unit: "USD", atoms: "1", source: item, priority: 1, effectiveAt: T0, paidAtoms: "0" },
    });
  }
}
