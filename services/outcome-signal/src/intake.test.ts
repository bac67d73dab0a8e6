import { createMemoryEventStore } from "@rerate/event-store";
import { partitionKey } from "@rerate/ledger";
import { createMemoryBus } from "@rerate/message-bus";
import { busCodec, type SignalAccepted } from "@rerate/wire";
import { expect, test } from "vitest";
import { createSignalIntake } from "./intake.ts";

test("signals reported on the bus become the signals that HTTP takes; what is none is parked", async () => {
  const topics = (["signal.reported", "signal.accepted"] as const).map((name) => ({
    name,
    partitions: 2,
    codec: busCodec(name),
  }));
  const now = () => "2026-03-01T12:00:00.000000000Z";
  const defer = (task: () => void, delayMs: number) => void setTimeout(task, Math.min(delayMs, 5));
  const bus = createMemoryBus({ topics, now, defer });
  const silent = () => undefined;
  const accepted: { readonly key: string; readonly body: SignalAccepted }[] = [];
  const owner = bus.consume({
    group: "outcome-signal",
    topics: ["signal.accepted"],
    onChunk: async ({ messages }) => {
      for (const { key, content } of messages)
        if (content.kind === "body") accepted.push({ key, body: content.body as SignalAccepted });
    },
  });
  const intake = createSignalIntake({
    bus,
    eventStore: createMemoryEventStore(),
    clock: { now },
    defer,
    log: { debug: silent, info: silent, warn: silent, error: silent },
    metrics: { count: silent, gauge: silent },
  });
  await intake.start();
  const signal = { source: "api", id: "s-1", account: "acme", outcome: "req-1", signal: "explicit_accept" };
  const { account, source, id, ...data } = { ...signal, id: "s-2" };
  const asEvent = { specversion: "1.0", type: "rerate.signal", source, id, subject: account, data };
  await bus.publish(
    "signal.reported",
    [signal, asEvent, { ...signal, outcome: 7 }].map((value) => ({
      key: "any",
      shard: 1,
      body: { bytes: Buffer.from(JSON.stringify(value)), headers: {} },
    })),
  );
  await expect.poll(() => accepted.map(({ body }) => body.id)).toEqual(["s-1", "s-2"]);
  expect(accepted[0]).toMatchObject({
    key: partitionKey("default", "acme"),
    body: { kind: "signal", outcome: { source: "api", id: "req-1" } },
  });
  expect(accepted[1]?.body.contentHash).toBe(accepted[0]?.body.contentHash);
  await expect
    .poll(() => bus.parked.list({ limit: 9 }))
    .toMatchObject([{ service: "outcome-signal-intake", reason: "malformed" }]);
  await Promise.all([intake.stop(), owner.stop()]);
  await bus.close();
});
