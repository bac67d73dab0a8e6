import { describe, expect, test } from "vitest";
import { createServer, newKey, type AwaitAnswer, type DoorAnswer, type HttpServer } from "@rerate/http";
import { partitionKey, shardOf, type FactMessage } from "@rerate/ledger";
import { topicCodec } from "@rerate/wire";
import { routes } from "./routes.ts";

interface Published {
  readonly topic: string;
  readonly key: string;
  readonly shard: number;
  readonly body: FactMessage;
}

interface Trial {
  readonly server: HttpServer;
  readonly published: Published[];
  readonly refused: string[];
  readonly post: (
    url: string,
    body: unknown,
    headers?: Record<string, string>,
  ) => Promise<{
    readonly status: number;
    readonly json: unknown;
    readonly headers: Readonly<Record<string, string | undefined>>;
  }>;
}

async function trial(options: { readonly answer?: DoorAnswer | undefined; readonly down?: boolean } = {}): Promise<Trial> {
  const published: Published[] = [];
  const refused: string[] = [];
  const awaitAnswer: AwaitAnswer = async (topic, { id }) => {
    expect(published.some(({ body }) => body.id === id && topic === "usage.accepted")).toBe(false);
    return options.answer;
  };
  const server = await createServer({
    plugins: [
      routes({
        publish: async (topic, messages) => {
          if (options.down === true) throw new Error("no broker");
          for (const message of messages) published.push({ topic, ...message, body: message.body as FactMessage });
        },
        nowMs: () => Date.parse("2026-03-01T12:00:00Z"),
        awaitAnswer,
        onRefused: (door, count) => void refused.push(`${door} ${count}`),
      }),
    ],
    keys: undefined,
    host: "127.0.0.1",
    port: 0,
    info: { title: "Trial", version: "1" },
    checkReplies: true,
    isOutage: (error) => error instanceof Error && error.message === "no broker",
  });
  const post = async (url: string, body: unknown, headers: Record<string, string> = {}) =>
    server.inject({ method: "POST", url, body, headers });
  return { server, published, refused, post };
}

const event = (id: string, data: object = { input_tokens: 812, output_tokens: 204, model: "gpt-4o" }) => ({
  specversion: "1.0",
  type: "llm.completion",
  source: "api",
  id,
  subject: "acme",
  data,
});

describe("the door for usage", () => {
  test("publishes one event under its account's key and says so", async () => {
    const { post, published } = await trial();
    const reply = await post("/api/v1/events", event("req-1"), { "content-type": "application/cloudevents+json" });
    expect(reply).toMatchObject({ status: 202, json: { accepted: 1 } });
    expect(published).toMatchObject([
      {
        topic: "usage.accepted",
        key: partitionKey("default", "acme"),
        shard: shardOf("default", "acme"),
        body: { kind: "usage", id: "req-1" },
      },
    ]);
    const codec = topicCodec("usage.accepted");
    expect(codec.decode(codec.encode(published[0]?.body))).toEqual(published[0]?.body);
  });

  test("takes batches, as their own media type or as plain JSON", async () => {
    const { post, published } = await trial();
    for (const type of ["application/cloudevents-batch+json", "application/json"]) {
      expect((await post("/api/v1/events", [event("a"), event("b")], { "content-type": type })).json).toEqual({ accepted: 2 });
    }
    expect(published.map(({ body }) => body.id)).toEqual(["a", "b", "a", "b"]);
  });

  test("takes binary mode: attributes in headers, data in the body", async () => {
    const { post, published } = await trial();
    const headers = {
      "ce-specversion": "1.0",
      "ce-type": "llm.completion",
      "ce-source": "api",
      "ce-id": "r%C3%A9q",
      "ce-subject": "acme",
    };
    expect((await post("/api/v1/events", { input_tokens: 1 }, headers)).status).toBe(202);
    expect(published[0]?.body).toMatchObject({ id: "réq", quantities: { input_tokens: "1" } });
  });

  test("refuses a whole batch for one malformed event, and lists what is wrong", async () => {
    const { post, published, refused } = await trial();
    const batch = [event("a"), event("b", { input_tokens: -1, prompt: "hi" }), 7];
    const reply = await post("/api/v1/events", batch);
    expect(reply.status).toBe(422);
    const { errors } = reply.json as { errors: { pointer: string }[] };
    expect(errors.map(({ pointer }) => pointer)).toEqual(["/1/data/input_tokens", "/1/data/prompt", "/2"]);
    expect(reply.json).toMatchObject({ accepted: 0, refused: 2 });
    expect(published).toEqual([]);
    expect(refused).toEqual(["events 2"]);
  });

  test("accepts the good events of a batch where the sender asks for that", async () => {
    const { post, published } = await trial();
    const reply = await post("/api/v1/events?partial=true", [event("a"), event("b", { input_tokens: -1 })]);
    expect(reply).toMatchObject({ status: 202, json: { accepted: 1, refused: [{ pointer: "/1/data/input_tokens" }] } });
    expect(published.map(({ body }) => body.id)).toEqual(["a"]);
    expect((await post("/api/v1/events?partial=true", event("c", { input_tokens: -1 }))).status).toBe(422);
  });

  test("refuses bodies that are no events", async () => {
    const { post } = await trial();
    expect((await post("/api/v1/events", "", { "content-type": "application/json" })).status).toBe(422);
    expect((await post("/api/v1/events", "[", { "content-type": "application/json" })).status).toBe(400);
    expect((await post("/api/v1/events", "x", { "content-type": "text/csv" })).status).toBe(415);
    expect(
      (
        await post(
          "/api/v1/events",
          Array.from({ length: 10_001 }, (_, n) => event(`e${n}`)),
        )
      ).status,
    ).toBe(413);
  });

  test("says 503 while nothing can be made durable", async () => {
    const { post } = await trial({ down: true });
    expect((await post("/api/v1/events", event("a"))).status).toBe(503);
  });

  test("waits for the owner's answer where the sender prefers that", async () => {
    const wait = { prefer: "wait=5" };
    const recorded = await (
      await trial({ answer: { status: "recorded", revision: 7 } })
    ).post("/api/v1/events", event("a"), wait);
    expect(recorded).toMatchObject({
      status: 200,
      json: { accepted: 1, answers: [{ source: "api", id: "a", status: "recorded", revision: 7 }] },
    });
    expect(recorded.headers["preference-applied"]).toBe("wait");
    const conflicting = await trial({ answer: { status: "conflict", detail: "other content" } });
    expect(await conflicting.post("/api/v1/events", event("a"), wait)).toMatchObject({
      status: 409,
      json: { detail: "other content" },
    });
    expect(await conflicting.post("/api/v1/events", [event("b")], wait)).toMatchObject({
      status: 200,
      json: { answers: [{ status: "conflict" }] },
    });
    const silent = await (await trial()).post("/api/v1/events", event("a"), wait);
    expect(silent).toMatchObject({ status: 202, json: { answers: [{ status: "pending" }] } });
    const duplicate = await (await trial({ answer: { status: "duplicate" } })).post("/api/v1/events", event("a"), wait);
    expect(duplicate).toMatchObject({ status: 200, json: { answers: [{ status: "duplicate" }] } });
  });
});

describe("the other doors", () => {
  test("a correction must name what it corrects", async () => {
    const { post, published } = await trial();
    expect((await post("/v1/corrections", event("fix-1"))).status).toBe(422);
    const correction = event("fix-1", { input_tokens: 0, corrects: { id: "req-1" }, revision: 1 });
    expect((await post("/v1/corrections", correction)).status).toBe(202);
    expect(published[0]?.body).toMatchObject({ corrects: { source: "api", id: "req-1" }, revision: 1 });
  });

  test("costs come one by one or as an array", async () => {
    const { post, published, refused } = await trial();
    const cost = { source: "bill", id: "c-1", account: "acme", amount: "1.2e-7", currency: "USD" };
    expect((await post("/v1/costs", cost)).status).toBe(202);
    expect((await post("/v1/costs", [cost, { ...cost, amount: 1 }])).status).toBe(422);
    expect(published).toMatchObject([{ body: { kind: "cost", atoms: "120", text: "1.2e-7" } }]);
    expect(refused).toEqual(["costs 1"]);
  });

  test("an import is announced to both services that keep deadlines, timeouts first", async () => {
    const { post, published } = await trial();
    expect((await post("/v1/imports", { account: "acme", source: "cli", id: "i-1", phase: "started" })).status).toBe(202);
    expect(published.map(({ topic, body }) => [topic, body.kind])).toEqual([
      ["signal.accepted", "import"],
      ["usage.accepted", "import"],
    ]);
  });

  test("the key's namespace is the facts' namespace, whatever the body says", async () => {
    const { id, token, secretHash } = newKey((count) => new Uint8Array(count).fill(7));
    const published: FactMessage[] = [];
    const server = await createServer({
      plugins: [
        routes({
          publish: async (_topic, messages) => void published.push(...messages.map(({ body }) => body as FactMessage)),
          nowMs: () => 1_772_366_400_000,
        }),
      ],
      keys: (wanted) => (wanted === id ? { id, secretHash, ns: "shop", role: "emit", revoked: false } : undefined),
      host: "127.0.0.1",
      port: 0,
      info: { title: "Trial", version: "1" },
    });
    const send = async (headers: Record<string, string>) =>
      (await server.inject({ method: "POST", url: "/api/v1/events", body: { ...event("a"), ns: "other" }, headers })).status;
    expect(await send({})).toBe(401);
    expect(await send({ authorization: `Bearer ${token}` })).toBe(202);
    expect(published.map(({ ns }) => ns)).toEqual(["shop"]);
  });
});
