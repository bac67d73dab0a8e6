import { instant, plus, HOUR, type Instant } from "@rerate/money";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Decision } from "./decider.ts";
import type { GrantCredits, LedgerEntriesMessage, VoidGrant, WalletEntry } from "./messages.ts";
import { streamName } from "./stream-name.ts";
import { recordedStream, type RecordedStream } from "./testing/recorded-stream.ts";
import type { AppliedEntry, WalletEvent } from "./wallet-events.ts";
import { accountStandingMessages, standingOf, wallet, type WalletMessage, type WalletState } from "./wallet.ts";

const NOON = instant("2026-03-01T12:00:00Z");
const SOURCE = streamName("account", "default", "acme");
const STREAM = streamName("wallet", "default", "acme");

type Stream = RecordedStream<WalletState, WalletMessage, WalletEvent>;

function newStream(): Stream {
  return recordedStream(wallet, STREAM, undefined);
}

function at(hours: number): Instant {
  return plus(NOON, BigInt(hours) * HOUR);
}

function message(
  number: number,
  entries: readonly WalletEntry[],
  more: Partial<LedgerEntriesMessage> = {},
): LedgerEntriesMessage {
  return {
    kind: "ledger-entries",
    ns: "default",
    account: "acme",
    wallet: "acme",
    sourceStream: SOURCE,
    sourceRevision: number * 10,
    number,
    occurredAt: NOON,
    entries,
    ...more,
  };
}

function charge(entry: number, atoms: number, unit = "USD"): WalletEntry {
  return { entry, unit, atoms: String(atoms), kind: "charge" };
}

function refund(entry: number, atoms: number, corrects?: number, unit = "USD"): WalletEntry {
  return { entry, unit, atoms: String(-atoms), kind: "refund", corrects };
}

function grant(id: string, atoms: number, more: Partial<GrantCredits> = {}): GrantCredits {
  return {
    kind: "grant",
    ns: "default",
    wallet: "acme",
    id,
    unit: "USD",
    atoms: String(atoms),
    source: "purchase",
    priority: 100,
    effectiveAt: NOON,
    contentHash: `1:${id}-${atoms}`,
    receivedAt: NOON,
    ...more,
  };
}

function voiding(id: string, granted: string): VoidGrant {
  return { kind: "void-grant", ns: "default", wallet: "acme", id, grant: granted, contentHash: `1:${id}`, receivedAt: NOON };
}

/** A wallet to which the messages were delivered at noon, entries numbered as they come. */
function given(
  ...messages: readonly (GrantCredits | VoidGrant | readonly WalletEntry[])[]
): Stream & { readonly next: () => number } {
  const stream = newStream();
  let number = 0;
  const next = (): number => (number += 1);
  for (const each of messages) stream.deliver("kind" in each ? each : message(next(), each), NOON);
  return { ...stream, next };
}

function lines(stream: Stream): AppliedEntry[] {
  return stream.events.flatMap((event) => (event.type === "EntriesApplied" ? event.data.lines : []));
}

function holdings(stream: Stream, unit = "USD"): string {
  const held = stream.state().units.get(unit);
  const lots = (held?.lots ?? []).filter(({ left }) => left > 0n).map(({ id, left }) => `${id} ${left}`);
  return [...lots, `unpaid ${held?.unpaid ?? 0n}`].join(", ");
}

function status(decision: Decision<WalletEvent>): string {
  return "answer" in decision ? decision.answer.status : decision.kind;
}

describe("entries", () => {
  test("of a wallet without grants are unpaid, and written without anything to look up", () => {
    const stream = given([charge(1, 10)], [charge(2, 5), refund(3, 4, 1)]);
    expect(stream.events).toEqual([
      {
        type: "EntriesApplied",
        data: {
          account: "acme",
          source: { stream: SOURCE, revision: 10, number: 1 },
          firstNumber: 1,
          lines: [{ entry: 1, unit: "USD", atoms: "10", unpaid: "10" }],
          unpaid: { USD: "10" },
        },
      },
      {
        type: "EntriesApplied",
        data: {
          account: "acme",
          source: { stream: SOURCE, revision: 20, number: 2 },
          firstNumber: 2,
          lines: [
            { entry: 2, unit: "USD", atoms: "5", unpaid: "5" },
            { entry: 3, unit: "USD", atoms: "-4", corrects: 1, unpaid: "-4" },
          ],
          unpaid: { USD: "11" },
        },
      },
    ]);
    expect(stream.events.flatMap((event) => wallet.keysOf(event))).toEqual([]);
    expect(wallet.needs(stream.state(), message(3, [charge(4, 1)]), undefined)).toEqual({ keys: [], chains: [] });
  });

  test("of a wallet with grants are found again under their bucket", () => {
    const stream = given(
      grant("g", 100),
      [charge(1, 10)],
      [charge(600, 10)],
      [charge(601, 10)],
      [refund(602, 3, 1)],
      [charge(602, 1)],
    );
    const buckets = stream.events.map((event) =>
      event.type === "EntriesApplied" ? [event.data.bucket, event.data.link] : undefined,
    );
    expect(buckets).toEqual([undefined, [0, undefined], [1, undefined], [1, 2], [0, 1], [1, 3]]);
    expect(wallet.keysOf(stream.events[4] as WalletEvent)).toEqual([{ key: "e:acme:0", tag: "" }]);
  });

  test("draw by priority, then sooner expiry, then earlier grant; what no grant covers is unpaid", () => {
    const stream = given(
      grant("late", 10, { expiresAt: at(50) }),
      grant("never", 10),
      grant("soon", 10, { expiresAt: at(5) }),
      grant("first", 10, { priority: 1 }),
      grant("never2", 10),
      grant("other", 10, { unit: "credits" }),
      [charge(1, 55)],
    );
    expect(lines(stream)).toEqual([
      {
        entry: 1,
        unit: "USD",
        atoms: "55",
        draws: [
          ["first", "10"],
          ["soon", "10"],
          ["late", "10"],
          ["never", "10"],
          ["never2", "10"],
        ],
        unpaid: "5",
      },
    ]);
    expect(holdings(stream, "credits")).toBe("other 10, unpaid 0");
  });

  test("draw only from grants that are in effect and not expired when they are recorded", () => {
    const stream = given(grant("soon", 10, { expiresAt: at(5) }), grant("ahead", 10, { effectiveAt: at(9) }));
    stream.deliver(message(1, [charge(1, 4)]), at(4));
    stream.deliver(message(2, [charge(2, 4)]), at(5));
    expect(holdings(stream)).toBe("soon 6, ahead 10, unpaid 4");
    stream.fire(at(6));
    expect(stream.events.at(-1)).toEqual({ type: "GrantExpired", data: { grant: "soon", dueAt: at(5), atoms: "6" } });
    stream.restart();
    stream.fire(at(9));
    expect(stream.events.at(-1)).toEqual({ type: "GrantTookEffect", data: { grant: "ahead", dueAt: at(9), paidAtoms: "4" } });
    expect(holdings(stream)).toBe("ahead 6, unpaid 0");
    expect(stream.due(at(1000))).toEqual([]);
  });

  test("left unpaid are paid at once by a later grant", () => {
    const stream = given([charge(1, 30)], grant("g", 20), grant("h", 20));
    expect(stream.events.map(({ data }) => ("paidAtoms" in data ? data.paidAtoms : ""))).toEqual(["", "20", "10"]);
    expect(holdings(stream)).toBe("h 10, unpaid 0");
  });
});

describe("what is given back", () => {
  test("takes the composition of its entry apart, last part first", () => {
    const stream = given(grant("a", 10, { priority: 1 }), grant("b", 10), [charge(1, 25)], [refund(2, 8, 1)], [refund(3, 10, 1)]);
    expect(lines(stream).slice(1)).toEqual([
      { entry: 2, unit: "USD", atoms: "-8", corrects: 1, draws: [["b", "-3"]], unpaid: "-5" },
      {
        entry: 3,
        unit: "USD",
        atoms: "-10",
        corrects: 1,
        draws: [
          ["b", "-7"],
          ["a", "-3"],
        ],
      },
    ]);
  });

  test("takes back each part of an entry once", () => {
    const stream = given(grant("a", 10, { priority: 1 }), grant("b", 10), [charge(1, 25)], [refund(2, 8, 1)], [charge(3, 3)]);
    stream.deliver(message(4, [refund(4, 10, 1)]), NOON);
    expect(lines(stream).at(-1)?.draws).toEqual([
      ["b", "-7"],
      ["a", "-3"],
    ]);
  });

  test("is found also when one message goes to and fro between buckets", () => {
    const stream = given(
      grant("a", 10, { priority: 1 }),
      grant("b", 10),
      [charge(1, 15), charge(600, 5), refund(601, 4, 1)],
      [charge(602, 4)],
    );
    const buckets = stream.events.map((event) =>
      event.type === "EntriesApplied" ? [event.data.bucket, event.data.link] : undefined,
    );
    expect(buckets.slice(2)).toEqual([
      [0, undefined],
      [1, undefined],
      [0, 2],
      [1, 3],
    ]);
    stream.deliver(message(3, [refund(603, 3, 1)]), NOON);
    expect(lines(stream).at(-1)?.draws).toEqual([
      ["b", "-1"],
      ["a", "-2"],
    ]);
  });

  test("pays what other entries left unpaid before it rests in a grant", () => {
    const stream = given(grant("a", 10), [charge(1, 10)], [charge(2, 6)], [refund(3, 10, 1)]);
    expect(lines(stream).at(-1)).toEqual({
      entry: 3,
      unit: "USD",
      atoms: "-10",
      corrects: 1,
      draws: [["a", "-4"]],
      unpaid: "-6",
    });
  });

  test("becomes credit where the grant that paid has expired or was voided", () => {
    const stream = given(grant("a", 10, { expiresAt: at(5) }), grant("b", 10), [charge(1, 15)], voiding("v", "b"));
    expect(stream.events.at(-1)).toMatchObject({ type: "GrantVoided", data: { grant: "b", atoms: "5" } });
    stream.deliver(message(2, [refund(2, 15, 1)]), at(6));
    expect(lines(stream).at(-1)).toMatchObject({ draws: [["credit:USD", "-15"]] });
    expect(holdings(stream)).toBe("credit:USD 15, unpaid 0");
    stream.deliver(message(3, [charge(3, 20)]), at(7));
    expect(holdings(stream)).toBe("unpaid 5");
  });

  test("beyond its entry goes to the grants drawn last, never above their size, then to credit", () => {
    const stream = given(grant("a", 10, { priority: 1 }), grant("b", 10), [charge(1, 10)], [charge(2, 4)], [refund(3, 20, 2)]);
    expect(lines(stream).at(-1)).toMatchObject({
      draws: [
        ["b", "-4"],
        ["a", "-10"],
        ["credit:USD", "-6"],
      ],
    });
  });

  test("as a bonus reduces what is unpaid and is credit otherwise, in one lot however many come", () => {
    const bonus = (entry: number): WalletEntry => ({ entry, unit: "USD", atoms: "-2", kind: "bonus" });
    const stream = given(grant("a", 10), [charge(1, 11)], [bonus(2), bonus(3)]);
    expect(lines(stream).slice(1)).toEqual([
      { entry: 2, unit: "USD", atoms: "-2", draws: [["credit:USD", "-1"]], unpaid: "-1" },
      { entry: 3, unit: "USD", atoms: "-2", draws: [["credit:USD", "-2"]] },
    ]);
    expect(holdings(stream)).toBe("credit:USD 3, unpaid 0");
  });

  test("can be taken back: a quality refund, then a bonus instead", () => {
    const credits = { unit: "credits" };
    const stream = given(
      grant("pack", 100, credits),
      [charge(1, 10, "credits")],
      [refund(2, 5, 1, "credits")],
      [
        { entry: 3, unit: "credits", atoms: "5", kind: "correction", corrects: 2 },
        { entry: 4, unit: "credits", atoms: "-2", kind: "bonus" },
      ],
    );
    expect(holdings(stream, "credits")).toBe("pack 90, credit:credits 2, unpaid 0");
  });

  test("finds an entry of the same message, and one that was unpaid before the first grant", () => {
    const stream = given([charge(1, 10)], grant("a", 50), [charge(2, 10), refund(3, 10, 2), refund(4, 10, 1)]);
    expect(holdings(stream)).toBe("a 50, unpaid 0");
    expect(lines(stream).at(-1)).toMatchObject({ entry: 4, draws: [["a", "-10"]] });
  });

  test("on a postpaid wallet beyond all that is owed is credit", () => {
    const stream = given([charge(1, 3)], [refund(2, 5, 1)], [charge(3, 1)]);
    expect(holdings(stream)).toBe("credit:USD 1, unpaid 0");
    expect(standingOf(stream.state(), "USD")).toEqual({ standing: "good", balanceAtoms: 1n });
  });
});

describe("messages", () => {
  test("are applied by number: lower ones dropped, gaps filled from the source", () => {
    const stream = given([charge(1, 10)]);
    expect(status(stream.deliver(message(1, [charge(1, 10)]), NOON))).toBe("duplicate");
    expect(stream.deliver(message(3, [charge(3, 1)]), NOON)).toEqual({ kind: "gap", sourceStream: SOURCE, fromRevision: 11 });
    const other = streamName("account", "default", "sub");
    expect(status(stream.deliver(message(1, [charge(1, 1)], { sourceStream: other, account: "sub" }), NOON))).toBe("recorded");
    expect(holdings(stream)).toBe("unpaid 11");
  });

  test("that follow each other merge; one that overlaps what was applied asks for the rest from the source", () => {
    const merged = wallet.merge?.(message(1, [charge(1, 1)]), message(2, [charge(2, 2)])) as LedgerEntriesMessage;
    expect(merged).toMatchObject({ firstNumber: 1, number: 2, sourceRevision: 20, entries: [{ entry: 1 }, { entry: 2 }] });
    expect(wallet.merge?.(merged, message(4, [charge(4, 1)]))).toBeUndefined();
    expect(wallet.merge?.(message(1, []), message(2, [], { wallet: "other" }))).toBeUndefined();
    const many = Array.from({ length: 500 }, (_, index) => charge(index + 1, 1));
    expect(wallet.merge?.(message(1, many), message(2, [charge(501, 1)]))).toBeUndefined();
    const stream = given([charge(1, 1)]);
    expect(stream.deliver(merged, NOON)).toEqual({ kind: "gap", sourceStream: SOURCE, fromRevision: 11 });
    stream.deliver(message(2, [charge(2, 2)]), NOON);
    expect(status(stream.deliver(merged, NOON))).toBe("duplicate");
  });

  test("with a command count once; other content under its id is a conflict", () => {
    const stream = given(grant("g", 10));
    expect(status(stream.deliver(grant("g", 10), at(100)))).toBe("duplicate");
    const other = grant("g", 11);
    expect(stream.deliver(other, NOON)).toMatchObject({
      kind: "park",
      reason: "conflict",
      events: [{ type: "CommandParked", data: { id: "g", contentHash: other.contentHash, reason: "conflict" } }],
    });
    expect(stream.deliver(other, NOON)).toMatchObject({ kind: "park", events: [] });
    expect(stream.deliver(voiding("g", "g"), NOON)).toMatchObject({ kind: "park", reason: "conflict" });
  });

  test.each<[string, Partial<GrantCredits>]>([
    ["nothing", { atoms: "0" }],
    ["a negative amount", { atoms: "-5" }],
    ["a fraction of an atom", { atoms: "1.5" }],
    ["an expiry before its effect", { expiresAt: NOON }],
    ["a fractional priority", { priority: 1.5 }],
    ["the name of a credit", { id: "credit:USD" }],
  ])("with a grant of %s are parked", (_, change) => {
    expect(newStream().deliver(grant("g", 5, change), NOON)).toMatchObject({ kind: "park", reason: "invalid-command" });
  });

  test("void what is left of a grant, once, and nothing of an unknown one", () => {
    const stream = given(grant("g", 10), [charge(1, 4)], voiding("v", "g"), voiding("w", "g"));
    expect(stream.events.slice(2).map(({ data }) => data)).toMatchObject([{ atoms: "6" }, { atoms: "0" }]);
    expect(stream.deliver(voiding("x", "v"), NOON)).toMatchObject({ kind: "park", reason: "invalid-command" });
    expect(stream.deliver(voiding("y", "nothing"), NOON)).toMatchObject({ kind: "park", reason: "invalid-command" });
  });

  test("with an expiry that no longer holds are ignored", () => {
    const stream = given(grant("g", 10, { expiresAt: at(5) }));
    const [deadline] = stream.due(at(5));
    expect(status(stream.deliver(deadline?.message as WalletMessage, at(4)))).toBe("ignored");
    stream.deliver(voiding("v", "g"), at(4));
    expect(status(stream.deliver(deadline?.message as WalletMessage, at(6)))).toBe("ignored");
  });
});

describe("standing", () => {
  test("is good for who pays afterwards, and follows the balance of who pays ahead", () => {
    expect(standingOf(given([charge(1, 50)]).state(), "USD")).toEqual({ standing: "good", balanceAtoms: -50n });
    const stream = given(grant("g", 100), [charge(1, 90)]);
    expect(standingOf(stream.state(), "USD")).toEqual({ standing: "good", balanceAtoms: 10n });
    stream.deliver(message(2, [charge(2, 1)]), NOON);
    expect(standingOf(stream.state(), "USD").standing).toBe("low");
    stream.deliver(message(3, [charge(3, 9)]), NOON);
    expect(accountStandingMessages(stream.state(), { stream: STREAM, revision: 3 })).toEqual([
      {
        ns: "default",
        wallet: "acme",
        standing: "exhausted",
        unit: "USD",
        balanceAtoms: "0",
        sourceStream: STREAM,
        sourceRevision: 3,
      },
    ]);
  });
});

describe("whatever comes", () => {
  type Step =
    | {
        readonly kind: "entries";
        readonly list: readonly { readonly atoms: number; readonly kind: number; readonly corrects: number }[];
      }
    | {
        readonly kind: "grant";
        readonly atoms: number;
        readonly priority: number;
        readonly from: number;
        readonly until: number | undefined;
      }
    | { readonly kind: "void"; readonly which: number }
    | { readonly kind: "time"; readonly hours: number };
  const unitNames = ["USD", "credits"];
  const step: fc.Arbitrary<Step> = fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({
        kind: fc.constant("entries" as const),
        list: fc.array(fc.record({ atoms: fc.integer({ min: -12, max: 20 }), kind: fc.nat(2), corrects: fc.nat(600) }), {
          maxLength: 4,
        }),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant("grant" as const),
        atoms: fc.integer({ min: 1, max: 40 }),
        priority: fc.constantFrom(1, 100),
        from: fc.constantFrom(0, 0, 3),
        until: fc.constantFrom(undefined, 4, 20),
      }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("void" as const), which: fc.nat(10) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("time" as const), hours: fc.integer({ min: 1, max: 10 }) }) },
  );
  const steps = fc.array(step, { maxLength: 30 });

  /** Turns steps into messages with their times; entry numbers jump over bucket bounds now and then. */
  function script(list: readonly Step[]): { readonly message: WalletMessage; readonly at: Instant }[] {
    let hours = 0;
    let entry = 500;
    let number = 0;
    let grants = 0;
    const known: number[] = [];
    const out: { message: WalletMessage; at: Instant }[] = [];
    for (const each of list) {
      switch (each.kind) {
        case "time":
          hours += each.hours;
          break;
        case "grant": {
          grants += 1;
          const unit = unitNames[grants % 2] ?? "USD";
          const expiry = each.until === undefined ? {} : { expiresAt: at(hours + each.from + each.until) };
          out.push({
            message: grant(`g${grants}`, each.atoms, {
              unit,
              priority: each.priority,
              effectiveAt: at(hours + each.from),
              ...expiry,
            }),
            at: at(hours),
          });
          break;
        }
        case "void":
          if (grants > 0) out.push({ message: voiding(`v${out.length}`, `g${1 + (each.which % grants)}`), at: at(hours) });
          break;
        case "entries": {
          const entries = each.list.map(({ atoms, kind, corrects }): WalletEntry => {
            entry += 1 + (corrects % 50 === 0 ? 300 : 0);
            const unit = unitNames[corrects % 2] ?? "USD";
            const before = known[corrects % Math.max(known.length, 1)];
            known.push(entry);
            if (atoms >= 0) return charge(entry, atoms, unit);
            return { ...refund(entry, -atoms, kind === 0 ? undefined : before, unit), kind: kind === 2 ? "bonus" : "refund" };
          });
          number += 1;
          out.push({ message: message(number, entries), at: at(hours) });
        }
      }
    }
    return out;
  }

  function play(list: readonly Step[], stream = newStream()): Stream {
    for (const each of script(list)) {
      stream.fire(each.at);
      stream.deliver(each.message, each.at);
    }
    return stream;
  }

  test("every atom is conserved, lots stay between zero and their size, and nothing is unpaid while a usable grant holds money", () => {
    fc.assert(
      fc.property(steps, (list) => {
        const stream = newStream();
        const entered = new Map<string, bigint>();
        for (const each of script(list)) {
          stream.fire(each.at);
          const decision = stream.deliver(each.message, each.at);
          if (each.message.kind === "ledger-entries" && decision.kind === "record") {
            for (const { unit, atoms } of each.message.entries) entered.set(unit, (entered.get(unit) ?? 0n) + BigInt(atoms));
          }
          for (const unit of stream.state().units.values()) {
            expect(unit.entries).toBe(entered.get(unit.unit) ?? 0n);
            expect(unit.entries).toBe(unit.drawn + unit.unpaid);
            expect(unit.lots.reduce((sum, { left }) => sum + left, 0n)).toBe(unit.granted - unit.lost - unit.drawn);
            expect(unit.lots.every(({ left, size }) => left >= 0n && left <= size)).toBe(true);
            const usable = unit.lots.some(
              (lot) => lot.left > 0n && lot.effectiveAt <= each.at && (lot.expiresAt === undefined || lot.expiresAt > each.at),
            );
            expect(usable && unit.unpaid > 0n).toBe(false);
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  test("the events alone add up: entries = draws + unpaid, unit by unit", () => {
    fc.assert(
      fc.property(steps, (list) => {
        const stream = play(list);
        for (const unit of unitNames) {
          const own = lines(stream).filter((line) => line.unit === unit);
          const entries = own.reduce((sum, { atoms }) => sum + BigInt(atoms), 0n);
          const drawn = own.flatMap(({ draws = [] }) => draws).reduce((sum, [, atoms]) => sum + BigInt(atoms), 0n);
          const unpaid = own.reduce((sum, line) => sum + BigInt(line.unpaid ?? "0"), 0n);
          expect(drawn + unpaid).toBe(entries);
        }
      }),
    );
  });

  test("deciding everything twice changes nothing", () => {
    fc.assert(
      fc.property(steps, (list) => {
        const stream = play(list);
        const before = [stream.events.length, wallet.snapshot(stream.state())];
        for (const each of script(list)) stream.deliver(each.message, at(0));
        expect([stream.events.length, wallet.snapshot(stream.state())]).toEqual(before);
      }),
    );
  });

  test("a state that went through a snapshot folds on like one that did not", () => {
    fc.assert(
      fc.property(steps, (list) => {
        const straight = play(list);
        const restarted = newStream();
        for (const each of script(list)) {
          restarted.restart();
          restarted.fire(each.at);
          restarted.deliver(each.message, each.at);
        }
        expect(restarted.events).toEqual(straight.events);
        expect(wallet.snapshot(restarted.state())).toBe(wallet.snapshot(straight.state()));
      }),
    );
  });

  test("merged messages move exactly what they move one by one", () => {
    fc.assert(
      fc.property(steps, (list) => {
        const oneByOne = newStream();
        const merged = newStream();
        let waiting: { message: WalletMessage; at: Instant } | undefined;
        const flush = (): void => {
          if (waiting !== undefined) merged.deliver(waiting.message, waiting.at);
          waiting = undefined;
        };
        for (const each of script(list.filter(({ kind }) => kind !== "time"))) {
          oneByOne.deliver(each.message, each.at);
          const both = waiting === undefined ? undefined : wallet.merge?.(waiting.message, each.message);
          if (both === undefined) flush();
          waiting = { message: both ?? each.message, at: each.at };
        }
        flush();
        expect(lines(merged)).toEqual(lines(oneByOne));
        expect([...merged.state().sources.values()]).toEqual([...oneByOne.state().sources.values()]);
      }),
    );
  });

  test("the state stays bounded however many grants are used up and bonuses given", () => {
    const stream = newStream();
    for (let n = 1; n <= 200; n += 1) {
      stream.deliver(grant(`g${n}`, 5), NOON);
      stream.deliver(message(n, [charge(2 * n, 6), { entry: 2 * n + 1, unit: "USD", atoms: "-1", kind: "bonus" }]), NOON);
    }
    expect(stream.state().units.get("USD")?.lots.length).toBeLessThan(70);
    stream.deliver(message(201, [refund(900, 5, 2)]), NOON);
    expect(lines(stream).at(-1)?.draws).toEqual([["credit:USD", "-5"]]);
  });
});
