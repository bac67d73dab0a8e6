/**
 * What a ledger says about all accounts, in a form in which two ledgers that came to the same are equal: without entry numbers,
 * revisions and times of recording, which depend on what arrived first.
 *
 * Two forms: every entry, for ledgers that were told the same in the same order within each account; and what no order of arrival
 * may change.
 */
import type { RerateClient } from "@rerate/client";
import type { BalanceRead, InvoiceRead } from "@rerate/wire";
import { every, everyCost, everyEntry, everyOutcome, sumOf, type EntryRow } from "../end-to-end/reads.ts";
import { TIERED_PLAN } from "./feed.ts";

export type LedgerState = Readonly<Record<string, unknown>>;

/** Every entry and everything that follows from them. */
export async function stateOf(client: RerateClient): Promise<LedgerState> {
  return forEachAccount(client, async (account) => {
    const entries = await everyEntry(client, account);
    const { units } = await client.balance(account);
    const outcomes = await everyOutcome(client, account);
    return {
      entries: sorted(entries.map((entry) => lineOf(entry, entries))),
      units: units.map(({ grants, ...unit }) => ({
        ...unit,
        grants: grants.map(({ effectiveAt: _effectiveAt, ...grant }) => grant),
      })),
      invoices: await invoicesOf(client, account),
      outcomes: sorted(outcomes.map(({ decidedAt: _decidedAt, ...outcome }) => outcome)),
      costs: sorted((await everyCost(client, account)).map(({ id, amount, about }) => ({ id, amount, about }))),
    };
  });
}

/** What is the same in any order of arrival: sums for each fact and each accumulator, final verdicts, what is owed and what is left. */
export async function sumsOf(client: RerateClient): Promise<LedgerState> {
  return forEachAccount(client, async (account) => {
    const entries = await everyEntry(client, account);
    const { units } = await client.balance(account);
    const outcomes = await everyOutcome(client, account);
    // Which fact of an account on tiers has paid for which tier is a matter of order.
    const isTiered = account.startsWith(TIERED_PLAN);
    const factOf = ({ source, id }: EntryRow): string => (isTiered ? "" : `${source ?? ""} ${correctedId(id ?? "")}`);
    const groups = Object.groupBy(entries, (entry) => `${entry.item} ${entry.unit} ${entry.period} ${factOf(entry)}`);
    return {
      entries: Object.fromEntries(
        Object.entries(groups)
          .map(([group, some = []]) => [group, sumOf(some.map(({ amount }) => amount))] as const)
          .filter(([, sum]) => sum !== "0")
          .toSorted(([a], [b]) => (a < b ? -1 : 1)),
      ),
      units: units.map(summary),
      outcomes: sorted(outcomes.map(({ source, id, status, verdict, score }) => ({ source, id, status, verdict, score }))),
      costs: sorted((await everyCost(client, account)).map(({ id, amount }) => ({ id, amount }))),
    };
  });
}

/** One that came before its original has no entry of its own: the original's is priced by it. */
function correctedId(id: string): string {
  return id.replace(/-c\d+$/, "");
}

async function forEachAccount(client: RerateClient, read: (account: string) => Promise<unknown>): Promise<LedgerState> {
  const accounts = await every(async (page) => {
    const { accounts, next } = await client.accounts(page);
    return { rows: accounts, next };
  });
  const names = accounts.map(({ account }) => account).toSorted();
  const states: [string, unknown][] = [];
  for (const name of names) states.push([name, await read(name)]);
  return Object.fromEntries(states);
}

function summary({ unit, net, unpaid, grants }: BalanceRead["units"][number]): object {
  return { unit, net, unpaid, remaining: sumOf(grants.map(({ remaining }) => remaining)) };
}

function lineOf({ n: _n, recordedAt: _at, revision: _revision, corrects, ...entry }: EntryRow, all: readonly EntryRow[]): object {
  const corrected = all.find(({ n }) => n === corrects);
  return { ...entry, ...(corrected === undefined ? {} : { corrects: `${corrected.item} of ${corrected.id ?? ""}` }) };
}

async function invoicesOf(client: RerateClient, account: string): Promise<readonly Omit<InvoiceRead, "asOf">[]> {
  const { invoices } = await client.invoices(account);
  const read: Omit<InvoiceRead, "asOf">[] = [];
  for (const { period } of invoices) {
    const { asOf: _asOf, ...invoice } = await client.invoice(account, period);
    read.push(invoice);
  }
  return read;
}

function sorted(lines: readonly object[]): readonly object[] {
  const keyed = lines.map((line) => [JSON.stringify(line), line] as const);
  return keyed.toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, line]) => line);
}
