/**
 * What every process says in its metrics besides its workers' counters, and what the process with the status says about all of them.
 *
 * Reads only; names are read by the dashboard and the alerts in `infra/`, whose tests compare.
 */
import type { ReadyCheck } from "@rerate/http";
import type { MetricsRegistry } from "@rerate/runtime";
import type { StatusRead } from "@rerate/wire";
import { statfsSync } from "node:fs";

/** About this process: its checks, and the room left for its caches. */
export function observeProcess(metrics: MetricsRegistry, ready: () => readonly ReadyCheck[], dataDirectory: string): void {
  metrics.observeEach("rerate_check_ok", "Checks of /readyz: 1 where all is well.", ["check"], async () =>
    ready().map(({ name, ok }) => ({ labels: { check: name }, value: Number(ok) })),
  );
  metrics.observeEach("rerate_disk_free_bytes", "Free bytes on the file system of RERATE_DATA.", [], async () => {
    const { bavail, bsize } = statfsSync(dataDirectory);
    return [{ labels: {}, value: bavail * bsize }];
  });
}

/** Facts that a door of this process has refused as malformed. */
export function countRefused(metrics: MetricsRegistry, service: string, door: string, count: number): void {
  metrics.count("rerate_refused_total", "Facts refused as malformed.", { door, service }, count);
}

/** About all processes, from what `rerate status` prints: read once for each time that metrics are asked for. */
export function observeStatus(metrics: MetricsRegistry, read: () => Promise<StatusRead>, nowMs: () => number): void {
  let reading: Promise<StatusRead> | undefined;
  const status = (): Promise<StatusRead> =>
    (reading ??= read().finally(() => {
      reading = undefined;
    }));
  const each = (name: string, help: string, labels: readonly string[], values: (status: StatusRead) => readonly Value[]): void =>
    metrics.observeEach(name, help, labels, async () =>
      values(await status()).map(([value, ...texts]) => ({
        labels: Object.fromEntries(labels.map((label, at) => [label, texts[at] ?? ""])),
        value,
      })),
    );

  each("rerate_lag_messages", "Messages between a group and a topic's end.", ["group", "topic", "partition"], ({ lag }) =>
    lag.map(({ group, topic, partition, lag: behind }) => [behind, group, topic, String(partition)]),
  );
  each("rerate_parked_messages", "Messages that are parked now.", [], ({ parked }) => [[parked]]);
  each("rerate_oldest_unrecorded_seconds", "Age of the oldest accepted fact that is not recorded yet.", [], (one) => [
    [one.oldestUnrecordedAt === undefined ? 0 : secondsSince(one.oldestUnrecordedAt, nowMs())],
  ]);
  each("rerate_ready_services", "1 for a service of which a process said lately that it is ready.", ["service"], ({ checks }) =>
    checks.map(({ name, ok }) => [Number(ok), name]),
  );
  each(
    "rerate_heartbeat_age_seconds",
    "How long ago a process said how it is, by its clock and ours: negative where its clock is ahead.",
    ["service", "instance"],
    ({ services = [] }) => services.map(({ service, instance, at }) => [secondsSince(at, nowMs()), service, instance]),
  );
}

/** A value, and its labels' texts in the order of the labels. */
type Value = readonly [number, ...string[]];

function secondsSince(at: string, nowMs: number): number {
  return (nowMs - Date.parse(at)) / 1000;
}
