/**
 * Puts what grants paid onto the invoices: a draw names an entry, and the entry's posting period names the invoice.
 *
 * Runs inside the transaction that writes the batch, after the entries' own rows. A draw whose entry is not known yet (its
 * account comes by another subscription) waits in a table until it is; so the outcome does not depend on who comes first.
 */
import { plus } from "./exact.ts";
import type { SqlValue } from "./fields.ts";
import type { ProjectionStore } from "./store.ts";
import type { Deltas } from "./tables.ts";

export function resolveDraws(store: ProjectionStore, deltas: Deltas): void {
  takeWaiting(store, deltas);
  let block: EntryBlock | undefined;
  for (const [text, { key, row }] of deltas.waitingDraws.rows) {
    const [ns, account, entry, unit, wallet, grantId] = key as [string, string, number, string, string, string];
    if (block?.ns !== ns || block.account !== account || entry < block.first || entry > block.last) {
      block = blockOf(store, ns, account, entry);
    }
    const period = block?.periods.findLast(([from]) => from <= entry)?.[1];
    if (period === undefined) continue;
    const drawn = deltas.invoiceDraws.at(ns, account, period, unit, wallet, grantId);
    drawn.drawn = plus(drawn.drawn, row.drawn);
    deltas.waitingDraws.rows.delete(text);
  }
}

export interface EntryBlock {
  readonly ns: string;
  readonly account: string;
  /** Number of the block: revision ÷ `BLOCK`. */
  readonly block: number;
  readonly first: number;
  readonly last: number;
  readonly items: ReadonlySet<string>;
  readonly periods: readonly (readonly [number, string])[];
}

/**
 * The block that holds an entry; undefined when the account has no such entry yet. The newest block is tried first, then
 * the blocks are searched by halves: entries and blocks grow together.
 */
export function blockOf(store: ProjectionStore, ns: string, account: string, entry: number): EntryBlock | undefined {
  let found = blockAtOrBefore(store, ns, account, Number.MAX_SAFE_INTEGER);
  if (found === undefined || entry > found.last || entry < 1) return undefined;
  let low = 0;
  let high = found.block;
  while (found !== undefined && entry < found.first) {
    high = found.block - 1;
    const middle = low + Math.floor((high - low) / 2);
    const candidate: EntryBlock | undefined = blockAtOrBefore(store, ns, account, middle);
    if (candidate !== undefined && entry >= candidate.first && entry <= candidate.last) return candidate;
    if (candidate !== undefined && entry < candidate.first) found = candidate;
    else {
      low = middle + 1;
      found = low > high ? undefined : blockAtOrBefore(store, ns, account, high);
    }
  }
  return found;
}

/** The newest block with entries whose number is at most so. */
export function blockAtOrBefore(store: ProjectionStore, ns: string, account: string, block: number): EntryBlock | undefined {
  return toBlock(store.rows("entryBlocks", [ns, account], { sql: AT_OR_BEFORE, parameters: [block] })[0]);
}

export function blockAtOrAfter(store: ProjectionStore, ns: string, account: string, block: number): EntryBlock | undefined {
  return toBlock(store.rows("entryBlocks", [ns, account], { sql: AT_OR_AFTER, parameters: [block] })[0]);
}

const AT_OR_BEFORE = `AND "block" <= ? ORDER BY "block" DESC LIMIT 1`;
const AT_OR_AFTER = `AND "block" >= ? ORDER BY "block" LIMIT 1`;

function toBlock(stored: ReturnType<typeof storedBlocks>[number] | undefined): EntryBlock | undefined {
  if (stored === undefined) return undefined;
  const [ns, account, block] = stored.key as [string, string, number];
  const { first = 0, last = 0, items, periods } = stored.row;
  return { ns, account, block, first, last, items, periods };
}

function storedBlocks(store: ProjectionStore, prefix: readonly SqlValue[]) {
  return store.rows("entryBlocks", prefix);
}

/** Draws that were waiting for entries of the accounts that this batch brings. Almost always there are none at all. */
function takeWaiting(store: ProjectionStore, deltas: Deltas): void {
  const { database } = store;
  if (database.prepare("SELECT 1 FROM waiting_draws LIMIT 1").get() === undefined) return;
  const forget = database.prepare("DELETE FROM waiting_draws WHERE ns = ? AND account = ?");
  const accounts = new Map(
    [...deltas.entryBlocks.rows.values()].map(({ key: [ns = "", account = ""] }) => [
      `${ns}\u0001${account}`,
      [ns, account] as const,
    ]),
  );
  for (const [ns, account] of accounts.values()) {
    for (const { key, row } of store.rows("waitingDraws", [ns, account])) {
      const waiting = deltas.waitingDraws.at(...(key as (string | number)[]));
      waiting.drawn = plus(waiting.drawn, row.drawn);
    }
    forget.run(ns, account);
  }
}
