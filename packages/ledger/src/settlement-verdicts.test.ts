import { formatAmount, instant } from "@rerate/money";
import { describe, expect, test } from "vitest";
import type { OutcomeDecidedMessage } from "./messages.ts";
import { streamName } from "./stream-name.ts";
import { NOW, book, usage, entriesOf, total, PER_TOKEN } from "./testing/account-book.ts";

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
