import { instant } from "@rerate/money";
import { describe, expect, test } from "vitest";
import type { AccountEvent, Entry } from "./account-events.ts";
import { accountPostings, walletPostings, type Posting } from "./postings.ts";
import { streamName } from "./stream-name.ts";
import type { WalletEvent } from "./wallet-events.ts";

const ACCOUNT = streamName("account", "default", "acme");
const WALLET = streamName("wallet", "default", "acme");

function entry(fields: Pick<Entry, "n" | "role" | "kind" | "item" | "atoms">): Entry {
  const rest = {
    unit: "USD",
    exact: fields.atoms,
    measure: "1",
    measureUnit: "requests",
    version: "",
    period: "2026-03",
    cell: "",
  };
  return { ...rest, model: "flat@1", before: "0", after: "1", steps: [], ...fields };
}

function verdict(entries: readonly Entry[], wallets: Readonly<Record<string, number>> = { acme: 1 }): AccountEvent {
  const given = { verdict: "failure", score: "0", reason: "timeout", verdictRevision: 1, definition: "d" } as const;
  const decidedAt = instant("2026-03-01T00:00:00Z");
  return { type: "VerdictApplied", data: { outcome: { source: "app", id: "r1" }, ...given, decidedAt, entries, wallets } };
}

function sum(postings: readonly Posting[]): bigint {
  return postings.reduce((total, { atoms }) => total + atoms, 0n);
}

describe("postings", () => {
  test("charges, refunds and bonuses each have an account, against what the wallet owes", () => {
    const event = verdict([
      entry({ n: 1, role: "measured", kind: "charge", item: "chat", atoms: "100" }),
      entry({ n: 2, role: "quality", kind: "refund", item: "quality", atoms: "-40" }),
      entry({ n: 3, role: "quality", kind: "bonus", item: "quality", atoms: "-5" }),
    ]);
    expect(accountPostings(event, ACCOUNT)).toEqual([
      { account: "receivable:default.acme", unit: "USD", atoms: 100n },
      { account: "revenue:chat", unit: "USD", atoms: -100n },
      { account: "receivable:default.acme", unit: "USD", atoms: -40n },
      { account: "refund:quality", unit: "USD", atoms: 40n },
      { account: "receivable:default.acme", unit: "USD", atoms: -5n },
      { account: "bonus:quality", unit: "USD", atoms: 5n },
    ]);
  });

  test("an outcome that is taken back reduces the revenue that it made", () => {
    const event = verdict([entry({ n: 1, role: "measured", kind: "refund", item: "answer", atoms: "-990" })]);
    expect(accountPostings(event, ACCOUNT)).toContainEqual({ account: "revenue:answer", unit: "USD", atoms: 990n });
  });

  test("entries without a wallet, or with two, are a broken invariant", () => {
    const entries = [entry({ n: 1, role: "measured", kind: "charge", item: "chat", atoms: "100" })];
    expect(() => accountPostings(verdict(entries, {}), ACCOUNT)).toThrow(/0 wallets/);
    expect(() => accountPostings(verdict(entries, { a: 1, b: 1 }), ACCOUNT)).toThrow(/2 wallets/);
  });

  test("a grant comes from its funding, pays what is unpaid, and expires into breakage", () => {
    const at = instant("2026-01-01T00:00:00Z");
    const granted = {
      id: "g1",
      contentHash: "h",
      unit: "USD",
      atoms: "1000",
      source: "purchase",
      priority: 100,
      effectiveAt: at,
      paidAtoms: "300",
    };
    const events: WalletEvent[] = [
      { type: "CreditsGranted", data: granted },
      {
        type: "EntriesApplied",
        data: {
          account: "acme",
          source: { stream: ACCOUNT, revision: 3, number: 1 },
          firstNumber: 1,
          lines: [{ entry: 1, unit: "USD", atoms: "500", draws: [["g1", "500"]] }],
          unpaid: { USD: "0" },
        },
      },
      { type: "GrantExpired", data: { grant: "g1", dueAt: at, atoms: "200" } },
    ];
    const postings = events.flatMap((event) => walletPostings(event, WALLET, () => "USD"));
    const balance = (account: string): bigint => sum(postings.filter((posting) => posting.account === account));
    expect(balance("wallet-lot:default.acme:g1")).toBe(0n);
    expect(balance("funding:purchase")).toBe(1000n);
    expect(balance("receivable:default.acme")).toBe(-800n);
    expect(balance("breakage")).toBe(-200n);
    expect(sum(postings)).toBe(0n);
  });
});
