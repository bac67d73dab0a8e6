import {
  chainHash,
  createMemoryEventStore,
  FIRST_LINK,
  NO_STREAM,
  type LocalEventStore,
  type StoredEvent,
} from "@rerate/event-store";
import { streamName } from "@rerate/ledger";
import { beforeAll, describe, expect, test } from "vitest";
import { sampleHistory } from "./testing/small-ledger.ts";
import { verify } from "./verify.ts";

const ACCOUNT = streamName("account", "default", "acme");
const OUTCOME = streamName("outcome", "default", "acme");
const WALLET = streamName("wallet", "default", "acme");

let history: readonly StoredEvent[];

beforeAll(async () => {
  const { eventStore } = await sampleHistory();
  history = (await eventStore.readAll({ maxCount: 10_000 })).events;
});

/** A log that holds these texts: what somebody with access to the disk could leave behind. */
async function logOf(events: readonly StoredEvent[]): Promise<LocalEventStore> {
  const eventStore = createMemoryEventStore();
  const lengths = new Map<string, number>();
  for (const { stream, type, data, metadata } of events) {
    const expectedRevision = lengths.get(stream) ?? NO_STREAM;
    await eventStore.append([{ stream, expectedRevision, events: [{ type, data, metadata }] }]);
    lengths.set(stream, expectedRevision + 1);
  }
  return eventStore;
}

/** Seals a changed history again, so that every link fits: what a forger would do. */
function resealed(events: readonly StoredEvent[]): StoredEvent[] {
  const heads = new Map<string, { revision: number; link: string }>();
  return events.map((event) => {
    const head = heads.get(event.stream) ?? { revision: -1, link: FIRST_LINK };
    const metadata = event.metadata.replace(/"prev":"[^"]*"/, `"prev":"${head.link}"`);
    const revision = head.revision + 1;
    heads.set(event.stream, { revision, link: chainHash(event.stream, revision, event.type, event.data, metadata) });
    return { ...event, revision, metadata };
  });
}

function changed(stream: string, revision: number, change: (event: StoredEvent) => StoredEvent): StoredEvent[] {
  return history.map((event) => (event.stream === stream && event.revision === revision ? change(event) : event));
}

function revisionOf(stream: string, type: string, nth = 0): number {
  const found = history.filter((event) => event.stream === stream && event.type === type)[nth];
  if (found === undefined) throw new Error(`no ${type} in ${stream}`);
  return found.revision;
}

describe("verify", () => {
  test("finds a history as the deciders made it in order, and adds up its books", async () => {
    const report = await verify({ eventStore: await logOf(history) });
    expect(report.problems).toEqual([]);
    expect(report.ok).toBe(true);
    expect(report.events).toBe(history.length);
    expect(report.pending).toEqual({ usage: 0, verdicts: 0, entries: 0 });
    const types = new Set(history.map(({ type }) => type));
    for (const type of [
      "UsageRecorded",
      "UsageCorrected",
      "VerdictApplied",
      "PeriodClosed",
      "CostRecorded",
      "EntriesApplied",
      "TimeoutPassed",
    ])
      expect(types).toContain(type);
    const debits = report.trialBalance.reduce((sum, { debitAtoms }) => sum + BigInt(debitAtoms), 0n);
    const credits = report.trialBalance.reduce((sum, { creditAtoms }) => sum + BigInt(creditAtoms), 0n);
    expect(debits).toBe(credits);
    expect(report.trialBalance.map(({ account }) => account)).toEqual([
      "cost-of-goods",
      "funding:purchase",
      "payable",
      "receivable",
      "refund:quality",
      "revenue:chat",
      "revenue:fee",
      "wallet-lot",
    ]);
  });

  test("gives the same report for the same log, whatever the order of its streams", async () => {
    const report = await verify({ eventStore: await logOf(history) });
    const byStream = history.toSorted((a, b) => (a.stream === b.stream ? a.revision - b.revision : a.stream < b.stream ? -1 : 1));
    const { head } = await verify({ eventStore: await logOf(byStream) });
    expect(head).toBe(report.head);
  });

  test("names the entry whose amount was changed, twice: by the chain and by deciding again", async () => {
    const revision = revisionOf(ACCOUNT, "UsageRecorded", 1);
    const forged = changed(ACCOUNT, revision, (event) => ({
      ...event,
      data: event.data.replace('"atoms":"25000000"', '"atoms":"15000000"'),
    }));
    const report = await verify({ eventStore: await logOf(forged) });
    expect(report.ok).toBe(false);
    expect(report.problems.find(({ kind }) => kind === "chain")).toMatchObject({
      stream: ACCOUNT,
      revision: revision + 1,
      field: "metadata.prev",
    });
    expect(report.problems.find(({ kind, stream }) => kind === "decision" && stream === ACCOUNT)).toMatchObject({
      revision,
      entry: 2,
      field: "entries[0].atoms",
      recorded: "15000000",
      recomputed: "25000000",
    });
  });

  test("catches a wrong amount also when the whole chain was forged to fit", async () => {
    const revision = revisionOf(ACCOUNT, "UsageRecorded", 1);
    const forged = changed(ACCOUNT, revision, (event) => ({
      ...event,
      data: event.data.replace('"atoms":"25000000"', '"atoms":"15000000"'),
    }));
    const report = await verify({ eventStore: await logOf(resealed(forged)) });
    expect(report.counts.chain).toBe(0);
    expect(report.problems.find(({ stream }) => stream === ACCOUNT)).toMatchObject({
      kind: "decision",
      revision,
      entry: 2,
      recorded: "15000000",
    });
    expect(report.problems[0]?.explanation?.at(-1)).toBe("exact 25000000 atoms, booked 25000000");
  });

  test("misses a deleted event", async () => {
    const revision = revisionOf(ACCOUNT, "UsageRecorded", 2);
    const report = await verify({
      eventStore: await logOf(history.filter((event) => event.stream !== ACCOUNT || event.revision !== revision)),
    });
    expect(report.problems.find(({ kind }) => kind === "chain")).toMatchObject({ stream: ACCOUNT, revision });
    expect(report.problems.find(({ kind, stream }) => kind === "decision" && stream === ACCOUNT)).toMatchObject({ revision });
  });

  test("misses a deleted event also when the chain was forged to fit", async () => {
    const revision = revisionOf(ACCOUNT, "UsageRecorded", 2);
    const report = await verify({
      eventStore: await logOf(resealed(history.filter((event) => event.stream !== ACCOUNT || event.revision !== revision))),
    });
    expect(report.counts.chain).toBe(0);
    expect(report.problems.find(({ stream }) => stream === ACCOUNT)).toMatchObject({ kind: "decision", revision });
  });

  test("sees two events that changed places", async () => {
    const [first, second] = [revisionOf(ACCOUNT, "UsageRecorded", 1), revisionOf(ACCOUNT, "UsageRecorded", 2)];
    const at = (revision: number): StoredEvent | undefined =>
      history.find((event) => event.stream === ACCOUNT && event.revision === revision);
    const swapped = history.map((event) => {
      if (event.stream !== ACCOUNT || (event.revision !== first && event.revision !== second)) return event;
      return { ...(at(event.revision === first ? second : first) ?? event), revision: event.revision };
    });
    const report = await verify({ eventStore: await logOf(swapped) });
    expect(report.problems[0]).toMatchObject({ kind: "chain", stream: ACCOUNT, revision: first, field: "metadata.prev" });
  });

  test("sees changed metadata, and a time of recording that goes back", async () => {
    const revision = revisionOf(ACCOUNT, "UsageRecorded", 1);
    const dated = (at: string) =>
      changed(ACCOUNT, revision, (event) => ({ ...event, metadata: event.metadata.replace(/"at":"[^"]*"/, `"at":"${at}"`) }));
    const later = await verify({ eventStore: await logOf(dated("2026-01-10T00:00:02.500000000Z")) });
    expect(later.problems[0]).toMatchObject({ kind: "chain", stream: ACCOUNT, revision: revision + 1, field: "metadata.prev" });
    const earlier = await verify({ eventStore: await logOf(resealed(dated("2025-01-10T00:00:02.500000000Z"))) });
    expect(earlier.problems[0]).toMatchObject({ kind: "chain", stream: ACCOUNT, revision, field: "metadata.at" });
  });

  test("sees a wallet that drew another amount than was charged", async () => {
    const revision = revisionOf(WALLET, "EntriesApplied");
    const forged = changed(WALLET, revision, (event) => ({ ...event, data: event.data.replaceAll("25000000", "24000000") }));
    const report = await verify({ eventStore: await logOf(resealed(forged)) });
    expect(report.problems[0]).toMatchObject({
      kind: "decision",
      stream: WALLET,
      revision,
      field: "lines[0].atoms",
      recorded: "24000000",
      recomputed: "25000000",
    });
  });

  test("sees a verdict that outcome-signal never gave", async () => {
    const revision = revisionOf(ACCOUNT, "VerdictApplied");
    const forged = changed(ACCOUNT, revision, (event) => ({
      ...event,
      data: event.data.replace('"reason":"explicit-signal"', '"reason":"invented"'),
    }));
    const report = await verify({ eventStore: await logOf(resealed(forged)) });
    expect(report.problems).toMatchObject([{ kind: "exchange", stream: ACCOUNT, revision }]);
  });

  test("sees a signal whose verdict was changed in the outcome's own stream", async () => {
    const revision = revisionOf(OUTCOME, "SignalRecorded");
    const forged = changed(OUTCOME, revision, (event) => ({
      ...event,
      data: event.data.replace('"verdict":"failure"', '"verdict":"success"'),
    }));
    const report = await verify({ eventStore: await logOf(resealed(forged)) });
    expect(report.problems[0]).toMatchObject({ kind: "decision", stream: OUTCOME, revision, field: "decided.verdict" });
  });

  test("sees a plan whose prices were changed under its hash", async () => {
    const stream = streamName("document", "default", "plan:tokens");
    const forged = changed(stream, 0, (event) => ({ ...event, data: event.data.replace('"input":"10"', '"input":"9"') }));
    const report = await verify({ eventStore: await logOf(resealed(forged)) });
    expect(report.problems[0]).toMatchObject({ kind: "decision", stream, revision: 0, field: "hash" });
    expect(report.problems.find((problem) => problem.stream === ACCOUNT)).toMatchObject({ entry: 1, field: "entries[0].atoms" });
  });

  test("counts what has not been passed on yet as pending, not as an error", async () => {
    const report = await verify({ eventStore: await logOf(history.filter(({ stream }) => stream !== WALLET)) });
    expect(report.ok).toBe(true);
    expect(report.pending.entries).toBeGreaterThan(5);
  });

  test("names the event that it cannot read", async () => {
    const revision = revisionOf(ACCOUNT, "UsageRecorded", 1);
    const cut = changed(ACCOUNT, revision, (event) => ({ ...event, data: event.data.slice(0, -1) }));
    const report = await verify({ eventStore: await logOf(cut) });
    expect(report.problems.find(({ stream, kind }) => stream === ACCOUNT && kind === "unreadable")).toMatchObject({ revision });
    const unknown = changed(ACCOUNT, revision, (event) => ({ ...event, type: "UsageInvented" }));
    const other = await verify({ eventStore: await logOf(unknown) });
    expect(other.problems.find(({ stream, kind }) => stream === ACCOUNT && kind === "unreadable")).toMatchObject({ revision });
  });

  test("passes on what a check of the read models found", async () => {
    const report = await verify({
      eventStore: await logOf(history),
      projections: async () => ({ kind: "different", events: 1, table: "balances", stored: "1", folded: "2" }),
    });
    expect(report).toMatchObject({ ok: false, projections: "different", problems: [{ kind: "projection", field: "balances" }] });
  });
});
