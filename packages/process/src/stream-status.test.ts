import type { MessageBus } from "@rerate/message-bus";
import { createLogger, createMetrics, readConfig, type StreamEngines } from "@rerate/runtime";
import { expect, test } from "vitest";
import { createKeyRing } from "./key-ring.ts";
import { serve } from "./http-server.ts";
import { decodeParked, operateRoutes } from "./operate-routes.ts";
import { readStreamStatus } from "./stream-status.ts";

/** Engines as far as the status reads them: one group lags on two topics. */
function engines(asked: string[]): StreamEngines {
  const fakes = {
    statusTable: async () => ({ entries: () => [].values() }),
    relayPositions: () => [],
    bus: {
      lag: async (group: string) =>
        group === "settlement"
          ? [
              { topic: "usage.accepted", partition: 0, lag: 2 },
              { topic: "usage.accepted", partition: 1, lag: 7_000 },
              { topic: "usage.accepted", partition: 2, lag: 1 },
              { topic: "outcome.decided", partition: 0, lag: 5_000 },
            ]
          : [{ topic: "signal.accepted", partition: 1, lag: 0 }],
      waitingSince: async (group: string, topics: readonly string[]) => {
        asked.push(`${group} ${topics.join(",")}`);
        return [
          { topic: "usage.accepted", partition: 0, sinceMs: Date.parse("2026-11-21T12:00:01Z") },
          { topic: "usage.accepted", partition: 1, sinceMs: Date.parse("2026-11-21T12:00:00Z") },
        ];
      },
      parked: { count: async () => 3 },
    },
  };
  return fakes as unknown as StreamEngines;
}

test("the status says since when the oldest fact waits, and asks only about facts that wait", async () => {
  const asked: string[] = [];
  const status = await readStreamStatus("default", engines(asked), "2026-11-21T11:00:00.000000000Z", []);
  expect(status).toMatchObject({ oldestUnrecordedAt: "2026-11-21T12:00:00.000000000Z", parked: 3, ready: false });
  expect(asked).toEqual(["settlement usage.accepted"]);
  // Partition 2 has nothing but a mark.
  expect(status.lag.filter(({ group }) => group === "settlement").map(({ lag }) => lag)).toEqual([2, 7_000, 0, 5_000]);
});

test("an engine that is out of reach is answered as such: the sender tries again", async () => {
  const broken = operateRoutes({
    bus: { parked: { list: () => Promise.reject(new Error("no broker")) } } as unknown as MessageBus,
    retry: async () => false,
    decode: decodeParked,
    status: () => Promise.reject(new Error("no broker")),
  });
  const statuses = [true, false].map(async (isOutage) => {
    const server = await serve({
      config: readConfig("embedded", {}),
      log: createLogger("silent"),
      plugins: [broken],
      keys: createKeyRing(),
      metrics: createMetrics(),
      ready: () => [],
      isOutage: () => isOutage,
    });
    return (await server.inject({ method: "GET", url: "/v1/parked", headers: { host: "127.0.0.1" } })).status;
  });
  expect(await Promise.all(statuses)).toEqual([503, 500]);
});
