/**
 * Known-bad variants of the system: each a mistake that has happened somewhere, planted where a service meets its ports or
 * documents. A simulation that does not find them is not worth its time.
 *
 * Nothing in production code knows of them. A variant counts as found at a seed that fails with it and passes without.
 */
import { NO_STREAM, type EventStore } from "@rerate/event-store";
import { startRelay, type Defer, type WorkerCache } from "@rerate/flow";
import type { Catalogue } from "@rerate/ledger";
import type { ConsumeOptions, MessageBus } from "@rerate/message-bus";
import type { CompiledItem, CompiledPlan, Measured } from "@rerate/pricing";
import { createOutcomeSignalService } from "@rerate/service-outcome-signal";
import { createSettlementService } from "@rerate/service-settlement";
import { runSeed, type SeedResult } from "./run-seed.ts";
import { SOUND, type Makers } from "./system.ts";
import { DAY } from "./accounts.ts";

export const PLANTED: Readonly<Record<string, Makers>> = {
  "offset-before-append": {
    ...SOUND,
    bus: (bus) =>
      consuming(bus, (options) => ({
        ...options,
        async onChunk(chunk) {
          options.onChunk(chunk).catch(() => {});
        },
      })),
  },
  "unknown-taken-for-unwritten": { ...SOUND, eventStore: (store) => appendingAgain(store) },
  "conflict-taken-for-success": {
    ...SOUND,
    eventStore: (store) => ({
      ...store,
      async append(appends) {
        const results = await store.append(appends);
        return results.map((result, i) => {
          const { expectedRevision = NO_STREAM, events = [] } = appends[i] ?? {};
          return result.kind === "conflict" ? { kind: "committed", lastRevision: expectedRevision + events.length } : result;
        });
      },
    }),
  },
  "dedupe-with-a-window": { ...SOUND, cache: (cache) => forgetting(cache, 6) },
  "conflicting-content-dropped": {
    ...SOUND,
    bus: (bus) => ({
      ...bus,
      parked: { ...bus.parked, put: (records) => bus.parked.put(records.filter(({ reason }) => reason !== "conflict")) },
    }),
  },
  "correction-by-arrival": {
    ...SOUND,
    bus: (bus, service) => {
      let arrivals = 0;
      return rewriting(bus, service === "settlement" ? "usage.accepted" : "", (body) => {
        arrivals += 1;
        return "corrects" in body && body["corrects"] !== undefined ? { ...body, revision: 10 + arrivals } : body;
      });
    },
  },
  "late-fact-at-arrival-time": {
    ...SOUND,
    bus: (bus, service) => {
      let newest = "";
      return rewriting(bus, service === "settlement" ? "usage.accepted" : "", (body) => {
        const occurredAt = String(body["occurredAt"]);
        if (body["kind"] !== "usage" || body["corrects"] !== undefined) return body;
        if (occurredAt > newest) newest = occurredAt;
        return milliseconds(newest) - milliseconds(occurredAt) > 3 * DAY ? { ...body, occurredAt: newest } : body;
      });
    },
  },
  "refund-above-charge": {
    ...SOUND,
    settlement: (options) => createSettlementService({ ...options, catalogue: replanning(options.catalogue, generous) }),
  },
  "rounding-each-entry-as-a-float": {
    ...SOUND,
    settlement: (options) => createSettlementService({ ...options, catalogue: replanning(options.catalogue, floating) }),
  },
  "verdict-gap-ignored": {
    ...SOUND,
    bus: (bus, service) => (service === "settlement" ? losing(bus, "outcome.decided", 5) : bus),
  },
  "entries-applied-twice-after-restart": {
    ...SOUND,
    bus: (bus, service) => {
      let first = true;
      return rewriting(bus, service === "wallet" ? "ledger.entries" : "", (body) => {
        const entries = body["entries"] as readonly unknown[];
        const again = first ? [...entries, ...entries] : entries;
        first = false;
        return { ...body, entries: again };
      });
    },
  },
  "timeout-before-signals": {
    ...SOUND,
    "outcome-signal": (options) =>
      createOutcomeSignalService({
        ...options,
        bus: {
          ...options.bus,
          consume: (consume) => ({ ...options.bus.consume(consume), readUpTo: () => options.clock.now() }),
        },
      }),
    bus: (bus, service) => (service === "outcome-signal" ? delaying(bus, "signal.accepted") : bus),
  },
  "checkpoint-before-publish": {
    ...SOUND,
    relay: (options) => startRelay({ ...options, bus: acknowledgingAtOnce(options.bus) }),
  },
  "mark-before-publish": {
    ...SOUND,
    relay(options) {
      const relay = startRelay({ ...options, bus: publishingLate(options.bus, options.defer) });
      return { ...relay, mark: (topic, readUpTo, sources) => options.bus.mark(topic, readUpTo, sources) };
    },
  },
  "mark-of-one-source-taken-for-all": {
    ...SOUND,
    bus: (bus, service) => ({
      ...(service === "outcome-signal" ? delaying(bus, "signal.accepted") : bus),
      mark: (topic, readUpTo) => bus.mark(topic, readUpTo),
    }),
  },
  "nobody-sweeps": { ...SOUND, sweep: () => undefined },
  "projection-skips-a-batch": {
    ...SOUND,
    eventStore: (store, service) => (service === "books" ? skippingAfterRestart(store) : store),
  },
};

/** Bugs of what there is only on the stream: looked for there alone. */
const ON_THE_STREAM: ReadonlySet<string> = new Set([
  "checkpoint-before-publish",
  "mark-before-publish",
  "mark-of-one-source-taken-for-all",
  "nobody-sweeps",
]);

export interface Found {
  readonly seed: number;
  /** How many seeds it took. */
  readonly seeds: number;
  readonly problem: string;
}

/** The first seed from `from` on that finds a planted bug; undefined when `most` seeds do not. */
export async function findBug(name: string, from: number, most: number, sound: SoundRuns): Promise<Found | undefined> {
  const makers = PLANTED[name];
  if (makers === undefined) throw new RangeError(`no planted bug is named ${name}`);
  const stream = ON_THE_STREAM.has(name);
  for (let seed = from; seed < from + most; seed++) {
    if ((await sound(seed, stream)).problems.length > 0) continue;
    const [problem] = (await runSeed({ seed, makers, ...optionsFor(stream) })).problems;
    if (problem !== undefined) return { seed, seeds: seed - from + 1, problem };
  }
  return undefined;
}

export type SoundRuns = (seed: number, stream: boolean) => Promise<SeedResult>;

/** What concerns the stream alone shows in the log: the read models and the replay would only cost time. */
function optionsFor(stream: boolean): { readonly thorough: boolean; readonly stream?: boolean } {
  return stream ? { thorough: false, stream } : { thorough: true };
}

/** The sound system's result at each seed, worked out once. */
export function soundRuns(): SoundRuns {
  const results = new Map<string, Promise<SeedResult>>();
  return (seed, stream) => {
    const key = `${seed} ${stream}`;
    const known = results.get(key) ?? runSeed({ seed, ...optionsFor(stream) });
    results.set(key, known);
    return known;
  };
}

function milliseconds(instant: string): number {
  return Date.parse(`${instant.slice(0, 23)}Z`);
}

type Body = Readonly<Record<string, unknown>>;

function consuming(bus: MessageBus, change: (options: ConsumeOptions) => ConsumeOptions): MessageBus {
  return { ...bus, consume: (options) => bus.consume(change(options)) };
}

/** Changes the bodies of one topic before the service sees them. */
function rewriting(bus: MessageBus, topic: string, rewrite: (body: Body) => Body): MessageBus {
  return consuming(bus, (options) => ({
    ...options,
    onChunk: (chunk) =>
      options.onChunk({
        ...chunk,
        messages: chunk.messages.map((message) =>
          chunk.topic !== topic || message.content.kind !== "body"
            ? message
            : { ...message, content: { kind: "body", body: rewrite(message.content.body as Body) } },
        ),
      }),
  }));
}

/** Loses every so many-th message of a topic and numbers the others anew, so that nobody sees the gap. */
function losing(bus: MessageBus, topic: string, every: number): MessageBus {
  const numbers = new Map<string, number>();
  return consuming(bus, (options) => ({
    ...options,
    onChunk(chunk) {
      if (chunk.topic !== topic) return options.onChunk(chunk);
      const kept = chunk.messages.flatMap((message) => {
        if (message.content.kind !== "body") return [message];
        const body = message.content.body as Body;
        const number = Number(body["number"]);
        if (number % every === 0) return [];
        const renumbered = number - Math.floor(number / every);
        numbers.set(String(body["sourceStream"]), renumbered);
        return [{ ...message, content: { kind: "body" as const, body: { ...body, number: renumbered } } }];
      });
      return kept.length === 0 ? Promise.resolve() : options.onChunk({ ...chunk, messages: kept });
    },
  }));
}

/** Says that everything is published before it is. */
function acknowledgingAtOnce(bus: MessageBus): MessageBus {
  return {
    ...bus,
    async publish(topic, messages) {
      bus.publish(topic, messages).catch(() => {});
    },
  };
}

/** A broker that takes its time. */
function publishingLate(bus: MessageBus, defer: Defer): MessageBus {
  return {
    ...bus,
    async publish(topic, messages) {
      await new Promise<void>((resolve) => defer(resolve, 3_000));
      await bus.publish(topic, messages);
    },
  };
}

/** A consumer that is behind: each chunk of the topic is turned away a few times first, as in an outage. */
function delaying(bus: MessageBus, topic: string): MessageBus {
  let turnedAway = 0;
  return consuming(bus, (options) => ({
    ...options,
    async onChunk(chunk) {
      turnedAway += 1;
      if (chunk.topic === topic && turnedAway % 4 !== 0) throw new Error("turned away");
      await options.onChunk(chunk);
    },
  }));
}

/** Sends an append of unknown outcome again at whatever revision the stream has by now. */
function appendingAgain(store: EventStore): EventStore {
  return {
    ...store,
    async append(appends) {
      const results = await store.append(appends);
      for (const [i, result] of results.entries()) {
        const append = appends[i];
        if (result?.kind !== "unknown" || append === undefined) continue;
        const last = await store.readLast(append.stream);
        const [again] = await store.append([{ ...append, expectedRevision: last?.revision ?? NO_STREAM }]);
        if (again?.kind === "committed") results[i] = again;
      }
      return results;
    },
  };
}

/** Remembers only the newest keys. */
function forgetting(cache: WorkerCache, most: number): WorkerCache {
  const { index } = cache;
  const recent: string[] = [];
  return {
    ...cache,
    index: {
      get checkpoint() {
        return index.checkpoint;
      },
      get newest() {
        return index.newest;
      },
      get unsaved() {
        return index.unsaved;
      },
      numberOf: (stream) => index.numberOf(stream),
      find: (streamId, key) =>
        key.startsWith("u") && !recent.includes(`${streamId} ${key}`) ? undefined : index.find(streamId, key),
      add(streamId, key, revision, tag) {
        recent.push(`${streamId} ${key}`);
        if (recent.length > most) recent.shift();
        index.add(streamId, key, revision, tag);
      },
      save: (at, options) => index.save(at, options),
      clear: () => index.clear(),
    },
  };
}

function replanning(catalogue: Catalogue, change: (plan: CompiledPlan) => CompiledPlan): Catalogue {
  const changed = new Map<CompiledPlan, CompiledPlan>();
  return {
    ...catalogue,
    plan(hash, lists) {
      const plan = catalogue.plan(hash, lists);
      if (plan === undefined) return undefined;
      const known = changed.get(plan) ?? change(plan);
      changed.set(plan, known);
      return known;
    },
  };
}

/** Refunds three times the share, whatever was charged. */
function generous(plan: CompiledPlan): CompiledPlan {
  const { quality } = plan;
  if (quality === undefined) return plan;
  const adjust: typeof quality.adjust = (score, base) => {
    const { refundAtoms, bonusAtoms, refundShare, steps } = quality.adjust(score, base);
    return { refundAtoms: refundAtoms * 3n, bonusAtoms, refundShare: { n: refundShare.n * 3n, d: refundShare.d }, steps };
  };
  return { ...plan, quality: { ...quality, adjust } };
}

/** Turns each measure of money into a float and rounds it to an atom. */
function floating(plan: CompiledPlan): CompiledPlan {
  const items = plan.items.map((item): CompiledItem => ({
    ...item,
    measure(fact) {
      const found = item.measure(fact);
      if (found.kind === "unpriced" || found.measureUnit !== "atoms") return found;
      const rounded: Measured = {
        ...found,
        measure: { n: BigInt(Math.round(Number(found.measure.n) / Number(found.measure.d))), d: 1n },
      };
      return rounded;
    },
  }));
  const changed = new Map(plan.items.map((item, index) => [item, items[index] ?? item]));
  return { ...plan, items, itemsFor: (fact) => plan.itemsFor(fact).map((item) => changed.get(item) ?? item) };
}

/** Resumes one page too far. */
function skippingAfterRestart(store: EventStore): EventStore {
  return {
    ...store,
    subscribeAll(options) {
      let skip = options.after !== undefined;
      return store.subscribeAll({
        ...options,
        async onEvents(page) {
          const events = skip ? [] : page.events;
          skip = false;
          await options.onEvents({ ...page, events });
        },
      });
    },
  };
}
