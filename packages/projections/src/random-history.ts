/**
 * A made-up ledger for tests: coherent events of every kind, from a seed. Not exported by the package.
 *
 * Decides nothing like settlement does; it only keeps what the read models rely on: revisions, entry numbers and links.
 */
import { createMemoryEventStore, FIRST_LINK, type EventStore, type StoredEvent } from "@rerate/event-store";
import {
  encodeEvent,
  streamName,
  type AccountEvent,
  type AppliedEntry,
  type Category,
  type DomainEvent,
  type Entry,
  type Identity,
  type UsageContent,
} from "@rerate/ledger";
import { fromMilliseconds, type Instant } from "@rerate/money";
import type { LedgerLog } from "./ledger-log.ts";

/** Whole numbers from 0 up to, not including, `below`. */
export type Random = (below: number) => number;

/** A small generator with a known sequence (mulberry32): the same seed makes the same history. */
export function seeded(seed: number): Random {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4294967296) * below);
  };
}

export interface History extends LedgerLog {
  readonly eventStore: EventStore;
  /** Appends one event to a stream and returns its revision. */
  append(category: Category, name: string, event: DomainEvent, ns?: string): Promise<number>;
}

export function recordedAt(stored: StoredEvent): Instant {
  return (JSON.parse(stored.metadata) as { readonly at: Instant }).at;
}

export function createHistory(eventStore: EventStore = createMemoryEventStore()): History {
  const revisions = new Map<string, number>();
  let clock = Date.UTC(2026, 0, 1);
  return {
    eventStore,
    recordedAt,
    async append(category, name, event, ns = "default") {
      const stream = streamName(category, ns, name);
      const expectedRevision = revisions.get(stream) ?? -1;
      clock += 1;
      const metadata = JSON.stringify({ at: fromMilliseconds(clock), prev: FIRST_LINK });
      const [result] = await eventStore.append([{ stream, expectedRevision, events: [{ ...encodeEvent(event), metadata }] }]);
      if (result?.kind !== "committed") throw new Error(`append to ${stream}: ${result?.kind}`);
      revisions.set(stream, result.lastRevision);
      return result.lastRevision;
    },
  };
}

/** An entry of one measure at one price, with the fields that read models use. */
export function entry(n: number, change: Partial<Entry> = {}): Entry {
  return {
    n,
    role: "measured",
    kind: "charge",
    item: "chat",
    model: "tokens@1",
    unit: "USD",
    atoms: "1500",
    exact: change.atoms ?? "1500",
    measure: "3",
    measureUnit: "tokens",
    version: "v1",
    period: "2026-01",
    cell: "",
    before: "0",
    after: "3",
    steps: ["3 tokens × 0.0000005 USD"],
    ...change,
  };
}

interface AccountSketch {
  readonly name: string;
  readonly wallet: string;
  entries: number;
  facts: number;
  readonly usages: { readonly identity: Identity; head: number; content: UsageContent; readonly at: Instant; revision: number }[];
  readonly costs: { readonly identity: Identity; head: number; atoms: number; readonly at: Instant; revision: number }[];
  verdicts: number;
  walletNumber: number;
}

/** A ledger of about so many events over a few accounts, some of them sharing a wallet. */
export async function randomHistory(random: Random, size: number, accountCount = 4, history = createHistory()): Promise<History> {
  const accounts: AccountSketch[] = [];
  for (let i = 0; i < accountCount; i++) {
    const name = `acct ${i}`;
    const wallet = i % 3 === 2 ? "acct 0" : name;
    accounts.push({ name, wallet, entries: 0, facts: 0, usages: [], costs: [], verdicts: 0, walletNumber: 0 });
    await history.append("contract", name, {
      type: "AccountOpened",
      data: { account: name, timeZone: "UTC", currency: "USD", wallet },
    });
    await history.append("contract", name, { type: "PlanAssigned", data: { planId: "pro", from: timeOf(0) } });
    await history.append("account", name, {
      type: "RulesBound",
      data: {
        from: timeOf(0),
        plan: "plan-hash",
        planId: "pro",
        priceLists: { models: "list-hash" },
        decider: 1,
        timeZone: "UTC",
        currency: "USD",
        wallet,
        contractRevision: 1,
      },
    });
    await history.append("account", name, { type: "PeriodOpened", data: periodOf("2026-01") });
    if (wallet === name) {
      const data = {
        id: `grant-${i}`,
        contentHash: "h",
        unit: "USD",
        atoms: "90000",
        source: "purchase",
        priority: 100,
        effectiveAt: timeOf(0),
        paidAtoms: "0",
      };
      await history.append("wallet", wallet, { type: "CreditsGranted", data });
    }
  }
  for (let i = 0; i < size; i++) {
    const account = accounts[Math.min(random(accountCount), random(accountCount))];
    if (account !== undefined) await addEvent(history, random, account);
  }
  for (const { name } of accounts) {
    const data = { ...periodOf("2026-01"), entries: [] };
    await history.append("account", name, { type: "PeriodClosed", data });
  }
  return history;
}

async function addEvent(history: History, random: Random, account: AccountSketch): Promise<void> {
  const at = timeOf(random(40 * 24 * 60));
  const rules = { bound: 0, plan: "plan-hash" };
  const add = (event: AccountEvent): Promise<number> => history.append("account", account.name, event);
  const id = `${account.name}-${(account.facts += 1)}`;
  const head = { source: "app", id, occurredAt: at, contentHash: `1:${id}` };
  const usage = account.usages[random(account.usages.length || 1)];
  const cost = account.costs[random(account.costs.length || 1)];
  const kind = random(10);
  if (kind === 0 && usage !== undefined) {
    const revision = usage.revision + 1;
    const content = contentOf(random);
    const entries = entriesOf(random, account, at, "correction");
    const data = {
      ...head,
      occurredAt: usage.at,
      corrects: usage.identity,
      revision,
      content,
      holds: true,
      rules,
      entries,
      outcomeOf: usage.identity,
      link: usage.head,
    };
    usage.head = await add({ type: "UsageCorrected", data });
    Object.assign(usage, { revision, content });
    return applyToWallet(history, random, account, entries);
  }
  if (kind === 1 && usage !== undefined) {
    const entries = random(2) === 0 ? [] : entriesOf(random, account, at, random(2) === 0 ? "refund" : "bonus");
    account.verdicts += 1;
    const data = {
      outcome: usage.identity,
      verdict: "failure" as const,
      score: "0",
      reason: "timeout",
      verdictRevision: 1,
      decidedAt: at,
      definition: "def-hash",
      source: { stream: "outcome", revision: account.verdicts, number: account.verdicts },
      rules,
      entries,
      link: usage.head,
    };
    usage.head = await add({ type: "VerdictApplied", data });
    return applyToWallet(history, random, account, entries);
  }
  if (kind === 2) {
    const atoms = random(100_000);
    const about = usage === undefined ? {} : { about: usage.identity };
    const costHead = await add({
      type: "CostRecorded",
      data: { ...head, unit: "USD", atoms: String(atoms), text: `0.${atoms}`, ...about },
    });
    account.costs.push({ identity: { source: "app", id }, head: costHead, atoms, at, revision: 0 });
    return;
  }
  if (kind === 3 && cost !== undefined) {
    const atoms = random(100_000);
    const revision = cost.revision + 1;
    const data = {
      ...head,
      occurredAt: cost.at,
      corrects: cost.identity,
      revision,
      unit: "USD",
      atoms: String(atoms),
      text: "x",
      changeAtoms: String(atoms - cost.atoms),
      holds: true,
      link: cost.head,
    };
    cost.head = await add({ type: "CostCorrected", data });
    Object.assign(cost, { atoms, revision });
    return;
  }
  if (kind === 4) {
    await add({ type: "FactParked", data: { source: "app", id, contentHash: `1:${id}`, reason: "missing-price" } });
    return;
  }
  if (kind === 5 && usage !== undefined) {
    const data = { ...head, outcome: usage.identity, signal: "explicit_reject" };
    await history.append("outcome", account.name, { type: "SignalRecorded", data });
    return;
  }
  const entries = random(4) === 0 ? [] : entriesOf(random, account, at, "charge");
  const content = contentOf(random);
  const published = random(2) === 0 ? {} : { published: account.facts };
  const data = { ...head, content, rules, period: at.slice(0, 7), entries, ...published };
  const revision = await add({ type: "UsageRecorded", data });
  account.usages.push({ identity: { source: "app", id }, head: revision, content, at, revision: 0 });
  if ("published" in published) {
    const opened = {
      outcome: { source: "app", id },
      usage: { source: "app", id },
      occurredAt: at,
      definition: "def-hash",
      source: { stream: "account", revision, number: account.facts },
      dueAt: timeOf(60 * 24 * 60),
    };
    await history.append("outcome", account.name, { type: "OutcomeOpened", data: opened });
  }
  return applyToWallet(history, random, account, entries);
}

function contentOf(random: Random): UsageContent {
  return {
    type: "chat",
    model: `model-${random(3)}`,
    quantities: { input_tokens: String(random(1000)), output_tokens: `${random(100)}.${random(9) + 1}` },
    dimensions: { user: `u${random(3)}`, feature: `f${random(2)}` },
  };
}

function entriesOf(random: Random, account: AccountSketch, at: Instant, kind: Entry["kind"]): Entry[] {
  const entries: Entry[] = [];
  for (let count = 1 + random(2); count > 0; count--) {
    account.entries += 1;
    const negative = kind === "refund" || kind === "bonus" || (kind === "correction" && random(2) === 0);
    const atoms = `${negative ? "-" : ""}${1 + random(3_000_000)}`;
    const period = at.slice(0, 7);
    const late = random(8) === 0 ? { postedIn: "2026-03" } : {};
    const measure = `${negative ? "-" : ""}${random(50)}/7`;
    entries.push(
      entry(account.entries, { kind, atoms, exact: `${atoms}/3`, measure, period, item: `item-${random(3)}`, ...late }),
    );
  }
  return entries;
}

/** The wallet pays some entries from its grant, leaves others unpaid, and knows nothing of yet others. */
async function applyToWallet(history: History, random: Random, account: AccountSketch, entries: readonly Entry[]): Promise<void> {
  if (entries.length === 0 || random(3) === 0) return;
  account.walletNumber += 1;
  const lines = entries.map(({ n, unit, atoms }): AppliedEntry => {
    return random(2) === 0
      ? { entry: n, unit, atoms, unpaid: atoms }
      : { entry: n, unit, atoms, draws: [[`grant-${account.wallet.slice(5)}`, atoms]] };
  });
  const data = {
    account: account.name,
    source: { stream: "account", revision: 0, number: account.walletNumber },
    firstNumber: account.walletNumber,
    lines,
    unpaid: { USD: "0" },
  };
  await history.append("wallet", account.wallet, { type: "EntriesApplied", data });
}

function periodOf(period: string): { period: string; start: Instant; end: Instant; dueAt: Instant } {
  return { period, start: timeOf(0), end: timeOf(31 * 24 * 60), dueAt: timeOf(32 * 24 * 60) };
}

function timeOf(minutes: number): Instant {
  return fromMilliseconds(Date.UTC(2026, 0, 1) + minutes * 60_000);
}
