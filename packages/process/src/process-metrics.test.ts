import { instant } from "@rerate/money";
import { createMetrics } from "@rerate/runtime";
import type { StatusRead } from "@rerate/wire";
import { tmpdir } from "node:os";
import { expect, test } from "vitest";
import { observeProcess, observeStatus } from "./process-metrics.ts";

const at = instant("2026-11-21T12:00:00.000000000Z");
const nowMs = () => Date.parse(at) + 5_000;
const service = { startedAt: at, checks: [], quarantined: [], waiting: [], openDeadlines: 0, ready: true };
const STATUS: StatusRead = {
  version: "0.1.0",
  namespace: "default",
  ready: false,
  checks: [
    { name: "wallet", ok: true },
    { name: "settlement", ok: false },
  ],
  lag: [{ group: "settlement", topic: "usage.accepted", partition: 3, lag: 17 }],
  parked: 2,
  quarantined: [],
  startedAt: at,
  services: [
    { ...service, service: "wallet", instance: "w-1", at },
    { ...service, service: "wallet", instance: "w-2", at: instant("2026-11-21T12:00:08.000000000Z") },
  ],
};

async function samples(metrics: ReturnType<typeof createMetrics>): Promise<readonly string[]> {
  return (await metrics.text()).split("\n").filter((line) => /^rerate_(?!process|nodejs)/.test(line));
}

test("the status of all processes is read once and given out by name and label", async () => {
  const metrics = createMetrics();
  let reads = 0;
  observeStatus(metrics, () => ((reads += 1), Promise.resolve(STATUS)), nowMs);
  expect(await samples(metrics)).toEqual([
    'rerate_lag_messages{group="settlement",topic="usage.accepted",partition="3"} 17',
    "rerate_parked_messages 2",
    "rerate_oldest_unrecorded_seconds 0",
    'rerate_ready_services{service="wallet"} 1',
    'rerate_ready_services{service="settlement"} 0',
    'rerate_heartbeat_age_seconds{service="wallet",instance="w-1"} 5',
    'rerate_heartbeat_age_seconds{service="wallet",instance="w-2"} -3',
  ]);
  expect(reads).toBe(1);
});

test("what is gone from the status is gone from the metrics, and so is everything while it cannot be read", async () => {
  const metrics = createMetrics();
  let status: () => Promise<StatusRead> = async () => STATUS;
  observeStatus(metrics, () => status(), nowMs);
  await metrics.text();
  status = async () => ({ ...STATUS, lag: [], services: [], oldestUnrecordedAt: at });
  expect(await samples(metrics)).toEqual([
    "rerate_parked_messages 2",
    "rerate_oldest_unrecorded_seconds 5",
    'rerate_ready_services{service="wallet"} 1',
    'rerate_ready_services{service="settlement"} 0',
  ]);
  status = () => Promise.reject(new Error("no broker"));
  expect(await samples(metrics)).toEqual([]);
});

test("a process says which of its checks fail, and how much room its disk has", async () => {
  const metrics = createMetrics();
  const checks = [
    { name: "wallet", ok: true },
    { name: "relay", ok: false, detail: "stopped" },
  ];
  observeProcess(metrics, () => checks, tmpdir());
  const [wallet, relay, disk] = await samples(metrics);
  expect([wallet, relay]).toEqual(['rerate_check_ok{check="wallet"} 1', 'rerate_check_ok{check="relay"} 0']);
  expect(Number(disk?.split(" ")[1])).toBeGreaterThan(0);
});
