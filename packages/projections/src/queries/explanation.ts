/**
 * An entry as arithmetic that a customer can follow: from the fact through the price to the booked amount.
 *
 * Everything is printed from what the event recorded; nothing is priced again here (`verify` does that).
 */
import { decodeEvent, streamName, type AccountEvent, type Entry, type RulesUsed, type UsageContent } from "@rerate/ledger";
import { ATOMS_PER_UNIT, formatAmount, formatDecimal, fraction, parseFraction } from "@rerate/money";
import { exact, quantityText } from "../exact.ts";
import { findEntry, viewOf, type EntryView, type FoundEntry } from "./entries.ts";
import { openedAccount, type AccountId, type Reader } from "./reader.ts";

export interface Explanation {
  readonly entry: EntryView;
  readonly lines: string[];
  readonly fact?: FactView;
  readonly rules?: {
    readonly plan: string;
    readonly planId: string;
    readonly priceLists: Record<string, string>;
    readonly outcomeDefinition?: string;
  };
  readonly accumulator: {
    readonly item: string;
    readonly version: string;
    readonly period: string;
    readonly cell: string;
    readonly measure: string;
    readonly measureUnit: string;
    readonly before: string;
    readonly after: string;
  };
  readonly exact: string;
  readonly amount: string;
  readonly verdict?: {
    readonly outcome: { readonly source: string; readonly id: string };
    readonly verdict: "success" | "partial" | "failure";
    readonly score: string;
    readonly reason: string;
    readonly verdictRevision: number;
    readonly definition: string;
    readonly decidedAt: string;
  };
}

export interface FactView {
  readonly source: string;
  readonly id: string;
  readonly occurredAt: string;
  readonly recordedAt: string;
  readonly type: string;
  readonly provider?: string;
  readonly model?: string;
  readonly quantities: Record<string, string>;
  readonly dimensions: Record<string, string>;
  readonly outcome?: string;
  readonly attempt?: number;
  readonly parent?: string;
  readonly corrects?: { readonly source: string; readonly id: string };
  readonly correctionRevision?: number;
}

export async function explainEntry(reader: Reader, id: AccountId, n: number): Promise<Explanation | undefined> {
  if (openedAccount(reader, id) === undefined) return undefined;
  const found = await findEntry(reader, id, n);
  return found === undefined ? undefined : explain(reader, id, found);
}

export async function explain(reader: Reader, id: AccountId, found: FoundEntry): Promise<Explanation> {
  const { entry, event, recordedAt } = found;
  const { item, version, period, cell, measure, measureUnit, before, after } = entry;
  const fact = factOf(event, recordedAt);
  const rules = await rulesOf(reader, id, event);
  const verdict = event.type === "VerdictApplied" ? verdictOf(event.data) : undefined;
  const view = viewOf(found);
  return {
    entry: view,
    lines: explanationLines(entry, event),
    ...(fact === undefined ? {} : { fact }),
    ...(rules === undefined ? {} : { rules }),
    accumulator: { item, version, period, cell, measure, measureUnit, before, after },
    exact: entry.exact,
    amount: view.amount,
    ...(verdict === undefined ? {} : { verdict }),
  };
}

/** The arithmetic in lines: what happened, how it is measured and priced, how it is rounded, where it is posted. */
export function explanationLines(entry: Entry, event: AccountEvent): string[] {
  const { unit, atoms, period, postedIn, corrects, steps } = entry;
  const booked = `${formatAmount(BigInt(atoms))} ${unit}`;
  return [
    ...causeLines(event),
    ...steps,
    ...(entry.role === "measured" ? measuredLines(entry) : [`exactly ${unitsText(entry.exact)} ${unit}`]),
    `booked in whole atoms (10⁻⁹ ${unit}): ${booked}`,
    ...(postedIn === undefined ? [] : [`belongs to ${period}, which was closed: posted in ${postedIn}`]),
    ...(corrects === undefined ? [] : [`takes back entry ${corrects}, wholly or partly`]),
  ];
}

function causeLines(event: AccountEvent): string[] {
  switch (event.type) {
    case "UsageRecorded": {
      const { data } = event;
      const corrected = data.corrected === undefined ? "" : `, corrected by ${data.corrected.by.source} ${data.corrected.by.id}`;
      return [
        `usage ${data.source} ${data.id} at ${data.occurredAt}${corrected}: ${contentText(data.corrected?.content ?? data.content)}`,
      ];
    }
    case "UsageCorrected": {
      const { source, id, corrects, revision, content } = event.data;
      return [`correction ${source} ${id} (revision ${revision} of ${corrects.source} ${corrects.id}): ${contentText(content)}`];
    }
    case "VerdictApplied": {
      const { outcome, verdict, score, reason, verdictRevision } = event.data;
      return [`verdict ${verdictRevision} on ${outcome.source} ${outcome.id}: ${verdict}, score ${score} (${reason})`];
    }
    case "PeriodClosed":
      return [`period ${event.data.period} closed: ${event.data.start} to ${event.data.end}`];
    case "RulesBound":
    case "RulesRefused":
    case "CorrectionWaiting":
    case "CostRecorded":
    case "CostCorrected":
    case "VerdictWaiting":
    case "PeriodOpened":
    case "ImportStarted":
    case "ImportEnded":
    case "FactParked":
      return [];
  }
}

/** The law of cumulative pricing with this entry's numbers. */
function measuredLines({ item, period, cell, before, after, measure, measureUnit, exact: exactAtoms, unit }: Entry): string[] {
  const place = cell === "" ? `${item}, ${period}` : `${item}, ${period}, ${cell}`;
  if (measureUnit === "atoms") {
    // The measure is money already (tokens at their prices, cost-plus): P is the sum itself.
    const [sum, add, total] = [before, measure, after].map(unitsText);
    return [
      `sum of ${place}: ${sum} + (${add}) = ${total} ${unit}`,
      `exactly ${unitsText(exactAtoms)} ${unit}; each sum is rounded half-even, so the entries always add up to it`,
    ];
  }
  const [was, adds, is] = [before, measure, after].map((value) => quantityText(exact(value)));
  return [
    `Q of ${place}: ${was} + (${adds}) = ${is} ${measureUnit}`,
    `P(${is}) − P(${was}) = ${unitsText(exactAtoms)} ${unit}; each P is rounded half-even, so the entries of Q always add up to P(Q)`,
  ];
}

/** Exact atoms as a decimal of whole units; where no decimal is exact, the fraction stands beside it. */
function unitsText(exactAtoms: string): string {
  const atoms = parseFraction(exactAtoms);
  const units = fraction(atoms.n, atoms.d * ATOMS_PER_UNIT);
  const decimal = formatDecimal(units, 18);
  return decimal.endsWith("…") ? `${units.n}/${units.d} (${decimal})` : decimal;
}

function contentText({ type, provider, model, quantities }: UsageContent): string {
  const named = Object.entries(quantities).map(([name, quantity]) => `${name} ${quantity}`);
  const by = [provider, model].filter((part) => part !== undefined).join(" ");
  return [type, ...(by === "" ? [] : [by]), ...named].join(", ");
}

function factOf(event: AccountEvent, recordedAt: string): FactView | undefined {
  if (event.type !== "UsageRecorded" && event.type !== "UsageCorrected") return undefined;
  const { data } = event;
  const { content } = data;
  return {
    source: data.source,
    id: data.id,
    occurredAt: data.occurredAt,
    recordedAt,
    type: content.type,
    ...(content.provider === undefined ? {} : { provider: content.provider }),
    ...(content.model === undefined ? {} : { model: content.model }),
    quantities: { ...content.quantities },
    dimensions: { ...content.dimensions },
    ...(content.attempt === undefined ? {} : { attempt: content.attempt }),
    ...(content.parent === undefined ? {} : { parent: content.parent }),
    ...("outcome" in data && data.outcome !== undefined ? { outcome: data.outcome } : {}),
    ...("corrects" in data ? { corrects: data.corrects, correctionRevision: data.revision } : {}),
  };
}

function verdictOf(data: Extract<AccountEvent, { type: "VerdictApplied" }>["data"]): NonNullable<Explanation["verdict"]> {
  const { outcome, verdict, score, reason, verdictRevision, definition, decidedAt } = data;
  return { outcome, verdict, score, reason, verdictRevision, definition, decidedAt };
}

async function rulesOf(reader: Reader, { ns, account }: AccountId, event: AccountEvent): Promise<Explanation["rules"]> {
  const used: RulesUsed | undefined = "rules" in event.data ? event.data.rules : undefined;
  if (used === undefined) return undefined;
  const [stored] = await reader.eventStore.readForward(streamName("account", ns, account), { from: used.bound, maxCount: 1 });
  const bound = stored === undefined ? undefined : decodeEvent("account", stored);
  if (bound?.type !== "RulesBound") return undefined;
  const { planId, priceLists } = bound.data;
  return {
    plan: used.plan,
    planId,
    priceLists: { ...(used.prices ?? priceLists) },
    ...(used.outcome === undefined ? {} : { outcomeDefinition: used.outcome }),
  };
}
