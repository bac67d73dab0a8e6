/**
 * The read models: every table with its key and the kind of each column.
 *
 * One definition serves the fold (rows in memory), the store (columns) and the dump. All tables are caches of the log.
 * Rows belong to a namespace: `ns` comes first in every key, so no read can leave it.
 */
import { COUNT, FIRST, LAST, LATEST, listOf, MAX, MIN, RUNS, SET, SUM, SUMS, type Field, type SqlValue } from "./fields.ts";

export interface Table<Fields extends FieldMap = FieldMap> {
  readonly name: string;
  readonly keys: readonly string[];
  readonly fields: Fields;
}

/**
 * Columns by name. A column's type is known where its table is named; code that treats all tables alike only passes values from
 * one of a column's functions to the next.
 */
export type FieldMap = Readonly<Record<string, Field<unknown>>>;

export type RowOf<Fields extends FieldMap> = { [Name in keyof Fields]: Fields[Name] extends Field<infer T> ? T : never };

/** How amounts of one unit add up, for an account and for a whole namespace. All in atoms, signed as booked. */
const MONEY = {
  charged: SUM,
  corrected: SUM,
  /** Base fees, true-ups, caps. */
  fees: SUM,
  /** Negative or zero. */
  refunded: SUM,
  /** Negative or zero. */
  bonus: SUM,
  entries: COUNT,
};

export interface Assignment {
  readonly planId: string;
  readonly planHash?: string;
  readonly from: string;
  readonly recordedAt: string;
}

/** Stream revision and first entry of an event with entries. */
export interface RecentEvent {
  readonly account: string;
  readonly revision: number;
}

export const RECENT_EVENTS = 32;

export const TABLES = {
  accounts: table("accounts", ["ns", "account"], {
    openedAt: LAST,
    currency: LAST,
    timeZone: LAST,
    wallet: LAST,
    assignments: listOf<Assignment>(),
    facts: COUNT,
    entries: COUNT,
    parked: COUNT,
    /** Of the account's stream. */
    revision: MAX,
    recordedAt: LATEST,
  }),
  rules: table("rules", ["ns", "account", "revision"], {
    from: LAST,
    plan: LAST,
    planId: LAST,
    priceLists: LAST,
    outcomeDefinition: LAST,
    decider: LAST,
  }),
  balances: table("balances", ["ns", "account", "unit"], { ...MONEY }),
  unitTotals: table("unit_totals", ["ns", "unit"], { ...MONEY, costs: SUM }),
  counters: table("counters", ["ns"], {
    accounts: COUNT,
    usage: COUNT,
    corrections: COUNT,
    costs: COUNT,
    waiting: COUNT,
    entries: COUNT,
    signals: COUNT,
    verdicts: COUNT,
    parked: COUNT,
    grants: COUNT,
    recordedAt: LATEST,
    recent: listOf<RecentEvent>(RECENT_EVENTS),
  }),
  /** Where entries are in the log: one row per `BLOCK` revisions of an account's stream that have entries. */
  entryBlocks: table("entry_blocks", ["ns", "account", "block"], {
    first: MIN,
    last: MAX,
    items: SET,
    /** Entry number → posting period. */
    periods: RUNS,
  }),
  periods: table("periods", ["ns", "account", "period"], { start: LAST, end: LAST, dueAt: LAST, closed: COUNT }),
  invoiceLines: table("invoice_lines", ["ns", "account", "period", "unit", "item", "kind", "measure_unit", "original_period"], {
    quantity: SUM,
    exact: SUM,
    booked: SUM,
    entries: COUNT,
  }),
  /** What grants paid of the entries posted in a period; signed. */
  invoiceDraws: table("invoice_draws", ["ns", "account", "period", "unit", "wallet", "grant_id"], { drawn: SUM }),
  /** Draws of entries that this fold has not met yet: only where account and wallet come by different subscriptions. */
  waitingDraws: table("waiting_draws", ["ns", "account", "entry", "unit", "wallet", "grant_id"], { drawn: SUM }),
  usage: table("usage", ["ns", "account", "hour", "type", "provider", "model", "dimensions"], {
    events: COUNT,
    quantities: SUMS,
    /** Facts by charge item. */
    itemEvents: SUMS,
    /** Booked atoms by `item\nunit`. */
    amounts: SUMS,
  }),
  outcomes: table("outcomes", ["ns", "account", "source", "id"], {
    occurredAt: LAST,
    definition: LAST,
    dueAt: LAST,
    verdict: LAST,
    score: LAST,
    reason: LAST,
    verdictRevision: LAST,
    decidedAt: LAST,
    signals: COUNT,
    requests: COUNT,
    /** Last event about it in the outcome stream, and in the account's. */
    head: MAX,
    accountHead: MAX,
    /** Booked atoms by unit: its usages, corrections and verdicts. */
    amounts: SUMS,
    /** Key of the `usage` row of its latest request, as JSON: where costs about it belong. */
    usage: LAST,
  }),
  costs: table("costs", ["ns", "account", "source", "id"], {
    occurredAt: LAST,
    unit: LAST,
    atoms: LAST,
    text: LAST,
    aboutSource: LAST,
    aboutId: LAST,
    revision: LAST,
    /** The correction that holds: its own identity, amount and text. */
    correctedBySource: LAST,
    correctedById: LAST,
    correctedAtoms: LAST,
    correctedText: LAST,
  }),
  parked: table("parked", ["ns", "account", "source", "id", "content_hash"], { reason: LAST, revision: LAST }),
  wallets: table("wallets", ["ns", "wallet", "unit"], {
    /** From grants by entries, less what went back. */
    drawn: SUM,
    /** What entries left unpaid; what grants paid of it later stands with the grants. */
    unpaid: SUM,
    revision: MAX,
  }),
  grants: table("grants", ["ns", "wallet", "grant_id"], {
    unit: LAST,
    source: LAST,
    priority: LAST,
    effectiveAt: FIRST,
    expiresAt: LAST,
    granted: SUM,
    /** By entries, less what went back. */
    drawn: SUM,
    /** Old debt that the grant paid when it became usable. */
    paid: SUM,
    voided: SUM,
    expired: SUM,
  }),
};

export type Tables = typeof TABLES;
export type TableName = keyof Tables;

/** Revisions of an account's stream per row of `entry_blocks`: what a read of one entry may have to pass. */
export const BLOCK = 128;

/** A row in memory with its key. */
export interface KeyedRow<Row> {
  readonly key: readonly SqlValue[];
  row: Row;
}

/** Changed rows of one table, by key: what a part of the log adds to it. */
export interface Delta<Row> {
  readonly rows: Map<string, KeyedRow<Row>>;
  /** The row of a key, empty at first; the caller changes it in place. */
  at(...key: readonly (string | number)[]): Row;
}

export type Deltas = { readonly [Name in TableName]: Delta<RowOf<Tables[Name]["fields"]>> };

export function createDeltas(): Deltas {
  return {
    accounts: delta(TABLES.accounts),
    rules: delta(TABLES.rules),
    balances: delta(TABLES.balances),
    unitTotals: delta(TABLES.unitTotals),
    counters: delta(TABLES.counters),
    entryBlocks: delta(TABLES.entryBlocks),
    periods: delta(TABLES.periods),
    invoiceLines: delta(TABLES.invoiceLines),
    invoiceDraws: delta(TABLES.invoiceDraws),
    waitingDraws: delta(TABLES.waitingDraws),
    usage: delta(TABLES.usage),
    outcomes: delta(TABLES.outcomes),
    costs: delta(TABLES.costs),
    parked: delta(TABLES.parked),
    wallets: delta(TABLES.wallets),
    grants: delta(TABLES.grants),
  };
}

function table<Fields extends FieldMap>(name: string, keys: readonly string[], fields: Fields): Table<Fields> {
  return { name, keys, fields };
}

function delta<Fields extends FieldMap>(of: Table<Fields>): Delta<RowOf<Fields>> {
  const rows = new Map<string, KeyedRow<RowOf<Fields>>>();
  const names = Object.keys(of.fields);
  const empties = Object.values(of.fields).map(({ empty }) => empty);
  return {
    rows,
    at(...key) {
      const text = keyText(key);
      const known = rows.get(text);
      if (known !== undefined) return known.row;
      const row: Record<string, unknown> = {};
      for (let i = 0; i < names.length; i++) row[names[i] ?? ""] = empties[i]?.();
      rows.set(text, { key, row: row as RowOf<Fields> });
      return row as RowOf<Fields>;
    },
  };
}

/** Unlike keys have unlike texts, whatever characters their parts hold. */
export function keyText(key: readonly SqlValue[]): string {
  let text = "";
  for (const part of key) text += typeof part === "string" ? `${part.length}:${part}` : `#${part};`;
  return text;
}
