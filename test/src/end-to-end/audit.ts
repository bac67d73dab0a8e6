/**
 * What an auditor and an operator would try on any ledger: `verify`, and a start without the caches. Part of every end-to-end test.
 */
import { rebuildReadModels, readModelsOf, verify, type VerifyReport } from "@rerate/replay";
import { dumpTables } from "@rerate/projections";
import { expect } from "vitest";
import { every, everyCost, everyEntry, everyOutcome } from "./reads.ts";
import type { TestLedger } from "./start-ledger.ts";

/** Every fact decided again gives the ledger that is recorded, and the read models are its fold. */
export async function expectVerified({ eventStore, withReadModels }: TestLedger): Promise<VerifyReport> {
  const report = await withReadModels((database) => verify({ eventStore, projections: readModelsOf(database) }));
  expect(report.problems).toEqual([]);
  expect(report).toMatchObject({ ok: true, projections: "equal", pending: { usage: 0, verdicts: 0, entries: 0 } });
  return report;
}

/** The log alone serves the same answers: deletes all caches, starts again and compares everything. */
export async function expectSameWithoutCache(ledger: TestLedger): Promise<void> {
  const before = { tables: await tablesOf(ledger), answers: await everyAnswer(ledger) };
  await ledger.restart({ without: "caches" });
  await ledger.quiet();
  expect(await tablesOf(ledger)).toEqual(before.tables);
  expect(await everyAnswer(ledger)).toEqual(before.answers);
}

/** A rebuild by command gives identical tables. The ledger cannot be read afterwards: to be called last. */
export async function expectSameAfterRebuild({ eventStore, withReadModelsAlone }: TestLedger): Promise<void> {
  await withReadModelsAlone(async (database) => {
    const before = dumpTables(database);
    await rebuildReadModels(database, eventStore);
    expect(dumpTables(database)).toEqual(before);
  });
}

function tablesOf({ withReadModels }: TestLedger): Promise<ReturnType<typeof dumpTables>> {
  return withReadModels(async (database) => dumpTables(database));
}

/** Everything that the reads answer about all accounts. */
async function everyAnswer({ client }: TestLedger): Promise<unknown> {
  const accounts: unknown[] = [];
  for (const { account } of await every(async (page) => {
    const { accounts, next } = await client.accounts(page);
    return { rows: accounts, next };
  })) {
    const { invoices } = await client.invoices(account);
    accounts.push({
      account: await client.account(account),
      balance: await client.balance(account),
      invoices: await Promise.all(invoices.map(({ period }) => client.invoice(account, period))),
      entries: await everyEntry(client, account),
      outcomes: await everyOutcome(client, account),
      costs: await everyCost(client, account),
    });
  }
  return { accounts, totals: await client.totals({ limit: 1_000 }) };
}
