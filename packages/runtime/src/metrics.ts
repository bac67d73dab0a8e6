/**
 * Counters and gauges in Prometheus' text format.
 */
import { collectDefaultMetrics, Counter, Gauge, Registry } from "prom-client";
import type { Metrics } from "@rerate/flow";

export interface MetricsRegistry {
  /** The metrics interface that flow's workers count with. */
  forService(service: string): Metrics;
  /** A counter of this process. */
  count(name: string, help: string, labels: Readonly<Record<string, string>>, by?: number): void;
  /** Reads a value when metrics are asked for. */
  observe(name: string, help: string, read: () => number): void;
  /** Reads all values of one name, each with its labels, when metrics are asked for. What is not read again is gone. */
  observeEach(name: string, help: string, labels: readonly string[], read: () => Promise<readonly LabelledValue[]>): void;
  text(): Promise<string>;
  readonly contentType: string;
}

export interface LabelledValue {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

const PREFIX = "rerate_";
/** The delays of the event loop are sampled by a timer every 10 ms, which would be most of what an idle process does: left out. */
const NEVER_MS = 2 ** 31 - 1;
const LOOP_DELAYS = ["min", "max", "mean", "stddev", "p50", "p90", "p99"];

export function createMetrics(): MetricsRegistry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, prefix: PREFIX, eventLoopMonitoringPrecision: NEVER_MS });
  for (const name of LOOP_DELAYS) registry.removeSingleMetric(`${PREFIX}nodejs_eventloop_lag_${name}_seconds`);
  let loop = performance.eventLoopUtilization();
  const busy: Gauge = new Gauge({
    name: `${PREFIX}nodejs_eventloop_utilization`,
    help: "Share of the time since it was last asked for that the event loop was busy.",
    registers: [registry],
    collect() {
      const now = performance.eventLoopUtilization();
      busy.set(performance.eventLoopUtilization(now, loop).utilization);
      loop = now;
    },
  });
  const counters = new Map<string, Counter>();
  const gauges = new Map<string, Gauge>();

  const counter = (name: string, help: string, labelNames: string[]): Counter => {
    let known = counters.get(name);
    if (known === undefined) {
      known = new Counter({ name, help, labelNames, registers: [registry] });
      counters.set(name, known);
    }
    return known;
  };
  const gauge = (name: string, help: string): Gauge => {
    let known = gauges.get(name);
    if (known === undefined) {
      known = new Gauge({ name, help, labelNames: ["service"], registers: [registry] });
      gauges.set(name, known);
    }
    return known;
  };

  return {
    forService: (service) => ({
      count(name, by, labels = {}) {
        counter(`rerate_${name}_total`, `Worker counter: ${name.replaceAll("_", " ")}.`, ["service", ...Object.keys(labels)]).inc(
          { service, ...labels },
          by,
        );
      },
      gauge(name, value) {
        gauge(`rerate_${name}`, `Worker gauge: ${name.replaceAll("_", " ")}.`).set({ service }, value);
      },
    }),
    count(name, help, labels, by = 1) {
      counter(name, help, Object.keys(labels)).inc(labels, by);
    },
    observe(name, help, read) {
      const observed: Gauge = new Gauge({ name, help, registers: [], collect: () => observed.set(read()) });
      registry.registerMetric(observed);
    },
    observeEach(name, help, labels, read) {
      const collect = async (): Promise<void> => {
        // One reader that fails must not take all other metrics with it: its values are missing, and that can be alarmed.
        const values = await read().catch(() => []);
        observed.reset();
        // Without labels a reset leaves a zero, which nobody has read.
        if (labels.length === 0) observed.remove();
        for (const one of values) observed.set(one.labels, one.value);
      };
      const observed: Gauge = new Gauge({ name, help, labelNames: [...labels], registers: [], collect });
      registry.registerMetric(observed);
    },
    text: () => registry.metrics(),
    contentType: registry.contentType,
  };
}
