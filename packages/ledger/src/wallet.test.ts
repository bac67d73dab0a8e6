import { describe, expect, test } from "vitest";
import type { GrantCredits, LedgerEntriesMessage, WalletEntry } from "./messages.ts";
import { streamName } from "./stream-name.ts";
import type { WalletEvent } from "./wallet-events.ts";
import { accountStandingMessages, standingOf, wallet, type WalletMessage } from "./wallet.ts";
import {
  NOON,
  SOURCE,
  STREAM,
  newStream,
  at,
  message,
  charge,
  refund,
  grant,
  voiding,
  given,
  lines,
  holdings,
  status,
} from "./testing/wallet-stream.ts";

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
