import { once } from "node:events";
import { createServer as createTcpServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { ACCOUNT_READERS, EMITTERS, OPERATORS, type StoredKey } from "./access.ts";
import { newKey } from "./keys.ts";
import { conflict } from "./problem.ts";
import { accessCases, ok, route, routeTable, type RoutePlugin } from "./route.ts";
import { createServer, PortInUseError, type HttpServer, type ServerOptions } from "./server.ts";

const plugin: RoutePlugin = {
  name: "trial",
  routes: [
    route({
      method: "GET",
      path: "/v1/accounts/:account/balance",
      roles: ACCOUNT_READERS,
      tag: "trial",
      summary: "A balance",
      params: z.object({ account: z.string().max(20) }),
      query: z.object({ limit: z.coerce.number().int().min(1).default(10) }),
      replies: { 200: z.object({ account: z.string(), ns: z.string(), limit: z.int() }) },
      handle: ({ params, query, caller }) => ok({ account: params.account, ns: caller.ns, limit: query.limit }),
    }),
    route({
      method: "POST",
      path: "/v1/things",
      roles: EMITTERS,
      tag: "trial",
      summary: "Takes a thing",
      query: z.object({ mode: z.enum(["a", "b"]).optional() }),
      body: z.strictObject({ id: z.string(), n: z.int() }),
      replies: { 202: z.object({ id: z.string(), waitSeconds: z.int() }) },
      handle: ({ body, waitSeconds }) => ({ status: 202, body: { id: body.id, waitSeconds } }),
    }),
    route({
      method: "POST",
      path: "/v1/texts",
      roles: OPERATORS,
      tag: "trial",
      summary: "Takes a text",
      consumes: ["application/yaml", "application/json"],
      checksBody: true,
      body: z.string(),
      replies: { 200: z.object({ text: z.unknown() }) },
      handle: ({ body }) => ok({ text: body }),
    }),
    route({
      method: "PUT",
      path: "/v1/things/:id",
      roles: OPERATORS,
      tag: "trial",
      summary: "Fails in several ways",
      params: z.object({ id: z.string() }),
      replies: { 200: z.object({ id: z.string() }) },
      handle: ({ params }) => {
        if (params.id === "taken") throw conflict("it is there with other content");
        if (params.id === "down") throw new Error("broker unreachable at 10.0.0.1");
        if (params.id === "wrong") return ok({ id: 1 });
        throw new TypeError("a secret detail");
      },
    }),
  ],
};

const OPTIONS: ServerOptions = {
  plugins: [plugin],
  keys: undefined,
  host: "127.0.0.1",
  port: 0,
  info: { title: "Trial", version: "1" },
  checkReplies: true,
  isOutage: (error) => error instanceof Error && error.message.startsWith("broker"),
};

async function withServer(options: Partial<ServerOptions>, check: (server: HttpServer) => Promise<void>): Promise<void> {
  const server = await createServer({ ...OPTIONS, ...options });
  try {
    await check(server);
  } finally {
    await server.close();
  }
}

function keyring(): { readonly tokens: Record<string, string>; readonly lookup: (id: string) => StoredKey | undefined } {
  const stored = new Map<string, StoredKey>();
  const tokens: Record<string, string> = {};
  let seed = 0;
  const add = (name: string, key: Omit<StoredKey, "id" | "secretHash">) => {
    const { id, token, secretHash } = newKey((count) => new Uint8Array(count).fill((seed += 1)));
    stored.set(id, { ...key, id, secretHash });
    tokens[name] = token;
  };
  add("emit", { ns: "shop", role: "emit", revoked: false });
  add("acme", { ns: "shop", role: "read-account", account: "acme", revoked: false });
  add("operate", { ns: "other", role: "operate", revoked: false });
  add("revoked", { ns: "shop", role: "operate", revoked: true });
  return { tokens, lookup: (id) => stored.get(id) };
}

const bearer = (token: string | undefined) => ({ authorization: `Bearer ${token ?? ""}` });

describe("a server", () => {
  test("answers a route with the checked and defaulted parameters", async () => {
    await withServer({}, async (server) => {
      const reply = await server.inject({ method: "GET", url: "/v1/accounts/ac%2Fme/balance" });
      expect([reply.status, reply.json]).toEqual([200, { account: "ac/me", ns: "default", limit: 10 }]);
    });
  });

  test("lists every problem of query and body at once, with pointers", async () => {
    await withServer({}, async (server) => {
      const reply = await server.inject({
        method: "POST",
        url: "/v1/things?mode=c",
        body: { n: 1.5, "a/b": 1, ["__proto__x"]: 2 },
      });
      expect(reply.status).toBe(422);
      expect(reply.headers["content-type"]).toContain("application/problem+json");
      const { type, errors } = reply.json as { type: string; errors: { pointer?: string; parameter?: string }[] };
      expect(type).toBe("/problems#invalid");
      expect(errors.map(({ pointer, parameter }) => pointer ?? parameter ?? "").toSorted((a, b) => (a < b ? -1 : 1))).toEqual([
        "/__proto__x",
        "/a~1b",
        "/id",
        "/n",
        "mode",
      ]);
    });
  });

  test("says what is wrong with a body before any handler sees it", async () => {
    await withServer({ bodyLimitBytes: 200 }, async (server) => {
      const post = async (body: string, type = "application/json") =>
        (await server.inject({ method: "POST", url: "/v1/things", headers: { "content-type": type }, body })).status;
      expect(await post('{"id": "x", ')).toBe(400);
      expect(await post("x".repeat(300))).toBe(413);
      expect(await post("a=b", "application/x-www-form-urlencoded")).toBe(415);
      expect(await post("")).toBe(422);
      expect(await post('{"id":"x","n":1,"__proto__":{"admin":true}}')).toBe(422);
      expect(await post('{"id":"x","n":1}', "application/json; charset=utf-8")).toBe(202);
    });
  });

  test("gives texts to routes that take texts, and parsed JSON where JSON was sent", async () => {
    await withServer({}, async (server) => {
      const text = await server.inject({
        method: "POST",
        url: "/v1/texts",
        headers: { "content-type": "application/yaml" },
        body: "a: 1",
      });
      expect(text.json).toEqual({ text: "a: 1" });
      const json = await server.inject({ method: "POST", url: "/v1/texts", body: { a: 1 } });
      expect(json.json).toEqual({ text: { a: 1 } });
    });
  });

  test("answers 404, 409, 503 and 500 as problems that give nothing away", async () => {
    await withServer({}, async (server) => {
      const put = async (id: string) => server.inject({ method: "PUT", url: `/v1/things/${id}` });
      expect((await server.inject({ method: "GET", url: "/nowhere" })).status).toBe(404);
      expect((await put("taken")).status).toBe(409);
      const down = await put("down");
      expect([down.status, down.headers["retry-after"]]).toEqual([503, "1"]);
      const failed = await put("bug");
      expect(failed.status).toBe(500);
      expect(down.text + failed.text).not.toMatch(/10\.0\.0\.1|secret/);
    });
  });

  test("in tests, refuses a reply that is not as documented", async () => {
    await withServer({}, async (server) => {
      const reply = await server.inject({ method: "PUT", url: "/v1/things/wrong" });
      expect(reply.status).toBe(500);
    });
    await withServer({ checkReplies: false }, async (server) => {
      const reply = await server.inject({ method: "PUT", url: "/v1/things/wrong" });
      expect(reply.json).toEqual({ id: 1 });
    });
  });

  test("reads Prefer: wait, at most 30 seconds", async () => {
    await withServer({}, async (server) => {
      const wait = async (prefer: string) =>
        (await server.inject({ method: "POST", url: "/v1/things", headers: { prefer }, body: { id: "x", n: 1 } })).json;
      expect(await wait("wait=5")).toEqual({ id: "x", waitSeconds: 5 });
      expect(await wait("respond-async, wait=500")).toEqual({ id: "x", waitSeconds: 30 });
      expect(await wait("await=5")).toEqual({ id: "x", waitSeconds: 0 });
    });
  });
});

describe("access", () => {
  test("a server that others can reach refuses to start without keys", async () => {
    await expect(createServer({ ...OPTIONS, host: "0.0.0.0" })).rejects.toThrow(/without API keys/);
  });

  test("a loopback server answers only to its own names", async () => {
    await withServer({ allowedHosts: ["billing.internal"] }, async (server) => {
      const status = async (host: string) => (await server.inject({ method: "GET", url: "/livez", headers: { host } })).status;
      expect(await status("127.0.0.1:4000")).toBe(200);
      expect(await status("[::1]:4000")).toBe(200);
      expect(await status("Billing.internal")).toBe(200);
      expect(await status("evil.example")).toBe(421);
    });
  });

  test("without a valid key there is no answer, and no hint why", async () => {
    const { tokens, lookup } = keyring();
    await withServer({ keys: lookup, host: "0.0.0.0" }, async (server) => {
      const url = "/v1/accounts/acme/balance";
      const wrong = `${tokens["acme"]?.slice(0, -4)}AAAA`;
      const replies = [
        await server.inject({ method: "GET", url }),
        await server.inject({ method: "GET", url, headers: bearer("rk_unknown_0123456789abcdef0123456789") }),
        await server.inject({ method: "GET", url, headers: bearer(wrong) }),
        await server.inject({ method: "GET", url, headers: bearer(tokens["revoked"]) }),
        await server.inject({ method: "GET", url, headers: { authorization: "Basic abc" } }),
      ];
      expect(replies.map(({ status }) => status)).toEqual([401, 401, 401, 401, 401]);
      expect(replies[0]?.headers["www-authenticate"]).toContain("Bearer");
      expect(new Set(replies.slice(1).map(({ json }) => (json as { detail: string }).detail)).size).toBe(1);
    });
  });

  test("the key decides namespace and role; a foreign account looks unknown", async () => {
    const { tokens, lookup } = keyring();
    await withServer({ keys: lookup }, async (server) => {
      const get = async (account: string, key: string) =>
        server.inject({ method: "GET", url: `/v1/accounts/${account}/balance`, headers: bearer(tokens[key]) });
      expect((await get("acme", "acme")).json).toMatchObject({ ns: "shop" });
      expect((await get("acme", "operate")).json).toMatchObject({ ns: "other" });
      expect((await get("other", "acme")).status).toBe(404);
      expect((await get("acme", "emit")).status).toBe(403);
    });
  });

  test("every route answers every kind of key as the table of cases says", async () => {
    const { tokens, lookup } = keyring();
    const tokenOf: Record<string, string | undefined> = { ...tokens, "read-account": tokens["acme"] };
    await withServer({ keys: lookup }, async (server) => {
      const cases = accessCases([plugin]).filter(({ caller }) => caller === "none" || tokenOf[caller] !== undefined);
      expect(cases.length).toBe(4 * 5);
      for (const { method, path, caller, expected } of cases) {
        const headers: Record<string, string> = caller === "none" ? {} : bearer(tokenOf[caller]);
        const { status } = await server.inject({ method, url: path.replace(":account", "acme"), headers });
        if (expected === "passes") expect([401, 403], `${caller} ${method} ${path}`).not.toContain(status);
        else expect(status, `${caller} ${method} ${path}`).toBe(expected);
      }
    });
  });

  test("a route for one account's keys must name the account in its path", async () => {
    const bad: RoutePlugin = {
      name: "bad",
      routes: [
        route({
          method: "GET",
          path: "/v1/all",
          roles: ACCOUNT_READERS,
          tag: "t",
          summary: "s",
          replies: {},
          handle: () => ok({}),
        }),
      ],
    };
    await expect(createServer({ ...OPTIONS, plugins: [bad] })).rejects.toThrow(/names its account/);
  });
});

describe("operations", () => {
  test("the table of routes names method, path and roles of each", () => {
    expect(routeTable([plugin])).toHaveLength(4);
    expect(routeTable([plugin])[1]).toEqual({ plugin: "trial", method: "POST", path: "/v1/things", roles: ["emit", "operate"] });
  });

  test("readyz says what is not ready", async () => {
    await withServer(
      {
        ready: () => [
          { name: "log", ok: true },
          { name: "view", ok: false, detail: "catching up" },
        ],
      },
      async (server) => {
        const reply = await server.inject({ method: "GET", url: "/readyz" });
        expect([reply.status, reply.json]).toMatchObject([503, { ready: false }]);
      },
    );
  });

  test("metrics and the reply hook see patterns, never ids", async () => {
    const seen: string[] = [];
    const metrics = async () => ({ contentType: "text/plain; version=0.0.4", body: "up 1\n" });
    await withServer(
      { metrics, onReply: ({ method, route, status }) => void seen.push(`${method} ${route} ${status}`) },
      async (server) => {
        expect((await server.inject({ method: "GET", url: "/metrics" })).text).toBe("up 1\n");
        await server.inject({ method: "GET", url: "/v1/accounts/acme/balance" });
        expect(seen).toContain("GET /v1/accounts/:account/balance 200");
      },
    );
  });

  test("closes as soon as running requests are answered, however long their connections may be kept alive", async () => {
    const metrics = async () => {
      await sleep(10);
      return { contentType: "text/plain", body: "up 1\n" };
    };
    await withServer({ metrics }, async (server) => {
      const url = await server.listen();
      let answered = 0;
      const ask = async (): Promise<void> => {
        const reply = await fetch(`${url}/metrics`).catch(() => undefined);
        answered += 1;
        if (reply?.ok === true) await ask();
      };
      const senders = Array.from({ length: 16 }, ask);
      await expect.poll(() => answered, { interval: 5 }).toBeGreaterThan(100);
      const began = performance.now();
      await server.close();
      expect(performance.now() - began).toBeLessThan(2_000);
      await Promise.all(senders);
    });
  });

  test("a busy port is named", async () => {
    const other = createTcpServer().listen(0, "127.0.0.1");
    await once(other, "listening");
    const address = other.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    await withServer({ port }, async (server) => {
      const error: unknown = await server.listen().catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(PortInUseError);
      expect(String(error)).toContain(String(port));
    });
    other.close();
  });

  test("documents every route in OpenAPI 3.1 with its roles and problems", async () => {
    await withServer({}, async (server) => {
      const document = server.openapi() as {
        openapi: string;
        paths: Record<string, Record<string, { responses: object; description: string }>>;
      };
      expect(document.openapi).toBe("3.1.0");
      const things = document.paths["/v1/things"]?.["post"];
      expect(Object.keys(things?.responses ?? {})).toEqual(expect.arrayContaining(["202", "401", "422"]));
      expect(things?.description).toContain("emit");
      expect((await server.inject({ method: "GET", url: "/docs/json" })).json).toEqual(document);
      expect((await server.inject({ method: "GET", url: "/problems" })).text).toContain("invalid (422)");
    });
  });
});
