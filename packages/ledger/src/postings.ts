/**
 * Double entry: what each event of account and wallet streams moves between named accounts of the books.
 *
 * A view of events that are recorded already: decides nothing. Debits are positive, credits negative, in atoms. Invariant: the
 * postings of one event sum to zero per unit. Who owes is the paying wallet, since that is where debts and grants meet.
 */
import type { AccountEvent, Entry } from "./account-events.ts";
import { entriesOf } from "./settlement-messages.ts";
import { parseStreamName, partitionKey } from "./stream-name.ts";
import type { WalletEvent } from "./wallet-events.ts";

/**
 * - `revenue:{item}` what customers are charged, fees, true-ups, caps and corrections; `refund:{item}` and `bonus:{item}` what quality gives back
 * - `receivable:{ns}.{wallet}` what a wallet owes: charged and not drawn from a grant
 * - `wallet-lot:{ns}.{wallet}:{grant}` credits that a customer still has; `funding:{source}` where they came from; `breakage` what expired
 * - `cost-of-goods` and `payable` what things cost us
 */
export type BookAccount = string;

export interface Posting {
  readonly account: BookAccount;
  readonly unit: string;
  /** Positive is a debit, negative a credit. Never zero. */
  readonly atoms: bigint;
}

/** What an account's event moves. Empty for events that move no money. */
export function accountPostings(event: AccountEvent, stream: string): readonly Posting[] {
  if (event.type === "CostRecorded") {
    const { corrected, atoms, unit } = event.data;
    return transfer("cost-of-goods", "payable", unit, BigInt(corrected?.atoms ?? atoms));
  }
  if (event.type === "CostCorrected")
    return transfer("cost-of-goods", "payable", event.data.unit, BigInt(event.data.changeAtoms));
  const booked = entriesOf(event);
  if (booked === undefined || booked.entries.length === 0) return NONE;
  const wallets = Object.keys(booked.wallets ?? {});
  const [wallet] = wallets;
  if (wallet === undefined || wallets.length > 1)
    throw new Error(`the entries of a ${event.type} name ${wallets.length} wallets`);
  const owes = receivableOf(parseStreamName(stream).ns, wallet);
  return booked.entries.flatMap((entry) => transfer(owes, bookedTo(entry), entry.unit, BigInt(entry.atoms)));
}

/** What a wallet's event moves. `unitOf` gives the unit of an earlier grant of this wallet. */
export function walletPostings(event: WalletEvent, stream: string, unitOf: (grant: string) => string): readonly Posting[] {
  const { ns, name } = parseStreamName(stream);
  const owes = receivableOf(ns, name);
  const lot = (grant: string): BookAccount => `wallet-lot:${partitionKey(ns, name)}:${grant}`;
  switch (event.type) {
    case "CreditsGranted": {
      const { id, unit, atoms, source, paidAtoms } = event.data;
      return [
        ...transfer(`funding:${source}`, lot(id), unit, BigInt(atoms)),
        ...transfer(lot(id), owes, unit, BigInt(paidAtoms)),
      ];
    }
    case "GrantVoided":
      return transfer(lot(event.data.grant), "funding:voided", unitOf(event.data.grant), BigInt(event.data.atoms));
    case "GrantExpired":
      return transfer(lot(event.data.grant), "breakage", unitOf(event.data.grant), BigInt(event.data.atoms));
    case "GrantTookEffect":
      return transfer(lot(event.data.grant), owes, unitOf(event.data.grant), BigInt(event.data.paidAtoms));
    case "CommandParked":
      return NONE;
    case "EntriesApplied":
      return event.data.lines.flatMap(({ unit, draws }) =>
        (draws ?? []).flatMap(([grant, atoms]) => transfer(lot(grant), owes, unit, BigInt(atoms))),
      );
  }
}

/** The account of what a wallet owes. */
export function receivableOf(ns: string, wallet: string): BookAccount {
  return `receivable:${partitionKey(ns, wallet)}`;
}

function bookedTo({ role, kind, item }: Entry): BookAccount {
  if (kind === "bonus") return `bonus:${item}`;
  return kind === "refund" && role === "quality" ? `refund:${item}` : `revenue:${item}`;
}

function transfer(debited: BookAccount, credited: BookAccount, unit: string, atoms: bigint): readonly Posting[] {
  if (atoms === 0n) return NONE;
  return [
    { account: debited, unit, atoms },
    { account: credited, unit, atoms: -atoms },
  ];
}

const NONE: readonly Posting[] = [];
