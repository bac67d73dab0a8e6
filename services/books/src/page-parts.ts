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

/** An exact decimal as people read it: thousands apart, at least so many decimals, nothing rounded away. */
export function readable(amount: string, places = 2): string {
  const [whole = "0", decimals = ""] = amount.replace("-", "").split(".");
  const shown = decimals.padEnd(places, "0");
  return `${amount.startsWith("-") ? "−" : ""}${whole.replace(/\B(?=(\d{3})+$)/g, ",")}${shown === "" ? "" : `.${shown}`}`;
}

/** `places`: 0 for amounts that have their currency's decimals already. */
export function amountText(amount: string, unit?: string, places?: number): Html {
  const shown = html`${readable(amount, places)}${unit === undefined ? NOTHING : html` <span class="unit">${unit}</span>`}`;
  if (amount.startsWith("-")) return html`<span class="minus">${shown}</span>`;
  return /[1-9]/.test(amount) ? shown : html`<span class="zero">${shown}</span>`;
}

/** Amounts side by side, each with its name. */
export function amountCards(unit: string, cards: readonly (readonly [label: string, amount: string])[]): Html {
  return html`<dl class="cards">
    ${cards.map(
      ([label, amount]) =>
        html`<div class="card">
          <dt>${label}</dt>
          <dd>${amountText(amount, unit)}</dd>
        </div>`,
    )}
  </dl>`;
}

/** An instant to the second. */
export function moment(instant: string): string {
  return `${instant.slice(0, 10)} ${instant.slice(11, 19)}`;
}

export function amountCell(amount: string, unit?: string, places?: number): Html {
  return html`<td class="n">${amountText(amount, unit, places)}</td>`;
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
