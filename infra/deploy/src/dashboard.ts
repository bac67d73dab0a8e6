/**
 * The Grafana dashboard as data: what is shown, in which order, from which expressions. `node infra/deploy/src/dashboard.ts` writes
 * `infra/grafana/rerate.json` from it; a test compares the two, and every name in it with what the processes export.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";

export interface Panel {
  readonly title: string;
  /** What a reader should make of it. */
  readonly about: string;
  /** One number, or lines over time. */
  readonly kind: "stat" | "lines";
  readonly unit: "short" | "s" | "bytes" | "ops" | "percentunit";
  /** Expressions of Prometheus, each with the legend of its lines. */
  readonly queries: readonly (readonly [expression: string, legend: string])[];
}

export const PANELS: readonly Panel[] = [
  stat("Services ready", "Six when all is well.", "sum(rerate_ready_services)", "short"),
  stat("Oldest unrecorded fact", "How long accepted facts wait at most.", "max(rerate_oldest_unrecorded_seconds)", "s"),
  stat("Messages behind", "Over all groups and topics.", "sum(rerate_lag_messages)", "short"),
  stat("Parked", "Facts that wait for people: rerate parked list.", "max(rerate_parked_messages)", "short"),
  stat("Quarantined streams", "Zero, or an invariant broke.", "sum(rerate_quarantined_streams)", "short"),
  stat("Longest silence", "Processes speak every ten seconds.", "max(rerate_heartbeat_age_seconds)", "s"),

  lines("Messages behind", "Flat and low is well; a line that only climbs is a group that cannot keep up.", "short", [
    ["sum by (group, topic) (rerate_lag_messages)", "{{group}} · {{topic}}"],
  ]),
  lines("Age of the oldest unrecorded fact", "What a customer waits for at most.", "s", [
    ["max(rerate_oldest_unrecorded_seconds)", "oldest"],
  ]),
  lines("Events appended", "The ledger's own speed.", "ops", [
    ["sum by (service) (rate(rerate_events_total[5m]))", "{{service}}"],
  ]),
  lines("Messages read", "Duplicates included.", "ops", [
    ["sum by (service, topic) (rate(rerate_messages_total[5m]))", "{{service}} · {{topic}}"],
  ]),
  lines("Parked", "By reason; docs/guides/operating.md says what each means.", "ops", [
    ["sum by (service, reason) (rate(rerate_parked_total[5m]))", "{{service}} · {{reason}}"],
  ]),
  lines("Not as usual", "Harmless one by one: each is handled and counted. Much of it for long is a sign.", "ops", [
    ["sum by (service) (rate(rerate_duplicates_total[5m]))", "{{service}} · duplicates"],
    ["sum by (service) (rate(rerate_conflicts_total[5m]))", "{{service}} · conflicts of revision"],
    ["sum by (service) (rate(rerate_unknown_outcomes_total[5m]))", "{{service}} · unknown outcomes"],
    ["sum by (service) (rate(rerate_gaps_total[5m]))", "{{service}} · gaps filled"],
    ["sum by (service) (rate(rerate_swept_total[5m]))", "{{service}} · found by the sweep"],
  ]),
  lines("Outages and waits", "An engine is out of reach, or streams wait for something outside.", "ops", [
    ["sum by (service) (rate(rerate_outages_total[5m]))", "{{service}} · outages"],
    ["sum by (service) (rate(rerate_waits_total[5m]))", "{{service}} · waits"],
  ]),
  lines("Deadlines", "Timeouts, period ends and expiries: open ones, and how many fire.", "short", [
    ["sum by (service) (rerate_open_deadlines)", "{{service}} · open"],
    ["sum by (service) (rate(rerate_deadlines_fired_total[5m]))", "{{service}} · fired a second"],
  ]),
  lines("HTTP", "Answers by route and status.", "ops", [
    ["sum by (route, status) (rate(rerate_http_replies_total[5m]))", "{{route}} · {{status}}"],
    ["sum by (door) (rate(rerate_refused_total[5m]))", "{{door}} · facts refused as malformed"],
  ]),
  lines("Heartbeats", "Between zero and eleven seconds. Below: a clock is ahead. Above: silent, or a clock behind.", "s", [
    ["rerate_heartbeat_age_seconds", "{{service}} · {{instance}}"],
  ]),
  lines("Processor", "Of one core.", "percentunit", [
    ["rate(rerate_process_cpu_seconds_total[5m])", "{{process}} · {{instance}}"],
  ]),
  lines("Event loop", "Share of the time that it is busy: near 1 the process is at its limit.", "percentunit", [
    ["rerate_nodejs_eventloop_utilization", "{{process}} · {{instance}}"],
  ]),
  lines("Memory", "Of each process, and what of it are cached streams.", "bytes", [
    ["rerate_process_resident_memory_bytes", "{{process}} · {{instance}}"],
    ["rerate_cached_bytes", "{{service}} · cached streams"],
  ]),
  lines("Room for caches", "Free bytes where RERATE_DATA lies.", "bytes", [
    ["rerate_disk_free_bytes", "{{process}} · {{instance}}"],
  ]),
];

function stat(title: string, about: string, expression: string, unit: Panel["unit"]): Panel {
  return { title, about, kind: "stat", unit, queries: [[expression, title]] };
}

function lines(title: string, about: string, unit: Panel["unit"], queries: Panel["queries"]): Panel {
  return { title, about, kind: "lines", unit, queries };
}

/** Grafana's grid is 24 wide: six numbers in a row, then two charts in a row. */
const SIZE = { stat: { w: 4, h: 4 }, lines: { w: 12, h: 8 } } as const;

/** The dashboard in Grafana's own format. */
export function dashboard(panels: readonly Panel[] = PANELS): object {
  const datasource = { type: "prometheus", uid: "prometheus" };
  let [x, y] = [0, 0];
  return {
    uid: "rerate",
    title: "Rerate",
    timezone: "utc",
    refresh: "30s",
    time: { from: "now-3h", to: "now" },
    schemaVersion: 41,
    panels: panels.map(({ title, about, kind, unit, queries }, at) => {
      const { w, h } = SIZE[kind];
      const before = panels[at - 1];
      if (x + w > 24 || (before !== undefined && before.kind !== kind)) {
        x = 0;
        y += SIZE[before?.kind ?? kind].h;
      }
      const gridPos = { x, y, w, h };
      x += w;
      return {
        id: at + 1,
        type: kind === "stat" ? "stat" : "timeseries",
        title,
        description: about,
        datasource,
        gridPos,
        fieldConfig: { defaults: { unit, min: title === "Heartbeats" ? null : 0 }, overrides: [] },
        targets: queries.map(([expr, legendFormat], query) => ({
          refId: String.fromCodePoint(65 + query),
          datasource,
          expr,
          legendFormat,
        })),
      };
    }),
  };
}

if (import.meta.main) {
  const path = join(import.meta.dirname, "../../grafana/rerate.json");
  writeFileSync(path, `${JSON.stringify(dashboard(), undefined, 2)}\n`);
}
