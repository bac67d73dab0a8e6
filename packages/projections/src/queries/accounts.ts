/**
 * Accounts, their contract and rules, their balance and what their wallet holds.
 */
import type { Row } from "../account-scope.ts";
import { formatAmount } from "@rerate/money";
import { asAtoms, minus, plus, type Exact } from "../exact.ts";
import type { StoredRow } from "../store.ts";
import type { Assignment } from "../tables.ts";
import {
  amount,
  asOf,
  openedAccount,
  optionalText,
  readCursor,
  text,
  unitAmounts,
  writeCursor,
  type AccountId,
  type AsOf,
  type Paging,
  type Reader,
  type UnitAmounts,
} from "./reader.ts";

export interface AccountSummary {
  readonly account: string;
  readonly currency: string;
  readonly timeZone: string;
  readonly wallet: string;
  readonly planId?: string;
}

/** The accounts of a namespace by name. `now` says which assignment is in force. */
export function listAccounts(
  { store }: Reader,
  ns: string,
  { cursor, limit }: Paging,
  now: string,
): { accounts: AccountSummary[]; next?: string } {
  const [after = ""] = readCursor(cursor, 1) ?? [];
  const found = store.rows("accounts", [ns], {
    sql: `AND "account" > ? AND "openedAt" IS NOT NULL ORDER BY "account" LIMIT ?`,
    parameters: [after, limit + 1],
  });
  const accounts = found.slice(0, limit).map(({ key, row }) => summaryOf(String(key[1]), row, now));
  const last = accounts.at(-1);
  return { accounts, ...(found.length > limit && last !== undefined ? { next: writeCursor([last.account]) } : {}) };
}

export interface AccountDetail extends AccountSummary {
  readonly contract: { readonly openedAt: string; readonly assignments: Assignment[] };
  readonly rules: {
    readonly from: string;
    readonly planId: string;
    readonly plan: string;
    readonly priceLists: Record<string, string>;
    readonly outcomeDefinition?: string;
    readonly decider: number;
    readonly revision: number;
  }[];
  readonly standing?: { readonly standing: "good" | "low" | "exhausted"; readonly unit: string; readonly balance: string };
  readonly asOf: AsOf;
}

export function readAccount(reader: Reader, id: AccountId, now: string): AccountDetail | undefined {
  const row = openedAccount(reader, id);
  if (row === undefined) return undefined;
  const rules = reader.store.rows("rules", [id.ns, id.account]).map(({ key, row: rule }) => ({
    from: text(rule.from),
    planId: text(rule.planId),
    plan: text(rule.plan),
    priceLists: JSON.parse(text(rule.priceLists)) as Record<string, string>,
    ...optionalText("outcomeDefinition", rule.outcomeDefinition),
    decider: Number(rule.decider),
    revision: Number(key[2]),
  }));
  const standing = standingOf(reader, id.ns, row, now);
  return {
    ...summaryOf(id.account, row, now),
    contract: { openedAt: text(row.openedAt), assignments: row.assignments },
    rules,
    ...(standing === undefined ? {} : { standing }),
    asOf: asOf(row),
  };
}

export interface Grant {
  readonly id: string;
  readonly unit: string;
  readonly source: string;
  readonly granted: string;
  readonly remaining: string;
  readonly priority: number;
  readonly effectiveAt: string;
  readonly expiresAt?: string;
}

export interface Balance {
  readonly account: string;
  readonly currency: string;
  readonly wallet: string;
  readonly units: (UnitAmounts & { readonly unpaid: string; readonly grants: Grant[] })[];
  readonly asOf: AsOf;
}

/** What an account was charged, and what its paying wallet holds and owes (for all accounts that the wallet pays for). */
export function readBalance(reader: Reader, id: AccountId): Balance | undefined {
  const row = openedAccount(reader, id);
  if (row === undefined) return undefined;
  const wallet = text(row.wallet);
  const balances = new Map(
    reader.store.rows("balances", [id.ns, id.account]).map((balance) => [String(balance.key[2]), balance.row]),
  );
  const wallets = new Map(reader.store.rows("wallets", [id.ns, wallet]).map((unit) => [String(unit.key[2]), unit.row]));
  const stored = reader.store.rows("grants", [id.ns, wallet]);
  const currency = text(row.currency);
  const units = [...new Set([currency, ...balances.keys(), ...wallets.keys()])].toSorted();
  return {
    account: id.account,
    currency,
    wallet,
    units: units.map((unit) => ({
      ...unitAmounts(unit, balances.get(unit) ?? NOTHING),
      unpaid: amount(unpaidOf(wallets.get(unit), stored, unit)),
      grants: stored.filter(({ row: grant }) => grant.unit === unit).map(toGrant),
    })),
    asOf: asOf(row),
  };
}

const NOTHING = { charged: 0, corrected: 0, fees: 0, refunded: 0, bonus: 0 };

function summaryOf(account: string, row: Row<"accounts">, now: string): AccountSummary {
  const planId = planInForce(row.assignments, now);
  return {
    account,
    currency: text(row.currency),
    timeZone: text(row.timeZone),
    wallet: text(row.wallet),
    ...(planId === undefined ? {} : { planId }),
  };
}

/** A later assignment replaces what was planned for its start and after it. */
function planInForce(assignments: readonly Assignment[], now: string): string | undefined {
  let kept: Assignment[] = [];
  for (const assignment of assignments) kept = [...kept.filter(({ from }) => from < assignment.from), assignment];
  return kept.findLast(({ from }) => from <= now)?.planId;
}

function toGrant({ key, row }: StoredRow<"grants">): Grant {
  return {
    id: String(key[2]),
    unit: text(row.unit),
    source: text(row.source),
    granted: amount(row.granted),
    remaining: amount(remainingOf(row)),
    priority: Number(row.priority),
    effectiveAt: text(row.effectiveAt),
    ...optionalText("expiresAt", row.expiresAt),
  };
}

function remainingOf({ granted, drawn, paid, voided, expired }: Row<"grants">): Exact {
  return plus(granted, minus([drawn, paid, voided, expired].reduce(plus)));
}

/** What entries left unpaid, less what grants of the unit paid of it when they became usable. */
function unpaidOf(wallet: Row<"wallets"> | undefined, grants: readonly StoredRow<"grants">[], unit: string): Exact {
  const paid = grants.reduce<Exact>((sum, { row }) => (row.unit === unit ? plus(sum, row.paid) : sum), 0);
  return plus(wallet?.unpaid ?? 0, minus(paid));
}

/** How the wallet stands in the account's currency, or in its first unit with a grant: as wallet's own `standingOf` says it. */
function standingOf({ store }: Reader, ns: string, row: Row<"accounts">, now: string): AccountDetail["standing"] {
  const wallet = text(row.wallet);
  const stored = store.rows("grants", [ns, wallet]);
  const unit = stored.some((grant) => grant.row.unit === row.currency) ? text(row.currency) : text(stored[0]?.row.unit);
  if (unit === "") return undefined;
  let [left, size] = [0n, 0n];
  for (const { row: grant } of stored) {
    const usable = text(grant.effectiveAt) <= now && (grant.expiresAt === undefined || text(grant.expiresAt) > now);
    const remaining = asAtoms(remainingOf(grant));
    if (grant.unit !== unit || !usable || remaining <= 0n) continue;
    left += remaining;
    size += asAtoms(grant.granted);
  }
  const balance = left - asAtoms(unpaidOf(store.row("wallets", ns, wallet, unit), stored, unit));
  const standing = balance <= 0n ? "exhausted" : left * 10n < size ? "low" : "good";
  return { standing, unit, balance: formatAmount(balance) };
}
