/**
 * What the events of `account-…` streams change: balances, invoice lines, usage, outcomes' money, costs, where entries are.
 */
import type { AccountEvent, CostCorrected, CostRecorded, Entry, Identity, UsageContent } from "@rerate/ledger";
import { exact, minus, plus } from "./exact.ts";
import { addTo } from "./fields.ts";
import type { Place } from "./fold.ts";
import type { Subject } from "./subjects.ts";
import { BLOCK, RECENT_EVENTS, type Deltas, type RowOf, type TABLES } from "./tables.ts";

export function foldAccountEvent(deltas: Deltas, place: Place, event: AccountEvent, subject: Subject | undefined): void {
  const { ns, name: account } = place;
  const counters = deltas.counters.at(ns);
  switch (event.type) {
    case "RulesBound": {
      const row = deltas.rules.at(ns, account, place.revision);
      const { from, plan, planId, priceLists, outcomeDefinition, decider } = event.data;
      Object.assign(row, { from, plan, planId, priceLists: JSON.stringify(priceLists), outcomeDefinition, decider });
      return;
    }
    case "UsageRecorded": {
      const { data } = event;
      counters.usage += 1;
      deltas.accounts.at(ns, account).facts += 1;
      const content = data.corrected?.content ?? data.content;
      const usage = usageRow(deltas, place, data.occurredAt, content);
      usage.events += 1;
      addQuantities(usage, content, 1);
      for (const entry of data.entries) {
        addTo(usage.itemEvents, entry.item, 1);
        addAmount(usage, entry);
      }
      foldEntries(deltas, place, data.entries);
      if (data.published !== undefined) {
        const outcome = foldOutcomeMoney(deltas, place, { source: data.source, id: data.outcome ?? data.id }, data.entries);
        outcome.usage = JSON.stringify(usageKey(data.occurredAt, content));
      }
      return;
    }
    case "UsageCorrected": {
      const { data } = event;
      counters.corrections += 1;
      deltas.accounts.at(ns, account).facts += 1;
      foldEntries(deltas, place, data.entries);
      if (!data.holds) return;
      foldReplacedUsage(deltas, place, data.occurredAt, data.content, data.entries, subject);
      if (subject?.hasOutcome === true) {
        const outcome = foldOutcomeMoney(deltas, place, data.outcomeOf, data.entries);
        outcome.usage = JSON.stringify(usageKey(data.occurredAt, data.content));
      }
      return;
    }
    case "CorrectionWaiting":
      counters.corrections += 1;
      counters.waiting += 1;
      deltas.accounts.at(ns, account).facts += 1;
      return;
    case "CostRecorded":
      counters.costs += 1;
      deltas.accounts.at(ns, account).facts += 1;
      foldCost(deltas, place, event.data);
      return;
    case "CostCorrected":
      counters.corrections += 1;
      deltas.accounts.at(ns, account).facts += 1;
      foldCostCorrection(deltas, place, event.data);
      return;
    case "VerdictApplied": {
      const { data } = event;
      foldEntries(deltas, place, data.entries);
      foldOutcomeMoney(deltas, place, data.outcome, data.entries);
      if (data.entries.length === 0) return;
      const usage = subjectRow(deltas, place, data.decidedAt, subject);
      for (const entry of data.entries) addAmount(usage, entry);
      return;
    }
    case "PeriodOpened": {
      const { period, start, end, dueAt } = event.data;
      Object.assign(deltas.periods.at(ns, account, period), { start, end, dueAt });
      return;
    }
    case "PeriodClosed": {
      const { period, start, end, dueAt, entries } = event.data;
      const row = deltas.periods.at(ns, account, period);
      Object.assign(row, { start, end, dueAt });
      row.closed += 1;
      foldEntries(deltas, place, entries);
      return;
    }
    case "FactParked": {
      const { source, id, contentHash, reason } = event.data;
      counters.parked += 1;
      deltas.accounts.at(ns, account).parked += 1;
      Object.assign(deltas.parked.at(ns, account, source, id, contentHash), { reason, revision: place.revision });
      return;
    }
    case "RulesRefused":
    case "VerdictWaiting":
    case "ImportStarted":
    case "ImportEnded":
      return;
  }
}

type Row<Name extends keyof typeof TABLES> = RowOf<(typeof TABLES)[Name]["fields"]>;

function foldEntries(deltas: Deltas, { ns, name: account, revision }: Place, entries: readonly Entry[]): void {
  const first = entries[0];
  if (first === undefined) return;
  const counters = deltas.counters.at(ns);
  counters.entries += entries.length;
  counters.recent.push({ account, revision });
  if (counters.recent.length > 8 * RECENT_EVENTS) counters.recent = counters.recent.slice(-RECENT_EVENTS);
  deltas.accounts.at(ns, account).entries += entries.length;
  const block = deltas.entryBlocks.at(ns, account, Math.floor(revision / BLOCK));
  block.first ??= first.n;
  for (const entry of entries) {
    const posted = entry.postedIn ?? entry.period;
    block.last = entry.n;
    block.items.add(entry.item);
    if (block.periods.at(-1)?.[1] !== posted) block.periods.push([entry.n, posted]);
    addMoney(deltas.balances.at(ns, account, entry.unit), entry);
    addMoney(deltas.unitTotals.at(ns, entry.unit), entry);
    const original = entry.postedIn === undefined ? "" : entry.period;
    const line = deltas.invoiceLines.at(ns, account, posted, entry.unit, entry.item, entry.kind, entry.measureUnit, original);
    line.quantity = plus(line.quantity, exact(entry.measure));
    line.exact = plus(line.exact, exact(entry.exact));
    line.booked = plus(line.booked, exact(entry.atoms));
    line.entries += 1;
  }
}

function addMoney(row: Row<"balances">, entry: Entry): void {
  const column = MONEY_COLUMN[entry.kind];
  row[column] = plus(row[column], exact(entry.atoms));
  row.entries += 1;
}

const MONEY_COLUMN = {
  charge: "charged",
  correction: "corrected",
  fee: "fees",
  "true-up": "fees",
  cap: "fees",
  refund: "refunded",
  bonus: "bonus",
} as const satisfies Record<Entry["kind"], keyof Row<"balances">>;

/** Usage rows go by the hour (UTC) in which the usage occurred. */
function usageRow(deltas: Deltas, { ns, name }: Place, occurredAt: string, content: UsageContent): Row<"usage"> {
  return deltas.usage.at(ns, name, ...usageKey(occurredAt, content));
}

function usageKey(occurredAt: string, { type, provider = "", model = "", dimensions }: UsageContent): readonly string[] {
  return [occurredAt.slice(0, 13), type, provider, model, dimensionsText(dimensions)];
}

/** The row of the usage that something is about; a row without type, model and dimensions where no usage is known. */
function subjectRow(deltas: Deltas, place: Place, at: string, subject: Subject | undefined): Row<"usage"> {
  if (subject !== undefined) return usageRow(deltas, place, subject.occurredAt, subject.content);
  return usageRow(deltas, place, at, { type: "", quantities: {} });
}

function dimensionsText(dimensions: Readonly<Record<string, string>> | undefined): string {
  if (dimensions === undefined) return "{}";
  const names = Object.keys(dimensions);
  return names.length < 2 ? JSON.stringify(dimensions) : JSON.stringify(dimensions, names.toSorted());
}

function addQuantities(row: Row<"usage">, content: UsageContent, sign: 1 | -1): void {
  for (const name in content.quantities) {
    const quantity = exact(content.quantities[name] ?? "0");
    addTo(row.quantities, name, sign === 1 ? quantity : minus(quantity));
  }
}

function addAmount(row: Row<"usage">, entry: Entry): void {
  addTo(row.amounts, `${entry.item}\n${entry.unit}`, exact(entry.atoms));
}

/**
 * Takes the replaced content out of its row and puts the new one into its own. What the correction takes back stays with the
 * row it was charged on, what it charges goes to the new one.
 */
function foldReplacedUsage(
  deltas: Deltas,
  place: Place,
  occurredAt: string,
  content: UsageContent,
  entries: readonly Entry[],
  subject: Subject | undefined,
): void {
  const to = usageRow(deltas, place, occurredAt, content);
  const from = subject === undefined ? to : usageRow(deltas, place, subject.occurredAt, subject.content);
  if (subject !== undefined) {
    from.events -= 1;
    addQuantities(from, subject.content, -1);
  }
  to.events += 1;
  addQuantities(to, content, 1);
  for (const entry of entries) addAmount(entry.measure.startsWith("-") ? from : to, entry);
}

function foldOutcomeMoney(
  deltas: Deltas,
  { ns, name, revision }: Place,
  outcome: Identity,
  entries: readonly Entry[],
): Row<"outcomes"> {
  const row = deltas.outcomes.at(ns, name, outcome.source, outcome.id);
  row.accountHead = revision;
  for (const entry of entries) addTo(row.amounts, entry.unit, exact(entry.atoms));
  return row;
}

function foldCost(deltas: Deltas, place: Place, data: CostRecorded): void {
  const { occurredAt, unit, atoms, text, about, corrected } = data;
  const row = deltas.costs.at(place.ns, place.name, data.source, data.id);
  Object.assign(row, { occurredAt, unit, atoms, text, aboutSource: about?.source, aboutId: about?.id, revision: 0 });
  if (corrected !== undefined) setCorrectedCost(row, corrected.revision, corrected.by, corrected.atoms, corrected.text);
  addCost(deltas, place, unit, corrected?.atoms ?? atoms);
}

function foldCostCorrection(deltas: Deltas, place: Place, data: CostCorrected): void {
  if (!data.holds) return;
  setCorrectedCost(
    deltas.costs.at(place.ns, place.name, data.corrects.source, data.corrects.id),
    data.revision,
    data,
    data.atoms,
    data.text,
  );
  addCost(deltas, place, data.unit, data.changeAtoms);
}

function setCorrectedCost(row: Row<"costs">, revision: number, by: Identity, atoms: string, text: string): void {
  Object.assign(row, {
    revision,
    correctedBySource: by.source,
    correctedById: by.id,
    correctedAtoms: atoms,
    correctedText: text,
  });
}

function addCost(deltas: Deltas, place: Place, unit: string, atoms: string): void {
  const totals = deltas.unitTotals.at(place.ns, unit);
  totals.costs = plus(totals.costs, exact(atoms));
}
