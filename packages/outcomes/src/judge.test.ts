import { formatFraction, instant, plus, HOUR, DAY, type Instant } from "@rerate/money";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { outcomeDefinitionSchema, type OutcomeDefinition } from "./definition.ts";
import { judge, timeoutDueAt, type Judgement, type Signal } from "./judge.ts";

const REQUEST = instant("2026-03-01T12:00:00Z");

const weighted = outcomeDefinitionSchema.parse({
  kind: "outcome-definition",
  id: "weighted",
  title: "S4",
  signals: {
    explicit_accept: { weight: "1.0", explicit: true },
    explicit_reject: { weight: "-1.0", explicit: true },
    implicit_use: { weight: "0.8" },
    edit: { weight: "0.6" },
    share: { weight: "0.9" },
    regenerate: { weight: "-0.5" },
    reopened: { weight: "-1" },
  },
  minimumSignals: 3,
  timeout: "PT48H",
  onTimeout: { use: "signals", score: "0.3" },
  thresholds: { success: "0.7", partial: "0.3" },
  reversal: ["reopened"],
});

const answer = outcomeDefinitionSchema.parse({
  kind: "outcome-definition",
  id: "answer",
  title: "S2",
  signals: { accept: { weight: "1", explicit: true }, reject: { weight: "-1", explicit: true } },
  timeout: "PT24H",
  onTimeout: { use: "fixed", score: "0.5", verdict: "partial" },
  thresholds: { success: "0.7", partial: "0.3" },
});

const quality = outcomeDefinitionSchema.parse({
  kind: "outcome-definition",
  id: "quality",
  title: "S5",
  signals: { quality: { score: true, scale: "100" } },
  thresholds: { success: "0.4", partial: "0.4" },
  reversal: ["quality"],
});

/** A signal `hours` after the request; its id is its kind and hour unless given. */
function signal(kind: string, hours: number, more: Partial<Signal> = {}): Signal {
  return { source: "app", id: `${kind}@${hours}`, signal: kind, occurredAt: hoursAfter(hours), ...more };
}

function hoursAfter(hours: number): Instant {
  return plus(REQUEST, BigInt(Math.round(hours * 3600)) * 1_000_000_000n);
}

function brief(judgement: Judgement | undefined): string {
  return judgement === undefined ? "pending" : `${formatFraction(judgement.score)} ${judgement.verdict} ${judgement.reason}`;
}

describe("many weighted signals", () => {
  const never = undefined;
  const passed = hoursAfter(49);
  test.each<[string, readonly Signal[], Instant | undefined, string]>([
    ["an explicit accept settles at once", [signal("explicit_accept", 1)], never, "1 success explicit-signal"],
    ["an explicit reject settles at once", [signal("explicit_reject", 1)], never, "0 failure explicit-signal"],
    ["one edit waits", [signal("edit", 1)], never, "pending"],
    ["an edit, then the timeout", [signal("edit", 1)], passed, "4/5 success timeout"],
    ["a regeneration, then the timeout", [signal("regenerate", 1)], passed, "1/4 failure timeout"],
    ["nothing, then the timeout", [], passed, "3/10 partial timeout"],
    [
      "three signals, one at half confidence",
      [signal("implicit_use", 1, { confidence: "0.5" }), signal("regenerate", 2), signal("edit", 3)],
      never,
      "7/12 partial minimum-signals",
    ],
    [
      "three signals at full confidence",
      [signal("implicit_use", 1), signal("share", 2), signal("edit", 3)],
      never,
      "53/60 success minimum-signals",
    ],
    [
      "all signals up to the explicit one count",
      [signal("regenerate", 1), signal("explicit_accept", 2)],
      never,
      "5/8 partial explicit-signal",
    ],
    [
      "use, edit, regenerate",
      [signal("implicit_use", 1), signal("edit", 2), signal("regenerate", 4)],
      never,
      "13/20 partial minimum-signals",
    ],
    [
      "a share that happened before the regeneration takes its place",
      [signal("implicit_use", 1), signal("edit", 2), signal("regenerate", 4), signal("share", 3)],
      never,
      "53/60 success minimum-signals",
    ],
    [
      "a fourth signal after the three has no effect",
      [signal("implicit_use", 1), signal("edit", 2), signal("regenerate", 3), signal("explicit_accept", 4)],
      never,
      "13/20 partial minimum-signals",
    ],
    ["an unknown kind has no effect", [signal("wink", 1), signal("edit", 2)], passed, "4/5 success timeout"],
  ])("%s", (_, signals, upTo, expected) => {
    expect(brief(judge(weighted, REQUEST, signals, upTo))).toBe(expected);
  });

  test("a score of exactly 0.7 is a success, the next smaller one is not", () => {
    const half = { ...weighted, signals: { edit: { weight: "0.4" } }, reversal: [], minimumSignals: 1 };
    expect(brief(judge(half, REQUEST, [signal("edit", 1)], undefined))).toBe("7/10 success minimum-signals");
    expect(judge(half, REQUEST, [signal("edit", 1, { confidence: "0.999999999" })], undefined)?.verdict).toBe("partial");
  });

  test("signals after the timeout do not enter the timeout's score, but may complete a settling prefix", () => {
    const signals = [signal("edit", 1), signal("regenerate", 50)];
    expect(brief(judge(weighted, REQUEST, signals, hoursAfter(60)))).toBe("4/5 success timeout");
    const three = [...signals, signal("regenerate", 51)];
    expect(brief(judge(weighted, REQUEST, three, hoursAfter(60)))).toBe("13/30 partial minimum-signals");
  });

  test("a reversal kind revises a settled verdict on its own, within the window only", () => {
    const accepted = signal("explicit_accept", 1);
    expect(brief(judge(weighted, REQUEST, [accepted, signal("reopened", 1 + 30 * 24)], undefined))).toBe("0 failure reversal");
    const late = signal("reopened", 1 + 30 * 24 + 0.01);
    expect(brief(judge(weighted, REQUEST, [accepted, late], undefined))).toBe("1 success explicit-signal");
    expect(brief(judge(weighted, REQUEST, [accepted, signal("explicit_reject", 2)], undefined))).toBe(
      "1 success explicit-signal",
    );
  });

  test("a reversal does not disturb a timeout's verdict", () => {
    expect(brief(judge(weighted, REQUEST, [signal("reopened", 50)], hoursAfter(60)))).toBe("3/10 partial timeout");
  });

  test("the last explicit signal can decide alone", () => {
    const alone: OutcomeDefinition = { ...weighted, explicitDecides: "last" };
    const signals = [signal("regenerate", 1), signal("explicit_accept", 2)];
    expect(brief(judge(alone, REQUEST, signals, undefined))).toBe("1 success explicit-signal");
  });

  test("the evidence shows every contribution, in the signals' own order", () => {
    const signals = [signal("edit", 3), signal("implicit_use", 1, { confidence: "0.5" }), signal("regenerate", 2)];
    const judgement = judge(weighted, REQUEST, signals, undefined);
    expect(judgement?.decidedAt).toBe(hoursAfter(3));
    expect(judgement?.evidence.map(({ id, contribution }) => `${id} ${formatFraction(contribution)}`)).toEqual([
      "implicit_use@1 2/5",
      "regenerate@2 -1/2",
      "edit@3 3/5",
    ]);
  });
});

describe("accept, reject or no answer", () => {
  test("exactly at the timeout the outcome is still pending", () => {
    expect(judge(answer, REQUEST, [], hoursAfter(24))).toBeUndefined();
    const due = timeoutDueAt(answer, REQUEST);
    expect(due).toBe(plus(REQUEST, 24n * HOUR + 1n));
    expect(brief(judge(answer, REQUEST, [], due))).toBe("1/2 partial timeout");
    expect(judge(answer, REQUEST, [], due)?.decidedAt).toBe(hoursAfter(24));
  });

  test("an answer within the window after the timeout revises it; a later one has no effect", () => {
    const due = hoursAfter(25);
    const end = plus(REQUEST, DAY + 30n * DAY);
    expect(brief(judge(answer, REQUEST, [signal("reject", 30)], due))).toBe("0 failure explicit-signal");
    expect(brief(judge(answer, REQUEST, [signal("accept", 0, { occurredAt: end })], due))).toBe("1 success explicit-signal");
    expect(brief(judge(answer, REQUEST, [signal("accept", 0, { occurredAt: plus(end, 1n) })], due))).toBe("1/2 partial timeout");
    expect(judge(answer, REQUEST, [signal("accept", 0, { occurredAt: plus(end, 1n) })], undefined)).toBeUndefined();
  });

  test("the first answer holds", () => {
    expect(brief(judge(answer, REQUEST, [signal("reject", 2), signal("accept", 3)], undefined))).toBe(
      "0 failure explicit-signal",
    );
  });
});

describe("scores", () => {
  test("the latest score within the window holds", () => {
    const first = signal("quality", 1, { value: "20" });
    expect(brief(judge(quality, REQUEST, [first], undefined))).toBe("1/5 failure score-signal");
    const revised = judge(quality, REQUEST, [signal("quality", 5, { value: "95" }), first], undefined);
    expect(brief(revised)).toBe("19/20 success reversal");
    expect(revised?.decidedAt).toBe(hoursAfter(5));
  });

  test("a score without a number counts as not sent, one off the scale as the scale's end", () => {
    expect(judge(quality, REQUEST, [signal("quality", 1)], undefined)).toBeUndefined();
    expect(brief(judge(quality, REQUEST, [signal("quality", 1, { value: "130" })], undefined))).toBe("1 success score-signal");
  });

  test("an attempt below the threshold leaves a series open until it ends", () => {
    const series = outcomeDefinitionSchema.parse({
      kind: "outcome-definition",
      id: "series",
      title: "S3",
      signals: { quality: { score: true, scale: "100", settles: "success" }, series_ended: { weight: "-1", explicit: true } },
      timeout: "PT1H",
      onTimeout: { use: "fixed", score: "0", verdict: "failure" },
      thresholds: { success: "0.85", partial: "0.85" },
    });
    const attempts = [signal("quality", 0.1, { value: "60" }), signal("quality", 0.2, { value: "84.9" })];
    expect(judge(series, REQUEST, attempts, undefined)).toBeUndefined();
    expect(brief(judge(series, REQUEST, [...attempts, signal("quality", 0.3, { value: "85" })], undefined))).toBe(
      "17/20 success score-signal",
    );
    expect(brief(judge(series, REQUEST, [...attempts, signal("series_ended", 0.3)], undefined))).toBe(
      "0 failure explicit-signal",
    );
    expect(brief(judge(series, REQUEST, attempts, hoursAfter(2)))).toBe("0 failure timeout");
  });
});

describe("the set of signals alone decides", () => {
  const kinds = [...Object.keys(weighted.signals), "unknown"];
  const signals = fc.uniqueArray(
    fc.record({
      source: fc.constantFrom("a", "b"),
      id: fc.nat(30).map(String),
      signal: fc.constantFrom(...kinds),
      occurredAt: fc.integer({ min: -5, max: 900 }).map((hours) => hoursAfter(hours)),
      confidence: fc.option(
        fc.integer({ min: 0, max: 10 }).map((tenths) => (tenths === 10 ? "1" : `0.${tenths}`)),
        { nil: undefined },
      ),
    }),
    { selector: ({ source, id }) => `${source} ${id}`, maxLength: 8 },
  );
  const upTo = fc.option(fc.integer({ min: 0, max: 1000 }).map(hoursAfter), { nil: undefined });

  test("any order and any repetition of the signals gives the same judgement", () => {
    const shuffled = signals.chain((set) =>
      fc.tuple(fc.constant(set), fc.shuffledSubarray([...set, ...set], { minLength: set.length * 2, maxLength: set.length * 2 })),
    );
    fc.assert(
      fc.property(shuffled, upTo, ([set, repeated], time) => {
        expect(judge(weighted, REQUEST, repeated, time)).toEqual(judge(weighted, REQUEST, set, time));
      }),
    );
  });

  test("the score is what its evidence adds up to, and within 0 to 1", () => {
    fc.assert(
      fc.property(signals, (set) => {
        const judgement = judge(weighted, REQUEST, set, hoursAfter(49));
        const { score, evidence } = judgement ?? { score: { n: -1n, d: 1n }, evidence: [] };
        expect(score.n >= 0n && score.n <= score.d).toBe(true);
        if (evidence.length === 0) return;
        const tenths = evidence.reduce((sum, { contribution: c }) => sum + (c.n * 1000n) / c.d, 0n);
        const n = BigInt(evidence.length);
        const expected = tenths + n * 1000n < 0n ? 0n : tenths + n * 1000n;
        expect(score.n * 2000n * n).toBe((expected > 2000n * n ? 2000n * n : expected) * score.d);
      }),
    );
  });

  test("a verdict by signals does not depend on whether the timeout has passed", () => {
    fc.assert(
      fc.property(signals, upTo, (set, time) => {
        const without = judge(weighted, REQUEST, set, undefined);
        if (without !== undefined) expect(judge(weighted, REQUEST, set, time)).toEqual(without);
      }),
    );
  });

  test("a time at the end of the calendar is no error", () => {
    const last = instant("9999-12-31T23:59:59Z");
    expect(brief(judge(weighted, last, [signal("edit", 0, { occurredAt: last })], undefined))).toBe("pending");
  });
});
