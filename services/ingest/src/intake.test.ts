import { createEmbeddedEventStore, createMemoryEventStore, type LocalEventStore } from "@rerate/event-store";
import { createServer } from "@rerate/http";
import { parseStreamName, partitionKey, shardOf, type FactMessage } from "@rerate/ledger";
import { createEmbeddedBus, createMemoryBus, type LocalBus, type Message } from "@rerate/message-bus";
import { createGroupCommit, openDatabase } from "@rerate/sqlite";
import { busCodec, topicCodec, type Reported } from "@rerate/wire";
import { afterEach, describe, expect, test } from "vitest";
import { createUsageIntake } from "./intake.ts";
import { routes } from "./routes.ts";

const NOW = "2026-03-01T12:00:00.000000000Z";
const open: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close();
});

function engines(kind: "memory" | "embedded"): { readonly bus: LocalBus; readonly eventStore: LocalEventStore } {
  const topics = (["usage.reported", "usage.accepted"] as const).map((name) => ({ name, partitions: 2, codec: busCodec(name) }));
  const common = {
    topics,
    keep: kind === "memory" ? { messages: 100, bytes: 1_000_000 } : { messages: 0, bytes: 0 },
    now: () => NOW,
    defer: (task: () => void, delayMs: number) =>
      void (delayMs === 0 ? setImmediate(task) : setTimeout(task, Math.min(delayMs, 5))),
  };
  if (kind === "memory") return { bus: createMemoryBus(common), eventStore: createMemoryEventStore() };
  const database = openDatabase(":memory:", { synchronous: "FULL" });
  const commit = createGroupCommit(database);
  open.push(async () => {
    commit.close();
    database.close();
  });
  return { bus: createEmbeddedBus({ ...common, database, commit }), eventStore: createEmbeddedEventStore({ database, commit }) };
}

async function trial(kind: "memory" | "embedded", namespaces?: ReadonlySet<string>) {
  const { bus, eventStore } = engines(kind);
  open.push(() => bus.close());
  const accepted: { readonly key: string; readonly body: FactMessage }[] = [];
  const owner = bus.consume({
    group: "settlement",
    topics: ["usage.accepted"],
    onChunk: async ({ messages }) => {
      for (const { key, content } of messages)
        if (content.kind === "body") accepted.push({ key, body: content.body as FactMessage });
    },
  });
  const silent = () => undefined;
  const intake = createUsageIntake({
    bus,
    eventStore,
    namespaces,
    clock: { now: () => NOW },
    defer: (task, delayMs) => void setTimeout(task, Math.min(delayMs, 5)),
    log: { debug: silent, info: silent, warn: silent, error: silent },
    metrics: { count: silent, gauge: silent },
  });
  await intake.start();
  open.push(
    () => owner.stop(),
    () => intake.stop(),
  );
  const report = async (...values: readonly (Uint8Array | object)[]) =>
    bus.publish(
      "usage.reported",
      values.map((value): Message => {
        const bytes = value instanceof Uint8Array ? value : Buffer.from(JSON.stringify(value));
        return { key: "any", shard: 1, body: { bytes, headers: {} } satisfies Reported };
      }),
    );
  return { bus, eventStore, accepted, report };
}

const event = (id: string, more: object = {}) => ({
  specversion: "1.0",
  type: "llm.completion",
  source: "api",
  id,
  subject: "acme",
  time: "2026-03-01T09:30:00Z",
  data: { model: "gpt-4o", input_tokens: 812 },
  ...more,
});

async function overHttp(body: object): Promise<FactMessage[]> {
  const facts: FactMessage[] = [];
  const server = await createServer({
    plugins: [
      routes({
        publish: async (_topic, messages) => void facts.push(...messages.map((message) => message.body as FactMessage)),
        nowMs: () => Date.parse(NOW),
      }),
    ],
    keys: undefined,
    host: "127.0.0.1",
    port: 0,
    info: { title: "Trial", version: "1" },
  });
  await server.inject({ method: "POST", url: "/api/v1/events", body, headers: {} });
  return facts;
}

describe.each(["memory", "embedded"] as const)("usage reported on the %s bus", (kind) => {
  test("is the fact that HTTP would have made of it, under its account's key", async () => {
    const { accepted, report } = await trial(kind);
    const avro = topicCodec("usage.reported").encode({
      kind: "usage",
      source: "api",
      id: "req-1",
      account: "acme",
      type: "llm.completion",
      occurredAt: "2026-03-01T09:30:00Z",
      model: "gpt-4o",
      quantities: { input_tokens: "812" },
      dimensions: {},
    });
    await report(event("req-1"), avro);
    await expect.poll(() => accepted.length).toBe(2);
    const [fact] = await overHttp(event("req-1"));
    expect(accepted).toEqual([
      { key: partitionKey("default", "acme"), body: fact },
      { key: partitionKey("default", "acme"), body: fact },
    ]);
  });

  test("is parked when it is malformed or foreign, holds nothing up, and is taken when a retry finds it mended", async () => {
    const allowed = new Set(["default"]);
    const { bus, eventStore, accepted, report } = await trial(kind, allowed);
    await report(Buffer.from([0xc3, 0x01, 1, 2]), event("a", { data: { prompt: "x" } }), event("b", { ns: "shop" }), event("c"));
    await expect.poll(() => accepted.map(({ body }) => body.id)).toEqual(["c"]);
    const parked = await bus.parked.list({ service: "ingest", limit: 10 });
    expect(parked.map(({ reason, account, ns }) => `${reason} ${ns} ${account}`).toSorted()).toEqual([
      "foreign-namespace default ",
      "malformed default ",
      "malformed default acme",
    ]);
    const notes = await eventStore.readAll({ prefixes: ["parked-"], maxCount: 10 });
    expect(notes.events.map(({ stream }) => parseStreamName(stream).name)).toEqual(["ingest", "ingest", "ingest"]);
    expect(JSON.stringify(notes.events)).not.toContain("any");
    allowed.add("shop");
    for (const { id } of parked) await bus.parked.askRetry(id, NOW);
    await expect.poll(() => accepted.map(({ body }) => `${body.ns} ${body.id}`)).toEqual(["default c", "shop b"]);
    await expect.poll(() => bus.parked.count()).toBe(2);
    expect(accepted[1]?.key).toBe(partitionKey("shop", "acme"));
    expect(shardOf("shop", "acme")).not.toBe(shardOf("default", "acme"));
  });
});
