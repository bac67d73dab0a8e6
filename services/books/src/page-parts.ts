/**
 * The small parts of the page: amounts, links, an entry that unfolds.
 */
import { explanationLines, type FoundEntry } from "@rerate/projections";
import { formatAmount } from "@rerate/money";
import { html, NOTHING, type Html } from "./html.ts";

/** Whole numbers with their thousands apart. */
export function whole(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ",");
}

export function accountLink(account: string, period?: string): Html {
  const query = new URLSearchParams({ account, ...(period === undefined ? {} : { period }) });
  return html`<a href="/?${query.toString()}">${period ?? account}</a>`;
}

export function amountText(amount: string, unit?: string): Html {
  const shown = unit === undefined ? amount : `${amount} ${unit}`;
  return amount.startsWith("-") ? html`<span class="minus">${shown.replace("-", "−")}</span>` : html`${shown}`;
}

export function amountCell(amount: string, unit?: string): Html {
  return html`<td class="n">${amountText(amount, unit)}</td>`;
}

export function tag(text: string): Html {
  // The class is one of this page's own words or has no rule: it cannot break out of its attribute.
  return html`<span class="tag ${text}">${text}</span>`;
}

/** An entry as one line that unfolds into its arithmetic; the last line is the booked amount. */
export function entryDetails({ entry, event }: FoundEntry, account?: string): Html {
  const booked = formatAmount(BigInt(entry.atoms));
  const lines = explanationLines(entry, event);
  const bookedLine = lines.findIndex((line) => line.startsWith("booked "));
  const ordered = [...lines.slice(0, bookedLine), ...lines.slice(bookedLine + 1), lines[bookedLine] ?? ""];
  return html`<details>
    <summary>
      <span class="what id">${account === undefined ? NOTHING : html`${account} `}<span class="dim">#${entry.n}</span></span
      ><span class="what why dim">${entry.kind} · ${entry.item} · ${entry.postedIn ?? entry.period}</span
      ><b>${amountText(booked, entry.unit)}</b>
    </summary>
    <ol class="sum">
      ${ordered.map((line) => html`<li>${line}</li>`)}
    </ol>
  </details>`;
}
