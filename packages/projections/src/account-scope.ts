/**
 * The rows of one account that a batch changes again and again, at hand without building their keys each time.
 *
 * Only a short cut into the deltas: every row here is the row that `Delta.at` gives for the same key.
 */
import type { Entry, UsageContent } from "@rerate/ledger";
import { BLOCK, type Deltas, type RowOf, type TABLES } from "./tables.ts";

export type Row<Name extends keyof typeof TABLES> = RowOf<(typeof TABLES)[Name]["fields"]>;

export interface AccountScope {
  readonly deltas: Deltas;
  readonly ns: string;
  readonly account: string;
  readonly row: Row<"accounts">;
  readonly counters: Row<"counters">;
  /** By unit. */
  readonly money: Map<string, { readonly balance: Row<"balances">; readonly total: Row<"unitTotals"> }>;
  readonly lines: Map<string, Row<"invoiceLines">>;
  readonly usage: Map<string, Row<"usage">>;
  block: { readonly number: number; readonly row: Row<"entryBlocks"> } | undefined;
}

export function accountScope(deltas: Deltas, ns: string, account: string): AccountScope {
  return {
    deltas,
    ns,
    account,
    row: deltas.accounts.at(ns, account),
    counters: deltas.counters.at(ns),
    money: new Map(),
    lines: new Map(),
    usage: new Map(),
    block: undefined,
  };
}

export function moneyOf(
  scope: AccountScope,
  unit: string,
): { readonly balance: Row<"balances">; readonly total: Row<"unitTotals"> } {
  let known = scope.money.get(unit);
  if (known === undefined) {
    const { deltas, ns, account } = scope;
    known = { balance: deltas.balances.at(ns, account, unit), total: deltas.unitTotals.at(ns, unit) };
    scope.money.set(unit, known);
  }
  return known;
}

/** The invoice line that an entry is posted on. Lines of late facts stand apart, with the period they belong to. */
export function lineOf(scope: AccountScope, entry: Entry): Row<"invoiceLines"> {
  const { period, postedIn, unit, item, kind, measureUnit } = entry;
  const text = `${item}\n${kind}\n${unit}\n${measureUnit}\n${period}\n${postedIn ?? ""}`;
  let known = scope.lines.get(text);
  if (known === undefined) {
    const original = postedIn === undefined ? "" : period;
    known = scope.deltas.invoiceLines.at(scope.ns, scope.account, postedIn ?? period, unit, item, kind, measureUnit, original);
    scope.lines.set(text, known);
  }
  return known;
}

/** The row of the hour (UTC) in which a usage occurred. */
export function usageOf(scope: AccountScope, occurredAt: string, content: UsageContent): Row<"usage"> {
  const { type, provider = "", model = "", dimensions } = content;
  let text = `${occurredAt.slice(0, 13)}\n${type}\n${provider}\n${model}`;
  // Names in the order they came: two orders only mean that the same row is found twice.
  for (const name in dimensions) text += `\n${name}\n${dimensions[name]}`;
  let known = scope.usage.get(text);
  if (known === undefined) {
    known = scope.deltas.usage.at(scope.ns, scope.account, ...usageKey(occurredAt, content));
    scope.usage.set(text, known);
  }
  return known;
}

/** The last parts of a usage row's key. */
export function usageKey(occurredAt: string, { type, provider = "", model = "", dimensions }: UsageContent): readonly string[] {
  return [occurredAt.slice(0, 13), type, provider, model, dimensionsText(dimensions)];
}

export function blockRow(scope: AccountScope, revision: number): Row<"entryBlocks"> {
  const number = Math.floor(revision / BLOCK);
  if (scope.block?.number !== number) scope.block = { number, row: scope.deltas.entryBlocks.at(scope.ns, scope.account, number) };
  return scope.block.row;
}

function dimensionsText(dimensions: Readonly<Record<string, string>> | undefined): string {
  if (dimensions === undefined) return "{}";
  const names = Object.keys(dimensions);
  return names.length < 2 ? JSON.stringify(dimensions) : JSON.stringify(dimensions, names.toSorted());
}
