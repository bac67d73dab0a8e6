/**
 * Totals of a namespace: counters, amounts by unit, and its largest accounts.
 */
import { unitAmounts, type Reader, type UnitAmounts } from "./reader.ts";

export interface Totals {
  /** Recorded facts of every kind: usage, corrections, costs. */
  readonly facts: number;
  readonly entries: number;
  readonly signals: number;
  readonly verdicts: number;
  readonly parked: number;
  readonly units: UnitAmounts[];
  readonly accountCount: number;
  readonly accounts: {
    readonly account: string;
    readonly facts: number;
    readonly entries: number;
    readonly units: UnitAmounts[];
  }[];
  readonly asOf: { recordedAt?: string };
}

/** `limit` accounts, largest net amount first. Reads every balance of the namespace. */
export function readTotals({ store }: Reader, ns: string, { limit }: { readonly limit: number }): Totals {
  const counters = store.row("counters", ns);
  const units = store.rows("unitTotals", [ns]).filter(({ row }) => row.entries > 0);
  // Only the order goes by approximate amounts, because a long sum is kept as a text; what is shown is exact.
  const largest = store.database.prepare<{ account: string; facts: number; entries: number }>(
    `SELECT a.account, a.facts, a.entries FROM accounts a
     LEFT JOIN (
       SELECT account, MAX(CAST("charged" AS REAL) + CAST("corrected" AS REAL) + CAST("fees" AS REAL) + CAST("refunded" AS REAL) + CAST("bonus" AS REAL)) AS net
       FROM balances WHERE ns = ?1 GROUP BY account
     ) b ON b.account = a.account
     WHERE a.ns = ?1 AND a."openedAt" IS NOT NULL
     ORDER BY COALESCE(b.net, 0) DESC, a.account LIMIT ?2`,
  );
  return {
    facts: counters === undefined ? 0 : counters.usage + counters.corrections + counters.costs,
    entries: counters?.entries ?? 0,
    signals: counters?.signals ?? 0,
    verdicts: counters?.verdicts ?? 0,
    parked: counters?.parked ?? 0,
    units: units.map(({ key, row }) => unitAmounts(String(key[1]), row)),
    accountCount: counters?.accounts ?? 0,
    accounts: largest.all(ns, limit).map(({ account, facts, entries }) => ({
      account,
      facts,
      entries,
      units: store.rows("balances", [ns, account]).map(({ key, row }) => unitAmounts(String(key[2]), row)),
    })),
    asOf: counters?.recordedAt === undefined ? {} : { recordedAt: counters.recordedAt },
  };
}
