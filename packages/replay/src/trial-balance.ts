/**
 * The books as double entry: every event's postings sum to zero per unit, debits equal credits, and what wallets owe is what was
 * charged minus what grants paid.
 */
import { receivableOf, type Posting } from "@rerate/ledger";
import type { Problem } from "./problem.ts";

/** Balance of a class of accounts: debits minus credits, in atoms. */
export interface BalanceLine {
  /** Accounts of wallets and grants are added up: `receivable`, `wallet-lot`. */
  readonly account: string;
  readonly unit: string;
  readonly debitAtoms: string;
  readonly creditAtoms: string;
}

export interface TrialBalance {
  /** Adds an event's postings; a problem when they do not sum to zero. */
  add(postings: readonly Posting[], place: { readonly stream: string; readonly revision: number }): Problem | undefined;
  /** Balance of what a wallet owes, in a unit. */
  receivable(ns: string, wallet: string, unit: string): bigint;
  lines(): readonly BalanceLine[];
}

export function createTrialBalance(): TrialBalance {
  const totals = new Map<string, { readonly account: string; readonly unit: string; debit: bigint; credit: bigint }>();
  const receivables = new Map<string, bigint>();
  return {
    add(postings, { stream, revision }) {
      const sums = new Map<string, bigint>();
      for (const { account, unit, atoms } of postings) {
        sums.set(unit, (sums.get(unit) ?? 0n) + atoms);
        if (account.startsWith("receivable:")) {
          const key = `${account}\n${unit}`;
          receivables.set(key, (receivables.get(key) ?? 0n) + atoms);
        }
        const shown = classOf(account);
        const line = totals.get(`${shown}\n${unit}`) ?? { account: shown, unit, debit: 0n, credit: 0n };
        if (atoms > 0n) line.debit += atoms;
        else line.credit -= atoms;
        totals.set(`${shown}\n${unit}`, line);
      }
      for (const [unit, sum] of sums) {
        if (sum !== 0n)
          return { kind: "balance", stream, revision, message: `its postings in ${unit} sum to ${sum} atoms, not to zero` };
      }
      return undefined;
    },
    receivable: (ns, wallet, unit) => receivables.get(`${receivableOf(ns, wallet)}\n${unit}`) ?? 0n,
    lines: () =>
      [...totals.values()]
        .sort((a, b) => (a.unit === b.unit ? compare(a.account, b.account) : compare(a.unit, b.unit)))
        .map(({ account, unit, debit, credit }) => ({
          account,
          unit,
          debitAtoms: debit.toString(),
          creditAtoms: credit.toString(),
        })),
  };
}

function classOf(account: string): string {
  const name = account.slice(0, Math.max(account.indexOf(":"), 0));
  return name === "receivable" || name === "wallet-lot" ? name : account;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
