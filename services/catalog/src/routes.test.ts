import { describe, expect, test } from "vitest";
import { createServer, type HttpServer } from "@rerate/http";
import { createCatalogue, type Answer, type ContractEvent, type DocumentEvent } from "@rerate/ledger";
import { instant } from "@rerate/money";
import { checkDocument } from "./check-document.ts";
import type { CatalogCommand } from "./commands.ts";
import { createKeyRing } from "@rerate/process";
import { routes } from "./routes.ts";

const PLAN = `kind: plan
id: starter
title: Starter
currency: USD
recordOnly: [ping]
`;

interface Trial {
  readonly server: HttpServer;
  readonly recorded: { readonly stream: string; readonly command: CatalogCommand }[];
  readonly call: (
    method: string,
    url: string,
    body?: unknown,
    type?: string,
  ) => Promise<{ readonly status: number; readonly json: unknown }>;
}

/** A catalogue whose decider records everything once: the same event again is a duplicate. */
async function trial(answer?: Answer): Promise<Trial> {
  const recorded: { stream: string; command: CatalogCommand }[] = [];
  const catalogue = createCatalogue();
  const keys = createKeyRing();
  const at = instant("2026-03-01T12:00:00Z");
  const record = async (stream: string, command: CatalogCommand): Promise<Answer> => {
    if (answer !== undefined) return answer;
    if (recorded.some((one) => one.stream === stream && identityOf(one.command) === identityOf(command)))
      return { status: "duplicate" };
    recorded.push({ stream, command });
    if (stream.startsWith("key-")) keys.apply(stream, at, command as Parameters<typeof keys.apply>[2]);
    else catalogue.apply(stream, recorded.length, at, command as ContractEvent | DocumentEvent);
    return { status: "recorded", revision: recorded.length - 1 };
  };
  let seed = 0;
  const server = await createServer({
    plugins: [
      routes({
        record,
        catalogue,
        keys,
        caughtUp: async () => {},
        nowMs: () => Date.parse("2026-03-01T12:00:00Z"),
        leadTimeMs: 10_000,
        randomBytes: (count) => new Uint8Array(count).fill((seed += 1)),
      }),
    ],
    keys: undefined,
    host: "127.0.0.1",
    port: 0,
    info: { title: "Trial", version: "1" },
    checkReplies: true,
  });
  const call = async (method: string, url: string, body?: unknown, type?: string) =>
    server.inject({ method, url, body, ...(type === undefined ? {} : { headers: { "content-type": type } }) });
  return { server, recorded, call };
}

function identityOf(command: CatalogCommand): string {
  return command.type === "DocumentPublished" ? command.data.hash : JSON.stringify(command);
}

describe("documents", () => {
  test("are published once, listed and shown by hash", async () => {
    const { call, recorded } = await trial();
    const first = await call("POST", "/v1/documents?effectiveFrom=2026-01-01T00:00:00Z", PLAN, "application/yaml");
    expect(first).toMatchObject({
      status: 201,
      json: { status: "published", kind: "plan", id: "starter", effectiveFrom: "2026-01-01T00:00:00.000000000Z" },
    });
    const { hash } = first.json as { hash: string };
    const again = await call(
      "POST",
      "/v1/documents",
      JSON.stringify({ id: "starter", kind: "plan", recordOnly: ["ping"], currency: "USD", title: "Starter" }),
      "application/json",
    );
    expect(again).toMatchObject({
      status: 200,
      json: { status: "unchanged", hash, effectiveFrom: "2026-01-01T00:00:00.000000000Z" },
    });
    expect(recorded.map(({ stream }) => stream)).toEqual([
      expect.stringMatching(/^document-[0-9a-f]{2}\.default\.plan~3astarter$/),
    ]);
    expect((await call("GET", "/v1/documents?kind=plan")).json).toMatchObject({ documents: [{ hash, id: "starter" }] });
    expect((await call("GET", "/v1/documents?kind=price-list")).json).toEqual({ documents: [] });
    expect((await call("GET", `/v1/documents/${hash}`)).json).toMatchObject({ hash, document: { title: "Starter" } });
    expect((await call("GET", "/v1/documents/0000")).status).toBe(404);
  });

  test("with problems are refused with every line and column, and nothing is recorded", async () => {
    const { call, recorded } = await trial();
    const bad = PLAN.replace("currency: USD", "currency: 5\nwhatever: 1");
    const refused = await call("POST", "/v1/documents", bad, "text/yaml");
    expect(refused.status).toBe(422);
    const { errors } = refused.json as { errors: { detail: string }[] };
    expect(errors.map(({ detail }) => detail)).toEqual([
      expect.stringMatching(/^line 4, column 11: currency/),
      expect.stringMatching(/^line 5, column 1: whatever/),
    ]);
    const checked = await call("POST", "/v1/documents/validate", bad, "text/plain");
    expect(checked).toMatchObject({ status: 200, json: { valid: false, problems: [{ line: 4 }, { line: 5 }] } });
    expect((await call("POST", "/v1/documents/validate", PLAN, "application/yaml")).json).toMatchObject({
      valid: true,
      id: "starter",
    });
    expect((await call("POST", "/v1/documents", "kind: poem", "text/yaml")).status).toBe(422);
    expect((await call("POST", "/v1/documents", "", "text/yaml")).status).toBe(422);
    expect(recorded).toEqual([]);
  });

  test("have one hash however they are written", () => {
    const yaml = checkDocument(PLAN);
    const json = checkDocument('{"title":"Starter","recordOnly":["ping"],"id":"starter","kind":"plan","currency":"USD"}');
    expect(yaml.ok && json.ok && yaml.hash === json.hash).toBe(true);
    const other = checkDocument(PLAN.replace("Starter", "starter"));
    expect(yaml.ok && other.ok && yaml.hash !== other.hash).toBe(true);
  });
});

describe("accounts", () => {
  test("are opened with defaults and put on plans that exist", async () => {
    const { call, recorded } = await trial();
    expect(await call("POST", "/v1/accounts", { account: "acme", currency: "USD" })).toMatchObject({ status: 201 });
    expect(await call("POST", "/v1/accounts", { account: "acme", currency: "USD" })).toMatchObject({
      status: 200,
      json: { status: "duplicate" },
    });
    expect(recorded[0]?.command.data).toEqual({ account: "acme", currency: "USD", timeZone: "UTC", wallet: "acme" });
    expect((await call("PUT", "/v1/accounts/nobody/plan", { planId: "starter" })).status).toBe(404);
    expect(await call("PUT", "/v1/accounts/acme/plan", { planId: "starter" })).toMatchObject({
      status: 422,
      json: { errors: [{ pointer: "/planId" }] },
    });
    await call("POST", "/v1/documents", PLAN, "application/yaml");
    expect((await call("PUT", "/v1/accounts/acme/plan", { planId: "starter", planHash: "nope" })).status).toBe(422);
    expect(await call("PUT", "/v1/accounts/acme/plan", { planId: "starter" })).toMatchObject({ status: 201 });
    expect(recorded.at(-1)?.command.data).toEqual({ planId: "starter", from: "0000-01-01T00:00:00.000000000Z" });
  });

  test("that exist on other terms are a conflict", async () => {
    const { call } = await trial({ status: "conflict", detail: "the account is open in EUR" });
    expect(await call("POST", "/v1/accounts", { account: "acme", currency: "USD" })).toMatchObject({
      status: 409,
      json: { detail: "the account is open in EUR" },
    });
  });
});

test("what a decider cannot record is the sender's to mend", async () => {
  const { call } = await trial({ status: "parked", detail: "the account is not open" });
  const reply = await call("POST", "/v1/accounts", { account: "acme", currency: "USD" });
  expect(reply).toMatchObject({ status: 422, json: { errors: [{ detail: "the account is not open" }] } });
});

describe("keys", () => {
  test("are shown once, listed without secrets, and revoked", async () => {
    const { call, recorded } = await trial();
    const created = await call("POST", "/v1/keys", { role: "read-account", account: "acme", label: "dashboard" });
    expect(created.status).toBe(201);
    const { id, key } = created.json as { id: string; key: string };
    expect(key).toMatch(new RegExp(`^rk_${id}_`));
    expect(JSON.stringify(recorded)).not.toContain(key.split("_")[2]);
    const listed = await call("GET", "/v1/keys");
    expect(listed.json).toMatchObject({ keys: [{ id, role: "read-account", account: "acme", revoked: false }] });
    expect(JSON.stringify(listed.json)).not.toContain("ecret");
    expect((await call("DELETE", "/v1/keys/unknown")).status).toBe(404);
    expect((await call("DELETE", `/v1/keys/${id}`)).status).toBe(200);
    expect((await call("GET", "/v1/keys")).json).toMatchObject({ keys: [{ id, revoked: true }] });
  });

  test("open the books of another namespace where everybody may do everything, and nowhere else", async () => {
    const { call, recorded } = await trial();
    expect((await call("POST", "/v1/keys", { role: "operate", label: "shop", namespace: "shop" })).status).toBe(201);
    expect(recorded.at(-1)).toMatchObject({ stream: expect.stringContaining(".shop."), command: { data: { ns: "shop" } } });
    expect((await call("GET", "/v1/keys")).json).toEqual({ keys: [] });
    expect((await call("POST", "/v1/keys", { role: "operate", label: "shop", namespace: "a.b" })).status).toBe(422);
  });

  test("of one namespace cannot be taken over or revoked by events of another", () => {
    const ring = createKeyRing();
    const data = { id: "k1", secretHash: "aa", ns: "shop", role: "operate", label: "x" } as const;
    ring.apply("key-00.shop.k1", "t", { type: "KeyCreated", data });
    ring.apply("key-01.other.k1", "t", { type: "KeyCreated", data: { ...data, secretHash: "bb" } });
    ring.apply("key-01.other.k1", "t", { type: "KeyRevoked", data: { id: "k1" } });
    expect(ring.lookup("k1")).toMatchObject({ ns: "shop", secretHash: "aa", revoked: false });
    expect(ring.list("other")).toEqual([]);
  });
});
