import { formatAmount, instant, parseAmount, type Instant } from "@rerate/money";
import { describe, expect, test } from "vitest";
import type { AccountEvent } from "./account-events.ts";
import type { CostAccepted, UsageAccepted } from "./messages.ts";
import { settlement } from "./settlement.ts";
import { streamName } from "./stream-name.ts";
import { NOW, book, usage, entriesOf, total, PER_TOKEN, GRADUATED } from "./testing/account-book.ts";

describe("settlement", () => {
  test("binds the rules, opens the period and charges tokens exactly", () => {
    const { when, events } = book({ p: PER_TOKEN }, [["2026-01-01T00:00:00Z", "p"]]);
    const decision = when(usage("r1", { quantities: { input_tokens: "1000", output_tokens: "500" } }), NOW);
    expect(decision.kind).toBe("record");
    expect(events.map(({ type }) => type)).toEqual(["RulesBound", "PeriodOpened", "UsageRecorded"]);
    expect(total(events)).toBe("0.0105");
    expect(entriesOf(events)[0]).toMatchObject({ n: 1, kind: "charge", item: "chat", unit: "USD", period: "2026-03" });
  });

  test("fees fall due from where the rules begin, also when a fact binds them before the hint of the contract comes", () => {
    const withFee = { ...PER_TOKEN, baseFee: { id: "base", amount: "5" } };
    const { when, events } = book({ p: withFee }, [["2026-01-15T00:00:00Z", "p"]]);
    when(usage("r1", { quantities: { input_tokens: "1", output_tokens: "0" } }), NOW);
    const opened = events.flatMap((event) => (event.type === "PeriodOpened" ? [event.data.period] : []));
    expect(opened).toEqual(["2026-01", "2026-03"]);
    when({ kind: "rules-changed", ns: "default", account: "acme", sourceRevision: 1 }, NOW);
    expect(events.filter(({ type }) => type === "PeriodOpened")).toHaveLength(2);
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
