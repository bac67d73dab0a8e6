/**
 * A small service for this package's tests: accounts that add up amounts, know duplicates, forward numbers without gaps,
 * wait for a catalogue, park, break on demand and time out. Not exported.
 */
import { createMemoryEventStore, type EventStore, FIRST_LINK, type StoredEvent } from "@rerate/event-store";
import { createMemoryBus, type LocalBus, type LogTopic, type Message as BusMessage, type TopicCodec } from "@rerate/message-bus";
import type { Decider, EventCodec } from "./decider.ts";
import { linkAfter, readSeal } from "./seal.ts";
import { createWorker, type Worker } from "./worker.ts";
import { createMemoryCache } from "./worker-cache.ts";
import type { Log, Metrics, WorkerOptions } from "./worker-options.ts";

export type ToyMessage =
  | {
      readonly kind: "add";
      readonly account: string;
      readonly id: string;
      readonly amount: number;
      readonly due?: string;
      readonly about?: string;
    }
  | {
      readonly kind: "forwarded";
      readonly account: string;
      readonly number: number;
      readonly amount: number;
      readonly source: string;
      readonly revision: number;
      readonly count?: number;
    }
  | { readonly kind: "timeout"; readonly account: string; readonly id: string };

export type ToyEvent =
  | {
      readonly type: "Added";
      readonly data: {
        readonly id: string;
        readonly amount: number;
        readonly number: number;
        readonly due?: string;
        readonly link?: number;
        readonly total: number;
      };
    }
  | { readonly type: "Forwarded"; readonly data: { readonly number: number; readonly amount: number; readonly revision: number } }
  | { readonly type: "TimedOut"; readonly data: { readonly id: string } }
  | { readonly type: "Noted"; readonly data: { readonly id: string } };

export interface ToyState {
  stream: string;
  total: number;
  number: number;
  forwarded: number;
  sourceRevision: number;
  open: Record<string, string>;
}

export interface ToyContext {
  /** Amounts above this wait for the catalogue. */
  readonly catalogue: number;
  readonly known: ReadonlySet<string>;
}

export const toyDecider: Decider<ToyState, ToyMessage, ToyEvent, ToyContext> = {
  name: "toy",
  initial: (stream) => ({ stream, total: 0, number: 0, forwarded: 0, sourceRevision: -1, open: {} }),
  evolve(state, event) {
    switch (event.type) {
      case "Added":
        if (event.data.amount === 666) throw new Error("an amount of 666 can't be folded");
        state.total += event.data.amount;
        state.number = event.data.number;
        if (event.data.due !== undefined) state.open[event.data.id] = event.data.due;
        return state;
      case "Forwarded":
        state.total += event.data.amount;
        state.forwarded = event.data.number;
        state.sourceRevision = event.data.revision;
        break;
      case "TimedOut":
        delete state.open[event.data.id];
        break;
      case "Noted":
        break;
    }
    return state;
  },
  needs: (_state, message) =>
    message.kind === "add"
      ? { keys: [message.id], chains: message.about === undefined ? [] : [message.about] }
      : { keys: [], chains: [] },
  decide(state, message, context, history) {
    if (message.kind === "timeout") {
      if (state.open[message.id] === undefined) return { kind: "skip", answer: { status: "ignored" } };
      return { kind: "record", events: [{ type: "TimedOut", data: { id: message.id } }], answer: { status: "recorded" } };
    }
    if (message.kind === "forwarded") {
      const first = message.number - (message.count ?? 1) + 1;
      if (message.number <= state.forwarded) return { kind: "skip", answer: { status: "duplicate" } };
      if (first !== state.forwarded + 1)
        return { kind: "gap", sourceStream: message.source, fromRevision: state.sourceRevision + 1 };
      const { number, amount, revision } = message;
      return {
        kind: "record",
        events: [{ type: "Forwarded", data: { number, amount, revision } }],
        answer: { status: "recorded" },
      };
    }
    const { id, amount, due, about } = message;
    const before = history.find(id);
    if (before !== undefined) {
      if (before.tag === String(amount)) return { kind: "skip", answer: { status: "duplicate" } };
      const noted: ToyEvent = { type: "Noted", data: { id } };
      return { kind: "park", reason: "conflict", detail: id, events: [noted], answer: { status: "conflict" } };
    }
    if (!context.known.has(message.account) && context.known.size > 0)
      return { kind: "park", reason: "unknown-account", detail: message.account, events: [], answer: { status: "parked" } };
    if (amount > context.catalogue) return { kind: "wait", reason: "the catalogue is behind" };
    let chain = 0;
    const link = about === undefined ? undefined : history.find(about)?.revision;
    for (let at = link; at !== undefined;) {
      const event = history.at(at);
      if (event.type !== "Added") throw new Error("not an addition");
      chain += event.data.amount;
      at = event.data.link;
    }
    const data = {
      id,
      amount,
      number: state.number + 1,
      ...(due === undefined ? {} : { due }),
      ...(link === undefined ? {} : { link }),
      total: chain,
    };
    return { kind: "record", events: [{ type: "Added", data }], answer: { status: "recorded" } };
  },
  merge(earlier, later) {
    if (earlier.kind !== "forwarded" || later.kind !== "forwarded" || earlier.source !== later.source) return undefined;
    if (later.number !== earlier.number + 1) return undefined;
    return { ...later, amount: earlier.amount + later.amount, count: (earlier.count ?? 1) + 1 };
  },
  keysOf: (event) => (event.type === "Added" ? [{ key: event.data.id, tag: String(event.data.amount) }] : []),
  linkOf: (event) => (event.type === "Added" ? event.data.link : undefined),
  *deadlines(state) {
    const account = state.stream.slice(state.stream.lastIndexOf(".") + 1);
    for (const [id, dueAt] of Object.entries(state.open)) yield { key: id, dueAt, message: { kind: "timeout", account, id } };
  },
  snapshot: (state) => JSON.stringify(state),
  revive: (text) => JSON.parse(text) as ToyState,
};

export const toyCodec: EventCodec<ToyEvent> = {
  encode: ({ type, data }) => ({ type, data: JSON.stringify(data) }),
  decode: ({ type, data }) => ({ type, data: JSON.parse(data) as unknown }) as ToyEvent,
};

/** A message with this id comes out of the bus as bytes that nobody can read. */
export const UNDECODABLE = "undecodable";

export const jsonCodec: TopicCodec = {
  encode: (body) => Buffer.from(JSON.stringify(body)),
  decode(bytes) {
    const text = Buffer.from(bytes).toString();
    if (text.includes(UNDECODABLE)) throw new Error("no such schema");
    return JSON.parse(text) as unknown;
  },
};

export const shardOf = (account: string): number => Buffer.from(account).reduce((sum, byte) => (sum * 31 + byte) % 256, 7);
export const streamOf = (account: string, category = "toy"): string =>
  `${category}-${shardOf(account).toString(16).padStart(2, "0")}.default.${account}`;

export function message(body: ToyMessage): BusMessage {
  return { key: `default.${body.account}`, shard: shardOf(body.account), body };
}

export const add = (account: string, id: string, amount: number, more: { due?: string; about?: string } = {}): ToyMessage => ({
  kind: "add",
  account,
  id,
  amount,
  ...more,
});

/** What a toy worker publishes to the next one: its additions, numbered. */
export const forwardedTopic: LogTopic = {
  topic: "toy.forwarded",
  streamPrefix: "toy-",
  keepsShard: true,
  messagesOf(event) {
    const { type, data } = toyCodec.decode(event);
    if (type !== "Added") return [];
    const account = event.stream.slice(event.stream.lastIndexOf(".") + 1);
    return [
      message({
        kind: "forwarded",
        account,
        number: data.number,
        amount: data.amount,
        source: event.stream,
        revision: event.revision,
      }),
    ];
  },
};

export interface Surroundings {
  readonly eventStore: EventStore;
  readonly bus: LocalBus;
  readonly time: VirtualTime;
  context: ToyContext;
  readonly log: Log;
  readonly counts: Map<string, number>;
  readonly metrics: Metrics;
  readonly answers: string[];
}

export interface VirtualTime {
  now(): string;
  defer(task: () => void, delayMs: number): void;
  /** Runs everything that falls due in so many milliseconds, in order. */
  pass(ms: number): Promise<void>;
}

/** Turns of the microtask queue that let everything run that needs no time. */
async function settle(): Promise<void> {
  for (let i = 0; i < 400; i++) await Promise.resolve();
}

export function virtualTime(): VirtualTime {
  let nowMs = Date.UTC(2026, 0, 1);
  let tasks: { readonly at: number; readonly task: () => void }[] = [];
  return {
    now: () => `${new Date(nowMs).toISOString().slice(0, 23)}000000Z`,
    defer: (task, delayMs) => void tasks.push({ at: nowMs + delayMs, task }),
    async pass(ms) {
      const end = nowMs + ms;
      for (;;) {
        await settle();
        const next = tasks.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
        if (next === undefined) break;
        tasks = tasks.filter((task) => task !== next);
        nowMs = Math.max(nowMs, next.at);
        next.task();
      }
      nowMs = end;
    },
  };
}

export function surroundings(eventStore = createMemoryEventStore()): Surroundings {
  const time = virtualTime();
  const counts = new Map<string, number>();
  const silent = () => undefined;
  return {
    eventStore,
    time,
    bus: createMemoryBus({
      topics: [{ name: "toy.in", partitions: 4, codec: jsonCodec }],
      logTopics: [{ ...forwardedTopic, partitions: 4 }],
      log: eventStore,
      // Nothing stays in memory: every message goes through its codec.
      keep: { messages: 0, bytes: 0 },
      now: time.now,
      defer: time.defer,
    }),
    context: { catalogue: 1_000_000, known: new Set() },
    log: { debug: silent, info: silent, warn: silent, error: silent },
    counts,
    metrics: { count: (name, by) => void counts.set(name, (counts.get(name) ?? 0) + by), gauge: silent },
    answers: [],
  };
}

type ToyOptions = WorkerOptions<ToyState, ToyMessage, ToyEvent, ToyContext>;

export function toyOptions(world: Surroundings, more: Partial<ToyOptions> = {}): ToyOptions {
  return {
    name: "toy",
    decider: toyDecider,
    codec: toyCodec,
    streamOf: ({ account }) => streamOf(account),
    prefixes: ["toy-"],
    inputs: [
      {
        topic: "toy.in",
        codec: jsonCodec,
        read: (body) => {
          const given = body as ToyMessage;
          return given.account === "" ? { park: "malformed", detail: "no account" } : given;
        },
      },
    ],
    context: () => world.context,
    eventStore: world.eventStore,
    bus: world.bus,
    cache: createMemoryCache(),
    clock: world.time,
    defer: world.time.defer,
    ownerOf: (key) => ({ ns: key.split(".")[0] ?? "", account: key.split(".")[1] ?? "" }),
    answers: (_message, answer) => void world.answers.push(answer.status),
    log: world.log,
    metrics: world.metrics,
    ...more,
  };
}

export function toyWorker(world: Surroundings, more: Partial<ToyOptions> = {}): Worker<ToyMessage> {
  return createWorker(toyOptions(world, more));
}

/** The input of a worker that follows another's additions. */
export const forwardedInput = {
  topic: "toy.forwarded",
  codec: jsonCodec,
  read: (body: unknown) => body as ToyMessage,
  source: forwardedTopic,
};

export async function eventsOf(world: Pick<Surroundings, "eventStore">, stream: string): Promise<ToyEvent[]> {
  return (await storedEvents(world, stream)).map((stored) => toyCodec.decode(stored));
}

export async function storedEvents(
  { eventStore }: Pick<Surroundings, "eventStore">,
  stream: string,
): Promise<readonly StoredEvent[]> {
  return await eventStore.readForward(stream, { maxCount: 1_000_000 });
}

export async function idsOf(world: Pick<Surroundings, "eventStore">, account: string): Promise<string[]> {
  return (await eventsOf(world, streamOf(account))).flatMap(({ type, data }) => (type === "Added" ? [data.id] : []));
}

export const recordedAtOf = (stored: StoredEvent): string => readSeal(stored.metadata).recordedAt;

/** Publishes messages to the toy worker's topic. */
export async function send(world: Pick<Surroundings, "bus">, ...messages: ToyMessage[]): Promise<void> {
  await world.bus.publish(
    "toy.in",
    messages.map((body) => message(body)),
  );
}

/** What is wrong with the links or times of a stream; undefined when nothing is. */
export async function chainProblem(world: Pick<Surroundings, "eventStore">, stream: string): Promise<string | undefined> {
  let link = FIRST_LINK;
  let latest = "";
  for (const stored of await storedEvents(world, stream)) {
    const { previous, recordedAt } = readSeal(stored.metadata);
    if (previous !== link) return `the link at revision ${stored.revision} does not fit`;
    if (recordedAt < latest) return `time goes back at revision ${stored.revision}`;
    link = linkAfter(stored);
    latest = recordedAt;
  }
  return undefined;
}
