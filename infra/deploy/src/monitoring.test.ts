import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { parse } from "yaml";
import { dashboard, PANELS } from "./dashboard.ts";
import { exportedMetrics } from "./testing/exported-metrics.ts";
import { namedIn } from "./testing/promql.ts";

const INFRA = join(import.meta.dirname, "../..");
/** What Prometheus adds to every sample: `process` by a rule in prometheus.yaml. */
const OF_THE_TARGET = ["job", "instance", "process"];
/** What Prometheus itself records about a target. */
const OF_PROMETHEUS = new Map([["up", new Set<string>()]]);

interface Alert {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string };
}

const alerts = (
  parse(readFileSync(join(INFRA, "prometheus/alerts.yaml"), "utf8")) as {
    readonly groups: readonly { readonly rules: readonly Alert[] }[];
  }
).groups.flatMap(({ rules }) => rules);
const expressions = [
  ...alerts.map(({ alert, expr, annotations }) => ({
    where: alert,
    expr,
    shown: [...annotations.summary.matchAll(/\$labels\.(\w+)/g)].map(([, label = ""]) => label),
  })),
  ...PANELS.flatMap(({ title, queries }) =>
    queries.map(([expr, legend]) => ({
      where: title,
      expr,
      shown: [...legend.matchAll(/\{\{(\w+)\}\}/g)].map(([, label = ""]) => label),
    })),
  ),
];
let exported: ReadonlyMap<string, ReadonlySet<string>>;

beforeAll(async () => {
  exported = new Map([...(await exportedMetrics()), ...OF_PROMETHEUS]);
});

test("every metric that an alert or a panel names is exported by the code", () => {
  const unknown = expressions.flatMap(({ where, expr }) =>
    namedIn(expr)
      .metrics.filter((name) => !exported.has(name))
      .map((name) => `${where} names ${name}`),
  );
  expect(unknown).toEqual([]);
});

test("every label that an alert or a panel selects, groups by or shows is on its metrics", () => {
  const unknown = expressions.flatMap(({ where, expr, shown }) => {
    const { metrics, labels } = namedIn(expr);
    const known = new Set([...OF_THE_TARGET, ...metrics.flatMap((name) => [...(exported.get(name) ?? [])])]);
    return [...labels, ...shown].filter((label) => !known.has(label)).map((label) => `${where} names the label ${label}`);
  });
  expect(unknown).toEqual([]);
});

test("a label that is shown survives the grouping", () => {
  const lost = expressions.flatMap(({ where, expr, shown }) => {
    const groups = [...expr.matchAll(/\bby \(([^)]*)\)/g)].map(([, names = ""]) => names.split(/,\s*/));
    return groups.flatMap((names) => shown.filter((label) => !names.includes(label)).map((label) => `${where} loses ${label}`));
  });
  expect(lost).toEqual([]);
});

test("every alert has a name of its own, a severity, a sentence, and its place in the guide", () => {
  const guide = readFileSync(join(INFRA, "../docs/guides/production.md"), "utf8");
  expect(alerts.length).toBeGreaterThan(10);
  expect(new Set(alerts.map(({ alert }) => alert)).size).toBe(alerts.length);
  for (const { alert, labels, annotations } of alerts) {
    expect(alert).toMatch(/^Rerate[A-Z]\w+$/);
    expect(["critical", "warning"]).toContain(labels.severity);
    expect(annotations.summary).toMatch(/^\S.*\.$/);
    expect(guide).toContain(`\`${alert}\``);
  }
});

test("the dashboard is today's: otherwise run node infra/deploy/src/dashboard.ts", () => {
  expect(JSON.parse(readFileSync(join(INFRA, "grafana/rerate.json"), "utf8"))).toEqual(dashboard());
});

test("no panel lies on another, and none is wider than the grid", () => {
  const { panels } = dashboard() as { readonly panels: readonly { readonly gridPos: Place }[] };
  const places = panels.map(({ gridPos }) => gridPos);
  for (const [at, a] of places.entries()) {
    expect(a.x + a.w).toBeLessThanOrEqual(24);
    for (const b of places.slice(at + 1)) expect(overlap(a, b)).toBe(false);
  }
});

test("an expression that is none is noticed, and so is a name that nobody exports", () => {
  expect(() => namedIn("sum by (a (rerate_x))")).toThrow("not an expression");
  expect(exported.has("rerate_no_such_thing")).toBe(false);
  expect(exported.get("rerate_lag_messages")).toEqual(new Set(["group", "topic", "partition"]));
});

interface Place {
  readonly x: number;
  readonly y: number;
  readonly w: number;
  readonly h: number;
}

function overlap(a: Place, b: Place): boolean {
  return a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;
}
