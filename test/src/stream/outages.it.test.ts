/**
 * What operations do to a stream: services away longer than a deadline, servers gone under load, topics created anew, partitions
 * raised, offsets outside the log. The documented behaviour each time, and nothing lost or billed twice.
 */
import { partitionKey, shardOf } from "@rerate/ledger";
import { instant } from "@rerate/money";
import { reconcile } from "@rerate/process";
import { sleep, systemClock } from "@rerate/runtime";
import { runCommand, startChild, type ServiceName, type StackEvent } from "@rerate/stack";
import type { SignalAccepted } from "@rerate/wire";
import { Kafka, logLevel } from "kafkajs";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { expectVerified } from "../end-to-end/audit.ts";
import { startStackLedger, type StackLedger, type StackLedgerOptions } from "../end-to-end/stack-harness.ts";
import { SINCE } from "../end-to-end/test-ledger.ts";
import { REPOSITORY } from "../source-files.ts";
import { startOwnServers, type OwnServers } from "./own-servers.ts";
import { startRawProducer, type RawProducer } from "./raw-producer.ts";

const ACCOUNTS = ["acme", "globex", "initech", "umbrella"];
const TIMEOUT_MS = 4_000;
/** For what happens by itself, on a machine that does other things too. */
const SOON_MS = 60_000;

const DEFINITION = `
kind: outcome-definition
id: quick-answer
title: Accepted within seconds, or half
signals:
  accept: { weight: "1", explicit: true }
timeout: PT${TIMEOUT_MS / 1_000}S
onTimeout: { use: fixed, score: "0.5", verdict: partial }
thresholds: { success: "0.7", partial: "0.3" }
reversalWindow: PT0S
disclosed: [accept]
`;
const PLAN = `
kind: plan
id: quick
title: A dollar a request, and quick answers
currency: USD
items:
  - id: requests
    model: per-request
    price: "1.00"
outcome:
  id: answer
  definition: quick-answer
  price: "0.50"
  shares: { success: "1", partial: "0.5", failure: "0" }
`;

const directory = mkdtempSync(join(tmpdir(), "rerate-outages-"));
const options: { -readonly [Name in keyof StackLedgerOptions]: StackLedgerOptions[Name] } = {
  partitions: 2,
  // Deadlines fire sooner.
  environment: { RERATE_MARK_EVERY_MS: "500" },
};
const events: StackEvent[] = [];
let servers: OwnServers;
let stack: StackLedger;
let producer: RawProducer;
/** Every usage that a door or a topic has accepted. */
const accepted = new Map<string, string>();

beforeAll(async () => {
  servers = await startOwnServers(directory);
  process.env["KAFKA_BROKERS"] = servers.brokers;
  process.env["EVENTSTOREDB_URL"] = servers.eventStoreUrl;
  options.onEvent = (event) => void events.push(event);
  stack = await startStackLedger(options);
  producer = await startRawProducer(servers.brokers);
  await stack.ledger.client.publishDocument(DEFINITION, { effectiveFrom: SINCE });
  await stack.ledger.client.publishDocument(PLAN, { effectiveFrom: SINCE });
  for (const account of ACCOUNTS) await stack.ledger.open(account, "quick");
});

afterAll(async () => {
  try {
    await producer?.end();
    await stack?.ledger.remove();
  } finally {
    await servers?.end();
    rmSync(directory, { recursive: true, force: true });
  }
});

const usage = (id: string, subject: string, time = systemClock.now()) => ({
  specversion: "1.0" as const,
  type: "llm.completion",
  source: "api",
  id,
  subject,
  time,
  data: { requests: 1 },
});

/** Two requests of every account. */
async function sendSome(round: string): Promise<void> {
  const bodies = ACCOUNTS.flatMap((account) => [1, 2].map((n) => usage(`${round}-${account}-${n}`, account)));
  await stack.ledger.client.sendUsage(bodies);
  for (const { id, subject } of bodies) accepted.set(id, subject);
}

/** Runs the command line against the cluster, as an operator does. */
const cli = (...given: readonly string[]) =>
  runCommand(join(REPOSITORY, "packages/cli/rerate.mjs"), given, {
    ...stack.stack.environment,
    RERATE_PARTITIONS: String(options.partitions),
  });

/** Does something while no process of a service runs. */
async function whileAway(service: ServiceName, task: () => Promise<void>): Promise<void> {
  for (const one of stack.stack.processesOf(service)) await one.stop();
  try {
    await task();
  } finally {
    await stack.stack.add(service);
  }
}

/** Every accepted usage has exactly one entry for its request, and the counts agree. */
async function expectNothingLost(): Promise<void> {
  await stack.ledger.quiet();
  const found = new Map<string, number>();
  for (const account of ACCOUNTS) {
    for await (const { id = "", kind, item } of stack.ledger.client.allEntries(account)) {
      if (item === "requests" && kind === "charge") found.set(id, (found.get(id) ?? 0) + 1);
    }
  }
  expect([...accepted.keys()].filter((id) => found.get(id) !== 1)).toEqual([]);
  const counts = await reconcile("default", stack.engines);
  expect(counts).toMatchObject({ ok: true, problems: [] });
  for (const { waiting, missing, twice } of counts.topics)
    expect({ waiting, missing, twice }).toEqual({ waiting: 0, missing: 0, twice: 0 });
}

/** How a process of a service ends that is started now. */
async function endOf(service: ServiceName): Promise<{ readonly code: number | null; readonly text: string }> {
  const logFile = join(directory, `${service}-ends.log`);
  const environment = { ...stack.stack.environment, RERATE_PORT: "0", RERATE_INSTANCE: `${service}-ends` };
  const script = join(REPOSITORY, `services/${service}/src/main.ts`);
  const child = await startChild({ name: service, script, environment, logFile }).catch((error: unknown) => String(error));
  if (typeof child === "string") return { code: Number(/ended with (\d+)/.exec(child)?.[1]), text: child };
  const { code } = await child.exited;
  return { code, text: readFileSync(logFile, "utf8") };
}

async function deleteTopic(topic: string): Promise<void> {
  const admin = new Kafka({ brokers: servers.brokers.split(","), logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  await admin.deleteTopics({ topics: [topic] });
  await admin.disconnect();
}

/** Waits until a process of a service has ended by itself, because it cannot go on. */
async function endsByItself(service: ServiceName, withinMs: number): Promise<void> {
  const codes = () => events.flatMap((event) => (event.kind === "ended" && event.name.startsWith(service) ? [event.how] : []));
  await expect.poll(codes, { timeout: withinMs }).toContain("70");
}

test("signals that wait in Kafka while outcome-signal is away longer than a timeout count before the timeouts do", async () => {
  const time = systemClock.now();
  const ids = ["on-intake", "on-accepted", "unanswered"];
  await whileAway("outcome-signal", async () => {
    for (const [n, id] of ids.entries()) {
      const account = ACCOUNTS[n] ?? "";
      await stack.ledger.client.sendUsage(usage(id, account, time));
      accepted.set(id, account);
    }
    const answer = { source: "app", signal: "accept", time: instant(new Date(Date.parse(time) + 1_000).toISOString()) };
    const onIntake = { ...answer, id: "s-1", account: ACCOUNTS[0], outcome: { source: "api", id: "on-intake" } };
    await producer.send("signal.reported", 0, [{ key: "any", value: JSON.stringify(onIntake) }]);
    const { time: occurredAt, ...said } = answer;
    const account = ACCOUNTS[1] ?? "";
    const onAccepted: SignalAccepted = {
      ...said,
      kind: "signal",
      ns: "default",
      account,
      id: "s-2",
      outcome: { source: "api", id: "on-accepted" },
      occurredAt,
      receivedAt: systemClock.now(),
      contentHash: "1:test",
    };
    const message = { key: partitionKey("default", account), shard: shardOf("default", account), body: onAccepted };
    await stack.engines.bus.publish("signal.accepted", [message]);
    await sleep(TIMEOUT_MS * 1.5);
  });
  await expectNothingLost();
  const verdicts: string[] = [];
  for (const [n, id] of ids.entries()) {
    const { verdict, reason } = await stack.ledger.client.outcome(ACCOUNTS[n] ?? "", "api", id);
    verdicts.push(`${id}: ${verdict ?? "none"} by ${reason ?? "nothing"}`);
  }
  expect(verdicts).toEqual([
    "on-intake: success by explicit-signal",
    "on-accepted: success by explicit-signal",
    "unanswered: partial by timeout",
  ]);
});

test("doors accept while settlement is away; rerate status shows how far behind it is", async () => {
  await whileAway("settlement", async () => {
    await sendSome("no-settlement");
    const status = await stack.ledger.client.status();
    const behind = status.lag.filter(({ group, topic }) => group === "settlement" && topic === "usage.accepted");
    expect(behind.reduce((sum, { lag }) => sum + lag, 0)).toBeGreaterThanOrEqual(ACCOUNTS.length * 2);
    expect(status.oldestUnrecordedAt).toBeDefined();
    const waiting = await reconcile("default", stack.engines);
    expect(waiting).toMatchObject({ ok: true });
    expect(waiting.topics[0]).toMatchObject({ topic: "usage.accepted", waiting: ACCOUNTS.length * 2, missing: 0 });
  });
  await expectNothingLost();
  await expect.poll(async () => (await stack.ledger.client.status()).oldestUnrecordedAt, { timeout: SOON_MS }).toBeUndefined();
});

test("a committed offset outside the log stops the service, which says so; moved to the beginning it goes on", async () => {
  await whileAway("settlement", async () => {
    await sendSome("outside");
    const admin = new Kafka({ brokers: servers.brokers.split(","), logLevel: logLevel.NOTHING }).admin();
    await admin.connect();
    const partitions = [0, 1].map((partition) => ({ partition, offset: "1000000" }));
    await admin.setOffsets({ groupId: "settlement", topic: "usage.accepted", partitions });
    await admin.disconnect();
    // What was handled cannot be told from what waits: everything that is not in the log counts as waiting.
    expect((await reconcile("default", stack.engines)).topics[0]).toMatchObject({ waiting: ACCOUNTS.length * 2, missing: 0 });
    const { code, text } = await endOf("settlement");
    expect(code).toBe(70);
    expect(text).toContain("outside the topic's log");
    expect(text).toContain("rerate topics move-group");
    expect(await cli("topics", "move-group", "settlement", "usage.accepted", "beginning")).toContain("goes on at the beginning");
  });
  await expectNothingLost();
});

test("a topic that is created anew under running services stops them; started again they begin at 0", async () => {
  events.length = 0;
  await deleteTopic("usage.accepted");
  await expect.poll(() => cli("topics", "create"), { timeout: SOON_MS, interval: 500 }).toContain("created usage.accepted");
  await endsByItself("settlement", SOON_MS);
  // Nobody did anything: it was started again, and found that Kafka had forgotten its offsets with the topic.
  const { answers } = await stack.ledger.client.sendUsage(usage("anew", "acme"), { waitSeconds: SOON_MS / 2_000 });
  accepted.set("anew", "acme");
  expect(answers?.map(({ status }) => status)).toEqual(["recorded"]);
  await sendSome("anew");
  // The test's own consumers of the topic have stopped, too.
  await stack.ledger.restart();
  await expectNothingLost();
});

test("a topic that is created anew while services are stopped is read from 0; what it lost is read from the log", async () => {
  for (const one of stack.stack.processesOf("wallet")) await one.stop();
  await stack.ledger.client.sendUsage(usage("unpaid-before", "acme"));
  accepted.set("unpaid-before", "acme");
  const entries = async () => (await stack.ledger.client.entries("acme", { order: "newest", limit: 10 })).entries;
  await expect.poll(async () => (await entries()).map(({ id }) => id), { timeout: SOON_MS }).toContain("unpaid-before");
  await stack.ledger.stop();
  for (const topic of ["usage.accepted", "ledger.entries", "outcome.decided"]) await deleteTopic(topic);
  await stack.ledger.restart();
  await sendSome("stopped");
  await expectNothingLost();
  // All entries of the account are with its wallet, also those whose messages were lost with the topic.
  const { units } = await stack.ledger.client.balance("acme");
  expect(units.map(({ net, unpaid }) => net === unpaid)).toEqual([true]);
});

test("a raised number of partitions stops services that work with the old one; with the new one nothing is lost", async () => {
  for (const one of stack.stack.processesOf("settlement")) await one.stop();
  await sendSome("two-partitions");
  events.length = 0;
  options.partitions = 3;
  expect(await cli("topics", "create")).toContain("from 2 to 3 partitions");
  // Settlement is started with the old number, wallet works with it.
  const { code, text } = await endOf("settlement");
  expect([code, text]).toEqual([expect.any(Number), expect.stringContaining("must have 2")]);
  expect(code).not.toBe(0);
  await endsByItself("wallet", 2 * SOON_MS);
  await stack.ledger.restart();
  await sendSome("three-partitions");
  await expectNothingLost();
});

interface Load {
  /** Answers by status; 0 where nobody answered. */
  readonly statuses: Map<number, number>;
  end(): Promise<void>;
}

/** Sends one usage after the other until it is ended. Only what is answered 202 counts as accepted. */
function load(round: string): Load {
  const statuses = new Map<number, number>();
  const running = new Set<Promise<void>>();
  const stopping = new AbortController();
  async function send(n: number): Promise<void> {
    const account = ACCOUNTS[n % ACCOUNTS.length] ?? "";
    const body = JSON.stringify(usage(`${round}-${n}`, account));
    const answer = await fetch(`${stack.stack.url}/api/v1/events`, {
      method: "POST",
      headers: { "content-type": "application/cloudevents+json" },
      body,
    }).catch(() => undefined);
    const status = answer?.status ?? 0;
    await answer?.arrayBuffer();
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
    if (status === 202) accepted.set(`${round}-${n}`, account);
  }
  const ended = (async () => {
    for (let n = 0; !stopping.signal.aborted; n++) {
      const one: Promise<void> = send(n).finally(() => running.delete(one));
      running.add(one);
      await sleep(150);
    }
  })();
  return {
    statuses,
    async end() {
      stopping.abort();
      await ended;
      await Promise.all(running);
      process.stderr.write(`[outages] ${round}: answers ${JSON.stringify([...statuses])}\n`);
    },
  };
}

test("the event store is away for twenty seconds under load: doors accept, and nothing is lost", async () => {
  const running = load("no-log");
  await sleep(1_000);
  await servers.eventStore.takeAway();
  await sleep(20_000);
  await servers.eventStore.bringBack();
  await sleep(1_000);
  await running.end();
  expect([...running.statuses.keys()]).toEqual([202]);
  await expectNothingLost();
});

test("the broker is away under load: doors hold requests and refuse them in the end; what was answered 202 is recorded", async () => {
  const running = load("no-broker");
  await sleep(1_000);
  await servers.broker.takeAway();
  // Longer than a door holds a request.
  await sleep(32_000);
  await servers.broker.bringBack();
  await sleep(2_000);
  await running.end();
  expect(new Set(running.statuses.keys())).toEqual(new Set([202, 503]));
  await expectNothingLost();
  await expectVerified(stack.ledger);
});
