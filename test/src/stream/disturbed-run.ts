/**
 * The experiment: a history is told to a stack through its HTTP doors and its Kafka intake, every fact twice, out of order and once
 * more by somebody who publishes the accepted topics again, while processes are killed and frozen. In the end everything must
 * be counted once, and the ledger must be what an undisturbed one is.
 */
import { createImportHold } from "@rerate/cli";
import { createEmitter, createKafkaEmitter, type Emitter, type Fact } from "@rerate/client";
import type { KafkaBus } from "@rerate/message-bus/kafka";
import { ownerOfKey, shardOf } from "@rerate/ledger";
import { elapsedMs, sleep } from "@rerate/runtime";
import { SERVICES, type ServiceName, type Stack } from "@rerate/stack";
import { seededRandom } from "@rerate/testkit";
import { Kafka, logLevel, Partitioners } from "kafkajs";
import { expectVerified } from "../end-to-end/audit.ts";
import { startStackLedger, type StackLedger } from "../end-to-end/stack-harness.ts";
import { startStandaloneLedger } from "../end-to-end/standalone-harness.ts";
import { disturb, type ChaosCounts, type ChaosPlan } from "./chaos.ts";
import { makeFeed, prepare, type Feed, type FeedOptions } from "./feed.ts";
import { countLedger, identitiesOf, type LedgerCounts } from "./ledger-counts.ts";
import { sumsOf, type LedgerState } from "./ledger-state.ts";

export interface DisturbedOptions extends Omit<FeedOptions, "seed">, ChaosPlan {
  readonly processes?: Partial<Readonly<Record<ServiceName, number>>>;
  /** Over so long a time the facts are spread. */
  readonly sendForMs: number;
  readonly say: (text: string) => void;
  /** Instead of kills and freezes: what happens while facts are sent, and after that while deadlines fire. */
  readonly happening?: (stack: Stack, phase: "sending" | "firing") => Promise<void>;
}

export interface DisturbedReport {
  readonly sent: readonly string[];
  readonly counts: LedgerCounts;
  readonly chaos: ChaosCounts;
  readonly expected: LedgerState;
  readonly actual: LedgerState;
  readonly seconds: number;
}

/** Rejects when `verify` does not accept the ledger. Leaves no process behind. */
export async function runDisturbed(options: DisturbedOptions): Promise<DisturbedReport> {
  const { say, seed } = options;
  const feed = makeFeed(options);
  const expected = await undisturbed(feed);
  say(`undisturbed, standalone: ${Object.keys(expected).length} accounts`);
  const started = elapsedMs();
  const stack = await startStackLedger({
    processes: options.processes ?? { settlement: 2 },
    onEvent(event) {
      if (event.kind === "ended" && !EXPECTED_ENDS.has(event.how)) say(`${event.name} ended by itself: ${event.how}`);
    },
  });
  try {
    const { ledger } = stack;
    await prepare(ledger, feed);
    const again = publishAgain(stack.engines.bus, seed);
    const hold = createImportHold((command) => ledger.client.sendImport(command), { source: "test", id: "history" });
    for (const { name } of feed.accounts) await hold.start(name);
    say(`told the stack about ${feed.accounts.length} accounts; now facts and trouble`);

    const sending = await telling(stack, feed, options);
    const first = await happens(stack.stack, "sending", options);
    await sending.finish();
    await allReady(stack.stack);
    await again.done();
    await ledger.settled();
    say("all facts are settled; the import ends, with more trouble");
    // What the deadlines of the history do, they do under fire.
    const [second] = await Promise.all([happens(stack.stack, "firing", options), untilDone(() => hold.end())]);
    await allReady(stack.stack);
    await again.done();
    await ledger.quiet();
    await again.stop();
    const counts = await countLedger(stack.engines);
    const actual = await sumsOf(ledger.client);
    await expectVerified(ledger);
    return {
      sent: identitiesOf(feed),
      counts,
      chaos: plus(first, second),
      expected,
      actual,
      seconds: (elapsedMs() - started) / 1_000,
    };
  } finally {
    await stack.ledger.remove();
  }
}

/** How killed processes end: the program that runs the broker sees its child die. */
const EXPECTED_ENDS = new Set(["SIGKILL", "0", "1"]);

async function undisturbed(feed: Feed): Promise<LedgerState> {
  const ledger = await startStandaloneLedger();
  try {
    await prepare(ledger, feed);
    await ledger.importFacts(feed.facts);
    return await sumsOf(ledger.client);
  } finally {
    await ledger.remove();
  }
}

const NO_CHAOS: ChaosCounts = { kills: {}, brokerKills: 0, frontKills: 0, zombies: 0, closedPorts: 0 };
/** This part of the trouble comes while facts are sent. */
const WHILE_SENDING = 0.8;

async function happens(stack: Stack, phase: "sending" | "firing", options: DisturbedOptions): Promise<ChaosCounts> {
  if (options.happening !== undefined) {
    await options.happening(stack, phase);
    return NO_CHAOS;
  }
  const of = (count: number): number => {
    const first = Math.ceil(count * WHILE_SENDING);
    return phase === "sending" ? first : count - first;
  };
  const { seed, everyMs, kills, brokerKills, frontKills, freezes } = options;
  const plan: ChaosPlan = {
    seed: `${seed} ${phase}`,
    everyMs,
    kills: of(kills),
    brokerKills: of(brokerKills),
    frontKills: of(frontKills),
    freezes: of(freezes),
  };
  return await disturb(stack, plan, options.say);
}

function plus(a: ChaosCounts, b: ChaosCounts): ChaosCounts {
  const kills = { ...a.kills };
  for (const [name, count] of Object.entries(b.kills)) kills[name] = (kills[name] ?? 0) + count;
  return {
    kills,
    brokerKills: a.brokerKills + b.brokerKills,
    frontKills: a.frontKills + b.frontKills,
    zombies: a.zombies + b.zombies,
    closedPorts: a.closedPorts + b.closedPorts,
  };
}

const SLICE_EVERY_MS = 500;

/** Sends every fact over HTTP and over Kafka, all of it shuffled, in slices. */
async function telling(
  { stack }: StackLedger,
  { facts }: Feed,
  { seed, sendForMs, say }: DisturbedOptions,
): Promise<{ finish(): Promise<void> }> {
  const producer = new Kafka({
    clientId: "producer",
    brokers: stack.brokers.split(","),
    logLevel: logLevel.NOTHING,
    retry: { retries: 3, initialRetryTime: 200 },
  }).producer({ createPartitioner: Partitioners.DefaultPartitioner });
  await producer.connect();
  const common = { source: "test", pauseMs: 200, maxPauseMs: 2_000, maxBatch: 100, lingerMs: 100 };
  const emitters: readonly Emitter[] = [
    createEmitter({ ...common, url: stack.url, timeoutMs: 5_000 }),
    createKafkaEmitter({ ...common, send: async (batch) => producer.send({ ...batch, acks: -1 }), timeoutMs: 10_000 }),
  ];
  const all: Fact[] = [
    ...[...facts.usage, ...facts.corrections].map((body): Fact => ({ kind: "usage", body })),
    ...facts.signals.map((body): Fact => ({ kind: "signal", body })),
    ...facts.costs.map((body): Fact => ({ kind: "cost", body })),
  ];
  const copies = seededRandom(`${seed} copies`).shuffle(emitters.flatMap((emitter) => all.map((fact) => ({ emitter, fact }))));
  const slices = Math.max(1, Math.ceil(sendForMs / SLICE_EVERY_MS));
  const size = Math.ceil(copies.length / slices);
  const emitted = (async () => {
    for (let at = 0; at < copies.length; at += size) {
      for (const { emitter, fact } of copies.slice(at, at + size)) {
        if (!emitter.emit(fact)) throw new Error("an emitter has no room");
      }
      await sleep(SLICE_EVERY_MS);
    }
  })();
  return {
    async finish() {
      await emitted;
      const counts = await Promise.all(emitters.map((emitter) => emitter.close(120_000)));
      await producer.disconnect();
      say(`sent over HTTP and over Kafka: ${counts.map(({ sent }) => sent).join(" and ")}`);
      for (const { waiting, refused, dropped } of counts) {
        if (waiting + refused + dropped > 0)
          throw new Error(`not sent: ${waiting} waiting, ${refused} refused, ${dropped} dropped`);
      }
    },
  };
}

interface Republisher {
  /** Resolves when everything that is in the topics has been published again. */
  done(): Promise<void>;
  stop(): Promise<void>;
}

/** Publishes every message of the accepted topics once more, in another order: its consumer and producer in one. */
function publishAgain(bus: KafkaBus, seed: number | string): Republisher {
  const random = seededRandom(`${seed} again`);
  const seen = new Set<string>();
  const consumer = bus.consume({
    group: AGAIN,
    topics: ["usage.accepted", "signal.accepted"],
    async onChunk({ topic, messages }) {
      const fresh = messages.flatMap(({ key, content }) => {
        if (content.kind !== "body") return [];
        const text = JSON.stringify(content.body);
        // Copies of a fact differ in the time that the door gave them.
        const name = `${topic} ${text.replaceAll(/"receivedAt":"[^"]*"/g, "")}`;
        if (seen.has(name)) return [];
        return [{ name, message: { key, shard: shardOfKey(key), body: content.body } }];
      });
      await bus.publish(topic, random.shuffle(fresh.map(({ message }) => message)));
      for (const { name } of fresh) seen.add(name);
    },
  });
  return {
    async done() {
      for (let atEnd = 0; atEnd < 3;) {
        const lanes = bus.status().get(AGAIN) ?? [];
        atEnd = lanes.length > 0 && lanes.every(({ position, end }) => position >= end) ? atEnd + 1 : 0;
        await sleep(500);
      }
    },
    stop: () => consumer.stop(),
  };
}

const AGAIN = "published-again";

function shardOfKey(key: string): number {
  const { ns, account } = ownerOfKey(key);
  return shardOf(ns, account);
}

async function allReady(stack: Stack): Promise<void> {
  const all = [stack.broker, stack.front, ...SERVICES.flatMap((service) => stack.processesOf(service))];
  await Promise.all(all.map(async (one) => one?.ready()));
}

/** Tries again while processes are down. */
async function untilDone(task: () => Promise<void>): Promise<void> {
  for (;;) {
    try {
      await task();
      return;
    } catch {
      await sleep(SLICE_EVERY_MS);
    }
  }
}
