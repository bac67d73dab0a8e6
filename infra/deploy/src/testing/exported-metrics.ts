/** Every metric that a service process exports, with its labels, as its own code gives them out. For tests. */
import type { Metrics, WorkerCounter, WorkerGauge } from "@rerate/flow";
import { countRefused, createKeyRing, observeProcess, observeStatus, serve } from "@rerate/process";
import { createLogger, createMetrics, readConfig } from "@rerate/runtime";
import { tmpdir } from "node:os";

/** Complete by type: a new counter of flow's workers does not compile until it stands here, with the labels it is counted with. */
const COUNTERS: Readonly<Record<WorkerCounter, Readonly<Record<string, string>>>> = {
  messages: { topic: "usage.accepted" },
  events: {},
  duplicates: {},
  parked: { reason: "unknown-account" },
  conflicts: {},
  unknown_outcomes: {},
  gaps: {},
  waits: {},
  deadlines_fired: {},
  swept: {},
  quarantined: {},
  outages: {},
};
const GAUGES: Readonly<Record<WorkerGauge, number>> = {
  cached_streams: 1,
  cached_bytes: 1,
  quarantined_streams: 1,
  unsaved_keys: 1,
  open_deadlines: 1,
};
const AT = "2026-11-21T12:00:00.000000000Z";
const SPOKEN = { startedAt: AT, at: AT, ready: true, checks: [], quarantined: [], waiting: [], openDeadlines: 0 };

export async function exportedMetrics(): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
  const metrics = createMetrics();
  countAsAWorker(metrics.forService("settlement"));
  countRefused(metrics, "ingest", "usage", 1);
  const ready = () => [{ name: "settlement", ok: true }];
  observeProcess(metrics, ready, tmpdir());
  observeStatus(
    metrics,
    async () => ({
      version: "0.1.0",
      namespace: "default",
      ready: true,
      checks: ready(),
      lag: [{ group: "settlement", topic: "usage.accepted", partition: 0, lag: 1 }],
      services: [{ ...SPOKEN, service: "settlement", instance: "settlement-1" }],
      parked: 1,
      quarantined: [],
      startedAt: AT,
    }),
    () => Date.parse(AT),
  );
  const config = readConfig("embedded", {});
  const server = await serve({ config, log: createLogger("silent"), plugins: [], keys: createKeyRing(), metrics, ready });
  await server.inject({ method: "GET", url: "/livez" });
  const { text } = await server.inject({ method: "GET", url: "/metrics" });
  await server.close();
  return labelsByName(text);
}

function countAsAWorker(metrics: Metrics): void {
  for (const [name, labels] of Object.entries(COUNTERS)) metrics.count(name as WorkerCounter, 1, labels);
  for (const [name, value] of Object.entries(GAUGES)) metrics.gauge(name as WorkerGauge, value);
}

function labelsByName(text: string): ReadonlyMap<string, ReadonlySet<string>> {
  const found = new Map<string, Set<string>>();
  for (const [, name = "", labels = ""] of text.matchAll(/^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? \S+$/gm)) {
    const known = found.get(name) ?? new Set();
    for (const [, label = ""] of labels.matchAll(/(\w+)="/g)) known.add(label);
    found.set(name, known);
  }
  return found;
}
