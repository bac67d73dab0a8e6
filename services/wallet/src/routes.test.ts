import { describe, expect, test } from "vitest";
import { createServer, type DoorAnswer } from "@rerate/http";
import { partitionKey, type WalletCommand } from "@rerate/ledger";
import { topicCodec } from "@rerate/wire";
import { routes } from "./routes.ts";

async function trial(answer?: DoorAnswer) {
  const published: { topic: string; key: string; body: WalletCommand }[] = [];
  const asked: unknown[] = [];
  const server = await createServer({
    plugins: [
      routes({
        publish: async (topic, messages) => {
          for (const { key, body } of messages) published.push({ topic, key, body: body as WalletCommand });
        },
        nowMs: () => Date.parse("2026-03-01T12:00:00Z"),
        awaitAnswer: async (topic, identity) => {
          asked.push([topic, identity]);
          return answer;
        },
      }),
    ],
    keys: undefined,
    host: "127.0.0.1",
    port: 0,
    info: { title: "Trial", version: "1" },
    checkReplies: true,
  });
  const post = async (url: string, body: unknown, headers: Record<string, string> = {}) =>
    server.inject({ method: "POST", url, body, headers });
  return { published, asked, post };
}

describe("the door of wallets", () => {
  test("publishes a grant under its wallet's key", async () => {
    const { post, published } = await trial();
    const body = { id: "g-1", amount: "100", unit: "USD", expiresAt: "2027-01-01T00:00:00Z" };
    expect(await post("/v1/wallets/acme/grants", body)).toMatchObject({ status: 202, json: { accepted: 1 } });
    expect(published).toMatchObject([
      {
        topic: "wallet.requested",
        key: partitionKey("default", "acme"),
        body: { kind: "grant", wallet: "acme", atoms: "100000000000" },
      },
    ]);
    const codec = topicCodec("wallet.requested");
    expect(codec.decode(codec.encode(published[0]?.body))).toEqual(published[0]?.body);
  });

  test("voids a grant with or without a body", async () => {
    const { post, published } = await trial();
    expect((await post("/v1/wallets/acme/grants/g-1/void", undefined)).status).toBe(202);
    expect((await post("/v1/wallets/acme/grants/g-1/void", { id: "v-9" })).status).toBe(202);
    expect(published.map(({ body }) => [body.kind, body.id])).toEqual([
      ["void-grant", "void:g-1"],
      ["void-grant", "v-9"],
    ]);
  });

  test("waits for the wallet's answer by the command's id", async () => {
    const { post, asked } = await trial({ status: "conflict", detail: "g-1 has another amount" });
    const reply = await post("/v1/wallets/acme/grants", { id: "g-1", amount: "1", unit: "USD" }, { prefer: "wait=2" });
    expect(reply).toMatchObject({ status: 409, json: { detail: "g-1 has another amount" } });
    expect(asked).toEqual([
      ["wallet.requested", { ns: "default", name: "acme", source: "", id: "g-1", contentHash: expect.stringMatching(/^1:/) }],
    ]);
  });

  test("refuses amounts that are none", async () => {
    const { post, published } = await trial();
    for (const amount of [1, "0", "-5", "1e3", ""]) {
      expect((await post("/v1/wallets/acme/grants", { id: "g", amount, unit: "USD" })).status).toBe(422);
    }
    expect(published).toEqual([]);
  });
});
