/**
 * Usage broken down by what the facts carry: model, provider, type, charge item, day, hour or any dimension.
 *
 * Rows are kept by the hour (UTC), so a range starts and ends on whole hours. Costs belong to the usage whose outcome they
 * name; a cost that names no known outcome counts in the hour of its own, in the group "".
 */
import { plus, quantityText, type Exact } from "../exact.ts";
import { addTo } from "../fields.ts";
import type { StoredRow } from "../store.ts";
import { amounts, asOf, exactColumn, openedAccount, type AccountId, type AsOf, type Reader } from "./reader.ts";

export interface UsageFilter {
  readonly by: string;
  /** Canonical instants on whole hours: first inclusive, last exclusive. */
  readonly from?: string | undefined;
  readonly to?: string | undefined;
}

export interface UsageRow {
  readonly group: string;
  readonly events: number;
  readonly quantities: Record<string, string>;
  readonly amounts: Record<string, string>;
  readonly costs: Record<string, string>;
}

export interface Usage {
  readonly account: string;
  readonly by: string;
  readonly rows: UsageRow[];
  readonly asOf: AsOf;
}

export function readUsage(reader: Reader, { ns, account }: AccountId, filter: UsageFilter): Usage | undefined {
  const opened = openedAccount(reader, { ns, account });
  if (opened === undefined) return undefined;
  const [from, to] = [filter.from?.slice(0, 13) ?? "", filter.to?.slice(0, 13) ?? "~"];
  const rows = reader.store.rows("usage", [ns, account], { sql: `AND "hour" >= ? AND "hour" < ?`, parameters: [from, to] });
  const groups = new Map<string, Group>();
  for (const row of rows) addUsage(groups, row, filter.by);
  for (const { key, unit, atoms } of costsOf(reader, { ns, account })) {
    if (key[0] >= from && key[0] < to) addTo(groupOf(groups, groupName(key, filter.by)).costs, unit, atoms);
  }
  const sorted = [...groups].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return { account, by: filter.by, rows: sorted.map(([name, group]) => toRow(name, group)), asOf: asOf(opened) };
}

interface Group {
  events: Exact;
  readonly quantities: Map<string, Exact>;
  readonly amounts: Map<string, Exact>;
  readonly costs: Map<string, Exact>;
}

/** Hour, type, provider, model, dimensions as JSON: a usage row's own part of the key. */
type UsageKey = readonly [string, string, string, string, string];

function addUsage(groups: Map<string, Group>, { key, row }: StoredRow<"usage">, by: string): void {
  if (by === "item") {
    for (const [item, events] of row.itemEvents) {
      const group = groupOf(groups, item);
      group.events = plus(group.events, events);
    }
    for (const [name, atoms] of row.amounts) {
      const [item = "", unit = ""] = name.split("\n");
      addTo(groupOf(groups, item).amounts, unit, atoms);
    }
    return;
  }
  const group = groupOf(groups, groupName(key.slice(2).map(String) as unknown as UsageKey, by));
  group.events = plus(group.events, row.events);
  for (const [name, quantity] of row.quantities) addTo(group.quantities, name, quantity);
  for (const [name, atoms] of row.amounts) addTo(group.amounts, name.slice(name.lastIndexOf("\n") + 1), atoms);
}

function groupName([hour, type, provider, model, dimensions]: UsageKey, by: string): string {
  switch (by) {
    case "model":
      return model;
    case "provider":
      return provider;
    case "type":
      return type;
    case "day":
      return hour.slice(0, 10);
    case "hour":
      return `${hour}:00:00.000000000Z`;
    case "item":
      return "";
    default:
      return (JSON.parse(dimensions) as Readonly<Record<string, string>>)[by] ?? "";
  }
}

function groupOf(groups: Map<string, Group>, name: string): Group {
  let group = groups.get(name);
  if (group === undefined) {
    group = { events: 0, quantities: new Map(), amounts: new Map(), costs: new Map() };
    groups.set(name, group);
  }
  return group;
}

function toRow(group: string, { events, quantities, amounts: booked, costs }: Group): UsageRow {
  return {
    group,
    events: Number(events),
    quantities: Object.fromEntries([...quantities].map(([name, quantity]) => [name, quantityText(quantity)])),
    amounts: amounts(booked),
    costs: amounts(costs),
  };
}

function* costsOf(
  { store }: Reader,
  { ns, account }: AccountId,
): IterableIterator<{ readonly key: UsageKey; readonly unit: string; readonly atoms: Exact }> {
  const statement = store.database.prepare<{ occurredAt: string; unit: string; atoms: string; usage: string | null }>(
    `SELECT c."occurredAt", c."unit", COALESCE(c."correctedAtoms", c."atoms") AS atoms, o."usage"
     FROM costs c LEFT JOIN outcomes o
       ON o.ns = c.ns AND o.account = c.account AND o.source = c."aboutSource" AND o.id = c."aboutId"
     WHERE c.ns = ? AND c.account = ?`,
  );
  for (const { occurredAt, unit, atoms, usage } of statement.iterate(ns, account)) {
    const key: UsageKey = usage === null ? [occurredAt.slice(0, 13), "", "", "", "{}"] : (JSON.parse(usage) as UsageKey);
    yield { key, unit, atoms: exactColumn(atoms) };
  }
}
