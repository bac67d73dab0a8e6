/** Books as a process of its own: keeps read models in its cache file and serves every read. Writes no event. */
import { CATEGORIES } from "@rerate/ledger";
import { createProjector } from "@rerate/projections";
import {
  decodeParked,
  observeStatus,
  operateRoutes,
  readStreamStatus,
  recordedAt,
  reconcile,
  retryElsewhere,
  runService,
} from "@rerate/process";
import { setTimeout as sleep } from "node:timers/promises";
import { routes } from "./routes.ts";

/** Other programs may keep streams in the same store. */
const OURS = CATEGORIES.map((category) => `${category}-`);

/**
 * While it rests the log grows, and more events go into one transaction: under load each event costs less, and shows so much
 * later. The first after a pause shows at once.
 */
const REST_MS = { few: 50, many: 150 };
const MANY = 500;

function rest(events: number): Promise<void> {
  return sleep(events < MANY ? REST_MS.few : REST_MS.many);
}

await runService("books", (process) => {
  const { engines, now } = process;
  const { eventStore, bus, cache } = engines;
  const projector = createProjector({
    eventStore,
    database: cache,
    recordedAt,
    prefixes: OURS,
    rest,
    onChange() {
      const { failure } = projector.status();
      if (failure !== undefined) process.fail(failure);
    },
  });
  const startedAt = now();
  const folded = () => {
    const { position } = projector.status();
    return position === undefined ? [] : [{ name: "read models", partition: 0, position }];
  };
  observeStatus(
    process.metrics,
    () => readStreamStatus("default", engines, startedAt, folded()),
    () => Date.parse(now()),
  );
  return {
    plugins: [
      routes({ reader: { eventStore, recordedAt, store: projector.store }, now }),
      operateRoutes({
        bus,
        retry: (record) => retryElsewhere(engines, record),
        decode: decodeParked,
        status: (ns) => readStreamStatus(ns, engines, startedAt, folded()),
        reconcile: (ns) => reconcile(ns, engines),
      }),
    ],
    parts: [projector],
    checks: () => {
      const { running, failure } = projector.status();
      return [
        {
          name: "projections",
          ok: running,
          ...(failure === undefined ? {} : { detail: failure instanceof Error ? failure.message : "it ended by itself" }),
        },
      ];
    },
  };
});
