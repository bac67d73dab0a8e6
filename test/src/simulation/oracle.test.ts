/** The oracle against the numbers that the systems state themselves: a wrong oracle would prove nothing. */
import { expect, test } from "vitest";
import { measuresUnder, outcomePrice } from "./oracle-price.ts";
import { finalVerdict, type OracleSignal } from "./oracle-verdict.ts";
import { definitionOf, POOL, type PoolPlan } from "./plan-pool.ts";
import { halfEven, rational, text } from "./rational.ts";

function plan(id: string): PoolPlan {
  const found = POOL.find((document) => document.kind === "plan" && document.id === id)?.document;
  if (found?.kind !== "plan") throw new Error(`no plan ${id}`);
  return found;
}

function total(id: string, quantities: Readonly<Record<string, string>>, model = "small"): string {
  const [measure] = measuresUnder(plan(id), { type: "chat", model, quantities }) ?? [];
  return measure === undefined ? "no price" : text(measure.price(measure.amount));
}

type Given = readonly [signal: string, ownMs: number, confidence?: string];

function signals(...kinds: readonly Given[]): OracleSignal[] {
  return kinds.map(([signal, ownMs, confidence], index) => ({ source: "ui", id: String(index), signal, ownMs, confidence }));
}

const HOUR = 3_600_000;

test("S1: 1,000 in and 500 out at 3 and 15 per million are 0.0105", () => {
  expect(total("pay-per-signals", { input_tokens: "1000", output_tokens: "500" })).toBe("10500000");
  expect(total("pay-per-signals", { input_tokens: "1", output_tokens: "1" })).toBe("18000");
});

test("tiers, volumes and packages cost what their words say", () => {
  expect(total("graduated", { pages: "8" })).toBe(text(rational("983333333.3")));
  expect(total("volume", { pages: "6" })).toBe("1200000000");
  expect(total("package", { pages: "4.000000001" })).toBe("2500000000");
  expect(total("package", { pages: "0" })).toBe("0");
  expect(total("volume", {})).toBe("no price");
  expect(total("tokens", { input_tokens: "1", output_tokens: "1" }, "unheard-of")).toBe("no price");
});

test("S2: accepted, rejected, no answer within a day, an answer after it", () => {
  const answer = definitionOf("answer");
  expect(finalVerdict(answer, 0, signals(["accept", HOUR]))).toEqual({ verdict: "success", score: "1" });
  expect(finalVerdict(answer, 0, signals(["reject", HOUR]))).toEqual({ verdict: "failure", score: "0" });
  expect(finalVerdict(answer, 0, [])).toEqual({ verdict: "partial", score: "1/2" });
  expect(finalVerdict(answer, 0, signals(["accept", 40 * HOUR]))).toEqual({ verdict: "success", score: "1" });
  expect(finalVerdict(answer, 0, signals(["accept", 24 * 40 * HOUR]))).toEqual({ verdict: "partial", score: "1/2" });
});

test("S4: the table of signals, scores and verdicts", () => {
  const many = definitionOf("signals");
  const score = (...kinds: readonly Given[]) => finalVerdict(many, 0, signals(...kinds));
  expect(score(["explicit_accept", 1])).toEqual({ verdict: "success", score: "1" });
  expect(score(["explicit_reject", 1])).toEqual({ verdict: "failure", score: "0" });
  expect(score(["edit", 1])).toEqual({ verdict: "success", score: "4/5" });
  expect(score(["regenerate", 1])).toEqual({ verdict: "failure", score: "1/4" });
  expect(score()).toEqual({ verdict: "partial", score: "3/10" });
  expect(score(["implicit_use", 1, "0.5"], ["regenerate", 2], ["edit", 3])).toEqual({ verdict: "partial", score: "7/12" });
  expect(score(["implicit_use", 1], ["share", 2], ["edit", 3])).toEqual({ verdict: "success", score: "53/60" });
  expect(score(["regenerate", 1], ["explicit_accept", 2])).toEqual({ verdict: "partial", score: "5/8" });
  expect(score(["implicit_use", 1], ["edit", 2], ["regenerate", 4])).toEqual({ verdict: "partial", score: "13/20" });
  expect(score(["implicit_use", 1], ["edit", 2], ["regenerate", 4], ["share", 3])).toEqual({
    verdict: "success",
    score: "53/60",
  });
});

test("after signals have decided, only a reversal within the window revises", () => {
  const many = definitionOf("signals");
  expect(finalVerdict(many, 0, signals(["explicit_accept", 1], ["explicit_reject", 2]))?.verdict).toBe("success");
  expect(finalVerdict(many, 0, signals(["explicit_accept", 1], ["reopened", 2]))).toEqual({ verdict: "failure", score: "0" });
  expect(finalVerdict(many, 0, signals(["explicit_accept", 1], ["reopened", 11 * 24 * HOUR]))?.verdict).toBe("success");
});

test("graduated outcomes: three at 1, the rest cheaper", () => {
  const { outcome } = plan("pay-per-signals");
  if (outcome === undefined) throw new Error("no outcome policy");
  expect(text(outcomePrice(outcome, rational("3.5")))).toBe(text(rational("3388888888.85")));
});

test("half-even rounding", () => {
  expect(["1/2", "3/2", "5/2", "-1/2", "-3/2", "7/3", "-7/3"].map((value) => halfEven(rational(value)))).toEqual([
    0n,
    2n,
    2n,
    0n,
    -2n,
    2n,
    -2n,
  ]);
});
