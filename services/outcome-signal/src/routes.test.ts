import { describe, expect, test } from "vitest";
import { createServer } from "@rerate/http";
import { partitionKey, type SignalMessage } from "@rerate/ledger";
import { topicCodec } from "@rerate/wire";
import { routes } from "./routes.ts";

async function trial() {
  const published: { topic: string; key: string; body: SignalMessage }[] = [];
  const refused: number[] = [];
  const server = await createServer({
    plugins: [
      routes({
        publish: async (topic, messages) => {
          for (const { key, body } of messages) published.push({ topic, key, body: body as SignalMessage });
        },
        nowMs: () => Date.parse("2026-03-01T12:00:00Z"),
        onRefused: (_door, count) => void refused.push(count),
      }),
    ],
    keys: undefined,
    host: "127.0.0.1",
    port: 0,
    info: { title: "Trial", version: "1" },
    checkReplies: true,
  });
  const post = async (body: unknown, query = "") => server.inject({ method: "POST", url: `/v1/signals${query}`, body });
  return { published, refused, post };
}

const signal = { source: "api", id: "s-1", account: "acme", outcome: "req-1", signal: "explicit_accept" };

describe("the door for signals", () => {
  test("publishes under the account's key what its topic can carry", async () => {
    const { post, published } = await trial();
    expect(await post(signal)).toMatchObject({ status: 202, json: { accepted: 1 } });
    expect(published).toMatchObject([
      {
        topic: "signal.accepted",
        key: partitionKey("default", "acme"),
        body: { kind: "signal", outcome: { source: "api", id: "req-1" } },
      },
    ]);
    const codec = topicCodec("signal.accepted");
    expect(codec.decode(codec.encode(published[0]?.body))).toEqual(published[0]?.body);
  });

  test("refuses a batch for one malformed signal unless asked for the good part", async () => {
    const { post, published, refused } = await trial();
    const batch = [signal, { ...signal, id: "s-2", confidence: 2, comment: "bad answer" }];
    const reply = await post(batch);
    expect(reply).toMatchObject({ status: 422, json: { accepted: 0 } });
    expect((reply.json as { errors: { pointer: string }[] }).errors.map(({ pointer }) => pointer)).toEqual([
      "/1/confidence",
      "/1/comment",
    ]);
    expect(published).toEqual([]);
    expect(await post(batch, "?partial=true")).toMatchObject({ status: 202, json: { accepted: 1 } });
    expect(refused).toEqual([1, 1]);
  });
});
