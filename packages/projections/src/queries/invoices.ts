/**
 * Invoices: what was posted in a period, as lines.
 *
 * The only place that rounds to a currency's minor unit. Lines show rounded amounts, and one rounding line makes their sum
 * the rounded exact total, so nothing is gained or lost by the number of lines.
 */
import type { EntryKind } from "@rerate/ledger";
import { formatAmount, roundToMinor } from "@rerate/money";
import type { Row } from "../account-scope.ts";
import { asAtoms, quantityText } from "../exact.ts";
import type { StoredRow } from "../store.ts";
import { amount, asOf, openedAccount, text, type AccountId, type AsOf, type Reader } from "./reader.ts";

export interface InvoiceLine {
  readonly item: string;
  readonly kind: EntryKind;
  readonly quantity: string;
  readonly measureUnit: string;
  readonly exactAmount: string;
  readonly amount: string;
  readonly entries: number;
  readonly originalPeriod?: string;
}

export interface InvoiceSection {
  readonly unit: string;
  readonly lines: InvoiceLine[];
  readonly rounding: string;
  readonly total: string;
  readonly credits: string;
  readonly due: string;
}

export interface InvoiceHead {
  readonly period: string;
  readonly start: string;
  readonly end: string;
  readonly status: "open" | "final";
}

export interface Invoice extends InvoiceHead {
  readonly account: string;
  readonly sections: InvoiceSection[];
  readonly asOf: AsOf;
}

export interface InvoiceSummary extends InvoiceHead {
  readonly totals: Pick<InvoiceSection, "unit" | "total" | "credits" | "due">[];
}

/** The invoice of one period; undefined for an unknown account or a period that was never opened. */
export function readInvoice(reader: Reader, { ns, account }: AccountId, period: string): Invoice | undefined {
  const row = openedAccount(reader, { ns, account });
  const opened = reader.store.row("periods", ns, account, period);
  if (row === undefined || opened === undefined) return undefined;
  const lines = reader.store.rows("invoiceLines", [ns, account, period]);
  const draws = reader.store.rows("invoiceDraws", [ns, account, period]);
  return { account, ...headOf(period, opened), sections: sectionsOf(lines, draws), asOf: asOf(row) };
}

/** All invoices of an account, oldest period first. */
export function listInvoices(reader: Reader, { ns, account }: AccountId): { invoices: InvoiceSummary[] } | undefined {
  if (openedAccount(reader, { ns, account }) === undefined) return undefined;
  const lines = Map.groupBy(reader.store.rows("invoiceLines", [ns, account]), ({ key }) => String(key[2]));
  const draws = Map.groupBy(reader.store.rows("invoiceDraws", [ns, account]), ({ key }) => String(key[2]));
  const invoices = reader.store.rows("periods", [ns, account]).map(({ key, row }) => {
    const period = String(key[2]);
    const sections = sectionsOf(lines.get(period) ?? [], draws.get(period) ?? []);
    return { ...headOf(period, row), totals: sections.map(({ unit, total, credits, due }) => ({ unit, total, credits, due })) };
  });
  return { invoices: invoices.toSorted((a, b) => (a.start === b.start ? 0 : a.start < b.start ? -1 : 1)) };
}

function headOf(period: string, row: Row<"periods">): InvoiceHead {
  return { period, start: text(row.start), end: text(row.end), status: row.closed > 0 ? "final" : "open" };
}

function sectionsOf(lines: readonly StoredRow<"invoiceLines">[], draws: readonly StoredRow<"invoiceDraws">[]): InvoiceSection[] {
  const drawn = new Map<string, bigint>();
  for (const { key, row } of draws) drawn.set(String(key[3]), (drawn.get(String(key[3])) ?? 0n) + asAtoms(row.drawn));
  return [...Map.groupBy(lines, ({ key }) => String(key[3]))].map(([unit, ofUnit]) =>
    sectionOf(unit, ofUnit, drawn.get(unit) ?? 0n),
  );
}

/** `drawn`: atoms that grants paid. Total and credits are rounded once each, from their exact sums. */
export function sectionOf(unit: string, stored: readonly StoredRow<"invoiceLines">[], drawn: bigint): InvoiceSection {
  let exactTotal = 0n;
  let shown = 0n;
  const lines = stored.map(({ key, row }): InvoiceLine => {
    const booked = asAtoms(row.booked);
    const rounded = roundToMinor(booked, unit);
    exactTotal += booked;
    shown += rounded;
    const original = String(key[7]);
    return {
      item: String(key[4]),
      kind: String(key[5]) as EntryKind,
      quantity: quantityText(row.quantity),
      measureUnit: String(key[6]),
      exactAmount: amount(row.booked),
      amount: formatAmount(rounded),
      entries: row.entries,
      ...(original === "" ? {} : { originalPeriod: original }),
    };
  });
  const total = roundToMinor(exactTotal, unit);
  const credits = roundToMinor(drawn, unit);
  return {
    unit,
    lines,
    rounding: formatAmount(total - shown),
    total: formatAmount(total),
    credits: formatAmount(credits),
    due: formatAmount(total - credits),
  };
}
