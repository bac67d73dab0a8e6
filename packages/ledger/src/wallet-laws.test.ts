import { type Instant } from "@rerate/money";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { WalletEntry } from "./messages.ts";
import { wallet, type WalletMessage } from "./wallet.ts";
import { NOON, type Stream, newStream, at, message, charge, refund, grant, voiding, lines } from "./testing/wallet-stream.ts";

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
