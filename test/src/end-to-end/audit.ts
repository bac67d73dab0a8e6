/**
 * What an auditor and an operator would try on any ledger: `verify`, and a start without the read models. Part of every end-to-end test.
 */
import { rebuildReadModels, readModelsOf, verify, type VerifyReport } from "@rerate/replay";
import { dumpTables } from "@rerate/projections";
import { expect } from "vitest";
import { every, everyCost, everyEntry, everyOutcome } from "./reads.ts";
import type { TestLedger } from "./standalone-harness.ts";

/** Every fact decided again gives the ledger that is recorded, and the read models are its fold. */
export async function expectVerified({ standalone }: TestLedger): Promise<VerifyReport> {
  const { eventStore, cache } = standalone.engines;
  const report = await verify({ eventStore, projections: readModelsOf(cache) });
  expect(report.problems).toEqual([]);
  expect(report).toMatchObject({ ok: true, projections: "equal", pending: { usage: 0, verdicts: 0, entries: 0 } });
  return report;
}

/** The log alone serves the same answers: deletes `cache.db`, starts again and compares everything. */
export async function expectSameWithoutCache(ledger: TestLedger): Promise<void> {
  const before = { tables: dumpTables(ledger.standalone.engines.cache), answers: await everyAnswer(ledger) };
  await ledger.restart({ without: "cache.db" });
  await ledger.quiet();
  expect(dumpTables(ledger.standalone.engines.cache)).toEqual(before.tables);
  expect(await everyAnswer(ledger)).toEqual(before.answers);
}

/** A rebuild by command gives identical tables. The ledger cannot be read afterwards: to be called last. */
export async function expectSameAfterRebuild({ standalone }: TestLedger): Promise<void> {
  const { cache, eventStore } = standalone.engines;
  await standalone.projector.stop();
  const before = dumpTables(cache);
  await rebuildReadModels(cache, eventStore);
  expect(dumpTables(cache)).toEqual(before);
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
