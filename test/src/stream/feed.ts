/**
 * A random history from a seed, for comparing ledgers: accounts on every kind of plan, with usage, corrections, signals, costs and
 * grants. The same seed gives the same history on every machine.
 *
 * The history lies in the past and is imported, so that everything in it counts before deadlines do.
 */
import { seededRandom, type SeededRandom } from "@rerate/testkit";
import type { CostBody, SignalBody, UsageEventBody } from "@rerate/wire";
import { SINCE, type Facts, type TestLedger } from "../end-to-end/test-ledger.ts";

export interface Feed {
  readonly accounts: readonly { readonly name: string; readonly planId: string }[];
  readonly grants: readonly Grant[];
  readonly facts: Required<{ readonly [Kind in keyof Facts]: readonly FactOf<Kind>[] }>;
}

export interface Grant {
  readonly wallet: string;
  readonly id: string;
  readonly amount: string;
  readonly unit: string;
}

type FactOf<Kind extends keyof Facts> = NonNullable<Facts[Kind]> extends Iterable<infer Fact> ? Fact : never;

export interface FeedOptions {
  readonly seed: number | string;
  /** How many accounts are on each plan. */
  readonly accountsPerPlan: number;
  /** How many requests each account makes. */
  readonly requests: number;
}

/** On this plan the amount of a single entry depends on the order of arrival; the sum does not. */
export const TIERED_PLAN = "pages";

const TIERS = `
kind: plan
id: ${TIERED_PLAN}
title: Pages by graduated tiers
currency: USD
items:
  - id: pages
    model: graduated
    quantity: pages
    tiers:
      - { upTo: 100, price: "0.10" }
      - { upTo: 1000, price: "0.05" }
      - { price: "0.01" }
`;

const DOCUMENTS = [
  ...["user-answer", "retry-series", "weighted-signals", "quality-score"].map((id) => `outcomes/${id}.yaml`),
  ...["s1-token-billing", "s2-outcome-timeout", "s3-tiers-and-retries", "s4-signal-outcomes", "s5-credits-quality"].map(
    (id) => `plans/${id}.yaml`,
  ),
];

/** Documents, accounts and grants. */
export async function prepare(ledger: TestLedger, { accounts, grants }: Feed): Promise<void> {
  await ledger.publish(...DOCUMENTS);
  await ledger.client.publishDocument(TIERS, { effectiveFrom: SINCE });
  for (const { name, planId } of accounts) await ledger.open(name, planId);
  for (const { wallet, ...grant } of grants) await ledger.client.grant(wallet, grant);
  await ledger.settled();
}

export function makeFeed({ seed, accountsPerPlan, requests }: FeedOptions): Feed {
  const feed: MutableFeed = { accounts: [], grants: [], facts: { usage: [], corrections: [], signals: [], costs: [] } };
  const random = seededRandom(seed);
  for (const [planId, make] of Object.entries(MAKERS)) {
    for (let number = 1; number <= accountsPerPlan; number++) {
      const name = `${planId}-${number}`;
      feed.accounts.push({ name, planId });
      for (let request = 1; request <= requests; request++) make(feed, name, `r-${request}`, random.fork(`${name}/${request}`));
      if (random.chance(0.5))
        feed.grants.push({ wallet: name, id: "g-1", unit: unitOf(planId), amount: String(random.integer(1, 200)) });
    }
  }
  return feed;
}

interface MutableFeed {
  readonly accounts: { readonly name: string; readonly planId: string }[];
  readonly grants: Grant[];
  readonly facts: { usage: UsageEventBody[]; corrections: UsageEventBody[]; signals: SignalBody[]; costs: CostBody[] };
}

type Make = (feed: MutableFeed, account: string, id: string, random: SeededRandom) => void;

const MAKERS: Readonly<Record<string, Make>> = {
  "s1-token-billing"(feed, account, id, random) {
    const data = () => ({ model: "m-1", input_tokens: random.integer(1, 9_000), output_tokens: random.integer(0, 3_000) });
    const original = usage(account, id, random, data());
    feed.facts.usage.push(original);
    if (random.chance(0.2)) feed.facts.corrections.push(correction(original, 1, data()));
    if (random.chance(0.2)) feed.facts.costs.push(cost(account, id, random));
  },
  [TIERED_PLAN](feed, account, id, random) {
    const data = () => ({ quantities: { pages: random.integer(0, 40) } });
    const original = usage(account, id, random, data());
    feed.facts.usage.push(original);
    const revisions = random.weighted({ 0: 7, 1: 2, 2: 1 });
    // The highest first, to begin with.
    for (let revision = Number(revisions); revision >= 1; revision--) {
      feed.facts.corrections.push(correction(original, revision, data()));
    }
  },
  "s2-outcome-timeout"(feed, account, id, random) {
    feed.facts.usage.push(usage(account, id, random));
    const answer = random.weighted({ accept: 3, reject: 1, none: 1 });
    if (answer !== "none") feed.facts.signals.push(signal(account, id, 1, answer, random.integer(60, 1_400)));
  },
  "s3-tiers-and-retries"(feed, account, id, random) {
    const tier = random.pick(["basic", "professional", "premium"]);
    const attempts = random.integer(1, 3);
    for (let attempt = 1; attempt <= attempts; attempt++) {
      feed.facts.usage.push(usage(account, `${id}-${attempt}`, random, { outcome: id, attempt, tier }));
      const value = String(random.integer(30, 100));
      feed.facts.signals.push({ ...signal(account, id, attempt, "quality", 60 + attempt), value });
    }
  },
  "s4-signal-outcomes"(feed, account, id, random) {
    feed.facts.usage.push(usage(account, id, random));
    const kinds = ["implicit_use", "edit", "share", "regenerate", "explicit_accept"];
    const count = random.integer(0, 4);
    for (let n = 1; n <= count; n++) feed.facts.signals.push(signal(account, id, n, random.pick(kinds), 60 + 10 * n));
  },
  "s5-credits-quality"(feed, account, id, random) {
    feed.facts.usage.push(usage(account, id, random));
    const count = random.integer(0, 2);
    for (let n = 1; n <= count; n++) {
      feed.facts.signals.push({ ...signal(account, id, n, "quality", 60 + n), value: String(random.integer(0, 100)) });
    }
  },
};

const SOURCE = "api";
const DAY = "2026-03-02";

function unitOf(planId: string): string {
  return planId === "s5-credits-quality" ? "credits" : "USD";
}

/** Within the first hour of the day. */
function usage(account: string, id: string, random: SeededRandom, data: UsageEventBody["data"] = {}): UsageEventBody {
  const second = random.integer(0, 3_599);
  return { specversion: "1.0", type: "llm.completion", source: SOURCE, id, subject: account, time: minutesIn(0, second), data };
}

/** The full new content of a usage, under an identity of its own. */
function correction(original: UsageEventBody, revision: number, data: NonNullable<UsageEventBody["data"]>): UsageEventBody {
  const { id } = original;
  return { ...original, id: `${id}-c${revision}`, data: { ...data, corrects: { id }, revision } };
}

function cost(account: string, id: string, random: SeededRandom): CostBody {
  return {
    source: "erp",
    id: `cost-${id}`,
    account,
    time: minutesIn(90),
    amount: `0.0${random.integer(1, 9_999)}`,
    currency: "USD",
    about: { source: SOURCE, id },
  };
}

/** `minutes` after the day's beginning: signals of one outcome have different times, so that their order is theirs alone. */
function signal(account: string, outcome: string, n: number, kind: string, minutes: number): SignalBody {
  return {
    source: "app",
    id: `${outcome}-s${n}`,
    account,
    outcome: { source: SOURCE, id: outcome },
    signal: kind,
    time: minutesIn(minutes),
  };
}

function minutesIn(minutes: number, seconds = 0): string {
  return new Date(Date.parse(`${DAY}T00:00:00Z`) + minutes * 60_000 + seconds * 1_000).toISOString();
}
