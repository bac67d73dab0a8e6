/**
 * The whole system in one simulated machine room: every service as processes on the memory engines, which may crash at any
 * instruction, come back with an old cache, or go on while everybody takes them for dead. Either the bus serves log topics itself,
 * as the embedded one does, or everything is as on Kafka: relays, several members of every service, topics that may be lost.
 *
 * Owns processes and engines. Decides nothing about time or order: the scheduler does.
 */
import { createMemoryEventStore, type EventStore } from "@rerate/event-store";
import {
  followLog,
  ownsByShard,
  readSeal,
  startRelay,
  type Metrics,
  type Relay,
  type RelayOptions,
  type SweepOptions,
  type Worker,
  type WorkerCache,
} from "@rerate/flow";
import {
  contractChangedTopic,
  createCatalogue,
  decodeEvent,
  type Catalogue,
  type OutcomeMessage,
  type SettlementMessage,
  type WalletMessage,
} from "@rerate/ledger";
import { createMemoryBus, createMemoryStorage, type LocalBus, type MessageBus, type TopicCodec } from "@rerate/message-bus";
import { fromMilliseconds, instant } from "@rerate/money";
import { createProjector } from "@rerate/projections";
import { createOutcomeSignalService, outcomeSignalTopics, type OutcomeSignalOptions } from "@rerate/service-outcome-signal";
import { createSettlementService, settlementTopics, type SettlementOptions } from "@rerate/service-settlement";
import { createWalletService, type WalletOptions } from "@rerate/service-wallet";
import { openDatabase, type Database } from "@rerate/sqlite";
import type { SeededRandom, VirtualProcess, VirtualScheduler } from "@rerate/testkit";
import { topicCodec } from "@rerate/wire";
import { copyCache, emptyCache, openCache, type SavedCache } from "./crashable-cache.ts";
import { faultyBus, type FaultyBus } from "./faulty-bus.ts";
import { faultyEventStore } from "./faulty-event-store.ts";
import type { Faults } from "./faults.ts";
import { createStreamBus } from "./stream-bus.ts";
import { createStreamParts } from "./stream-parts.ts";

export const SERVICES = ["settlement", "outcome-signal", "wallet", "books"] as const;
export type Service = (typeof SERVICES)[number];

export type AnyWorker = Worker<SettlementMessage> | Worker<OutcomeMessage> | Worker<WalletMessage>;

/** How the services are made: the planted bugs put something else in one of these places. */
export interface Makers {
  readonly settlement: (options: SettlementOptions) => Worker<SettlementMessage>;
  readonly "outcome-signal": (options: OutcomeSignalOptions) => Worker<OutcomeMessage>;
  readonly wallet: (options: WalletOptions) => Worker<WalletMessage>;
  readonly eventStore: (store: EventStore, service: Service) => EventStore;
  readonly bus: (bus: MessageBus, service: Service) => MessageBus;
  readonly cache: (cache: WorkerCache, service: Service) => WorkerCache;
  readonly relay: (options: RelayOptions) => Relay;
  readonly sweep: (options: SweepOptions) => SweepOptions | undefined;
}

export const SOUND: Makers = {
  settlement: createSettlementService,
  "outcome-signal": createOutcomeSignalService,
  wallet: createWalletService,
  eventStore: (store) => store,
  bus: (bus) => bus,
  cache: (cache) => cache,
  relay: startRelay,
  sweep: (options) => options,
};

/** On the stream either every topic is whole, and nothing sweeps; or topics may be lost, and everything is swept. */
export type Mode = "views" | "stream" | "lossy-stream";

export interface System {
  /** The real store, without faults: for doors' catalogue, and for checks. */
  readonly eventStore: EventStore;
  readonly bus: () => LocalBus;
  /** The read models' database; undefined when this seed goes without. */
  readonly database: Database | undefined;
  /** What was logged as an error: broken invariants. */
  readonly errors: readonly string[];
  start(service: Service, inherit: "nothing" | "cache"): void;
  /** Dies at once; the bus notices. */
  crash(service: Service): void;
  /** The bus takes it for dead and gives its partitions to a successor, but it goes on. */
  zombify(service: Service): void;
  killZombies(): void;
  running(service: Service): number;
  restartBus(): void;
  /** A relayed topic is lost with everything that nobody has read yet, and begins anew. Returns its name, if this run has such. */
  recreateTopic(): string | undefined;
  /** One service is down from now on. Returns its name, if this run has topics that may be lost. */
  beginOutage(): Service | undefined;
  /** The topics are lost with what the service would have read, and it may start again. */
  endOutage(): void;
  /** Starts what is not running. */
  revive(): void;
  /** How often the log has grown. */
  appends(): number;
  /** What keeps whom waiting, in words. */
  describe(): Promise<string>;
  /** What `contract.changed` owes its readers: that everything said so far is in the log. */
  mark(): void;
}

interface Member {
  readonly service: Service;
  readonly process: VirtualProcess;
  readonly bus: FaultyBus;
  readonly saved: SavedCache;
  worker?: AnyWorker;
  /** The projector's process ends with its subscription. */
  readonly hasEnded?: () => boolean;
}

const DOOR_TOPICS = ["usage.accepted", "signal.accepted", "wallet.requested"] as const;
const RELAYED_CODECS: ReadonlyMap<string, TopicCodec> = new Map(
  (["usage.recorded", "ledger.entries", "outcome.decided", "contract.changed"] as const).map((name) => [name, topicCodec(name)]),
);

export function createSystem(options: {
  readonly scheduler: VirtualScheduler;
  readonly random: SeededRandom;
  readonly faults: Faults;
  readonly makers: Makers;
  readonly withProjector: boolean;
  readonly mode: Mode;
}): System {
  const { scheduler, random, faults, makers, mode } = options;
  const eventStore = createMemoryEventStore({ defer: (task) => scheduler.defer(task, 0) });
  let appends = 0;
  eventStore.onAppended(() => {
    appends += 1;
  });
  const storage = createMemoryStorage();
  const partitions = random.pick([1, 2, 4]);
  const limits = limitsOf(random);
  const errors: string[] = [];
  const parts = createStreamParts({ mode, partitions, random: random.fork("stream"), faults, makers });
  /** Cache files of processes that are gone: whoever comes next may take one over. */
  const caches = new Map<Service, SavedCache[]>();
  /** How often each relayed topic was lost and made anew. */
  const ages = new Map<string, number>();
  const relayed = [...settlementTopics, ...outcomeSignalTopics, contractChangedTopic].map((topic) => ({ ...topic, partitions }));
  const database = options.withProjector ? openDatabase(":memory:", { synchronous: "NORMAL" }) : undefined;
  let members: Member[] = [];
  let zombies: Member[] = [];
  let broker = scheduler.process("bus");
  let bus = openBus();
  const membersWanted = mode === "views" ? 1 : random.pick([2, 2, 3]);
  let down: Service | undefined;
  startCatalog();

  function now(): string {
    return fromMilliseconds(scheduler.clock.nowMs());
  }

  function openBus(): LocalBus {
    const process = broker;
    const topics = DOOR_TOPICS.map((name) => ({ name, partitions, codec: topicCodec(name) }));
    const common = { topics, now, defer: (task: () => void, delayMs: number) => process.defer(task, delayMs) };
    if (mode === "views") return createMemoryBus({ ...common, logTopics: relayed, log: eventStore }, storage);
    const withCodecs = relayed.flatMap((topic) => {
      const codec = RELAYED_CODECS.get(topic.topic);
      return codec === undefined ? [] : [{ ...topic, codec }];
    });
    return createStreamBus({ ...common, relayed: withCodecs, ages }, storage);
  }

  function start(service: Service, inherit: "nothing" | "cache"): void {
    if (service === "books") {
      startBooks();
      return;
    }
    const saved = (inherit === "cache" ? caches.get(service)?.pop() : undefined) ?? emptyCache();
    const process = scheduler.process(service);
    const member: Member = { service, process, bus: faultyBus(() => bus, process, faults), saved };
    members.push(member);
    boot(member, service).catch((error: unknown) => {
      // An outage while it started: whoever looks after processes starts it again.
      if (process.alive) end(member);
      void error;
    });
  }

  async function boot(member: Member, service: Exclude<Service, "books">): Promise<void> {
    const { process, bus: own, saved } = member;
    const store = makers.eventStore(faultyEventStore(eventStore, process, faults), service);
    const cache = makers.cache(
      openCache(saved, () => process.alive),
      service,
    );
    const connection = makers.bus(own, service);
    const relay = parts.relayFor(service, { process, eventStore: store, bus: connection });
    const sweep = parts.sweepFor(service, process);
    const surroundings = {
      eventStore: store,
      bus: connection,
      ...(relay === undefined ? {} : { relay }),
      ...(sweep === undefined ? {} : { sweep }),
      watchRetries: mode !== "views",
      clock: { now },
      defer: (task: () => void, delayMs: number) => process.defer(task, delayMs),
      cacheFor: () => cache,
      log: {
        ...SILENT,
        error: (fields: object, message: string) => void errors.push(`${service}: ${message} ${JSON.stringify(fields)}`),
      },
      metrics: NO_METRICS,
      limits,
      owns: ownsByShard(partitions),
    };
    const worker: AnyWorker =
      service === "wallet"
        ? makers.wallet(surroundings)
        : makers[service]({ ...surroundings, catalogue: await followCatalogue(store, process) });
    member.worker = worker;
    await worker.start();
    worker.done.catch((error: unknown) => errors.push(`${service} ended: ${String(error)}`));
  }

  async function followCatalogue(store: EventStore, process: VirtualProcess): Promise<Catalogue> {
    const catalogue = createCatalogue();
    const follower = await followLog({
      name: "catalogue",
      eventStore: store,
      prefixes: ["contract-", "document-"],
      onEvents({ events }) {
        for (const stored of events) {
          const event = stored.stream.startsWith("document-") ? decodeEvent("document", stored) : decodeEvent("contract", stored);
          catalogue.apply(stored.stream, stored.revision, instant(readSeal(stored.metadata).recordedAt), event);
        }
      },
      defer: (task, delayMs) => process.defer(task, delayMs),
      log: SILENT,
    });
    await follower.caughtUp();
    return catalogue;
  }

  function startBooks(): void {
    if (database === undefined) return;
    const process = scheduler.process("books");
    const projector = createProjector({
      eventStore: makers.eventStore(faultyEventStore(eventStore, process, faults), "books"),
      database,
      recordedAt: ({ metadata }) => instant(readSeal(metadata).recordedAt),
    });
    projector.start();
    const hasEnded = (): boolean => !projector.status().running;
    members.push({ service: "books", process, bus: faultyBus(() => bus, process, faults), saved: emptyCache(), hasEnded });
  }

  /** The catalog's relay: of hints that nobody depends on. */
  function startCatalog(): void {
    const process = scheduler.process("catalog");
    const store = faultyEventStore(eventStore, process, faults);
    const relay = parts.relayFor("catalog", { process, eventStore: store, bus: faultyBus(() => bus, process, faults) });
    relay?.own(Array.from({ length: partitions }, (_, partition) => partition));
  }

  function end(member: Member): void {
    member.process.kill();
    member.bus.abandon();
    members = members.filter((other) => other !== member);
    leaveCache(member);
  }

  /** A zombie goes on with its own: its successor is another process with a copy, as it is now. */
  function leaveCache({ service, saved }: Member): void {
    caches.set(service, [...(caches.get(service) ?? []), copyCache(saved)]);
  }

  function memberOf(service: Service): Member | undefined {
    const running = members.filter((member) => member.service === service);
    return running.length === 0 ? undefined : random.pick(running);
  }

  return {
    eventStore,
    bus: () => bus,
    database,
    errors,
    start,
    crash(service) {
      const member = memberOf(service);
      if (member !== undefined) end(member);
    },
    zombify(service) {
      const member = memberOf(service);
      if (member === undefined || service === "books") return;
      member.bus.abandon();
      members = members.filter((other) => other !== member);
      zombies.push(member);
      leaveCache(member);
    },
    killZombies() {
      for (const { process, bus: own } of zombies) {
        process.kill();
        // One that had not joined yet when it was taken for dead may have done so since.
        own.abandon();
      }
      zombies = [];
    },
    running: (service) => members.filter((member) => member.service === service).length,
    recreateTopic() {
      if (mode !== "lossy-stream") return undefined;
      const { topic } = random.pick(relayed);
      ages.set(topic, (ages.get(topic) ?? 0) + 1);
      return topic;
    },
    restartBus() {
      for (const member of [...members, ...zombies]) if (member.service !== "books") end(member);
      zombies = zombies.filter(({ process }) => process.alive);
      broker.kill();
      broker = scheduler.process("bus");
      bus = openBus();
    },
    beginOutage() {
      if (mode !== "lossy-stream") return undefined;
      const service = random.pick(["settlement", "outcome-signal", "wallet"] as const);
      down = service;
      for (const member of members) if (member.service === service) end(member);
      return service;
    },
    endOutage() {
      if (down === undefined) return;
      down = undefined;
      for (const { topic } of relayed) ages.set(topic, (ages.get(topic) ?? 0) + 1);
    },
    revive() {
      for (const member of members) if (member.hasEnded?.() === true) end(member);
      for (const service of SERVICES) {
        if (service === down) continue;
        const missing = (service === "books" ? 1 : membersWanted) - members.filter((member) => member.service === service).length;
        for (let i = 0; i < missing; i++) start(service, faults.strikes("crash-without-cache") ? "nothing" : "cache");
      }
    },
    appends: () => appends,
    async describe() {
      const words: string[] = [];
      for (const { service, worker } of members) {
        const status = worker?.status();
        if (status === undefined) continue;
        const { state, waiting, quarantined } = status;
        words.push(`${service} is ${state}`, ...[...waiting].map(([stream, reason]) => `${stream} waits: ${reason}`));
        words.push(...quarantined.map(({ stream, problem }) => `${stream} is quarantined: ${problem}`));
        for (const { topic, partition, lag } of await bus.lag(service))
          if (lag > 0) words.push(`${topic}/${partition} lags by ${lag}`);
      }
      return words.join("; ");
    },
    mark() {
      if (mode === "views") bus.mark("contract.changed", now());
    },
  };
}

/** Small ones, so that short runs reach every path: evictions, snapshots, pages, saves. */
function limitsOf(random: SeededRandom) {
  return {
    maxChunk: random.pick([1, 3, 50]),
    appendEvents: random.pick([2, 500]),
    cachedStreams: random.pick([1, 2, 100]),
    pageEvents: random.pick([2, 7, 500]),
    mergeAtMost: random.pick([1, 3, 500]),
    snapshotEvery: random.pick([3, 10, 2_000]),
    snapshotWorth: random.pick([1, 5]),
    deadlineStreams: random.pick([1, 200]),
    deadlinesPerStream: random.pick([1, 1_000]),
    unsavedKeys: random.pick([3, 20, 100_000]),
    sweepEveryMs: 5_000,
    sweepGraceMs: 2_000,
  };
}

const SILENT = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
const NO_METRICS: Metrics = { count: () => {}, gauge: () => {} };
