/**
 * Which account a row without one belongs to: a stated rule, so that anybody gets the same accounts from the same file.
 *
 * The SHA-256 of the row's id picks one of N accounts, account k with weight 1/k (Zipf): a few are large, most are small.
 */
import { hash } from "node:crypto";

export type AccountRule = (rowId: string) => string;

/** Names are `account-01` … `account-50`; the number of digits follows from N. At least 1, at most 10,000 accounts. */
export function zipfAccounts(count: number, prefix = "account"): AccountRule & { readonly names: readonly string[] } {
  if (!Number.isInteger(count) || count < 1 || count > 10_000)
    throw new RangeError(`${count} accounts: it takes from 1 to 10,000`);
  const digits = Math.max(2, String(count).length);
  const names = Array.from({ length: count }, (_, index) => `${prefix}-${String(index + 1).padStart(digits, "0")}`);
  const bounds: bigint[] = [];
  let total = 0n;
  for (let k = 1n; k <= BigInt(count); k++) {
    total += WEIGHT / k;
    bounds.push(total);
  }
  const rule: AccountRule = (rowId) => {
    const place = (BigInt(`0x${hash("sha256", rowId, "hex").slice(0, 16)}`) * total) >> 64n;
    const index = bounds.findIndex((bound) => place < bound);
    return names[index] ?? names[0] ?? prefix;
  };
  return Object.assign(rule, { names });
}

/** Every row belongs to the same account. */
export function oneAccount(name: string): AccountRule {
  return () => name;
}

/** Divisible enough: the weights of 10,000 accounts keep eight digits. */
const WEIGHT = 1_000_000_000_000n;
