/**
 * All services in one process on the embedded engines: the composition root. Decides nothing.
 */
import type { ServiceSurroundings } from "@rerate/flow";
import type { AwaitAnswer, HttpServer, RoutePlugin } from "@rerate/http";
import { contractChangedTopic, type Answer, type Catalogue } from "@rerate/ledger";
import type { Message } from "@rerate/message-bus";
import {
  createAnswerHub,
  decodeParked,
  followCatalog,
  isKeyless,
  operateRoutes,
  recordedAt,
  serve,
  type CatalogViews,
} from "@rerate/process";
import {
  createMetrics,
  defer,
  openEmbedded,
  systemClock,
  type Config,
  type Engines,
  type Lifecycle,
  type Logger,
  type MetricsRegistry,
} from "@rerate/runtime";
import * as books from "@rerate/service-books";
import { createCatalogService, routes as catalogRoutes, type CatalogService } from "@rerate/service-catalog";
import * as ingest from "@rerate/service-ingest";
import * as signals from "@rerate/service-outcome-signal";
import { createOutcomeSignalService, outcomeSignalTopics } from "@rerate/service-outcome-signal";
import { createSettlementService, settlementTopics } from "@rerate/service-settlement";
import * as wallets from "@rerate/service-wallet";
import { createWalletService } from "@rerate/service-wallet";
import { topicCodec } from "@rerate/wire";
import { randomBytes } from "node:crypto";
import { readStatus, readyChecks, retryParked, type Workers } from "./operate.ts";
import { startViews, type Views } from "./views.ts";

/** Topics that doors publish to. */
const DOOR_TOPICS = ["usage.accepted", "signal.accepted", "wallet.requested"] as const;

export interface Standalone {
  readonly engines: Engines;
  readonly catalogue: Catalogue;
  readonly projector: Views;
  readonly workers: Workers;
  /** Every route with its roles, as the server offers them. */
  readonly plugins: readonly RoutePlugin[];
  readonly server: HttpServer;
  readonly metrics: MetricsRegistry;
  /** True while the server asks nobody for a key: on loopback, before any was created. */
  readonly keyless: boolean;
}

export interface ComposeOptions {
  readonly config: Config;
  readonly log: Logger;
  readonly lifecycle: Lifecycle;
  /** Called when the disk fails or a worker ends by itself: the process must stop. */
  readonly onFailure: (error: unknown) => void;
}

/** Opens the engines and starts every service; each part registers with the lifecycle as it starts. The server does not listen yet. */
export async function composeStandalone(options: ComposeOptions): Promise<Standalone> {
  const { config, log, lifecycle, onFailure } = options;
  const engines = openEmbedded({
    dataDirectory: config.dataDirectory,
    partitions: config.partitions,
    topics: DOOR_TOPICS.map((name) => ({ name, codec: topicCodec(name) })),
    logTopics: [...settlementTopics, ...outcomeSignalTopics, contractChangedTopic],
    onDiskFailure: onFailure,
  });
  lifecycle.add({ name: "engines", stop: () => engines.close() });
  const metrics = createMetrics();
  const surroundings = surroundingsOf(engines, metrics, log);
  const views = await followCatalog({ eventStore: engines.eventStore, defer, log });
  lifecycle.add({ name: "catalogue", stop: () => views.follower.stop() });
  const keyless = isKeyless(config, views.keys);
  const catalog = createCatalogService({ ...surroundings("catalog"), catalogue: views.catalogue });
  await catalog.start();
  lifecycle.add({ name: "catalog", stop: () => catalog.stop() });

  const hub = createAnswerHub(defer);
  const answersOf = (topic: string) => (message: unknown, answer: Answer) => hub.answered(topic, message, answer);
  const workers: Workers = {
    settlement: createSettlementService({
      ...surroundings("settlement"),
      catalogue: views.catalogue,
      catalogueLags: () => views.follower.interrupted,
      answers: answersOf("usage.accepted"),
    }),
    "outcome-signal": createOutcomeSignalService({
      ...surroundings("outcome-signal"),
      catalogue: views.catalogue,
      answers: answersOf("signal.accepted"),
    }),
    wallet: createWalletService({ ...surroundings("wallet"), answers: answersOf("wallet.requested") }),
  };
  for (const [name, worker] of Object.entries(workers)) {
    await worker.start();
    lifecycle.add({ name, stop: () => worker.stop() });
    worker.done.catch(onFailure);
  }
  const projector = await startViews(config.dataDirectory, engines.eventStore);
  lifecycle.add({ name: "projector", stop: () => projector.stop() });

  const parts = { engines, views, catalog, workers, projector, metrics, awaitAnswer: hub.awaitAnswer };
  const plugins = pluginsOf(config, parts);
  const ready = () => readyChecks(workers, projector);
  const server = await serve({ config, log, plugins, keys: views.keys, metrics, ready, room: engines.room });
  lifecycle.add({ name: "http", stop: () => server.close() });
  return { engines, catalogue: views.catalogue, projector, workers, plugins, server, metrics, keyless };
}

function surroundingsOf(engines: Engines, metrics: MetricsRegistry, log: Logger): (service: string) => ServiceSurroundings {
  return (service) => ({
    eventStore: engines.eventStore,
    bus: engines.bus,
    cacheFor: engines.cacheFor,
    clock: systemClock,
    defer,
    log: log.child({ service }),
    metrics: metrics.forService(service),
  });
}

interface Served {
  readonly engines: Engines;
  readonly views: CatalogViews;
  readonly catalog: CatalogService;
  readonly workers: Workers;
  readonly projector: Views;
  readonly metrics: MetricsRegistry;
  readonly awaitAnswer: AwaitAnswer;
}

function pluginsOf(config: Config, parts: Served): RoutePlugin[] {
  const { engines, workers, projector } = parts;
  const startedAt = systemClock.now();
  return [
    ...doors(config, parts),
    books.routes({
      reader: { eventStore: engines.eventStore, recordedAt, store: projector.store, audits: engines.cache },
      now: () => systemClock.now(),
    }),
    operateRoutes({
      bus: engines.bus,
      retry: (record) => retryParked(workers, record),
      decode: decodeParked,
      status: (ns) => readStatus(ns, engines, workers, readyChecks(workers, projector), startedAt),
    }),
  ];
}

function doors(config: Config, { engines, views, catalog, metrics, awaitAnswer }: Served): RoutePlugin[] {
  const door = {
    publish: (topic: string, messages: readonly Message[]) => engines.bus.publish(topic, messages),
    nowMs: systemClock.nowMs,
    futureLimitMs: config.futureLimitMs,
    awaitAnswer,
    onRefused: (name: string, count: number) =>
      metrics.count("rerate_refused_total", "Facts refused as malformed.", { door: name }, count),
  };
  return [
    ingest.routes(door),
    signals.routes(door),
    wallets.routes(door),
    catalogRoutes({
      record: catalog.record,
      catalogue: views.catalogue,
      keys: views.keys,
      caughtUp: () => views.follower.caughtUp(),
      nowMs: systemClock.nowMs,
      leadTimeMs: config.leadTimeMs,
      randomBytes: (count) => randomBytes(count),
    }),
  ];
}
