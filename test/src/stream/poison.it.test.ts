/** Poison of every kind on every topic that a service consumes: parked once, seen by operators, and nothing waits for it. */
import { partitionKey, shardOf } from "@rerate/ledger";
import { reconcile } from "@rerate/process";
import { systemClock } from "@rerate/runtime";
import { runCommand, SERVICES } from "@rerate/stack";
import { topicCodec, type ParkedSummaryRead, type UsageAccepted } from "@rerate/wire";
import { hash } from "node:crypto";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { expectVerified } from "../end-to-end/audit.ts";
import { startStackLedger, type StackLedger } from "../end-to-end/stack-harness.ts";
import { SINCE } from "../end-to-end/test-ledger.ts";
import { REPOSITORY } from "../source-files.ts";
import { countBomb, poisonOf, TEN_MEGABYTES, type Poison } from "./poison-kinds.ts";
import { startRawProducer, type RawProducer } from "./raw-producer.ts";

const PARTITIONS = 3;
const ACCOUNT = "acme";
/** All topics of this account, and its wallet of the same name, have its messages in one partition. */
const PARTITION = shardOf("default", ACCOUNT) % PARTITIONS;
/** Every topic that a service consumes, with the group that does. */
const CONSUMED = {
  "usage.reported": "ingest",
  "signal.reported": "outcome-signal-intake",
  "usage.accepted": "settlement",
  "signal.accepted": "outcome-signal",
  "wallet.requested": "wallet",
  "usage.recorded": "outcome-signal",
  "ledger.entries": "wallet",
  "outcome.decided": "settlement",
  "contract.changed": "settlement",
} as const;
const TOPICS = Object.keys(CONSUMED) as (keyof typeof CONSUMED)[];
/** A good fact takes so long at most, poison or not, on a machine that does other things too. */
const SOON_MS = 30_000;

const plan = (models: readonly string[]) => `
kind: plan
id: by-model
title: Tokens by model, and accepted answers
currency: USD
items:
  - id: tokens
    model: tokens
    byModel: { ${models.map((model) => `${model}: { input: "1", output: "2" }`).join(", ")} }
outcome:
  id: accepted-answer
  definition: user-answer
  price: "0.50"
  shares: { success: "1", partial: "0.5", failure: "0" }
`;

let stack: StackLedger;
let producer: RawProducer;
const cli = (...given: readonly string[]) =>
  runCommand(join(REPOSITORY, "packages/cli/rerate.mjs"), given, { RERATE_URL: stack.stack.url });

beforeAll(async () => {
  stack = await startStackLedger({ partitions: PARTITIONS, environment: { RERATE_MARK_EVERY_MS: "500" } });
  producer = await startRawProducer(stack.stack.brokers);
  const { client } = stack.ledger;
  await stack.ledger.publish("outcomes/user-answer.yaml");
  await client.publishDocument(plan(["m-1"]), { effectiveFrom: SINCE });
  await stack.ledger.open(ACCOUNT, "by-model");
});

afterAll(async () => {
  await producer?.end();
  await stack?.ledger.remove();
});

const usage = (id: string, more: object = {}, subject = ACCOUNT) => ({
  specversion: "1.0" as const,
  type: "llm.completion",
  source: "api",
  id,
  subject,
  time: new Date().toISOString(),
  data: { model: "m-1", input_tokens: 1_000_000, output_tokens: 0, ...more },
});
const signal = (id: string, outcome: string) => ({
  source: "app",
  id,
  account: ACCOUNT,
  outcome: { source: "api", id: outcome },
  signal: "accept",
  time: new Date().toISOString(),
});

/** The parked records of a topic. */
async function parkedOn(topic: string): Promise<readonly ParkedSummaryRead[]> {
  const { parked } = await stack.ledger.client.parked({ limit: 1_000 });
  return parked.filter((record) => record.topic === topic);
}

/**
 * Facts of every kind through every topic and partition of the account: each is recorded soon, the verdict is charged, and the
 * wallet pays for both.
 */
async function expectGoodFactsRecorded(round: string): Promise<void> {
  const { client } = stack.ledger;
  const started = Date.now();
  const wait = { waitSeconds: SOON_MS / 1_000 };
  const [http, reported] = [`${round}-http`, `${round}-kafka`];
  const granted = await client.grant(ACCOUNT, { id: `grant-${round}`, amount: "3.00", unit: "USD" }, wait);
  expect(granted.answers?.map(({ status }) => status)).toEqual(["recorded"]);
  const sent = await client.sendUsage(usage(http), wait);
  expect(sent.answers?.map(({ status }) => status)).toEqual(["recorded"]);
  await producer.send("usage.reported", PARTITION, [{ key: "any", value: JSON.stringify(usage(reported)) }]);
  const seen = await client.sendSignals(signal(`${http}-s`, http), wait);
  expect(seen.answers?.map(({ status }) => status)).toEqual(["recorded"]);
  await producer.send("signal.reported", PARTITION, [{ key: "any", value: JSON.stringify(signal(`${reported}-s`, reported)) }]);
  const verdicts = async () => {
    const { outcomes } = await client.outcomes(ACCOUNT, { verdict: "success", limit: 100 });
    return [http, reported].filter((id) => outcomes.some((outcome) => outcome.id === id));
  };
  await expect.poll(verdicts, { timeout: SOON_MS }).toEqual([http, reported]);
  // Two requests of 1.00 and two verdicts of 0.50, all paid by the grant.
  const balance = async () => {
    const { units } = await client.balance(ACCOUNT);
    return units.map(({ unpaid, grants }) => [unpaid, grants.at(-1)?.remaining]);
  };
  await expect.poll(balance, { timeout: SOON_MS }).toEqual([["0", "0"]]);
  process.stderr.write(`[poison] good facts, ${round}: ${Date.now() - started} ms\n`);
}

async function expectReconciled(): Promise<Awaited<ReturnType<typeof reconcile>>> {
  await stack.ledger.settled();
  const counts = await reconcile("default", stack.engines);
  expect(counts).toMatchObject({ ok: true, problems: [] });
  for (const { accepted, recorded, parked, erased, waiting, mended } of counts.topics) {
    expect({ accepted, waiting, mended }).toEqual({ accepted: recorded + parked + erased, waiting: 0, mended: 0 });
  }
  return counts;
}

async function expectAllReady(): Promise<void> {
  for (const service of SERVICES) {
    for (const { child, name } of stack.stack.processesOf(service)) {
      const answer = await fetch(`${String(child?.said["url"])}/readyz`);
      expect([name, answer.status, await answer.text()]).toEqual([name, 200, expect.any(String)]);
    }
  }
  expect(await stack.ledger.client.status()).toMatchObject({ ready: true, quarantined: [] });
}

test("good facts go through before anything is wrong", async () => {
  await expectGoodFactsRecorded("before");
  await expectReconciled();
});

test("poison of every kind on every topic is parked once, with bytes and reason, and holds nothing up", async () => {
  const sent = new Map<string, Poison[]>();
  for (const topic of TOPICS) {
    const kinds = [...poisonOf(topic), ...(topic === "usage.reported" || topic === "usage.accepted" ? TEN_MEGABYTES : [])];
    sent.set(topic, kinds);
    for (const { key, value, packed } of kinds) {
      const times = (value?.length ?? 0) < 1_000 ? 2 : 1;
      for (let n = 0; n < times; n++) await producer.send(topic, PARTITION, [{ key, value }], packed);
    }
  }
  await expectGoodFactsRecorded("after");
  for (const [topic, kinds] of sent) {
    await expect.poll(async () => (await parkedOn(topic)).length, { timeout: SOON_MS }).toBeGreaterThanOrEqual(kinds.length);
    const records = await parkedOn(topic);
    // Each small one came twice; each is parked once. Sets that cannot be unpacked differ in their offsets.
    const twice = kinds.filter(({ value, whole }) => whole === true && (value?.length ?? 0) < 1_000).length;
    expect([topic, records.length]).toEqual([topic, kinds.length + twice]);
    expect(records.every(({ service }) => service === CONSUMED[topic as keyof typeof CONSUMED])).toBe(true);
    expect(records.filter(({ reason, detail }) => reason === "" || detail === "")).toEqual([]);
    const bytesOf = new Map<string, string>();
    for (const { id } of records) {
      const { bytesBase64, detail } = await stack.ledger.client.parkedMessage(id);
      bytesOf.set(hash("sha256", Buffer.from(bytesBase64, "base64"), "hex"), detail);
    }
    for (const { what, value, whole } of kinds) {
      if (whole === true) continue;
      const kept = hash("sha256", (value ?? Buffer.alloc(0)).subarray(0, 12_000_000), "hex");
      expect([topic, what, bytesOf.has(kept)]).toEqual([topic, what, true]);
    }
    const details = [...bytesOf.values()].join("\n");
    for (const reason of ["unpacks to more than", "not supported"])
      expect([topic, details]).toEqual([topic, expect.stringContaining(reason)]);
  }
  await expectAllReady();
  const { topics } = await expectReconciled();
  for (const { topic, parked } of topics) expect([topic, parked]).toEqual([topic, (await parkedOn(topic)).length]);
});

test("well-formed messages that are wrong: a lying count, a foreign namespace, a key that is not theirs", async () => {
  const body: UsageAccepted = {
    kind: "usage",
    ns: "default",
    account: ACCOUNT,
    source: "api",
    id: "bomb",
    type: "llm.completion",
    quantities: { zzzz: "1" },
    dimensions: {},
    occurredAt: systemClock.now(),
    receivedAt: systemClock.now(),
    contentHash: "1:abc",
  };
  const codec = topicCodec("usage.accepted");
  await producer.send("usage.accepted", PARTITION, [
    { key: partitionKey("default", ACCOUNT), value: countBomb(codec.encode(body), "zzzz") },
  ]);
  await producer.send("usage.reported", PARTITION, [
    { key: "k", value: JSON.stringify({ ...usage("foreign"), reratens: "shop" }) },
  ]);
  // Another account's key, and a partition that is not its own: decided all the same, where it belongs.
  await producer.send("usage.accepted", (PARTITION + 1) % PARTITIONS, [
    {
      key: partitionKey("default", "other"),
      value: Buffer.from(codec.encode({ ...body, id: "astray", quantities: { input_tokens: "0" }, model: "m-1" })),
    },
  ]);
  await expectGoodFactsRecorded("wrong");
  const reasons = async (topic: string) => (await parkedOn(topic)).map(({ reason }) => reason);
  await expect.poll(() => reasons("usage.reported"), { timeout: SOON_MS }).toContain("foreign-namespace");
  const foreign = (await parkedOn("usage.reported")).find(({ reason }) => reason === "foreign-namespace");
  expect(await stack.ledger.client.parkedMessage(foreign?.id ?? "")).toMatchObject({ body: { id: "foreign", reratens: "shop" } });
  const { entries } = await stack.ledger.client.entries(ACCOUNT, { limit: 100 });
  expect(entries.filter(({ id }) => id === "astray")).toHaveLength(1);
  await expectReconciled();
});

test("rerate parked lists, shows, retries what is mended, and erases for good", async () => {
  const { client } = stack.ledger;
  await client.sendUsage([usage("unpriced", { model: "m-2" }), usage("stranger", {}, "stranger")]);
  const parkedOf = async (reason: string) => (await client.parked({ reason, limit: 10 })).parked;
  await expect.poll(async () => (await parkedOf("unknown-model")).length, { timeout: SOON_MS }).toBe(1);
  await expect.poll(async () => (await parkedOf("unknown-account")).length, { timeout: SOON_MS }).toBe(1);
  const [unpriced] = await parkedOf("unknown-model");
  if (unpriced === undefined) throw new Error("nothing is parked");

  expect(await cli("parked", "list", "--reason", "unknown-model")).toContain(unpriced.id);
  expect(await cli("parked", "show", unpriced.id)).toContain('"unpriced"');
  await expect(cli("parked", "retry", unpriced.id)).rejects.toThrow("1 stay parked");
  await client.publishDocument(plan(["m-1", "m-2"]), { effectiveFrom: SINCE });
  // Settlement follows the documents; until it has read this one, the message stays parked.
  await expect
    .poll(async () => await cli("parked", "retry", unpriced.id).catch(String), { timeout: SOON_MS, interval: 1_000 })
    .toMatch(/1 of 1 are through|not known/);
  // An account that is opened needs no retry.
  await stack.ledger.open("stranger", "by-model");
  await expect.poll(async () => (await parkedOf("unknown-account")).length, { timeout: SOON_MS }).toBe(0);
  const recorded = async () => [
    ...(await client.entries(ACCOUNT, { limit: 100 })).entries.filter(({ id }) => id === "unpriced"),
    ...(await client.entries("stranger", { limit: 100 })).entries,
  ];
  await expect.poll(async () => (await recorded()).length, { timeout: SOON_MS }).toBe(2);

  const [poison] = await parkedOn("usage.accepted");
  if (poison === undefined) throw new Error("no poison is parked");
  expect(await cli("parked", "erase", poison.id)).toContain("is erased");
  await expect(client.parkedMessage(poison.id)).rejects.toThrow("not known");
  const values: boolean[] = [];
  await stack.engines.bus.scan("parked", (messages) => {
    for (const { key, content } of messages) if (key === poison.id) values.push(content.kind === "body");
  });
  // The last word on it is a tombstone: Kafka itself forgets the bytes.
  expect(values.at(-1)).toBe(false);
  const { topics } = await expectReconciled();
  expect(topics.find(({ topic }) => topic === "usage.accepted")).toMatchObject({ erased: 1 });
  expect(await cli("status", "--reconcile")).toContain("Every accepted message is recorded");
  await expectAllReady();
  await expectVerified(stack.ledger);
});
