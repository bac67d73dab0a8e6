import { describe, expect, test } from "vitest";
import { createClient } from "./client.ts";
import { createEmitter, type EmitterOptions } from "./emitter.ts";
import type { Trouble, Undelivered } from "./facts.ts";
import { RefusedError, UnreachableError } from "./transport.ts";

interface Sent {
  readonly method: string;
  readonly url: string;
  readonly headers: Record<string, string>;
  readonly body: unknown;
}

/** A server that answers each request by the next function; the last one answers all that follow. */
function fakeServer(...answers: ((sent: Sent) => { readonly status: number; readonly body?: unknown })[]): {
  readonly sent: Sent[];
  readonly fetch: typeof fetch;
} {
  const sent: Sent[] = [];
  const fake = async (url: unknown, init: RequestInit = {}): Promise<Response> => {
    const text = typeof init.body === "string" ? init.body : "";
    const headers = init.headers as Record<string, string>;
    const isJson = headers["content-type"] === "application/json";
    const request = {
      method: init.method ?? "GET",
      url: String(url),
      headers,
      body: isJson ? (JSON.parse(text) as unknown) : text,
    };
    const answer = answers[Math.min(sent.length, answers.length - 1)];
    sent.push(request);
    if (answer === undefined) throw new TypeError("fetch failed");
    const { status, body } = answer(request);
    return new Response(body === undefined ? null : JSON.stringify(body), { status });
  };
  return { sent, fetch: fake };
}

const accepted = ({ body }: Sent) => ({ status: 202, body: { accepted: Array.isArray(body) ? body.length : 1 } });
const unreachable = () => {
  throw new TypeError("connect ECONNREFUSED");
};

describe("the client", () => {
  test("asks for what its methods say, with key, escaping and query", async () => {
    const { sent, fetch } = fakeServer(() => ({ status: 200, body: { entries: [] } }));
    const client = createClient({ url: "http://localhost:4000/", key: "rk_a_b", fetch });
    await client.entries("ac/me", { limit: 5, period: "2026-03" });
    await client.outcome("acme", "s/1", "o 1");
    await client.costs("acme", { cursor: "c1" });
    await client.assignPlan("acme", { planId: "starter" });
    await client.publishDocument("kind: plan\n", { effectiveFrom: "2026-01-01T00:00:00Z" });
    await client.sendUsage([], { waitSeconds: 5, partial: true });
    expect(sent.map(({ method, url }) => `${method} ${url.slice("http://localhost:4000".length)}`)).toEqual([
      "GET /v1/accounts/ac%2Fme/entries?limit=5&period=2026-03",
      "GET /v1/accounts/acme/outcomes/s%2F1/o%201",
      "GET /v1/accounts/acme/costs?cursor=c1",
      "PUT /v1/accounts/acme/plan",
      "POST /v1/documents?effectiveFrom=2026-01-01T00%3A00%3A00Z",
      "POST /api/v1/events?partial=true",
    ]);
    expect(sent[0]?.headers["authorization"]).toBe("Bearer rk_a_b");
    expect([sent[4]?.headers["content-type"], sent[4]?.body]).toEqual(["application/yaml", "kind: plan\n"]);
    expect(sent[5]?.headers["prefer"]).toBe("wait=5");
  });

  test("walks all pages of entries", async () => {
    const page = (n: number, next?: string) => () => ({ status: 200, body: { entries: [{ n }], next } });
    const { sent, fetch } = fakeServer(page(1, "c1"), page(2, "c2"), page(3));
    const seen: number[] = [];
    for await (const entry of createClient({ url: "http://x", fetch }).allEntries("acme")) seen.push(entry.n);
    expect(seen).toEqual([1, 2, 3]);
    expect(sent.map(({ url }) => new URL(url).searchParams.get("cursor"))).toEqual([null, "c1", "c2"]);
  });

  test("tells a refusal with all its problems, and silence apart from it", async () => {
    const problem = { title: "The input is not valid", detail: "2 problems", errors: [{ pointer: "/id", detail: "missing" }] };
    const refusing = createClient({ url: "http://x", ...fakeServer(() => ({ status: 422, body: problem })) });
    const refused: unknown = await refusing.balance("acme").catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(RefusedError);
    expect(String(refused)).toContain("/id missing");
    const silent = createClient({ url: "http://x", ...fakeServer(unreachable) });
    await expect(silent.balance("acme")).rejects.toBeInstanceOf(UnreachableError);
  });
});

const usage = (n: number) => ({ id: `req-${n}`, account: "acme", data: { input_tokens: n } });

function emitterOn(
  server: { readonly fetch: typeof fetch },
  more: Partial<EmitterOptions> = {},
): { emitter: ReturnType<typeof createEmitter>; troubles: Trouble[] } {
  const troubles: Trouble[] = [];
  const emitter = createEmitter({
    url: "http://x",
    source: "api",
    fetch: server.fetch,
    lingerMs: 5,
    pauseMs: 1,
    maxPauseMs: 2,
    onTrouble: (trouble) => troubles.push(trouble),
    ...more,
  });
  return { emitter, troubles };
}

const idsOf = (sent: readonly Sent[]) => sent.map(({ body }) => (body as { id: string }[]).map(({ id }) => id));

describe("the emitter", () => {
  test("sends in batches, in order, with the time it was told", async () => {
    const server = fakeServer(accepted);
    const { emitter } = emitterOn(server, { maxBatch: 2, now: () => "2026-03-01T09:30:00Z" });
    for (let n = 1; n <= 5; n += 1) emitter.usage(usage(n));
    emitter.signal({ id: "s-1", account: "acme", outcome: "req-1", signal: "accept" });
    expect(await emitter.flush()).toEqual({ waiting: 0, sent: 6, refused: 0, dropped: 0 });
    const events = server.sent.filter(({ url }) => url.includes("/api/v1/events"));
    expect(idsOf(events)).toEqual([["req-1", "req-2"], ["req-3", "req-4"], ["req-5"]]);
    expect(events[0]?.body).toMatchObject([
      { specversion: "1.0", source: "api", subject: "acme", time: "2026-03-01T09:30:00Z" },
      {},
    ]);
    expect(server.sent.find(({ url }) => url.includes("/v1/signals"))?.body).toMatchObject([{ source: "api", signal: "accept" }]);
  });

  test("sends by itself after a while", async () => {
    const server = fakeServer(accepted);
    const { emitter } = emitterOn(server);
    emitter.usage(usage(1));
    await expect.poll(() => emitter.counts().sent).toBe(1);
  });

  test("sends the same batch again until it is through", async () => {
    const server = fakeServer(
      unreachable,
      () => ({ status: 503, body: {} }),
      () => ({ status: 401, body: {} }),
      accepted,
    );
    const { emitter, troubles } = emitterOn(server);
    emitter.usage(usage(1));
    expect(await emitter.flush()).toMatchObject({ waiting: 0, sent: 1, dropped: 0 });
    expect(idsOf(server.sent)).toEqual([["req-1"], ["req-1"], ["req-1"], ["req-1"]]);
    expect(troubles.map(({ kind }) => kind)).toEqual(["retrying", "retrying", "retrying"]);
  });

  test("halves batches that are too large", async () => {
    const server = fakeServer((sent) => ((sent.body as unknown[]).length > 1 ? { status: 413, body: {} } : accepted(sent)));
    const { emitter } = emitterOn(server, { maxBatch: 4 });
    for (let n = 1; n <= 4; n += 1) emitter.usage(usage(n));
    expect(await emitter.flush()).toMatchObject({ sent: 4, waiting: 0 });
  });

  test("drops what the server refuses for good, and says so", async () => {
    const partly = () => ({
      status: 202,
      body: { accepted: 1, refused: [{ pointer: "/1/data/input_tokens", detail: "negative" }] },
    });
    const server = fakeServer(partly, () => ({ status: 400, body: { title: "no" } }));
    const { emitter, troubles } = emitterOn(server, { maxBatch: 2 });
    for (let n = 1; n <= 3; n += 1) emitter.usage(usage(n));
    expect(await emitter.flush()).toEqual({ waiting: 0, sent: 1, refused: 2, dropped: 0 });
    expect(troubles).toMatchObject([
      { kind: "refused", facts: 1, detail: "/1/data/input_tokens negative" },
      { kind: "refused", facts: 1 },
    ]);
  });

  test("keeps a bounded queue and never throws into the product", async () => {
    const server = fakeServer(unreachable);
    const throwing = emitterOn(server, {
      maxQueue: 2,
      onTrouble: () => {
        throw new Error("from the callback");
      },
    }).emitter;
    expect([usage(1), usage(2), usage(3)].map((one) => throwing.usage(one))).toEqual([true, true, false]);
    expect(await throwing.close(20)).toMatchObject({ waiting: 2, sent: 0, dropped: 1 });
    expect(throwing.usage(usage(4))).toBe(false);
  });

  test("gives what it has given up to the outbox, which can emit it again as it was", async () => {
    const undelivered: Undelivered[] = [];
    const keep = { onUndelivered: (one: Undelivered) => void undelivered.push(one), now: () => "2026-03-01T09:30:00Z" };
    const refusing = fakeServer(() => ({ status: 202, body: { accepted: 1, refused: [{ pointer: "/1/id", detail: "no" }] } }));
    const first = emitterOn(refusing, keep).emitter;
    first.usage(usage(1));
    first.usage(usage(2));
    await first.flush();
    const silent = emitterOn(fakeServer(unreachable), { ...keep, maxQueue: 1 }).emitter;
    silent.signal({ id: "s-1", account: "acme", outcome: "req-1", signal: "accept" });
    silent.usage(usage(3));
    await silent.close(20);
    silent.usage(usage(4));
    expect(undelivered.map(({ reason, facts }) => [reason, ...facts.map(({ body }) => body.id)])).toEqual([
      ["refused", "req-2"],
      ["queue-full", "req-3"],
      ["closed", "s-1"],
      ["closed", "req-4"],
    ]);
    const server = fakeServer(accepted);
    const again = emitterOn(server).emitter;
    for (const { facts } of undelivered) for (const fact of facts) again.emit(JSON.parse(JSON.stringify(fact)) as typeof fact);
    expect(await again.flush()).toMatchObject({ sent: 4, waiting: 0 });
    expect(server.sent.flatMap(({ body }) => body)).toContainEqual({
      source: "api",
      id: "s-1",
      account: "acme",
      outcome: "req-1",
      signal: "accept",
      time: "2026-03-01T09:30:00Z",
    });
  });

  test("asks in smaller batches when the receipt does not name every fact that was refused", async () => {
    const server = fakeServer((sent) => {
      const facts = sent.body as { id: string }[];
      const bad = facts.findIndex(({ id }) => id === "req-2");
      const refused = bad < 0 || facts.length > 1 ? [] : [{ pointer: `/${bad}/id`, detail: "no" }];
      return { status: 202, body: { accepted: facts.length - (bad < 0 ? 0 : 1), refused } };
    });
    const { emitter } = emitterOn(server, { maxBatch: 4 });
    for (let n = 1; n <= 4; n += 1) emitter.usage(usage(n));
    expect(await emitter.flush()).toMatchObject({ sent: 3, refused: 1, waiting: 0 });
  });

  test("survives callbacks that throw", async () => {
    const fail = () => {
      throw new Error("from a callback");
    };
    const server = fakeServer(unreachable, accepted);
    const { emitter } = emitterOn(server, { now: fail, spread: fail, onTrouble: fail, onUndelivered: fail });
    expect(emitter.usage(usage(1))).toBe(true);
    expect(await emitter.flush()).toMatchObject({ sent: 1, waiting: 0 });
  });
});
