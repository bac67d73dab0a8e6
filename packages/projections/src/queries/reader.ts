/**
 * What every query is given, and the small steps that queries share: amounts as text, the account that is asked about.
 *
 * A query answers undefined for an account that is unknown in the namespace; nothing tells a foreign account from it.
 */
import { formatAmount } from "@rerate/money";
import type { Database } from "@rerate/sqlite";
import type { Row } from "../account-scope.ts";
import { asAtoms, exact, minus, plus, type Exact } from "../exact.ts";
import type { LedgerLog } from "../ledger-log.ts";
import type { ProjectionStore } from "../store.ts";

export interface Reader extends LedgerLog {
  readonly store: ProjectionStore;
  /** Where audits keep what they build, where `store` can only be read here. Default: beside the read models. */
  readonly audits?: Database;
}

/** An account of a namespace. */
export interface AccountId {
  readonly ns: string;
  readonly account: string;
}

export interface AsOf {
  recordedAt?: string;
  revision?: number;
}

/** The account's row, once a contract has opened it. */
export function openedAccount({ store }: Reader, { ns, account }: AccountId): Row<"accounts"> | undefined {
  const row = store.row("accounts", ns, account);
  return row?.openedAt === undefined ? undefined : row;
}

export function asOf(row: Row<"accounts">): AsOf {
  return {
    ...(row.recordedAt === undefined ? {} : { recordedAt: row.recordedAt }),
    ...(row.revision === undefined ? {} : { revision: row.revision }),
  };
}

/** Atoms as a decimal amount. */
export function amount(atoms: Exact): string {
  return formatAmount(asAtoms(atoms));
}

export interface UnitAmounts {
  readonly unit: string;
  readonly charged: string;
  readonly refunded: string;
  readonly bonus: string;
  readonly net: string;
}

type Money = Pick<Row<"balances">, "charged" | "corrected" | "fees" | "refunded" | "bonus">;

/** Fees and corrections count as charged; refunds and bonuses are shown without their sign. */
export function unitAmounts(unit: string, row: Money): UnitAmounts {
  const charged = plus(plus(row.charged, row.corrected), row.fees);
  return {
    unit,
    charged: amount(charged),
    refunded: amount(minus(row.refunded)),
    bonus: amount(minus(row.bonus)),
    net: amount(plus(plus(charged, row.refunded), row.bonus)),
  };
}

/** Sums of atoms by name, as amounts. */
export function amounts(sums: ReadonlyMap<string, Exact>): Record<string, string> {
  return Object.fromEntries([...sums].map(([name, atoms]) => [name, amount(atoms)]));
}

/** A column that holds a text. */
export function text(value: string | number | undefined): string {
  return value === undefined ? "" : String(value);
}

export function optionalText<Name extends string>(name: Name, value: string | number | undefined): { [N in Name]?: string } {
  return (value === undefined ? {} : { [name]: String(value) }) as { [N in Name]?: string };
}

/** A page of a list, and the cursor of the next one. */
export interface Paging {
  readonly cursor?: string | undefined;
  readonly limit: number;
}

/** A cursor is a JSON list of what the next page starts after, in base64url: opaque to callers. */
export function writeCursor(after: readonly (string | number)[]): string {
  return Buffer.from(JSON.stringify(after), "utf8").toString("base64url");
}

/** A cursor that no list gave out. */
export class CursorError extends RangeError {
  constructor() {
    super("this is no cursor of this list");
    this.name = "CursorError";
  }
}

/** Throws a CursorError for a text that `writeCursor` did not make. */
export function readCursor(cursor: string | undefined, length: number): readonly (string | number)[] | undefined {
  if (cursor === undefined) return undefined;
  const parsed = parseJson(Buffer.from(cursor, "base64url").toString("utf8"));
  if (
    !Array.isArray(parsed) ||
    parsed.length !== length ||
    !parsed.every((part) => typeof part === "string" || typeof part === "number")
  ) {
    throw new CursorError();
  }
  return parsed;
}

function parseJson(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

/** A sum that a column holds as text. */
export function exactColumn(value: string | number | undefined): Exact {
  return value === undefined ? 0 : exact(String(value));
}
