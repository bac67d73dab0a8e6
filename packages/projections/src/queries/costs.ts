/**
 * Costs of goods as facts: what was published, and what a correction made of it. Both stay visible.
 */
import { formatAmount } from "@rerate/money";
import {
  asOf,
  openedAccount,
  readCursor,
  text,
  writeCursor,
  type AccountId,
  type AsOf,
  type Paging,
  type Reader,
} from "./reader.ts";

export interface CostView {
  readonly source: string;
  readonly id: string;
  readonly occurredAt: string;
  readonly unit: string;
  readonly published: { readonly amount: string; readonly text: string };
  /** The correction that holds. */
  readonly corrected?: {
    readonly amount: string;
    readonly text: string;
    readonly revision: number;
    readonly source: string;
    readonly id: string;
  };
  /** What counts now: the corrected amount, or else the published one. */
  readonly amount: string;
  readonly about?: { readonly source: string; readonly id: string };
}

/** The costs of an account by (source, id). */
export function listCosts(
  reader: Reader,
  id: AccountId,
  { cursor, limit }: Paging,
): { costs: CostView[]; next?: string; asOf: AsOf } | undefined {
  const opened = openedAccount(reader, id);
  if (opened === undefined) return undefined;
  const [source = "", cost = ""] = readCursor(cursor, 2) ?? [];
  const found = reader.store.rows("costs", [id.ns, id.account], {
    sql: `AND ("source", "id") > (?, ?) ORDER BY "source", "id" LIMIT ?`,
    parameters: [source, cost, limit + 1],
  });
  const costs = found.slice(0, limit).map(({ key, row }): CostView => {
    const published = { amount: formatAmount(BigInt(text(row.atoms))), text: text(row.text) };
    const corrected =
      row.correctedAtoms === undefined
        ? undefined
        : {
            amount: formatAmount(BigInt(text(row.correctedAtoms))),
            text: text(row.correctedText),
            revision: Number(row.revision),
            source: text(row.correctedBySource),
            id: text(row.correctedById),
          };
    return {
      source: String(key[2]),
      id: String(key[3]),
      occurredAt: text(row.occurredAt),
      unit: text(row.unit),
      published,
      ...(corrected === undefined ? {} : { corrected }),
      amount: (corrected ?? published).amount,
      ...(row.aboutId === undefined ? {} : { about: { source: text(row.aboutSource), id: text(row.aboutId) } }),
    };
  });
  const last = costs.at(-1);
  return {
    costs,
    ...(found.length > limit && last !== undefined ? { next: writeCursor([last.source, last.id]) } : {}),
    asOf: asOf(opened),
  };
}
