import { openDatabase } from "@rerate/sqlite";
import { formatAmount, instant, parseAmount } from "@rerate/money";
import { beforeAll, describe, expect, test } from "vitest";
import { createHistory, entry, randomHistory, seeded, type History } from "../random-history.ts";
import { foldLog } from "../rebuild.ts";
import { openProjectionStore } from "../store.ts";
import { listAccounts, readAccount, readBalance } from "./accounts.ts";
import { listCosts } from "./costs.ts";
import { listEntries } from "./entries.ts";
import { explainEntry, explanationLines } from "./explanation.ts";
import { listInvoices, readInvoice } from "./invoices.ts";
import { listOutcomes, readOutcome } from "./outcomes.ts";
import type { Reader } from "./reader.ts";
import { createSharedIdentities } from "./shared-identities.ts";
import { readTotals } from "./totals.ts";
import { readUsage } from "./usage.ts";

const NOW = "2026-02-01T00:00:00.000000000Z";
const T0 = instant("2026-01-05T10:20:00Z");
const ACME = { ns: "default", account: "acme" };
const RULES = { bound: 0, plan: "plan-hash", prices: { models: "list-hash" }, outcome: "def-hash" };

async function readerOf(history: History): Promise<Reader> {
  const store = openProjectionStore(openDatabase(":memory:", { synchronous: "NORMAL" }));
  await foldLog(store, history);
  return { ...history, store };
}

/** One account with a charge, a refund by verdict, a correction to another model, costs and a grant. */
async function acme(): Promise<History> {
  const history = createHistory();
  const open = { account: "acme", timeZone: "UTC", currency: "USD", wallet: "acme" };
  await history.append("contract", "acme", { type: "AccountOpened", data: open });
  await history.append("contract", "acme", {
    type: "PlanAssigned",
    data: { planId: "free", from: "2026-01-01T00:00:00.000000000Z" },
  });
  await history.append("contract", "acme", {
    type: "PlanAssigned",
    data: { planId: "later", from: "2026-03-01T00:00:00.000000000Z" },
  });
  const bound = {
    from: T0,
    plan: "plan-hash",
    planId: "free",
    priceLists: { models: "list-hash" },
    decider: 1,
    timeZone: "UTC",
    currency: "USD",
    wallet: "acme",
    contractRevision: 1,
  };
  await history.append("account", "acme", { type: "RulesBound", data: bound });
  const period = {
    period: "2026-01",
    start: instant("2026-01-01T00:00:00Z"),
    end: instant("2026-02-01T00:00:00Z"),
    dueAt: instant("2026-02-02T00:00:00Z"),
  };
  await history.append("account", "acme", { type: "PeriodOpened", data: period });
  const usage = { source: "app", id: "r1" };
  const recorded = await history.append("account", "acme", {
    type: "UsageRecorded",
    data: {
      ...usage,
      occurredAt: T0,
      contentHash: "1:a",
      content: { type: "chat", provider: "azure", model: "m1", quantities: { input_tokens: "1000" }, dimensions: { user: "u1" } },
      rules: RULES,
      period: "2026-01",
      entries: [
        entry(1, {
          atoms: "10500000",
          exact: "31500001/3",
          measure: "1500",
          after: "1500",
          steps: ["1000 × 0.003 per 1,000", "500 × 0.015 per 1,000"],
        }),
      ],
      published: 1,
    },
  });
  const opened = {
    outcome: usage,
    usage,
    occurredAt: T0,
    definition: "def-hash",
    source: { stream: "a", revision: recorded, number: 1 },
    dueAt: instant("2026-01-06T10:20:00Z"),
  };
  const head = await history.append("outcome", "acme", { type: "OutcomeOpened", data: opened });
  const decided = {
    number: 1,
    verdict: "failure",
    score: "0",
    reason: "explicit-signal",
    revision: 1,
    definition: "def-hash",
    decidedAt: T0,
    evidence: [{ source: "app", id: "s1", signal: "explicit_reject", contribution: "-1" }],
  };
  await history.append("outcome", "acme", {
    type: "SignalRecorded",
    data: {
      source: "app",
      id: "s1",
      outcome: usage,
      signal: "explicit_reject",
      occurredAt: T0,
      contentHash: "1:s",
      decided,
      link: head,
    },
  });
  const verdict = await history.append("account", "acme", {
    type: "VerdictApplied",
    data: {
      outcome: usage,
      verdict: "failure",
      score: "0",
      reason: "explicit-signal",
      verdictRevision: 1,
      decidedAt: T0,
      definition: "def-hash",
      source: { stream: "o", revision: 1, number: 1 },
      rules: RULES,
      entries: [
        entry(2, {
          role: "quality",
          kind: "refund",
          atoms: "-5000000",
          exact: "-5000000",
          measure: "0",
          corrects: 1,
          postedIn: "2026-02",
        }),
      ],
      link: recorded,
    },
  });
  await history.append("account", "acme", {
    type: "UsageCorrected",
    data: {
      source: "app",
      id: "r1-fix",
      occurredAt: T0,
      contentHash: "1:b",
      corrects: usage,
      revision: 1,
      content: { type: "chat", provider: "azure", model: "m2", quantities: { input_tokens: "400" }, dimensions: { user: "u1" } },
      holds: true,
      rules: RULES,
      entries: [
        entry(3, { kind: "correction", atoms: "-10500000", exact: "-10500000", measure: "-1500", corrects: 1 }),
        entry(4, { kind: "correction", atoms: "4000000", exact: "4000000", measure: "400" }),
      ],
      outcomeOf: usage,
      link: verdict,
    },
  });
  const cost = { source: "erp", id: "c1", occurredAt: instant("2026-01-09T00:00:00Z"), unit: "USD" };
  const costAt = await history.append("account", "acme", {
    type: "CostRecorded",
    data: { ...cost, contentHash: "1:c", atoms: "2000000", text: "0.0020", about: usage },
  });
  await history.append("account", "acme", {
    type: "CostCorrected",
    data: {
      ...cost,
      id: "c1-fix",
      contentHash: "1:d",
      corrects: { source: "erp", id: "c1" },
      revision: 1,
      atoms: "1500000",
      text: "1.5e-3",
      changeAtoms: "-500000",
      holds: true,
      link: costAt,
    },
  });
  await history.append("account", "acme", {
    type: "CostRecorded",
    data: { ...cost, id: "c2", contentHash: "1:e", atoms: "7000000", text: "0.007" },
  });
  await history.append("wallet", "acme", {
    type: "CreditsGranted",
    data: {
      id: "g1",
      contentHash: "h",
      unit: "USD",
      atoms: "8000000",
      source: "purchase",
      priority: 100,
      effectiveAt: T0,
      paidAtoms: "0",
    },
  });
  const lines = [
    { entry: 1, unit: "USD", atoms: "10500000", draws: [["g1", "8000000"]], unpaid: "2500000" },
    { entry: 2, unit: "USD", atoms: "-5000000", draws: [["g1", "-2500000"]], unpaid: "-2500000" },
  ];
  await history.append("wallet", "acme", {
    type: "EntriesApplied",
    data: { account: "acme", source: { stream: "a", revision: 5, number: 2 }, firstNumber: 1, lines, unpaid: { USD: "0" } },
  });
  return history;
}

describe("one account", () => {
  let reader: Reader;
  beforeAll(async () => {
    reader = await readerOf(await acme());
  });

  test("the account shows the plan in force now, what was assigned and what settlement bound", () => {
    expect(readAccount(reader, ACME, NOW)).toMatchObject({
      account: "acme",
      planId: "free",
      contract: { assignments: [{ planId: "free" }, { planId: "later" }] },
      rules: [{ plan: "plan-hash", priceLists: { models: "list-hash" }, revision: 0 }],
      standing: { standing: "good", unit: "USD", balance: "0.0025" },
    });
    expect(readAccount(reader, ACME, "2026-03-01T00:00:00.000000000Z")?.planId).toBe("later");
    expect(listAccounts(reader, "default", { limit: 10 }, NOW).accounts.map(({ account }) => account)).toEqual(["acme"]);
  });

  test("the balance adds up: charged less refunded less bonus is net; grants and unpaid come from the wallet", () => {
    expect(readBalance(reader, ACME)?.units).toEqual([
      {
        unit: "USD",
        charged: "0.004",
        refunded: "0.005",
        bonus: "0",
        net: "-0.001",
        unpaid: "0",
        grants: [
          { id: "g1", unit: "USD", source: "purchase", granted: "0.008", remaining: "0.0025", priority: 100, effectiveAt: T0 },
        ],
      },
    ]);
  });

  test("an entry explains itself: fact, steps, accumulator, exact and booked amount", async () => {
    const explained = await explainEntry(reader, ACME, 1);
    expect(explained).toMatchObject({
      amount: "0.0105",
      exact: "31500001/3",
      fact: { source: "app", id: "r1", quantities: { input_tokens: "1000" } },
      rules: { plan: "plan-hash", planId: "free", outcomeDefinition: "def-hash" },
      accumulator: { before: "0", after: "1500", measure: "1500" },
    });
    expect(explained?.lines).toEqual([
      `usage app r1 at ${T0}: chat, azure m1, input_tokens 1000`,
      "1000 × 0.003 per 1,000",
      "500 × 0.015 per 1,000",
      "Q of chat, 2026-01: 0 + (1500) = 1500 tokens",
      "P(1500) − P(0) = 31500001/3000000000 (0.010500000333333333…) USD; each P is rounded half-even, so the entries of Q always add up to P(Q)",
      "booked in whole atoms (10⁻⁹ USD): 0.0105 USD",
    ]);
    expect((await explainEntry(reader, ACME, 2))?.lines).toContain("belongs to 2026-01, which was closed: posted in 2026-02");
    expect(await explainEntry(reader, ACME, 2)).toMatchObject({
      verdict: { verdict: "failure" },
      entry: { corrects: 1, source: "app", id: "r1" },
    });
    expect(await explainEntry(reader, ACME, 5)).toBeUndefined();
  });

  test("invoices carry each entry in the period it was posted in, with what grants paid of it", () => {
    expect(readInvoice(reader, ACME, "2026-01")).toMatchObject({
      status: "open",
      sections: [{ total: "0", credits: "0.01", due: "-0.01" }],
    });
    expect(listInvoices(reader, ACME)?.invoices.map(({ period }) => period)).toEqual(["2026-01"]);
    expect(readInvoice(reader, ACME, "2027-01")).toBeUndefined();
  });

  test("usage is what holds now: a correction moves quantities and money to its own model; costs follow the usage they name", () => {
    const rows = readUsage(reader, ACME, { by: "model" })?.rows;
    expect(rows).toEqual([
      { group: "", events: 0, quantities: {}, amounts: {}, costs: { USD: "0.007" } },
      { group: "m1", events: 0, quantities: { input_tokens: "0" }, amounts: { USD: "-0.005" }, costs: {} },
      { group: "m2", events: 1, quantities: { input_tokens: "400" }, amounts: { USD: "0.004" }, costs: { USD: "0.0015" } },
    ]);
    expect(readUsage(reader, ACME, { by: "user" })?.rows.find(({ group }) => group === "u1")).toMatchObject({
      events: 1,
      amounts: { USD: "-0.001" },
    });
    expect(
      readUsage(reader, ACME, { by: "day", from: "2026-01-05T10:00:00.000000000Z", to: "2026-01-05T11:00:00.000000000Z" })?.rows,
    ).toHaveLength(1);
    expect(
      readUsage(reader, ACME, { by: "day", from: "2026-01-05T11:00:00.000000000Z", to: "2026-01-06T00:00:00.000000000Z" })?.rows,
    ).toEqual([]);
  });

  test("a cost shows what was published and what a correction made of it", () => {
    expect(listCosts(reader, ACME, { limit: 10 })?.costs).toMatchObject([
      {
        id: "c1",
        published: { amount: "0.002", text: "0.0020" },
        corrected: { amount: "0.0015", text: "1.5e-3", revision: 1, id: "c1-fix" },
        amount: "0.0015",
        about: { id: "r1" },
      },
      { id: "c2", published: { amount: "0.007" }, amount: "0.007" },
    ]);
  });

  test("an outcome tells its story: requests, signals with their effect, verdicts, entries", async () => {
    expect(listOutcomes(reader, ACME, { limit: 10 })?.outcomes).toMatchObject([
      { source: "app", id: "r1", status: "decided", verdict: "failure" },
    ]);
    expect(listOutcomes(reader, ACME, { limit: 10, verdict: "pending" })?.outcomes).toEqual([]);
    const outcome = await readOutcome(reader, ACME, "app", "r1");
    expect(outcome).toMatchObject({
      requests: [{ id: "r1" }],
      signals: [{ id: "s1", effect: "counted" }],
      verdicts: [{ verdictRevision: 1, verdict: "failure" }],
    });
    expect(outcome?.entries.map(({ n }) => n)).toEqual([1, 2, 3, 4]);
  });

  test("what is not there, or under another namespace, is undefined everywhere", async () => {
    for (const id of [
      { ns: "default", account: "nobody" },
      { ns: "other", account: "acme" },
    ]) {
      expect(readAccount(reader, id, NOW)).toBeUndefined();
      expect(readBalance(reader, id)).toBeUndefined();
      expect(listInvoices(reader, id)).toBeUndefined();
      expect(readInvoice(reader, id, "2026-01")).toBeUndefined();
      expect(readUsage(reader, id, { by: "model" })).toBeUndefined();
      expect(listCosts(reader, id, { limit: 1 })).toBeUndefined();
      expect(listOutcomes(reader, id, { limit: 1 })).toBeUndefined();
      expect(await readOutcome(reader, id, "app", "r1")).toBeUndefined();
      expect(await listEntries(reader, id, { limit: 1, order: "oldest" })).toBeUndefined();
      expect(await explainEntry(reader, id, 1)).toBeUndefined();
    }
  });
});

test("a measure that is money already is explained as a sum of money", () => {
  const tokens = entry(1, {
    atoms: "10500000",
    exact: "10500000",
    measure: "10500000",
    measureUnit: "atoms",
    before: "500",
    after: "10500500",
    steps: [],
  });
  const closed = { period: "2026-01", start: T0, end: T0, dueAt: T0, entries: [tokens] };
  expect(explanationLines(tokens, { type: "PeriodClosed", data: closed }).slice(1)).toEqual([
    "sum of chat, 2026-01: 0.0000005 + (0.0105) = 0.0105005 USD",
    "exactly 0.0105 USD; each sum is rounded half-even, so the entries always add up to it",
    "booked in whole atoms (10⁻⁹ USD): 0.0105 USD",
  ]);
});

test("entries page forwards and backwards through every entry once, with any filter, however sparse", async () => {
  const history = await randomHistory(seeded(11), 1500, 2);
  // Facts without a charge between entries: whole blocks of the stream have none.
  const content = { type: "chat", quantities: {} };
  for (let i = 0; i < 400; i++) {
    const data = {
      source: "free",
      id: `${i}`,
      occurredAt: T0,
      contentHash: `${i}`,
      content,
      rules: { bound: 0, plan: "p" },
      period: "2026-01",
      entries: [],
    };
    await history.append("account", "acct 0", { type: "UsageRecorded", data });
  }
  const reader = await readerOf(history);
  const id = { ns: "default", account: "acct 0" };
  const count = reader.store.row("accounts", "default", "acct 0")?.entries ?? 0;
  const pageThrough = async (filter: {
    readonly order: "oldest" | "newest";
    readonly item?: string;
    readonly period?: string;
  }) => {
    const all = [];
    let cursor: string | undefined;
    do {
      const page = await listEntries(reader, id, { ...filter, cursor, limit: 37 });
      all.push(...(page?.entries ?? []));
      cursor = page?.next;
    } while (cursor !== undefined);
    return all;
  };
  const oldest = await pageThrough({ order: "oldest" });
  expect(oldest.map(({ n }) => n)).toEqual(Array.from({ length: count }, (_, index) => index + 1));
  expect((await pageThrough({ order: "newest" })).toReversed()).toEqual(oldest);
  expect(await pageThrough({ order: "oldest", item: "item-1" })).toEqual(oldest.filter(({ item }) => item === "item-1"));
  const posted = await pageThrough({ order: "oldest", period: "2026-03" });
  expect(posted.length).toBeGreaterThan(0);
  expect(posted).toEqual(oldest.filter(({ period, postedIn }) => (postedIn ?? period) === "2026-03"));
  for (const n of [1, Math.floor(count / 2), count]) expect((await explainEntry(reader, id, n))?.entry).toEqual(oldest[n - 1]);
  await expect(listEntries(reader, id, { order: "oldest", limit: 1, cursor: "nonsense" })).rejects.toThrow("cursor");
});

test("totals equal the sum of the entries, of the invoices and of the usage, in any history", async () => {
  const reader = await readerOf(await randomHistory(seeded(12), 800, 5));
  const totals = readTotals(reader, "default", { limit: 1000 });
  let [entries, booked, used] = [0, 0n, 0n];
  for (const { account } of totals.accounts) {
    const id = { ns: "default", account };
    const listed = await listEntries(reader, id, { order: "oldest", limit: 1_000_000 });
    entries += listed?.entries.length ?? 0;
    for (const { amount } of listed?.entries ?? []) booked += parseAmount(amount);
    for (const by of ["model", "item"]) {
      const sum =
        readUsage(reader, id, { by })?.rows.reduce((atoms, row) => atoms + parseAmount(row.amounts["USD"] ?? "0"), 0n) ?? 0n;
      if (by === "model") used += sum;
      else
        expect(sum).toBe(
          readUsage(reader, id, { by: "day" })?.rows.reduce((atoms, row) => atoms + parseAmount(row.amounts["USD"] ?? "0"), 0n),
        );
    }
  }
  expect(totals.entries).toBe(entries);
  expect(parseAmount(totals.units[0]?.net ?? "0")).toBe(booked);
  expect(used).toBe(booked);
  const nets = totals.accounts.map(({ units }) => parseAmount(units[0]?.net ?? "0"));
  expect(nets).toEqual(nets.toSorted((a, b) => (a < b ? 1 : a > b ? -1 : 0)));
});

test("sums beyond 2^63 atoms show exactly everywhere", async () => {
  const history = await acme();
  const atoms = (2n ** 70n).toString();
  const content = { type: "chat", model: "big", quantities: {} };
  const data = {
    source: "app",
    id: "big",
    occurredAt: T0,
    contentHash: "big",
    content,
    rules: RULES,
    period: "2026-01",
    entries: [entry(5, { atoms, exact: atoms })],
  };
  await history.append("account", "acme", { type: "UsageRecorded", data });
  const reader = await readerOf(history);
  const amount = formatAmount(2n ** 70n);
  expect((await explainEntry(reader, ACME, 5))?.amount).toBe(amount);
  expect(readUsage(reader, ACME, { by: "model" })?.rows[0]).toMatchObject({ group: "", events: 0 });
  expect(readUsage(reader, ACME, { by: "model" })?.rows.find(({ group }) => group === "big")?.amounts).toEqual({ USD: amount });
  expect(readBalance(reader, ACME)?.units[0]?.net).toBe(formatAmount(2n ** 70n - 1_000_000n));
  expect(readTotals(reader, "default", { limit: 1 }).units[0]?.net).toBe(formatAmount(2n ** 70n - 1_000_000n));
});

test("the audit lists what several accounts share, within a namespace, and goes on where it stopped", async () => {
  const history = createHistory();
  const add = (account: string, id: string, ns = "default") =>
    history.append(
      "account",
      account,
      { type: "CostRecorded", data: { source: "s", id, occurredAt: T0, contentHash: id, unit: "USD", atoms: "1", text: "1" } },
      ns,
    );
  for (const [account, id] of [
    ["a", "1"],
    ["b", "1"],
    ["c", "1"],
    ["a", "2"],
    ["b", "3"],
    ["c", "3"],
  ] as const)
    await add(account, id);
  await add("z", "2", "other");
  const reader = await readerOf(history);
  const audit = createSharedIdentities(reader, 2);
  expect(await audit.list("default", { limit: 10 })).toEqual({
    identities: [
      { source: "s", id: "1", accounts: ["a", "b", "c"] },
      { source: "s", id: "3", accounts: ["b", "c"] },
    ],
  });
  await add("b", "2");
  const first = await audit.list("default", { limit: 2 });
  expect(first.identities.map(({ id }) => id)).toEqual(["1", "2"]);
  expect((await audit.list("default", { limit: 2, cursor: first.next })).identities.map(({ id }) => id)).toEqual(["3"]);
});
