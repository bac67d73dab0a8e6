/**
 * One service as a process of its own, on Kafka and EventStoreDB: opens the engines, follows the catalogue, serves HTTP, says how
 * it is, and stops in order.
 *
 * Owns no decision. The invariant: whatever ends by itself (a crashed consumer, a failing disk, a lost partition of time) ends the
 * process with a reason, since every bit of its state can be read again by the next one.
 */
import { ownsByShard, startRelay, type Relay, type ServiceSurroundings, type Worker } from "@rerate/flow";
import type { AwaitAnswer, HttpServer, PublishMessages, ReadyCheck, RoutePlugin } from "@rerate/http";
import { LOG_TOPICS, type Answer, type LogTopicDefinition } from "@rerate/ledger";
import type { LogTopic } from "@rerate/message-bus";
import type { Instant } from "@rerate/money";
import {
  createMetrics,
  defer,
  openStream,
  systemClock,
  type BusTopic,
  type Config,
  type Lifecycle,
  type Logger,
  type MetricsRegistry,
  type StreamEngines,
} from "@rerate/runtime";
import { busCodec, TOPIC_TABLE, topicNames, type TopicEntry } from "@rerate/wire";
import { hearAnswers, publishAnswers } from "./answers.ts";
import { followCatalog, type CatalogViews } from "./catalog-views.ts";
import { HEARTBEAT_MS, sayStatus, statusOf } from "./heartbeat.ts";
import { isKeyless, serve } from "./http-server.ts";
import { countRefused, observeProcess } from "./process-metrics.ts";

export interface ServiceProcess {
  readonly service: string;
  readonly config: Config;
  readonly log: Logger;
  readonly metrics: MetricsRegistry;
  readonly engines: StreamEngines;
  readonly views: CatalogViews;
  readonly now: () => Instant;
  /** The process cannot go on: says why and ends it. */
  readonly fail: (error: unknown) => void;
  /** What a worker is given besides its decider. `publishes` are the log topics that it feeds: a relay of its own publishes them. */
  surroundings(worker: string, publishes?: readonly LogTopicDefinition[]): Promise<ServiceSurroundings>;
  /** For a worker: publishes its answers about messages of a topic that somebody waits for. */
  answersTo(topic: string): (message: unknown, answer: Answer, awaited: boolean) => void;
  /** For a front door. Hears answers from the first call on. */
  door(): DoorSurroundings;
}

export interface DoorSurroundings {
  readonly publish: PublishMessages;
  readonly nowMs: () => number;
  readonly futureLimitMs: number;
  readonly awaitAnswer: AwaitAnswer;
  readonly onRefused: (door: string, count: number) => void;
}

/** What a service adds to its process. */
export interface ServiceParts {
  readonly plugins: readonly RoutePlugin[];
  /** Started in order, stopped in reverse. */
  readonly workers?: readonly ServiceWorker[];
  /** What else runs: started after the workers. */
  readonly parts?: readonly { start(): Promise<void> | void; stop(): Promise<void> | void }[];
  /** Further checks of `/readyz`. */
  readonly checks?: () => readonly ReadyCheck[];
}

/** The part of flow's worker that its process needs. */
export interface ServiceWorker extends Pick<Worker<never>, "start" | "stop" | "done" | "status"> {
  readonly name: string;
}

export interface ServiceOptions {
  readonly service: string;
  readonly config: Config;
  readonly log: Logger;
  readonly lifecycle: Lifecycle;
  /** The process cannot go on. */
  readonly onFailure: (error: unknown) => void;
  readonly compose: (process: ServiceProcess) => Promise<ServiceParts> | ServiceParts;
}

/** Starts a service on opened engines; resolves with its server, which listens. Each part registers with the lifecycle as it starts. */
export async function startService(options: ServiceOptions): Promise<{ readonly server: HttpServer; readonly url: string }> {
  const { service, config, log, lifecycle, onFailure } = options;
  const metrics = createMetrics();
  const engines = await openStream({ config, service, topics: busTopics(), topicTable: TOPIC_TABLE, log, onFailure });
  lifecycle.add({ name: "engines", stop: () => engines.close() });
  const views = await followCatalog({ eventStore: engines.eventStore, defer, log });
  lifecycle.add({ name: "catalogue", stop: () => views.follower.stop() });
  // Asked before anything starts: a process that must not serve must not work either.
  isKeyless(config, views.keys);
  const parts = await options.compose(processOf(options, engines, views, metrics));
  const { workers = [], plugins } = parts;
  for (const worker of workers) {
    await worker.start();
    lifecycle.add({ name: worker.name, stop: () => worker.stop() });
    worker.done.catch(onFailure);
  }
  for (const part of parts.parts ?? []) {
    await part.start();
    lifecycle.add({ name: service, stop: () => part.stop() });
  }
  const ready = () => [...workers.map((worker) => workerCheck(worker)), ...(parts.checks?.() ?? [])];
  observeProcess(metrics, ready, config.dataDirectory);
  const server = await serve({ config, log, plugins, keys: views.keys, metrics, ready, isOutage: engines.isOutage });
  lifecycle.add({ name: "http", stop: () => server.close() });
  const url = await server.listen();
  lifecycle.add(beat(options, engines, () => ready(), workers));
  return { server, url };
}

/** Every topic that bodies travel on, with its codec. */
export function busTopics(): BusTopic[] {
  const published = new Map(LOG_TOPICS.map((definition) => [definition.topic, definition]));
  const entries = new Map<string, TopicEntry>(TOPIC_TABLE.map((entry) => [entry.name, entry]));
  return topicNames().flatMap((name) => {
    const entry = entries.get(name);
    if (entry === undefined) return [];
    const { kind, marked = false } = entry;
    const { keepsShard = false } = published.get(name) ?? {};
    return [{ name, kind, codec: busCodec(name), marked, keepsShard }];
  });
}

function processOf(
  { service, config, log, lifecycle, onFailure }: ServiceOptions,
  engines: StreamEngines,
  views: CatalogViews,
  metrics: MetricsRegistry,
): ServiceProcess {
  const { bus, eventStore } = engines;
  let door: DoorSurroundings | undefined;
  return {
    service,
    config,
    log,
    metrics,
    engines,
    views,
    now: systemClock.now,
    fail: onFailure,
    async surroundings(worker, publishes = []) {
      const relay = publishes.length === 0 ? undefined : await relayOf(worker, publishes);
      return {
        eventStore,
        bus,
        ...(relay === undefined ? {} : { relay }),
        sweep: { partitionCount: config.partitions, checkpointsOf: (topic) => engines.placesOf(`${worker}: ${topic}`) },
        watchRetries: true,
        limits: { markEveryMs: config.markEveryMs },
        owns: ownsByShard(config.partitions),
        cacheFor: engines.cacheFor,
        clock: systemClock,
        defer,
        log: log.child({ service: worker }),
        metrics: metrics.forService(worker),
      };
    },
    answersTo: (topic) => publishAnswers(bus, log, topic),
    door() {
      door ??= openDoor();
      return door;
    },
  };

  async function relayOf(worker: string, topics: readonly LogTopic[]): Promise<Relay> {
    const relay = startRelay({
      name: worker,
      eventStore,
      bus,
      topics,
      partitionCount: config.partitions,
      checkpoints: engines.relayCheckpoints(worker),
      defer,
      log,
    });
    lifecycle.add({ name: `relay of ${worker}`, stop: () => relay.stop() });
    return relay;
  }

  function openDoor(): DoorSurroundings {
    const { awaitAnswer, listener } = hearAnswers(bus, defer);
    lifecycle.add({ name: "answers", stop: () => listener.stop() });
    return {
      publish: (topic, messages) => bus.publish(topic, messages),
      nowMs: systemClock.nowMs,
      futureLimitMs: config.futureLimitMs,
      awaitAnswer,
      onRefused: (name, count) => countRefused(metrics, service, name, count),
    };
  }
}

function workerCheck(worker: ServiceWorker): ReadyCheck {
  const { state, quarantined } = worker.status();
  const ok = state === "running" && quarantined.length === 0;
  const detail = quarantined.length > 0 ? `${quarantined.length} streams are quarantined` : state;
  return { name: worker.name, ok, ...(ok ? {} : { detail }) };
}

/** Says every few seconds how this process is, and takes its word back when it stops. */
function beat(
  { service, config, log }: ServiceOptions,
  engines: StreamEngines,
  ready: () => readonly ReadyCheck[],
  workers: readonly ServiceWorker[],
): { readonly name: string; stop(): Promise<void> } {
  const startedAt = systemClock.now();
  let stopped = false;
  const say = async (): Promise<void> => {
    if (stopped) return;
    try {
      const at = systemClock.now();
      await sayStatus(engines, statusOf({ service, instance: config.instance, startedAt, at }, ready(), workers));
    } catch (error) {
      log.warn({ err: error }, "the status of this process could not be published; it is tried again");
    }
    defer(() => void say(), HEARTBEAT_MS);
  };
  void say();
  return {
    name: "status",
    async stop() {
      stopped = true;
      await engines.sayStatus(`${service}/${config.instance}`, null);
    },
  };
}
