import { formatAmount, instant, parseAmount, type Instant } from "@rerate/money";
import { compilePlan, planSchema } from "@rerate/pricing";
import { harness } from "@rerate/testkit";
import { describe, expect, test } from "vitest";
import type { AccountEvent, Entry } from "./account-events.ts";
import type { RulesSegment } from "./catalogue.ts";
import type { CostAccepted, OutcomeDecidedMessage, UsageAccepted } from "./messages.ts";
import { settlement } from "./settlement.ts";
import { streamName } from "./stream-name.ts";

const NOW = instant("2026-03-10T12:00:00Z");

function book(plans: Record<string, unknown>, segments: readonly [from: string, plan: string][]) {
  const compiled = new Map(
    Object.entries(plans).map(([hash, document]) => [
      hash,
      compilePlan({ document: planSchema.parse(document), hash, priceLists: new Map() }),
    ]),
  );
  let timeline: readonly RulesSegment[] = segments.map(([from, plan]) => segment(from, plan));
  const context = {
    timeline: () => timeline,
    contractRevision: () => 1,
    plan: (hash: string) => compiled.get(hash),
  };
  const stream = streamName("account", "default", "acme");
  return {
    ...harness(settlement, stream, context, NOW),
    reassign(next: readonly [from: string, plan: string][]) {
      timeline = next.map(([from, plan]) => segment(from, plan));
    },
  };
}

function segment(from: string, plan: string): RulesSegment {
  return {
    from: instant(from),
    plan,
    planId: plan,
    priceLists: {},
    outcomeDefinition: "definition",
    timeZone: "UTC",
    currency: "USD",
    wallet: "acme",
    contractRevision: 1,
  };
}

function usage(id: string, fields: Partial<UsageAccepted> = {}): UsageAccepted {
  return {
    kind: "usage",
    ns: "default",
    account: "acme",
    source: "app",
    id,
    type: "llm.completion",
    occurredAt: instant("2026-03-01T00:00:00Z"),
    receivedAt: NOW,
    contentHash: `1:${id}:${JSON.stringify(fields)}`.padEnd(30, "_").slice(0, 60),
    quantities: { requests: "1" },
    dimensions: {},
    ...fields,
  };
}

function entriesOf(events: readonly AccountEvent[]): Entry[] {
  return events.flatMap((event) => ("entries" in event.data ? [...event.data.entries] : []));
}

function total(events: readonly AccountEvent[]): string {
  return formatAmount(entriesOf(events).reduce((sum, entry) => sum + BigInt(entry.atoms), 0n));
}

const PER_TOKEN = {
  kind: "plan",
  id: "tokens",
  title: "Tokens",
  currency: "USD",
  items: [{ id: "chat", model: "tokens", when: { types: ["llm.completion"] }, prices: { input: "3", output: "15" } }],
};

const GRADUATED = {
  kind: "plan",
  id: "graduated",
  title: "Graduated",
  currency: "USD",
  items: [
    {
      id: "calls",
      model: "graduated",
      when: { types: ["llm.completion"] },
      quantity: "requests",
      tiers: [{ upTo: "10", price: "1" }, { price: "0.10" }],
    },
  ],
};

describe("settlement", () => {
  test("binds the rules, opens the period and charges tokens exactly", () => {
    const { when, events } = book({ p: PER_TOKEN }, [["2026-01-01T00:00:00Z", "p"]]);
    const decision = when(usage("r1", { quantities: { input_tokens: "1000", output_tokens: "500" } }), NOW);
    expect(decision.kind).toBe("record");
    expect(events.map(({ type }) => type)).toEqual(["RulesBound", "PeriodOpened", "UsageRecorded"]);
    expect(total(events)).toBe("0.0105");
    expect(entriesOf(events)[0]).toMatchObject({ n: 1, kind: "charge", item: "chat", unit: "USD", period: "2026-03" });
  });

  test("skips the same fact and parks the same identity with other content", () => {
    const { when, events } = book({ p: PER_TOKEN }, [["2026-01-01T00:00:00Z", "p"]]);
    const fact = usage("r1", { quantities: { input_tokens: "1", output_tokens: "1" } });
    when(fact, NOW);
    expect(when(fact, NOW)).toMatchObject({ kind: "skip", answer: { status: "duplicate" } });
    const other = when({ ...fact, contentHash: "1:other".padEnd(30, "x") }, NOW);
    expect(other).toMatchObject({ kind: "park", reason: "conflict" });
    expect(events.map(({ type }) => type)).toEqual(["RulesBound", "PeriodOpened", "UsageRecorded", "FactParked"]);
    expect(when({ ...fact, contentHash: "1:other".padEnd(30, "x") }, NOW)).toMatchObject({ kind: "park", events: [] });
    expect(total(events)).toBe("0.000018");
  });

  test("prices by the version in force when the fact occurred, however late it arrives", () => {
    const cheap = { ...PER_TOKEN, items: [{ ...PER_TOKEN.items[0], prices: { input: "1", output: "1" } }] };
    const { when, events } = book({ p: PER_TOKEN, q: cheap }, [
      ["2026-01-01T00:00:00Z", "p"],
      ["2026-03-05T00:00:00Z", "q"],
    ]);
    const million = { quantities: { input_tokens: "1000000", output_tokens: "0" } };
    when(usage("new", { ...million, occurredAt: instant("2026-03-05T00:00:00Z") }), NOW);
    when(usage("old", { ...million, occurredAt: instant("2026-03-04T23:59:59.999999999Z") }), NOW);
    expect(entriesOf(events).map(({ atoms }) => formatAmount(BigInt(atoms)))).toEqual(["1", "3"]);
  });

  test("refuses rules that would change recorded facts, once, and keeps the old ones", () => {
    const account = book({ p: PER_TOKEN, q: GRADUATED }, [["2026-01-01T00:00:00Z", "p"]]);
    account.when(usage("r1", { quantities: { input_tokens: "1", output_tokens: "0", requests: "1" } }), NOW);
    account.reassign([["2026-01-01T00:00:00Z", "q"]]);
    account.when(usage("r2", { quantities: { input_tokens: "1", output_tokens: "0", requests: "1" } }), NOW);
    account.when(usage("r3", { quantities: { input_tokens: "1", output_tokens: "0", requests: "1" } }), NOW);
    expect(account.events.filter(({ type }) => type === "RulesRefused")).toHaveLength(1);
    expect(new Set(entriesOf(account.events).map(({ item }) => item))).toEqual(new Set(["chat"]));
  });

  test("rules that come late count from then on, and price earlier facts only where there was no price", () => {
    const dear = { ...PER_TOKEN, items: [{ ...PER_TOKEN.items[0], prices: { input: "6", output: "30" } }] };
    const images = {
      ...dear,
      items: [...dear.items, { id: "images", model: "per-request", price: "0.04", when: { types: ["image"] } }],
    };
    const account = book({ p: PER_TOKEN, q: images }, [["2026-01-01T00:00:00Z", "p"]]);
    const million = { quantities: { input_tokens: "1000000", output_tokens: "0" } };
    account.when(usage("r1", million), NOW);
    const image = usage("image", { type: "image" });
    expect(account.when(image, NOW)).toMatchObject({ kind: "park", reason: "no-charge-item" });
    account.reassign([["2026-01-01T00:00:00Z", "q"]]);
    expect(account.when(image, NOW).kind).toBe("record");
    account.when(usage("r2", million), NOW);
    account.when(usage("r3", { ...million, occurredAt: instant("2026-03-02T00:00:00Z") }), NOW);
    account.restart();
    account.when(
      usage("r4", { type: "image", corrects: { source: "app", id: "image" }, revision: 1, quantities: { requests: "1" } }),
      NOW,
    );
    expect(entriesOf(account.events).map(({ item, atoms }) => [item, formatAmount(BigInt(atoms))])).toEqual([
      ["chat", "3"],
      ["images", "0.04"],
      ["chat", "3"],
      ["chat", "6"],
    ]);
    expect(account.events.filter(({ type }) => type === "RulesRefused")).toHaveLength(1);
    expect(account.events.filter(({ type }) => type === "RulesBound")).toHaveLength(2);
  });

  test("a downward correction on tiers gives back exactly what the whole costs less", () => {
    const { when, events } = book({ p: GRADUATED }, [["2026-01-01T00:00:00Z", "p"]]);
    when(usage("a", { quantities: { requests: "8" } }), NOW);
    when(usage("b", { quantities: { requests: "8" } }), NOW);
    expect(total(events)).toBe("10.6");
    when(usage("c1", { quantities: { requests: "2" }, corrects: { source: "app", id: "a" }, revision: 1 }), NOW);
    expect(total(events)).toBe("10");
    expect(entriesOf(events).at(-1)).toMatchObject({ kind: "correction", corrects: 1, measure: "-6" });
    when(usage("c2", { quantities: { requests: "0" }, corrects: { source: "app", id: "b" }, revision: 1 }), NOW);
    expect(total(events)).toBe("2");
  });

  test("corrections in any order, also before the original, leave the highest revision in force", () => {
    const facts = [
      usage("a", { quantities: { requests: "8" } }),
      usage("c1", { quantities: { requests: "5" }, corrects: { source: "app", id: "a" }, revision: 1 }),
      usage("c2", { quantities: { requests: "3" }, corrects: { source: "app", id: "a" }, revision: 2 }),
    ];
    const orders = [
      [0, 1, 2],
      [0, 2, 1],
      [1, 0, 2],
      [1, 2, 0],
      [2, 0, 1],
      [2, 1, 0],
    ];
    for (const order of orders) {
      const account = book({ p: GRADUATED }, [["2026-01-01T00:00:00Z", "p"]]);
      for (const index of order) {
        account.when(facts[index] as UsageAccepted, NOW);
        account.restart();
      }
      expect([order.join(), total(account.events)]).toEqual([order.join(), "3"]);
    }
  });

  test("costs keep both states visible and never move the customer's money", () => {
    const { when, events } = book({ p: PER_TOKEN }, [["2026-01-01T00:00:00Z", "p"]]);
    const cost = (id: string, text: string, more: Partial<CostAccepted> = {}): CostAccepted => ({
      kind: "cost",
      ns: "default",
      account: "acme",
      source: "costs",
      id,
      occurredAt: NOW,
      receivedAt: NOW,
      contentHash: `1:${id}${text}`.padEnd(30, "_"),
      unit: "USD",
      atoms: parseAmount(text).toString(),
      text,
      ...more,
    });
    when(cost("t1", "0.50"), NOW);
    when(cost("t1.r1", "0.20", { corrects: { source: "costs", id: "t1" }, revision: 1 }), NOW);
    expect(events.at(-2)).toMatchObject({ type: "CostRecorded", data: { atoms: "500000000" } });
    expect(events.at(-1)).toMatchObject({
      type: "CostCorrected",
      data: { atoms: "200000000", changeAtoms: "-300000000", holds: true },
    });
    expect(entriesOf(events)).toEqual([]);
  });
});

describe("verdicts", () => {
  const OUTCOME = {
    kind: "plan",
    id: "outcomes",
    title: "Outcomes",
    currency: "USD",
    outcome: { id: "answer", definition: "user-answer", price: "0.50", shares: { success: "1", partial: "0.5", failure: "0" } },
  };
  const CREDITS = {
    kind: "plan",
    id: "credits",
    title: "Credits",
    currency: "USD",
    items: [{ id: "request", model: "per-request", unit: "credits", price: "10", when: { types: ["llm.completion"] } }],
    outcome: { id: "scored", definition: "quality-score", price: "0" },
    quality: {
      id: "quality",
      base: "marginal",
      scale: 100,
      refund: { below: "40", share: "linear" },
      bonus: { above: "90", share: "0.2" },
      rounding: "floor",
      step: "1",
    },
  };
  let number = 0;
  const verdict = (id: string, revision: number, fields: Partial<OutcomeDecidedMessage>): OutcomeDecidedMessage => ({
    kind: "outcome-decided",
    ns: "default",
    account: "acme",
    sourceStream: streamName("outcome", "default", "acme"),
    sourceRevision: 10 + number,
    number: (number += 1),
    outcome: { source: "app", id },
    verdict: "success",
    score: "1",
    reason: "explicit-signal",
    verdictRevision: revision,
    definition: "definition",
    decidedAt: NOW,
    ...fields,
  });

  test("charge a success, half a timeout, and refund the difference when a verdict is revised", () => {
    number = 0;
    const { when, events } = book({ p: OUTCOME }, [["2026-01-01T00:00:00Z", "p"]]);
    when(usage("r1"), NOW);
    expect(events.at(-1)).toMatchObject({ type: "UsageRecorded", data: { published: 1, entries: [] } });
    when(verdict("r1", 1, { verdict: "partial", score: "1/2" }), NOW);
    expect(total(events)).toBe("0.25");
    when(verdict("r1", 2, { verdict: "success" }), NOW);
    expect(total(events)).toBe("0.5");
    when(verdict("r1", 3, { verdict: "failure", score: "0" }), NOW);
    expect(total(events)).toBe("0");
    expect(entriesOf(events).map(({ kind }) => kind)).toEqual(["charge", "charge", "refund"]);
  });

  test("a verdict that comes before its usage waits and is applied with it", () => {
    number = 0;
    const { when, events } = book({ p: OUTCOME }, [["2026-01-01T00:00:00Z", "p"]]);
    when(usage("other"), NOW);
    const early = verdict("r1", 1, {});
    when(early, NOW);
    expect(events.at(-1)?.type).toBe("VerdictWaiting");
    when(usage("r1"), NOW);
    expect(events.at(-1)).toMatchObject({ type: "VerdictApplied", data: { verdict: "success" } });
    expect(total(events)).toBe("0.5");
    expect(when(early, NOW)).toMatchObject({ kind: "skip" });
    expect(when({ ...verdict("r1", 2, {}), number: 9 }, NOW)).toMatchObject({ kind: "gap", fromRevision: 11 });
  });

  test("S5: credits come back below 40 and a bonus above 90; a revised score takes back one and gives the other", () => {
    const cases: [q: string, refund: number, bonus: number][] = [
      ["0", 10, 0],
      ["20", 5, 0],
      ["30", 2, 0],
      ["39", 0, 0],
      ["40", 0, 0],
      ["90", 0, 0],
      ["91", 0, 2],
      ["100", 0, 2],
    ];
    for (const [q, refund, bonus] of cases) {
      number = 0;
      const { when, events } = book({ p: CREDITS }, [["2026-01-01T00:00:00Z", "p"]]);
      when(usage("r1"), NOW);
      when(verdict("r1", 1, { score: `${q}/100` }), NOW);
      expect([q, total(events)]).toEqual([q, String(10 - refund - bonus)]);
    }
    number = 0;
    const { when, events } = book({ p: CREDITS }, [["2026-01-01T00:00:00Z", "p"]]);
    when(usage("r1"), NOW);
    when(verdict("r1", 1, { score: "1/5" }), NOW);
    expect(total(events)).toBe("5");
    when(verdict("r1", 2, { score: "19/20" }), NOW);
    expect(total(events)).toBe("8");
    expect(entriesOf(events).map(({ kind, atoms }) => [kind, formatAmount(BigInt(atoms))])).toEqual([
      ["charge", "10"],
      ["charge", "0"],
      ["refund", "-5"],
      ["refund", "5"],
      ["bonus", "-2"],
    ]);
  });
});

describe("a fact that refused rules have priced", () => {
  test("is settled and corrected under those rules, also where nothing was bound for its time", () => {
    const judged = {
      kind: "plan",
      id: "judged",
      title: "Judged",
      currency: "USD",
      items: [{ id: "call", model: "per-request", price: "2", when: { types: ["llm.completion"] } }],
      outcome: { id: "answer", definition: "user-answer", price: "0.50" },
      quality: { id: "quality", base: "average", refund: { below: "0.5", share: "1" } },
    };
    const account = book({ p: PER_TOKEN, q: judged }, [["2026-03-05T00:00:00Z", "p"]]);
    const tokens = { quantities: { input_tokens: "1", output_tokens: "0" } };
    account.when(usage("later", { ...tokens, occurredAt: instant("2026-03-06T00:00:00Z") }), NOW);
    const early = usage("early");
    expect(account.when(early, NOW)).toMatchObject({ kind: "park", reason: "no-rules" });
    account.reassign([["2026-01-01T00:00:00Z", "q"]]);
    expect(account.when(early, NOW).kind).toBe("record");
    const decision = account.when(
      {
        kind: "outcome-decided",
        ns: "default",
        account: "acme",
        sourceStream: streamName("outcome", "default", "acme"),
        sourceRevision: 1,
        number: 1,
        outcome: { source: "app", id: "early" },
        verdict: "success",
        score: "0",
        reason: "test",
        verdictRevision: 1,
        definition: "definition",
        decidedAt: NOW,
      },
      NOW,
    );
    expect(decision.kind).toBe("record");
    account.when(usage("again", { corrects: { source: "app", id: "early" }, revision: 1, quantities: { requests: "3" } }), NOW);
    const own = entriesOf(account.events).filter(({ item }) => item !== "chat");
    expect(own.map(({ kind, item, atoms }) => [kind, item, formatAmount(BigInt(atoms))])).toEqual([
      ["charge", "call", "2"],
      ["charge", "answer", "0.5"],
      ["refund", "quality", "-2"],
      ["correction", "call", "4"],
      ["refund", "quality", "-4"],
    ]);
  });
});

describe("quality under an average base", () => {
  test("refunds follow the average price, and an excellent score earns a share of the outcome's own charge", () => {
    const plan = {
      kind: "plan",
      id: "average",
      title: "Average",
      currency: "USD",
      items: [{ id: "calls", model: "volume", quantity: "requests", tiers: [{ upTo: 1, price: "2" }, { price: "1" }] }],
      outcome: { id: "scored", definition: "quality-score", price: "0" },
      quality: { id: "quality", refund: { below: "0.5", share: "1" }, bonus: { above: "0.9", share: "0.5" } },
    };
    const { when, events } = book({ p: plan }, [["2026-01-01T00:00:00Z", "p"]]);
    const verdict = (id: string, number: number, score: string): OutcomeDecidedMessage => ({
      kind: "outcome-decided",
      ns: "default",
      account: "acme",
      sourceStream: streamName("outcome", "default", "acme"),
      sourceRevision: number,
      number,
      outcome: { source: "app", id },
      verdict: "success",
      score,
      reason: "test",
      verdictRevision: 1,
      definition: "definition",
      decidedAt: NOW,
    });
    when(usage("poor"), NOW);
    when(verdict("poor", 1, "0"), NOW);
    expect(total(events)).toBe("0");
    // The second call halves the price of the first: the refund follows.
    when(usage("good", { quantities: { requests: "3" } }), NOW);
    expect(total(events)).toBe("3");
    when(verdict("good", 2, "1"), NOW);
    expect(entriesOf(events).at(-1)).toMatchObject({ kind: "bonus", atoms: "-1000000000" });
  });
});

describe("periods", () => {
  const MINIMUM = {
    ...PER_TOKEN,
    baseFee: { id: "base", amount: "20" },
    minimum: { id: "commitment", amount: "50" },
  };
  const close = (period: string) => ({ kind: "close-period", period }) as const;
  const at = (text: string): Instant => instant(text);

  test("close books the base fee and the true-up; a late fact is posted in the open period and lowers the true-up", () => {
    const { when, events } = book({ p: MINIMUM }, [["2026-01-01T00:00:00Z", "p"]]);
    const million = { quantities: { input_tokens: "1000000", output_tokens: "0" } };
    when(usage("a", million), NOW);
    when(close("2026-03"), at("2026-04-01T01:00:01Z"));
    expect(total(events)).toBe("50");
    expect(entriesOf(events).map(({ kind, atoms }) => [kind, formatAmount(BigInt(atoms))])).toEqual([
      ["charge", "3"],
      ["fee", "20"],
      ["true-up", "27"],
    ]);
    when(usage("late", million), at("2026-04-03T00:00:00Z"));
    expect(total(events)).toBe("50");
    expect(entriesOf(events).slice(3)).toMatchObject([
      { kind: "charge", period: "2026-03", postedIn: "2026-04", atoms: "3000000000" },
      { kind: "true-up", period: "2026-03", postedIn: "2026-04", atoms: "-3000000000" },
    ]);
  });

  test("a verdict on a closed period moves its true-up, and a switch to a plan with a fee opens its period ahead", () => {
    const outcomes = {
      ...MINIMUM,
      outcome: { id: "answer", definition: "user-answer", price: "10" },
    };
    const account = book({ p: outcomes, q: PER_TOKEN }, [["2026-01-01T00:00:00Z", "p"]]);
    account.when(usage("a", { quantities: { input_tokens: "0", output_tokens: "0" } }), NOW);
    account.when(close("2026-03"), at("2026-04-01T01:00:01Z"));
    expect(total(account.events)).toBe("50");
    account.when(
      {
        kind: "outcome-decided",
        ns: "default",
        account: "acme",
        sourceStream: streamName("outcome", "default", "acme"),
        sourceRevision: 1,
        number: 1,
        outcome: { source: "app", id: "a" },
        verdict: "success",
        score: "1",
        reason: "test",
        verdictRevision: 1,
        definition: "definition",
        decidedAt: NOW,
      },
      at("2026-04-02T00:00:00Z"),
    );
    expect(total(account.events)).toBe("50");
    expect(entriesOf(account.events).slice(-2)).toMatchObject([
      { kind: "charge", item: "answer", period: "2026-03", postedIn: "2026-04" },
      { kind: "true-up", period: "2026-03", postedIn: "2026-04", atoms: "-10000000000" },
    ]);

    const switched = book({ p: PER_TOKEN, q: MINIMUM }, [["2026-01-01T00:00:00Z", "p"]]);
    switched.when(usage("a", { quantities: { input_tokens: "1", output_tokens: "0" } }), NOW);
    switched.reassign([
      ["2026-01-01T00:00:00Z", "p"],
      ["2026-05-01T00:00:00Z", "q"],
    ]);
    switched.when({ kind: "rules-changed", ns: "default", account: "acme", sourceRevision: 1 }, NOW);
    expect([...switched.state.periods.keys()]).toEqual(["2026-03", "2026-05"]);
  });

  test("a fact beyond the late limit is parked, and the accumulators of the period are dropped with a later close", () => {
    const account = book({ p: PER_TOKEN }, [["2026-01-01T00:00:00Z", "p"]]);
    account.when(usage("a", { quantities: { input_tokens: "1", output_tokens: "1" } }), NOW);
    account.when(close("2026-03"), at("2026-04-01T01:00:01Z"));
    const late = account.when(usage("b", { quantities: { input_tokens: "1", output_tokens: "1" } }), at("2026-06-01T00:00:00Z"));
    expect(late).toMatchObject({ kind: "park", reason: "late-limit" });
    account.when(
      usage("c", { quantities: { input_tokens: "1", output_tokens: "1" }, occurredAt: at("2026-06-01T00:00:00Z") }),
      at("2026-06-01T00:00:00Z"),
    );
    account.when(close("2026-06"), at("2026-07-01T01:00:01Z"));
    expect([...account.state.accumulators.keys()].some((key) => key.includes("|2026-03|"))).toBe(false);
  });
});

test("a period that an import held falls due when the import ends, so that it waits for the verdicts that were held too", () => {
  const state = settlement.initial(streamName("account", "default", "acme"));
  const period = { period: "2026-03", start: instant("2026-03-01T00:00:00Z"), end: instant("2026-04-01T00:00:00Z") };
  const held = { source: "import", id: "1", expiresAt: instant("2026-11-22T00:00:00Z") };
  const events: AccountEvent[] = [
    { type: "ImportStarted", data: held },
    { type: "PeriodOpened", data: { ...period, dueAt: instant("2026-04-01T01:00:00Z") } },
    { type: "ImportEnded", data: held },
  ];
  const ended = instant("2026-11-21T12:00:00Z");
  const open = events.map((event, revision) => {
    settlement.evolve(state, event, { revision, recordedAt: ended });
    return [...settlement.deadlines(state)].map(({ key, dueAt }) => [key.split(":")[0], dueAt]);
  });
  expect(open).toEqual([[["import", held.expiresAt]], [["import", held.expiresAt]], [["period", ended]]]);
  const revived = settlement.revive(settlement.snapshot(state));
  expect([...settlement.deadlines(revived)]).toEqual([...settlement.deadlines(state)]);
});
