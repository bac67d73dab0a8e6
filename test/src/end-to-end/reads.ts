/**
 * Reads over all pages, and sums of what they answer.
 */
import type { RerateClient } from "@rerate/client";
import { formatAmount, parseAmount } from "@rerate/money";
import { planSchema, readDocument, type PlanDocument } from "@rerate/pricing";
import type { CostsRead, EntriesRead, InvoiceRead, OutcomesRead } from "@rerate/wire";
import { readFileSync } from "node:fs";

export type EntryRow = EntriesRead["entries"][number];
export type OutcomeRow = OutcomesRead["outcomes"][number];
export type CostRow = CostsRead["costs"][number];

interface Page {
  readonly limit: number;
  readonly cursor?: string;
}

/** Every row of a paged read. */
export async function every<Row>(
  read: (page: Page) => Promise<{ readonly rows: readonly Row[]; readonly next: string | undefined }>,
): Promise<Row[]> {
  const all: Row[] = [];
  for (let page: Page | undefined = { limit: 1_000 }; page !== undefined;) {
    const { rows, next }: { readonly rows: readonly Row[]; readonly next: string | undefined } = await read(page);
    all.push(...rows);
    page = next === undefined ? undefined : { limit: 1_000, cursor: next };
  }
  return all;
}

export async function everyEntry(client: RerateClient, account: string): Promise<EntryRow[]> {
  return every(async (page) => {
    const { entries, next } = await client.entries(account, page);
    return { rows: entries, next };
  });
}

export async function everyOutcome(client: RerateClient, account: string): Promise<OutcomeRow[]> {
  return every(async (page) => {
    const { outcomes, next } = await client.outcomes(account, page);
    return { rows: outcomes, next };
  });
}

export async function everyCost(client: RerateClient, account: string): Promise<CostRow[]> {
  return every(async (page) => {
    const { costs, next } = await client.costs(account, page);
    return { rows: costs, next };
  });
}

/** The sum of decimal amounts, exact. */
export function sumOf(amounts: Iterable<string>): string {
  let atoms = 0n;
  for (const amount of amounts) atoms += parseAmount(amount);
  return formatAmount(atoms);
}

/** What accounts owe net in a unit, by their balances. */
export async function netOf(client: RerateClient, accounts: readonly string[], unit = "USD"): Promise<string> {
  const balances = await Promise.all(accounts.map((account) => client.balance(account)));
  return sumOf(balances.flatMap(({ units }) => units.filter((line) => line.unit === unit).map(({ net }) => net)));
}

/** What the invoices of accounts carry in a unit, to the atom, and what they bill in minor units. */
export async function invoicedOf(
  client: RerateClient,
  accounts: readonly string[],
  unit = "USD",
): Promise<{ readonly exact: string; readonly billed: string; readonly credits: string; readonly due: string }> {
  const sections: InvoiceRead["sections"] = [];
  for (const account of accounts) {
    const { invoices } = await client.invoices(account);
    for (const { period } of invoices) {
      const invoice = await client.invoice(account, period);
      sections.push(...invoice.sections.filter((section) => section.unit === unit));
    }
  }
  return {
    exact: sumOf(sections.flatMap(({ lines }) => lines.map(({ exactAmount }) => exactAmount))),
    billed: sumOf(sections.map(({ total }) => total)),
    credits: sumOf(sections.map(({ credits }) => credits)),
    due: sumOf(sections.map(({ due }) => due)),
  };
}

/** A plan of `examples/`. */
export function examplePlan(id: string): PlanDocument {
  const read = readDocument(readFileSync(new URL(`../../../examples/plans/${id}.yaml`, import.meta.url), "utf8"), planSchema);
  if (!read.ok) throw new Error(`examples/plans/${id}.yaml: ${JSON.stringify(read.problems)}`);
  return read.value;
}
