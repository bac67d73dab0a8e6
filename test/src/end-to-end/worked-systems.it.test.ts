/**
 * The worked examples of the pricing systems S1 to S5, each under its example documents: from the HTTP door to entries, wallet and invoice.
 *
 * Requests lie in March 2026 and are imported, so that their timeouts are due when the import ends; what comes "later" is sent after that.
 */
import { readFileSync } from "node:fs";
import type { SignalBody, UsageEventBody } from "@rerate/wire";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { expectSameAfterRebuild, expectSameWithoutCache, expectVerified } from "./audit.ts";
import { everyEntry, invoicedOf, netOf } from "./reads.ts";
import { SINCE, startLedger, type TestLedger } from "./start-ledger.ts";

const DAY = "2026-03-02";
const AT = `${DAY}T10:00:00Z`;

let ledger: TestLedger;

beforeAll(async () => {
  ledger = await startLedger();
  await ledger.publish(
    ...["user-answer", "retry-series", "weighted-signals", "quality-score"].map((id) => `outcomes/${id}.yaml`),
    ...["s1-token-billing", "s2-outcome-timeout", "s3-tiers-and-retries", "s4-signal-outcomes", "s5-credits-quality"].map(
      (id) => `plans/${id}.yaml`,
    ),
  );
});

afterAll(() => ledger.remove());

function request(account: string, id: string, data: UsageEventBody["data"] = {}, time = AT): UsageEventBody {
  return { specversion: "1.0", type: "llm.completion", source: "api", id, subject: account, time, data };
}

let signalCount = 0;

function signal(account: string, outcome: string, kind: string, time: string, more: Partial<SignalBody> = {}): SignalBody {
  return { source: "api", id: `signal-${(signalCount += 1)}`, account, outcome, signal: kind, time, ...more };
}

/** Sends signals as a product would, waits for the ledger's answers and for what follows from them. */
async function send(...signals: readonly SignalBody[]): Promise<readonly string[]> {
  const { answers = [] } = await ledger.client.sendSignals(signals, { waitSeconds: 5 });
  await ledger.settled();
  return answers.map(({ status }) => status);
}

interface OutcomeLine {
  readonly status: string;
  readonly verdict: string | undefined;
  readonly score: string | undefined;
  readonly reason: string | undefined;
  readonly amounts: readonly string[];
}

/** Verdict and money of an outcome, as its read shows them. What is counted at a price of 0 has an entry too: those are left out. */
async function outcome(account: string, id: string): Promise<OutcomeLine> {
  const { status, verdict, score, reason, entries } = await ledger.client.outcome(account, "api", id);
  return { status, verdict, score, reason, amounts: entries.map(({ amount }) => amount).filter((amount) => amount !== "0") };
}

const decided = (verdict: string, score: string, reason: string, ...amounts: readonly string[]): OutcomeLine => ({
  status: "decided",
  verdict,
  score,
  reason,
  amounts,
});

describe("S1: per-request token billing", () => {
  test("charges every request by its tokens", async () => {
    await ledger.open("s1", "s1-token-billing");
    const more = { model: "m-1", user: "u-7" };
    await ledger.importFacts({
      usage: [
        request("s1", "large", { ...more, input_tokens: 1_000, output_tokens: 500 }),
        request("s1", "small", { ...more, input_tokens: 1, output_tokens: 1 }),
      ],
    });
    const entries = await everyEntry(ledger.client, "s1");
    expect(entries.map(({ id, amount, kind }) => [id, amount, kind])).toEqual([
      ["large", "0.0105", "charge"],
      ["small", "0.000018", "charge"],
    ]);
    expect(await netOf(ledger.client, ["s1"])).toBe("0.010518");
  });

  test("keeps user, time, model, tokens and cost with the charge", async () => {
    const { fact, amount, accumulator } = await ledger.client.explain("s1", 1);
    expect(fact).toMatchObject({
      occurredAt: `${DAY}T10:00:00.000000000Z`,
      model: "m-1",
      quantities: { input_tokens: "1000", output_tokens: "500" },
      dimensions: { user: "u-7" },
    });
    expect([amount, accumulator.before, accumulator.after]).toEqual(["0.0105", "0", "10500000"]);
  });

  test("bills whole cents on the invoice only", async () => {
    const { sections } = await ledger.client.invoice("s1", "2026-03");
    expect(sections).toEqual([
      {
        unit: "USD",
        lines: [
          {
            item: "model-tokens",
            kind: "charge",
            quantity: "10518000",
            measureUnit: "atoms",
            exactAmount: "0.010518",
            amount: "0.01",
            entries: 2,
          },
        ],
        rounding: "0",
        total: "0.01",
        credits: "0",
        due: "0.01",
      },
    ]);
  });
});

describe("S2: accept, reject, timeout", () => {
  const NEXT_DAY = "2026-03-03";
  const EXACTLY = `${NEXT_DAY}T10:00:00Z`;
  const AFTER = `${NEXT_DAY}T10:00:00.000000001Z`;

  test("charges an accepted answer 0.50, a rejected one nothing, a silent one 0.25; exactly at 24 hours is in time", async () => {
    await ledger.open("s2", "s2-outcome-timeout");
    const ids = ["accepted", "rejected", "silent", "in-time", "late-accept", "late-reject", "last-moment", "too-late"];
    await ledger.importFacts({
      usage: ids.map((id) => request("s2", id)),
      costs: [
        {
          source: "api",
          id: "silent-cost",
          account: "s2",
          time: AT,
          amount: "0.02",
          currency: "USD",
          about: { source: "api", id: "silent" },
        },
      ],
      signals: [
        signal("s2", "accepted", "accept", `${DAY}T11:00:00Z`),
        signal("s2", "rejected", "reject", `${DAY}T11:00:00Z`),
        signal("s2", "in-time", "accept", EXACTLY),
      ],
    });
    expect(await outcome("s2", "accepted")).toEqual(decided("success", "1", "explicit-signal", "0.5"));
    expect(await outcome("s2", "rejected")).toEqual(decided("failure", "0", "explicit-signal"));
    expect(await outcome("s2", "in-time")).toEqual(decided("success", "1", "explicit-signal", "0.5"));
    for (const id of ["silent", "late-accept", "late-reject", "last-moment", "too-late"]) {
      expect(await outcome("s2", id)).toEqual(decided("partial", "1/2", "timeout", "0.25"));
    }
    expect((await ledger.client.outcome("s2", "api", "in-time")).verdicts).toHaveLength(1);
    expect(await netOf(ledger.client, ["s2"])).toBe("2.25");
    // The import held the period's end as well as the timeouts: those of March are on March's invoice.
    const march = await ledger.client.invoice("s2", "2026-03");
    expect(march).toMatchObject({ status: "final", sections: [{ unit: "USD", total: "2.25" }] });
    const [cost] = (await ledger.client.costs("s2")).costs;
    expect(cost).toMatchObject({ amount: "0.02", about: { source: "api", id: "silent" } });
  });

  test("an answer after the timeout revises the verdict, and the difference is charged or given back", async () => {
    await send(signal("s2", "late-accept", "accept", AFTER), signal("s2", "late-reject", "reject", AFTER));
    expect(await outcome("s2", "late-accept")).toEqual(decided("success", "1", "explicit-signal", "0.25", "0.25"));
    expect(await outcome("s2", "late-reject")).toEqual(decided("failure", "0", "explicit-signal", "0.25", "-0.25"));
    const { verdicts } = await ledger.client.outcome("s2", "api", "late-reject");
    expect(verdicts.map(({ verdict, verdictRevision }) => [verdict, verdictRevision])).toEqual([
      ["partial", 1],
      ["failure", 2],
    ]);
  });

  test("until 30 days after the timeout; later answers are recorded without effect", async () => {
    // 24 hours and 30 days after 2 March, 10:00.
    await send(
      signal("s2", "last-moment", "accept", "2026-04-02T10:00:00Z"),
      signal("s2", "too-late", "accept", "2026-04-02T10:00:00.000000001Z"),
    );
    expect(await outcome("s2", "last-moment")).toEqual(decided("success", "1", "explicit-signal", "0.25", "0.25"));
    expect(await outcome("s2", "too-late")).toEqual(decided("partial", "1/2", "timeout", "0.25"));
    const { signals } = await ledger.client.outcome("s2", "api", "too-late");
    expect(signals).toMatchObject([{ signal: "accept", effect: "without-effect" }]);
  });

  test("the invoices bill what the verdicts come to in the end", async () => {
    // accepted, in-time, late-accept, last-moment at 0.50 · silent, too-late at 0.25 · rejected, late-reject at 0
    expect(await netOf(ledger.client, ["s2"])).toBe("2.5");
    expect(await invoicedOf(ledger.client, ["s2"])).toEqual({ exact: "2.5", billed: "2.5", credits: "0", due: "2.5" });
  });

  test("a request of today is pending and costs nothing until it is answered", async () => {
    await ledger.open("s2-today", "s2-outcome-timeout");
    const { time: _now, ...today } = request("s2-today", "fresh");
    await ledger.client.sendUsage(today, { waitSeconds: 5 });
    await ledger.settled();
    expect(await outcome("s2-today", "fresh")).toEqual({
      status: "pending",
      verdict: undefined,
      score: undefined,
      reason: undefined,
      amounts: [],
    });
    const { dueAt, occurredAt } = await ledger.client.outcome("s2-today", "api", "fresh");
    expect(Date.parse(dueAt ?? "") - Date.parse(occurredAt ?? "")).toBe(24 * 3_600_000);
    expect(dueAt?.endsWith(plusOne(occurredAt ?? "").slice(-10))).toBe(true);
    const { time: _later, ...answer } = signal("s2-today", "fresh", "accept", AT);
    expect(await send(answer)).toEqual(["recorded"]);
    expect(await outcome("s2-today", "fresh")).toEqual(decided("success", "1", "explicit-signal", "0.5"));
  });
});

/** An instant's fraction of a second, one nanosecond later. */
function plusOne(time: string): string {
  return `${(Number(time.slice(20, 29)) + 1).toString().padStart(9, "0")}Z`;
}

describe("S3: tiers with quality and retries", () => {
  test("bills every attempt at its tier's multiple until the advertised quality is reached or the retries end", async () => {
    const premium = readFileSync(new URL("../../../examples/outcomes/retry-series.yaml", import.meta.url), "utf8").replaceAll(
      '"0.85"',
      '"0.9"',
    );
    for (const account of ["s3", "s3-premium"]) await ledger.open(account, "s3-tiers-and-retries");
    expect((await ledger.client.validateDocument(premium)).valid).toBe(true);
    const attempt = (account: string, series: string, tier: string, n: number) =>
      request(account, `${series}-${n}`, { outcome: series, attempt: n, tier }, `${DAY}T10:0${n}:00Z`);
    const quality = (account: string, series: string, n: number, value: string) =>
      signal(account, series, "quality", `${DAY}T10:0${n}:30Z`, { value });
    await ledger.importFacts({
      usage: [
        ...[1, 2, 3].map((n) => attempt("s3", "third-succeeds", "professional", n)),
        attempt("s3", "basic", "basic", 1),
        ...[1, 2].map((n) => attempt("s3-premium", "both-fail", "premium", n)),
        attempt("s3-premium", "silent", "premium", 1),
      ],
      signals: [
        quality("s3", "third-succeeds", 1, "60"),
        quality("s3", "third-succeeds", 2, "84"),
        quality("s3", "third-succeeds", 3, "88"),
        quality("s3-premium", "both-fail", 1, "70"),
        quality("s3-premium", "both-fail", 2, "80"),
        signal("s3-premium", "both-fail", "series_ended", `${DAY}T10:03:00Z`),
      ],
    });
    const charges = async (account: string, series: string) =>
      (await everyEntry(ledger.client, account))
        .filter(({ id, item }) => id?.startsWith(series) && item === "attempt")
        .map(({ amount }) => amount);
    expect(await charges("s3", "third-succeeds")).toEqual(["0.1", "0.1", "0.1"]);
    expect(await charges("s3", "basic")).toEqual(["0.01"]);
    expect(await charges("s3-premium", "both-fail")).toEqual(["0.15", "0.15"]);
    expect(await outcome("s3", "third-succeeds")).toMatchObject({ verdict: "success", score: "22/25" });
    expect(await outcome("s3-premium", "both-fail")).toMatchObject({ verdict: "failure", score: "0", reason: "explicit-signal" });
    expect(await outcome("s3-premium", "silent")).toMatchObject({ verdict: "failure", score: "0", reason: "timeout" });
    const { requests } = await ledger.client.outcome("s3", "api", "third-succeeds");
    expect(requests.map(({ id }) => id)).toEqual(["third-succeeds-1", "third-succeeds-2", "third-succeeds-3"]);
    expect(await invoicedOf(ledger.client, ["s3"])).toEqual({ exact: "0.31", billed: "0.31", credits: "0", due: "0.31" });
    expect(await invoicedOf(ledger.client, ["s3-premium"])).toEqual({ exact: "0.45", billed: "0.45", credits: "0", due: "0.45" });
  });

  test("may cap billed attempts, by their number and not by their arrival", async () => {
    const plan = readFileSync(new URL("../../../examples/plans/s3-tiers-and-retries.yaml", import.meta.url), "utf8")
      .replace("id: s3-tiers-and-retries", "id: s3-two-attempts")
      .replace("    model: tiered-multiplier", "    model: tiered-multiplier\n    when: { maxAttempt: 2 }");
    await ledger.client.publishDocument(plan, { effectiveFrom: SINCE });
    await ledger.open("s3-capped", "s3-two-attempts");
    await ledger.importFacts({
      usage: [3, 1, 2].map((n) => request("s3-capped", `try-${n}`, { outcome: "series", attempt: n, tier: "professional" })),
      signals: [signal("s3-capped", "series", "quality", `${DAY}T10:10:00Z`, { value: "90" })],
    });
    const attempts = (await everyEntry(ledger.client, "s3-capped")).filter(({ item }) => item === "attempt");
    expect(Object.fromEntries(attempts.map(({ id, amount }) => [id, amount]))).toEqual({
      "try-1": "0.1",
      "try-2": "0.1",
      "try-3": "0",
    });
    expect(await netOf(ledger.client, ["s3-capped"])).toBe("0.2");
  });
});

describe("S4: outcome billing from many signals", () => {
  const at = (minutes: number) => `${DAY}T10:${String(minutes).padStart(2, "0")}:00Z`;

  /** Signals with their confidence, in the order of their own times, and what they come to. */
  const ROWS: Readonly<
    Record<
      string,
      { readonly signals: readonly (readonly [kind: string, confidence?: string])[]; readonly expected: OutcomeLine }
    >
  > = {
    "explicit-accept": { signals: [["explicit_accept"]], expected: decided("success", "1", "explicit-signal", "1") },
    "explicit-reject": { signals: [["explicit_reject"]], expected: decided("failure", "0", "explicit-signal") },
    "edit-then-timeout": { signals: [["edit"]], expected: decided("success", "4/5", "timeout", "1") },
    "regenerate-then-timeout": { signals: [["regenerate"]], expected: decided("failure", "1/4", "timeout") },
    "none-then-timeout": { signals: [], expected: decided("partial", "3/10", "timeout", "0.5") },
    "half-use-regenerate-edit": {
      signals: [["implicit_use", "0.5"], ["regenerate"], ["edit"]],
      expected: decided("partial", "7/12", "minimum-signals", "0.5"),
    },
    "use-share-edit": {
      signals: [["implicit_use"], ["share"], ["edit"]],
      expected: decided("success", "53/60", "minimum-signals", "1"),
    },
    "regenerate-then-accept": {
      signals: [["regenerate"], ["explicit_accept"]],
      expected: decided("partial", "5/8", "explicit-signal", "0.5"),
    },
    "late-share": {
      signals: [["implicit_use"], ["edit"], ["regenerate"]],
      expected: decided("partial", "13/20", "minimum-signals", "0.5"),
    },
  };

  beforeAll(async () => {
    for (const account of Object.keys(ROWS)) await ledger.open(account, "s4-signal-outcomes");
    await ledger.importFacts({
      usage: Object.keys(ROWS).map((account) => request(account, "r")),
      signals: Object.entries(ROWS).flatMap(([account, { signals }]) =>
        signals.map(([kind, confidence], index) =>
          signal(account, "r", kind, at(10 * (index + 1)), confidence === undefined ? {} : { confidence }),
        ),
      ),
    });
  });

  test.each(Object.entries(ROWS))("%s", async (account, { signals, expected }) => {
    expect(await outcome(account, "r")).toEqual(expected);
    const total = expected.amounts[0] ?? "0";
    expect(await netOf(ledger.client, [account])).toBe(total);
    expect((await invoicedOf(ledger.client, [account])).billed).toBe(total);
    const { verdicts } = await ledger.client.outcome(account, "api", "r");
    expect(verdicts).toHaveLength(1);
    expect(verdicts[0]?.evidence.map(({ signal }) => signal)).toEqual(signals.map(([kind]) => kind));
  });

  test("a share that is delivered later and happened before the regenerate revises 0.50 to 1.00", async () => {
    await send(signal("late-share", "r", "share", at(25)));
    expect(await outcome("late-share", "r")).toEqual(decided("success", "53/60", "minimum-signals", "0.5", "0.5"));
    expect(await netOf(ledger.client, ["late-share"])).toBe("1");
    expect((await invoicedOf(ledger.client, ["late-share"])).billed).toBe("1");
  });
});

describe("S5: credits with quality refunds and bonuses", () => {
  const QUALITIES = ["0", "20", "30", "39", "40", "90", "91", "100"];
  const AMOUNTS = [["10", "-10"], ["10", "-5"], ["10", "-2"], ["10"], ["10"], ["10"], ["10", "-2"], ["10", "-2"]];

  async function credits(): Promise<object | undefined> {
    const { units } = await ledger.client.balance("s5");
    const unit = units.find(({ unit }) => unit === "credits");
    return unit === undefined
      ? undefined
      : { ...unit, grants: unit.grants.map(({ id, granted, remaining }) => [id, granted, remaining]) };
  }

  test("charges ten credits a request up front, and gives back or adds by its quality", async () => {
    await ledger.open("s5", "s5-credits-quality");
    await ledger.client.grant("s5", { id: "hundred", amount: "100", unit: "credits" }, { waitSeconds: 5 });
    await ledger.importFacts({ usage: QUALITIES.map((q) => request("s5", `q-${q}`)) });
    expect(await credits()).toMatchObject({ charged: "80", net: "80", unpaid: "0", grants: [["hundred", "100", "20"]] });
    await send(...QUALITIES.map((value) => signal("s5", `q-${value}`, "quality", `${DAY}T10:05:00Z`, { value })));
    for (const [index, q] of QUALITIES.entries()) {
      expect([q, (await outcome("s5", `q-${q}`)).amounts]).toEqual([q, AMOUNTS[index]]);
    }
    // 100 − 80 + (10 + 5 + 2) + (2 + 2) = 41
    expect(await credits()).toMatchObject({ charged: "80", refunded: "17", bonus: "4", net: "59", unpaid: "0" });
    expect(await remaining()).toBe("41");
  });

  async function remaining(): Promise<string> {
    const { units } = await ledger.client.balance("s5");
    const grants = units.filter(({ unit }) => unit === "credits").flatMap(({ grants }) => grants);
    return String(grants.reduce((sum, { remaining }) => sum + Number(remaining), 0));
  }

  test("a score revised from 20 to 95 takes the 5 back and gives the bonus of 2", async () => {
    await send(signal("s5", "q-20", "quality", `${DAY}T11:00:00Z`, { value: "95" }));
    const { entries } = await ledger.client.outcome("s5", "api", "q-20");
    expect(entries.filter(({ item }) => item !== "score").map(({ kind, amount }) => [kind, amount])).toEqual([
      ["charge", "10"],
      ["refund", "-5"],
      ["refund", "5"],
      ["bonus", "-2"],
    ]);
    expect(await credits()).toMatchObject({ charged: "80", refunded: "12", bonus: "6", net: "62", unpaid: "0" });
    expect(await remaining()).toBe("38");
  });

  test("the invoices carry the net credits, all of them paid by grants", async () => {
    expect(await invoicedOf(ledger.client, ["s5"], "credits")).toEqual({ exact: "62", billed: "62", credits: "62", due: "0" });
  });

  test("what the grants do not cover is unpaid until the next grant pays it", async () => {
    await ledger.importFacts({ usage: [1, 2, 3, 4, 5].map((n) => request("s5", `more-${n}`)) });
    expect(await credits()).toMatchObject({ charged: "130", net: "112", unpaid: "12" });
    expect(await remaining()).toBe("0");
    await ledger.client.grant("s5", { id: "twenty", amount: "20", unit: "credits" }, { waitSeconds: 5 });
    await ledger.settled();
    expect(await credits()).toMatchObject({ net: "112", unpaid: "0" });
    expect(await remaining()).toBe("8");
  });
});

test("verify accepts the ledger, the log alone serves the same answers, and a rebuild gives the same tables", async () => {
  expect((await ledger.client.parked()).parked).toEqual([]);
  await expectVerified(ledger);
  await expectSameWithoutCache(ledger);
  await expectSameAfterRebuild(ledger);
});
