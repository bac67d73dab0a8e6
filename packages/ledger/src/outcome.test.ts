import { instant, plus, DAY, HOUR, type Instant } from "@rerate/money";
import { outcomeDefinitionSchema } from "@rerate/outcomes";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Decision } from "./decider.ts";
import type { ImportCommand, SignalAccepted, UsageRecordedMessage } from "./messages.ts";
import type { OutcomeEvent, VerdictGiven } from "./outcome-events.ts";
import { outcome, outcomeDecidedMessages, type OutcomeMessage, type OutcomeState } from "./outcome.ts";
import { streamName } from "./stream-name.ts";
import { recordedStream, type RecordedStream } from "./testing/recorded-stream.ts";

const NOON = instant("2026-03-01T12:00:00Z");
const SOURCE = streamName("account", "default", "acme");
const STREAM = streamName("outcome", "default", "acme");

const answer = outcomeDefinitionSchema.parse({
  kind: "outcome-definition",
  id: "answer",
  title: "Accepted or rejected",
  signals: {
    accept: { weight: "1", explicit: true },
    reject: { weight: "-1", explicit: true },
    edit: { weight: "0.6" },
    reopened: { weight: "-1" },
  },
  minimumSignals: 3,
  timeout: "PT24H",
  onTimeout: { use: "signals", score: "0.5", verdict: "partial" },
  thresholds: { success: "0.7", partial: "0.3" },
  reversal: ["reopened"],
});
const quick = { ...answer, id: "quick", timeout: "PT1H" };
const untimed = outcomeDefinitionSchema.parse({
  kind: "outcome-definition",
  id: "untimed",
  title: "Never times out",
  signals: { accept: { weight: "1", explicit: true } },
  thresholds: { success: "0.7", partial: "0.3" },
});
const definitions = new Map([
  ["h-answer", answer],
  ["h-quick", quick],
  ["h-untimed", untimed],
]);

type Stream = RecordedStream<OutcomeState, OutcomeMessage, OutcomeEvent>;

function newStream(): Stream {
  return recordedStream(outcome, STREAM, { definition: (hash: string) => definitions.get(hash) });
}

function usage(number: number, more: Partial<UsageRecordedMessage> = {}): UsageRecordedMessage {
  const id = more.id ?? `u${number}`;
  return {
    kind: "usage-recorded",
    ns: "default",
    account: "acme",
    sourceStream: SOURCE,
    sourceRevision: number * 10,
    number,
    source: "app",
    id,
    outcome: { source: "app", id },
    occurredAt: NOON,
    definition: "h-answer",
    ...more,
  };
}

function signal(id: string, kind: string, hours: number, more: Partial<SignalAccepted> = {}): SignalAccepted {
  const occurredAt = hoursAfter(hours);
  return {
    kind: "signal",
    ns: "default",
    account: "acme",
    source: "app",
    id,
    outcome: { source: "app", id: "u1" },
    signal: kind,
    occurredAt,
    receivedAt: occurredAt,
    contentHash: `1:${kind}-${hours}-${more.confidence ?? ""}-of-${id}`,
    ...more,
  };
}

function imports(phase: "started" | "ended"): ImportCommand {
  return {
    kind: "import",
    ns: "default",
    account: "acme",
    source: "cli",
    id: "i1",
    phase,
    expiresAt: hoursAfter(100),
    receivedAt: NOON,
  };
}

function hoursAfter(hours: number): Instant {
  return plus(NOON, (BigInt(Math.round(hours * 100)) * HOUR) / 100n);
}

function status(decision: Decision<OutcomeEvent>): string {
  return "answer" in decision ? decision.answer.status : decision.kind;
}

function verdicts(stream: Stream): VerdictGiven[] {
  return stream.events.flatMap((event) =>
    "decided" in event.data && event.data.decided !== undefined ? [event.data.decided] : [],
  );
}

function brief(stream: Stream): string[] {
  return verdicts(stream).map(
    ({ number, revision, verdict, score, reason }) => `${number}/${revision} ${verdict} ${score} ${reason}`,
  );
}

describe("an outcome", () => {
  test("opens with its usage and falls due strictly after its timeout", () => {
    const stream = newStream();
    expect(stream.deliver(usage(1), NOON)).toEqual({
      kind: "record",
      answer: { status: "recorded" },
      events: [
        {
          type: "OutcomeOpened",
          data: {
            outcome: { source: "app", id: "u1" },
            usage: { source: "app", id: "u1" },
            occurredAt: NOON,
            definition: "h-answer",
            source: { stream: SOURCE, revision: 10, number: 1 },
            dueAt: plus(NOON, DAY + 1n),
          },
        },
      ],
    });
    expect(stream.due(plus(NOON, DAY))).toEqual([]);
    stream.fire(plus(NOON, DAY + 1n));
    expect(stream.events.at(-1)).toMatchObject({
      type: "TimeoutPassed",
      data: {
        dueAt: plus(NOON, DAY + 1n),
        link: 0,
        decided: { verdict: "partial", score: "1/2", decidedAt: plus(NOON, DAY), evidence: [] },
      },
    });
    expect(stream.state().open.size).toBe(0);
  });

  test("is decided by an explicit signal and leaves the state", () => {
    const stream = newStream();
    stream.deliver(usage(1), NOON);
    stream.deliver(signal("s1", "accept", 2), hoursAfter(2));
    expect(stream.events.at(-1)).toEqual({
      type: "SignalRecorded",
      data: {
        outcome: { source: "app", id: "u1" },
        source: "app",
        id: "s1",
        signal: "accept",
        occurredAt: hoursAfter(2),
        contentHash: "1:accept-2--of-s1",
        link: 0,
        decided: {
          number: 1,
          revision: 1,
          verdict: "success",
          score: "1",
          reason: "explicit-signal",
          definition: "h-answer",
          decidedAt: hoursAfter(2),
          evidence: [{ source: "app", id: "s1", signal: "accept", contribution: "1" }],
        },
      },
    });
    expect([...outcome.deadlines(stream.state())]).toEqual([]);
  });

  test("is judged again when a signal about it comes long after it was decided", () => {
    const stream = newStream();
    stream.deliver(usage(1), NOON);
    stream.fire(hoursAfter(25));
    stream.restart();
    stream.deliver(signal("s1", "reject", 300), hoursAfter(300));
    stream.deliver(signal("s2", "accept", 299), hoursAfter(301));
    expect(brief(stream)).toEqual(["1/1 partial 1/2 timeout", "2/2 failure 0 explicit-signal", "3/3 success 1 explicit-signal"]);
  });

  test("keeps signals that change nothing, and marks those after the reversal window", () => {
    const stream = newStream();
    stream.deliver(usage(1), NOON);
    stream.deliver(signal("s1", "accept", 1), hoursAfter(1));
    stream.deliver(signal("s2", "edit", 2), hoursAfter(2));
    expect(stream.events.at(-1)).toMatchObject({ type: "SignalRecorded", data: { id: "s2", link: 1 } });
    expect(stream.events.at(-1)?.data).not.toHaveProperty("decided");
    expect(stream.events.at(-1)?.data).not.toHaveProperty("tooLate");
    stream.deliver(signal("s3", "reopened", 1 + 720.01), hoursAfter(722));
    expect(stream.events.at(-1)).toMatchObject({ data: { id: "s3", tooLate: true } });
    stream.deliver(signal("s4", "reopened", 1 + 720), hoursAfter(723));
    expect(brief(stream)).toEqual(["1/1 success 1 explicit-signal", "2/2 failure 0 reversal"]);
  });

  test("waits for its usage when signals come first, and is then decided at once", () => {
    const stream = newStream();
    expect(stream.deliver(signal("s1", "edit", 1), hoursAfter(1))).toMatchObject({ answer: { detail: "waits for its usage" } });
    stream.deliver(signal("s2", "accept", 2), hoursAfter(2));
    expect(stream.deliver(usage(1), hoursAfter(3))).toMatchObject({
      events: [{ type: "OutcomeOpened", data: { link: 1, decided: { verdict: "success", score: "9/10" } } }],
    });
    expect(stream.state().open.size).toBe(0);
  });

  test("of several requests is bound by the earliest, also when that one comes late", () => {
    const shared = { outcome: { source: "app", id: "task" } };
    const stream = newStream();
    stream.deliver(usage(1, { ...shared, occurredAt: hoursAfter(5) }), hoursAfter(5));
    stream.deliver(usage(2, { ...shared, occurredAt: hoursAfter(6) }), hoursAfter(6));
    expect(stream.events.at(-1)).toMatchObject({ type: "RequestAdded", data: { link: 0, dueAt: plus(hoursAfter(29), 1n) } });
    expect(stream.events.at(-1)?.data).not.toHaveProperty("rebinds");
    stream.deliver(usage(3, { ...shared, occurredAt: hoursAfter(4), definition: "h-quick" }), hoursAfter(7));
    expect(stream.events.at(-1)).toMatchObject({
      type: "RequestAdded",
      data: { link: 1, dueAt: plus(hoursAfter(5), 1n), rebinds: { occurredAt: hoursAfter(4), definition: "h-quick" } },
    });
    stream.fire(hoursAfter(7));
    expect(verdicts(stream)).toMatchObject([{ verdict: "partial", definition: "h-quick", decidedAt: hoursAfter(5) }]);
  });

  test("without a timeout stays undecided without being held in the state", () => {
    const stream = newStream();
    stream.deliver(usage(1, { definition: "h-untimed" }), NOON);
    expect(stream.state().open.size).toBe(0);
    stream.deliver(signal("s1", "accept", 20_000), hoursAfter(20_000));
    expect(brief(stream)).toEqual(["1/1 success 1 explicit-signal"]);
  });

  test("waits while its definition is not known yet, with the order kept", () => {
    const stream = newStream();
    expect(stream.deliver(usage(1, { definition: "h-new" }), NOON)).toEqual({
      kind: "wait",
      reason: "outcome definition h-new is not known here yet",
    });
    expect(stream.events).toEqual([]);
  });
});

describe("messages", () => {
  test("a signal counts once however often it comes, and other content under its identity is a conflict", () => {
    const stream = newStream();
    stream.deliver(usage(1), NOON);
    stream.deliver(signal("s1", "accept", 1), hoursAfter(1));
    expect(stream.deliver(signal("s1", "accept", 1), hoursAfter(9000))).toEqual({
      kind: "skip",
      answer: { status: "duplicate", revision: 1 },
    });
    const other = signal("s1", "reject", 1);
    expect(stream.deliver(other, hoursAfter(2))).toMatchObject({
      kind: "park",
      reason: "conflict",
      events: [{ type: "FactParked", data: { source: "app", id: "s1", contentHash: other.contentHash, reason: "conflict" } }],
    });
    expect(stream.deliver(other, hoursAfter(3))).toMatchObject({ kind: "park", events: [] });
    expect(brief(stream)).toEqual(["1/1 success 1 explicit-signal"]);
  });

  test("identities that print alike are apart", () => {
    const stream = newStream();
    stream.deliver(signal("b:c", "edit", 1, { source: "a" }), NOON);
    expect(status(stream.deliver(signal("c", "edit", 1, { source: "a:b" }), NOON))).toBe("recorded");
    expect(status(stream.deliver(signal("c", "edit", 1, { source: "a:b" }), NOON))).toBe("duplicate");
  });

  test.each([
    ["1.5", undefined],
    ["-0.1", undefined],
    ["yes", undefined],
    [undefined, "1e9"],
    [undefined, "9".repeat(41)],
  ])("a signal with confidence %s and value %s is parked", (confidence, value) => {
    const stream = newStream();
    expect(stream.deliver(signal("s1", "accept", 1, { confidence, value }), NOON)).toMatchObject({
      kind: "park",
      reason: "malformed",
    });
  });

  test("usage is applied by number: lower ones are dropped, a gap is filled from the source", () => {
    const stream = newStream();
    expect(stream.deliver(usage(2), NOON)).toEqual({ kind: "gap", sourceStream: SOURCE, fromRevision: 0 });
    stream.deliver(usage(1), NOON);
    expect(status(stream.deliver(usage(1), NOON))).toBe("duplicate");
    expect(stream.deliver(usage(4), NOON)).toEqual({ kind: "gap", sourceStream: SOURCE, fromRevision: 11 });
    expect(status(stream.deliver(usage(2), NOON))).toBe("recorded");
  });

  test("a timeout that no longer holds is ignored", () => {
    const stream = newStream();
    stream.deliver(usage(1), NOON);
    const [deadline] = outcome.deadlines(stream.state());
    const timeout = deadline?.message as OutcomeMessage;
    expect(status(stream.deliver(timeout, hoursAfter(3)))).toBe("ignored");
    stream.deliver(signal("s1", "accept", 4), hoursAfter(4));
    expect(status(stream.deliver(timeout, hoursAfter(30)))).toBe("ignored");
  });

  test("an import holds the timeouts until it ends", () => {
    const stream = newStream();
    stream.deliver(imports("started"), NOON);
    stream.deliver(usage(1), NOON);
    stream.restart();
    expect(stream.due(hoursAfter(50))).toEqual([]);
    const timeout: OutcomeMessage = { kind: "timeout", outcome: { source: "app", id: "u1" }, dueAt: plus(NOON, DAY + 1n) };
    expect(status(stream.deliver(timeout, hoursAfter(50)))).toBe("ignored");
    stream.deliver(imports("ended"), hoursAfter(51));
    expect(status(stream.deliver(imports("started"), hoursAfter(51)))).toBe("duplicate");
    stream.fire(hoursAfter(51));
    expect(brief(stream)).toEqual(["1/1 partial 1/2 timeout"]);
  });

  test("a forgotten import stops holding at its expiry, and an end before its start lets it hold nothing", () => {
    const stream = newStream();
    stream.deliver(usage(1), NOON);
    stream.deliver(imports("started"), NOON);
    stream.fire(hoursAfter(99));
    expect(brief(stream)).toEqual([]);
    stream.fire(hoursAfter(100));
    expect(brief(stream)).toEqual(["1/1 partial 1/2 timeout"]);
    const other = newStream();
    other.deliver(imports("ended"), NOON);
    expect(status(other.deliver(imports("started"), NOON))).toBe("ignored");
    expect(other.state().imports.size).toBe(0);
  });

  test("every verdict is published under the account's key, with the place of its event", () => {
    const stream = newStream();
    stream.deliver(usage(1), NOON);
    stream.deliver(signal("s1", "accept", 1), hoursAfter(1));
    const published = stream.events.map((event, revision) => outcomeDecidedMessages(event, { stream: STREAM, revision }));
    expect(published).toEqual([
      [],
      [
        {
          key: "default.acme",
          shard: Number.parseInt(STREAM.slice("outcome-".length, "outcome-".length + 2), 16),
          body: {
            kind: "outcome-decided",
            ns: "default",
            account: "acme",
            sourceStream: STREAM,
            sourceRevision: 1,
            number: 1,
            outcome: { source: "app", id: "u1" },
            verdict: "success",
            score: "1",
            reason: "explicit-signal",
            verdictRevision: 1,
            definition: "h-answer",
            decidedAt: hoursAfter(1),
          },
        },
      ],
    ]);
  });
});

describe("in any order of arrival", () => {
  const outcomes = ["t1", "t2"];
  const requests = fc
    .array(
      fc.record({
        outcome: fc.constantFrom(...outcomes),
        hours: fc.integer({ min: 0, max: 40 }),
        definition: fc.constantFrom("h-answer", "h-quick"),
      }),
      { minLength: 1, maxLength: 4 },
    )
    .map((list) =>
      list.map(({ outcome: id, hours, definition }, index) =>
        usage(index + 1, { outcome: { source: "app", id }, occurredAt: hoursAfter(hours), definition }),
      ),
    );
  const signals = fc
    .array(
      fc.record({
        outcome: fc.constantFrom(...outcomes),
        kind: fc.constantFrom("accept", "reject", "edit", "reopened", "unheard-of"),
        hours: fc.integer({ min: -3, max: 900 }),
      }),
      { maxLength: 7 },
    )
    .map((list) =>
      list.map(({ outcome: id, kind, hours }, index) => signal(`s${index}`, kind, hours, { outcome: { source: "app", id } })),
    );

  /** Usage keeps its order (it is numbered); signals and restarts come anywhere, each message once or twice. */
  function deliverAll(
    usages: readonly UsageRecordedMessage[],
    order: readonly SignalAccepted[],
    turns: readonly number[],
  ): Stream {
    const stream = newStream();
    const waiting = [usages.slice(), order.slice()] as const;
    let hours = 0;
    for (const turn of turns) {
      hours += turn;
      stream.fire(hoursAfter(hours));
      const message = turn % 2 === 0 ? (waiting[0].shift() ?? waiting[1].shift()) : (waiting[1].shift() ?? waiting[0].shift());
      if (message !== undefined) stream.deliver(message, hoursAfter(hours));
      if (turn % 5 === 0 && message !== undefined) stream.deliver(message, hoursAfter(hours));
      if (turn % 7 === 0) stream.restart();
    }
    stream.fire(hoursAfter(100_000));
    return stream;
  }

  function final(stream: Stream): Map<string, object> {
    const last = new Map<string, object>();
    for (const event of stream.events) {
      if (!("decided" in event.data) || event.data.decided === undefined) continue;
      const { number: _number, revision: _revision, ...verdict } = event.data.decided;
      last.set(event.data.outcome.id, verdict);
    }
    return last;
  }

  const case_ = fc.tuple(requests, signals).chain(([usages, set]) => {
    const turns = fc.array(fc.integer({ min: 0, max: 200 }), {
      minLength: usages.length + set.length,
      maxLength: usages.length + set.length,
    });
    const order = fc.shuffledSubarray(set, { minLength: set.length, maxLength: set.length });
    return fc.tuple(fc.constant(usages), order, order, turns, turns);
  });

  test("the same facts end in the same verdicts", () => {
    fc.assert(
      fc.property(case_, ([usages, one, other, turnsOfOne, turnsOfOther]) => {
        expect(final(deliverAll(usages, one, turnsOfOne))).toEqual(final(deliverAll(usages, other, turnsOfOther)));
      }),
      { numRuns: 300 },
    );
  });

  test("delivering everything once more changes nothing, and numbers run without gaps", () => {
    fc.assert(
      fc.property(case_, ([usages, one, , turns]) => {
        const stream = deliverAll(usages, one, turns);
        const before = stream.events.length;
        for (const message of [...one, ...usages]) stream.deliver(message, hoursAfter(100_001));
        expect(stream.events.length).toBe(before);
        expect(verdicts(stream).map(({ number }) => number)).toEqual(verdicts(stream).map((_, index) => index + 1));
        expect(stream.state().open.size).toBe(0);
      }),
    );
  });
});
