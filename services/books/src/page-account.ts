/**
 * One account's part of the page: balance and grants, an invoice, its entries, its outcomes.
 */
import { formatMinor, parseAmount } from "@rerate/money";
import {
  listInvoices,
  listOutcomes,
  newestEntries,
  readAccount,
  readBalance,
  readInvoice,
  type AccountId,
  type Balance,
  type Invoice,
  type InvoiceSection,
  type InvoiceSummary,
  type OutcomeSummary,
  type Reader,
} from "@rerate/projections";
import { html, NOTHING, type Html } from "./html.ts";
import { accountLink, amountCards, amountCell, entryDetails, moment, readable, tag, whole } from "./page-parts.ts";

const ENTRIES_SHOWN = 25;
const OUTCOMES_SHOWN = 25;

/** Undefined for an unknown account. A period that was never opened shows no invoice. */
export async function accountPart(
  reader: Reader,
  id: AccountId,
  period: string | undefined,
  now: string,
): Promise<Html | undefined> {
  const account = readAccount(reader, id, now);
  const balance = readBalance(reader, id);
  const invoices = listInvoices(reader, id)?.invoices;
  if (account === undefined || balance === undefined || invoices === undefined) return undefined;
  const shown = period ?? invoices.findLast(({ totals }) => totals.length > 0)?.period ?? invoices.at(-1)?.period;
  const invoice = shown === undefined ? undefined : readInvoice(reader, id, shown);
  const entries = await newestEntries(reader, id, { limit: ENTRIES_SHOWN, period: shown });
  const outcomes = listOutcomes(reader, id, { limit: OUTCOMES_SHOWN })?.outcomes ?? [];
  return html`<nav class="back"><a href="/">← All accounts</a></nav>
    <h2 class="title">
      <span class="id">${id.account}</span>
      <small
        >plan ${account.planId ?? "none"} · ${account.timeZone} · paid by wallet
        ${account.wallet}${account.standing === undefined ? "" : ` (${account.standing.standing})`}</small
      >
    </h2>
    ${balance.units.map(balanceCards)} ${grantsTable(balance)}
    <h2>
      Invoice
      ${shown === undefined ? NOTHING : html`<small>${shown}</small> ${invoice === undefined ? NOTHING : tag(invoice.status)}`}
    </h2>
    ${invoiceLinks(id.account, invoices, shown)}
    ${invoice === undefined ? html`<div class="card"><p class="empty">No invoice: no period was opened here.</p></div>` : invoiceTables(invoice)}
    <h2>
      Entries
      <small>${shown === undefined ? "" : `on the invoice of ${shown}, `}newest first</small>
      ${entries.length === 0 ? NOTHING : html`<button hidden data-unfold="entries">unfold all</button>`}
    </h2>
    <div class="card" id="entries">
      ${entries.length === 0 ? html`<p class="empty">No entries.</p>` : entries.map((found) => entryDetails(found))}
    </div>
    ${outcomesTable(outcomes)}`;
}

function balanceCards({ unit, charged, refunded, bonus, net, unpaid }: Balance["units"][number]): Html {
  return amountCards(unit, [
    ["Charged", charged],
    ["Refunded", refunded],
    ["Bonus", bonus],
    ["Net", net],
    ["Not paid by grants", unpaid],
  ]);
}

function grantsTable({ units }: Balance): Html {
  const grants = units.flatMap((unit) => unit.grants);
  if (grants.length === 0) return NOTHING;
  return html`<h2>Grants <small>drawn in order of priority, then expiry</small></h2>
    <div class="card scroll">
      <table>
        <thead>
          <tr>
            <th>Grant</th>
            <th>Source</th>
            <th class="n">Priority</th>
            <th>Expires</th>
            <th class="n">Granted</th>
            <th class="n">Left</th>
          </tr>
        </thead>
        <tbody>
          ${grants.map(
            ({ id, source, priority, expiresAt, granted, remaining, unit }) =>
              html`<tr>
                <td class="id">${id}</td>
                <td>${source}</td>
                <td class="n">${priority}</td>
                <td>${expiresAt?.slice(0, 10) ?? "never"}</td>
                ${amountCell(granted)}${amountCell(remaining, unit)}
              </tr>`,
          )}
        </tbody>
      </table>
    </div>`;
}

function invoiceLinks(account: string, invoices: readonly InvoiceSummary[], shown: string | undefined): Html {
  if (invoices.length < 2) return NOTHING;
  return html`<nav>
    ${invoices.map(({ period }) => (period === shown ? html`<a aria-current="page">${period}</a>` : accountLink(account, period)))}
  </nav>`;
}

function invoiceTables({ sections }: Invoice): Html {
  if (sections.length === 0) return html`<div class="card"><p class="empty">Nothing was charged in this period.</p></div>`;
  return html`${sections.map(invoiceTable)}`;
}

function invoiceTable({ unit, lines, rounding, total, credits, due }: InvoiceSection): Html {
  const minorCell = (amount: string, of?: string) => amountCell(formatMinor(parseAmount(amount), unit), of, 0);
  return html`<div class="card scroll">
    <table>
      <thead>
        <tr>
          <th>Item</th>
          <th>Kind</th>
          <th class="n">Quantity</th>
          <th class="n">Entries</th>
          <th class="n">Exact</th>
          <th class="n">Amount, ${unit}</th>
        </tr>
      </thead>
      <tbody>
        ${lines.map(
          ({ item, kind, quantity, measureUnit, entries, exactAmount, amount, originalPeriod }) =>
            html`<tr>
              <td class="id">
                ${item}${originalPeriod === undefined ? NOTHING : html` <span class="dim">of ${originalPeriod}</span>`}
              </td>
              <td>${kind}</td>
              <td class="n">${quantityText(quantity, measureUnit)}</td>
              <td class="n">${whole(entries)}</td>
              ${amountCell(exactAmount)}${minorCell(amount)}
            </tr>`,
        )}
      </tbody>
      <tfoot>
        <tr>
          <td colspan="5" class="dim">Rounding of the lines</td>
          ${minorCell(rounding)}
        </tr>
        <tr class="total">
          <td colspan="5">Total</td>
          ${minorCell(total)}
        </tr>
        <tr>
          <td colspan="5" class="dim">Paid by credits</td>
          ${minorCell(credits)}
        </tr>
        <tr class="total">
          <td colspan="5">Due</td>
          ${minorCell(due, unit)}
        </tr>
      </tfoot>
    </table>
  </div>`;
}

/** Where the measure is money already, the amount says it. */
function quantityText(quantity: string, measureUnit: string): Html {
  if (measureUnit === "atoms") return html`<span class="dim">by price</span>`;
  return html`${readable(quantity, 0)} <span class="unit">${measureUnit}</span>`;
}

function outcomesTable(outcomes: readonly OutcomeSummary[]): Html {
  if (outcomes.length === 0) return NOTHING;
  return html`<h2>Outcomes <small>by source and id</small></h2>
    <div class="card scroll">
      <table>
        <thead>
          <tr>
            <th>Outcome</th>
            <th>Verdict</th>
            <th class="n">Score</th>
            <th>Reason</th>
            <th>Requested</th>
          </tr>
        </thead>
        <tbody>
          ${outcomes.map(
            ({ source, id, verdict, score, reason, occurredAt }) =>
              html`<tr>
                <td class="id"><span class="dim">${source}</span> ${id}</td>
                <td>${tag(verdict ?? "pending")}</td>
                <td class="n">${score ?? ""}</td>
                <td>${reason ?? ""}</td>
                <td>${occurredAt === undefined ? "" : moment(occurredAt)}</td>
              </tr>`,
          )}
        </tbody>
      </table>
    </div>`;
}
