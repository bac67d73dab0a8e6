/**
 * `GET /`: one page for people, rendered here, readable without a script.
 *
 * Shows what the read models say and computes nothing; all text of others is escaped by `html.ts`, and a content security
 * policy lets in nothing but the page's own style and script.
 */
import { createHash } from "node:crypto";
import { readAccount, readTotals, recentEntries, type Reader, type Totals, type UnitAmounts } from "@rerate/projections";
import type { PageQuery } from "@rerate/wire";
import { html, NOTHING, trusted, type Html } from "./html.ts";
import { accountPart } from "./page-account.ts";
import { SCRIPT, STYLE } from "./page-assets.ts";
import { accountLink, amountCards, amountCell, entryDetails, moment, whole } from "./page-parts.ts";

export interface RenderedPage {
  readonly html: string;
  readonly contentSecurityPolicy: string;
}

const ACCOUNTS_SHOWN = 50;
const ENTRIES_SHOWN = 12;

/** The page of a namespace, or of one account; undefined for an unknown one. */
export async function renderPage(reader: Reader, ns: string, query: PageQuery, now: string): Promise<RenderedPage | undefined> {
  const { account, period } = query;
  const body = account === undefined ? await overview(reader, ns, now) : await accountPart(reader, { ns, account }, period, now);
  if (body === undefined) return undefined;
  return { html: document(reader, ns, account, body).html, contentSecurityPolicy: POLICY };
}

const POLICY = [
  "default-src 'none'",
  `style-src ${hashOf(STYLE)}`,
  `script-src ${hashOf(SCRIPT)}`,
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

function hashOf(text: string): string {
  return `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
}

function document(reader: Reader, ns: string, account: string | undefined, body: Html): Html {
  const { facts, entries, accountCount, parked, asOf } = readTotals(reader, ns, { limit: 1 });
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width,initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>${account === undefined ? "Rerate" : `${account} · Rerate`}</title>
        ${trusted(`<style>${STYLE}</style>`)}
      </head>
      <body>
        <header>
          <div>
            <h1><a href="/">Rerate</a><small>${ns}</small></h1>
            <dl class="counters">
              ${counter("facts", "facts", whole(facts))} ${counter("entries", "entries", whole(entries))}
              ${counter("events/s", "rate", "–")} ${counter("accounts", "accounts", whole(accountCount))}
              ${counter("parked", "parked", whole(parked))}
            </dl>
          </div>
        </header>
        <main>
          ${body}
          <footer>
            ${asOf.recordedAt === undefined ? "Nothing has been recorded yet." : `As of ${moment(asOf.recordedAt)} UTC.`} Every
            amount here is the fold of an append-only log. <a href="/docs">HTTP API</a>
          </footer>
        </main>
        ${trusted(`<script>${SCRIPT}</script>`)}
      </body>
    </html> `;
}

function counter(label: string, name: string, value: string): Html {
  return html`<div>
    <dt>${label}</dt>
    <dd data-counter="${name}">${value}</dd>
  </div>`;
}

async function overview(reader: Reader, ns: string, now: string): Promise<Html> {
  const totals = readTotals(reader, ns, { limit: ACCOUNTS_SHOWN });
  const recent = await recentEntries(reader, ns, ENTRIES_SHOWN);
  const shown =
    totals.accountCount > totals.accounts.length
      ? `the ${totals.accounts.length} largest of ${whole(totals.accountCount)}`
      : "largest net amount first";
  const unfold = recent.length === 0 ? NOTHING : html`<button hidden data-unfold="recent">unfold all</button>`;
  return html`${totals.units.map(unitCards)}
    <h2>Accounts <small>${shown}</small></h2>
    <div class="card scroll">${accountsTable(reader, ns, totals.accounts, now)}</div>
    <h2>Latest entries <small>each unfolds into its arithmetic</small> ${unfold}</h2>
    <div class="card" id="recent">
      ${recent.length === 0 ? html`<p class="empty">Nothing has been charged yet.</p>` : recent.map((found) => entryDetails(found, found.account))}
    </div>`;
}

function unitCards({ unit, charged, refunded, bonus, net }: UnitAmounts): Html {
  return amountCards(unit, [
    ["Charged", charged],
    ["Refunded", refunded],
    ["Bonus", bonus],
    ["Net", net],
  ]);
}

function accountsTable(reader: Reader, ns: string, accounts: Totals["accounts"], now: string): Html {
  if (accounts.length === 0) return html`<p class="empty">No account has been opened yet.</p>`;
  return html`<table>
    <thead>
      <tr>
        <th>Account</th>
        <th>Plan</th>
        <th class="n">Facts</th>
        <th class="n">Entries</th>
        <th class="n">Charged</th>
        <th class="n">Refunded</th>
        <th class="n">Bonus</th>
        <th class="n">Net</th>
      </tr>
    </thead>
    <tbody>
      ${accounts.map((account) => accountRows(account, readAccount(reader, { ns, account: account.account }, now)?.planId ?? ""))}
    </tbody>
  </table>`;
}

/** One row per unit; the account's own cells stand in the first. */
function accountRows({ account, facts, entries, units }: Totals["accounts"][number], plan: string): Html {
  const head = html`<td class="id">${accountLink(account)}</td>
    <td>${plan}</td>
    <td class="n">${whole(facts)}</td>
    <td class="n">${whole(entries)}</td>`;
  if (units.length === 0)
    return html`<tr>
      ${head}
      <td class="n dim" colspan="4">nothing charged yet</td>
    </tr>`;
  const rows = units.map(({ unit, charged, refunded, bonus, net }, index) => {
    const cells = [amountCell(charged), amountCell(refunded), amountCell(bonus), amountCell(net, unit)];
    return html`<tr>
      ${index === 0 ? head : html`<td colspan="4"></td>`}${cells}
    </tr>`;
  });
  return html`${rows}`;
}
