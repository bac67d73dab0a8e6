/**
 * What the events of `account-…` streams change: balances, invoice lines, usage, outcomes' money, costs, where entries are.
 */
import type { AccountEvent, CostCorrected, CostRecorded, Entry, Identity, UsageContent } from "@rerate/ledger";
import { exact, minus, plus, type Exact } from "./exact.ts";
import { blockRow, lineOf, moneyOf, usageKey, usageOf, type AccountScope, type Row } from "./account-scope.ts";
import { addTo } from "./fields.ts";
import type { Subject } from "./subjects.ts";
import { RECENT_EVENTS } from "./tables.ts";

export function foldAccountEvent(scope: AccountScope, revision: number, event: AccountEvent, subject: Subject | undefined): void {
  const { deltas, ns, account, counters } = scope;
  switch (event.type) {
    case "RulesBound": {
      const row = deltas.rules.at(ns, account, revision);
      const { from, plan, planId, priceLists, outcomeDefinition, decider } = event.data;
      Object.assign(row, { from, plan, planId, priceLists: JSON.stringify(priceLists), outcomeDefinition, decider });
      return;
    }
    case "UsageRecorded": {
      const { data } = event;
      counters.usage += 1;
      scope.row.facts += 1;
      const content = data.corrected?.content ?? data.content;
      const usage = usageOf(scope, data.occurredAt, content);
      usage.events += 1;
      addQuantities(usage, content, 1);
      for (const entry of data.entries) {
        addTo(usage.itemEvents, entry.item, 1);
        addAmount(usage, entry);
      }
      foldEntries(scope, revision, data.entries);
      if (data.published !== undefined) {
        const outcome = foldOutcomeMoney(scope, revision, { source: data.source, id: data.outcome ?? data.id }, data.entries);
        outcome.usage = JSON.stringify(usageKey(data.occurredAt, content));
      }
      return;
    }
    case "UsageCorrected": {
      const { data } = event;
      counters.corrections += 1;
      scope.row.facts += 1;
      foldEntries(scope, revision, data.entries);
      if (!data.holds) return;
      foldReplacedUsage(scope, data.occurredAt, data.content, data.entries, subject);
      if (subject?.hasOutcome === true) {
        const outcome = foldOutcomeMoney(scope, revision, data.outcomeOf, data.entries);
        outcome.usage = JSON.stringify(usageKey(data.occurredAt, data.content));
      }
      return;
    }
    case "CorrectionWaiting":
      counters.corrections += 1;
      counters.waiting += 1;
      scope.row.facts += 1;
      return;
    case "CostRecorded":
      counters.costs += 1;
      scope.row.facts += 1;
      foldCost(scope, event.data);
      return;
    case "CostCorrected":
      counters.corrections += 1;
      scope.row.facts += 1;
      foldCostCorrection(scope, event.data);
      return;
    case "VerdictApplied": {
      const { data } = event;
      foldEntries(scope, revision, data.entries);
      foldOutcomeMoney(scope, revision, data.outcome, data.entries);
      if (data.entries.length === 0) return;
      const usage = subjectRow(scope, data.decidedAt, subject);
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
      foldEntries(scope, revision, entries);
      return;
    }
    case "FactParked": {
      const { source, id, contentHash, reason } = event.data;
      counters.parked += 1;
      scope.row.parked += 1;
      Object.assign(deltas.parked.at(ns, account, source, id, contentHash), { reason, revision });
      return;
    }
    case "RulesRefused":
    case "VerdictWaiting":
    case "ImportStarted":
    case "ImportEnded":
      return;
  }
}

function foldEntries(scope: AccountScope, revision: number, entries: readonly Entry[]): void {
  const first = entries[0];
  if (first === undefined) return;
  const { counters } = scope;
  counters.entries += entries.length;
  counters.recent.push({ account: scope.account, revision });
  if (counters.recent.length > 8 * RECENT_EVENTS) counters.recent = counters.recent.slice(-RECENT_EVENTS);
  scope.row.entries += entries.length;
  const block = blockRow(scope, revision);
  block.first ??= first.n;
  for (const entry of entries) {
    const posted = entry.postedIn ?? entry.period;
    const atoms = exact(entry.atoms);
    block.last = entry.n;
    block.items.add(entry.item);
    if (block.periods.at(-1)?.[1] !== posted) block.periods.push([entry.n, posted]);
    const { balance, total } = moneyOf(scope, entry.unit);
    addMoney(balance, entry.kind, atoms);
    addMoney(total, entry.kind, atoms);
    const line = lineOf(scope, entry);
    line.quantity = plus(line.quantity, exact(entry.measure));
    line.exact = plus(line.exact, exact(entry.exact));
    line.booked = plus(line.booked, atoms);
    line.entries += 1;
  }
}

function addMoney(row: Row<"balances">, kind: Entry["kind"], atoms: Exact): void {
  const column = MONEY_COLUMN[kind];
  row[column] = plus(row[column], atoms);
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

/** The row of the usage that something is about; a row without type, model and dimensions where no usage is known. */
function subjectRow(scope: AccountScope, at: string, subject: Subject | undefined): Row<"usage"> {
  if (subject !== undefined) return usageOf(scope, subject.occurredAt, subject.content);
  return usageOf(scope, at, { type: "", quantities: {} });
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
  scope: AccountScope,
  occurredAt: string,
  content: UsageContent,
  entries: readonly Entry[],
  subject: Subject | undefined,
): void {
  const to = usageOf(scope, occurredAt, content);
  const from = subject === undefined ? to : usageOf(scope, subject.occurredAt, subject.content);
  if (subject !== undefined) {
    from.events -= 1;
    addQuantities(from, subject.content, -1);
  }
  to.events += 1;
  addQuantities(to, content, 1);
  for (const entry of entries) addAmount(entry.measure.startsWith("-") ? from : to, entry);
}

function foldOutcomeMoney(scope: AccountScope, revision: number, outcome: Identity, entries: readonly Entry[]): Row<"outcomes"> {
  const row = scope.deltas.outcomes.at(scope.ns, scope.account, outcome.source, outcome.id);
  row.accountHead = revision;
  for (const entry of entries) addTo(row.amounts, entry.unit, exact(entry.atoms));
  return row;
}

function foldCost(scope: AccountScope, data: CostRecorded): void {
  const { occurredAt, unit, atoms, text, about, corrected } = data;
  const row = scope.deltas.costs.at(scope.ns, scope.account, data.source, data.id);
  Object.assign(row, { occurredAt, unit, atoms, text, aboutSource: about?.source, aboutId: about?.id, revision: 0 });
  if (corrected !== undefined) setCorrectedCost(row, corrected.revision, corrected.by, corrected.atoms, corrected.text);
  addCost(scope, unit, corrected?.atoms ?? atoms);
}

function foldCostCorrection(scope: AccountScope, data: CostCorrected): void {
  if (!data.holds) return;
  setCorrectedCost(
    scope.deltas.costs.at(scope.ns, scope.account, data.corrects.source, data.corrects.id),
    data.revision,
    data,
    data.atoms,
    data.text,
  );
  addCost(scope, data.unit, data.changeAtoms);
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

function addCost(scope: AccountScope, unit: string, atoms: string): void {
  const totals = scope.deltas.unitTotals.at(scope.ns, unit);
  totals.costs = plus(totals.costs, exact(atoms));
}
