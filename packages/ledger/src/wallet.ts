/**
 * The wallet decider: which grant pays which entry, what is unpaid, expiry, and whether the wallet may go on.
 *
 * Owns `wallet-…` streams. Sets no price: entries come decided from settlement, applied once each by their number. What wallets
 * share between entries goes by recorded order (law 4 of cumulative pricing), and a grant counts as effective or expired by the
 * time recorded with the event. How amounts move is in `wallet/unit.ts`, how events are cut in `wallet/apply.ts`.
 */
import { later } from "@rerate/money";
import type { Decider, Decision, EventKey, History, Needs, ParkReason, Recorded } from "./decider.ts";
import type { AccountStanding, GrantCredits, LedgerEntriesMessage, VoidGrant, WalletCommand } from "./messages.ts";
import { parseStreamName } from "./stream-name.ts";
import { tagOf } from "./settlement/keys.ts";
import { applyMessage, bucketKey, entriesNeeds } from "./wallet/apply.ts";
import {
  deadlines,
  evolve,
  findLot,
  initial,
  revive,
  snapshot,
  type GrantExpires,
  type GrantTakesEffect,
  type WalletState,
} from "./wallet/state.ts";
import { CREDIT, isExpired, isUsable, least } from "./wallet/unit.ts";
import type { CreditsGranted, WalletEvent } from "./wallet-events.ts";

export type { GrantExpires, GrantTakesEffect, WalletState } from "./wallet/state.ts";

export type WalletMessage = LedgerEntriesMessage | WalletCommand | GrantExpires | GrantTakesEffect;

export const wallet: Decider<WalletState, WalletMessage, WalletEvent, undefined> = {
  name: "wallet",
  initial,
  evolve,
  needs,
  decide,
  merge,
  keysOf,
  linkOf: (event) => (event.type === "EntriesApplied" ? event.data.link : undefined),
  deadlines,
  snapshot,
  revive,
};

export interface Standing {
  /**
   * `exhausted`: a prepaid unit whose usable grants are used up. `low`: less than a tenth of its open grants is left. A unit that never
   * had a grant is paid afterwards and always `good`.
   */
  readonly standing: "good" | "low" | "exhausted";
  /** What usable grants hold minus what is unpaid. */
  readonly balanceAtoms: bigint;
}

/** How a wallet stands in one unit, as of its last event. */
export function standingOf(state: WalletState, unit: string): Standing {
  const held = state.units.get(unit);
  if (held === undefined) return { standing: "good", balanceAtoms: 0n };
  const now = state.recordedAt;
  const open = held.lots.filter((lot) => lot.left > 0n && now !== undefined && isUsable(lot, now));
  const left = open.reduce((sum, lot) => sum + lot.left, 0n);
  const size = open.reduce((sum, lot) => sum + lot.size, 0n);
  const balanceAtoms = left - held.unpaid;
  if (!held.funded) return { standing: "good", balanceAtoms };
  if (balanceAtoms <= 0n) return { standing: "exhausted", balanceAtoms };
  return { standing: left * 10n < size ? "low" : "good", balanceAtoms };
}

/** What `account.standing` says after an event: one hint per unit, or only those named. `state` has folded the event at `place`. */
export function accountStandingMessages(
  state: WalletState,
  place: { readonly stream: string; readonly revision: number },
  units: Iterable<string> = state.units.keys(),
): AccountStanding[] {
  const { ns, name } = parseStreamName(place.stream);
  return [...units].map((unit) => {
    const { standing, balanceAtoms } = standingOf(state, unit);
    const { stream: sourceStream, revision: sourceRevision } = place;
    return { ns, wallet: name, standing, unit, balanceAtoms: balanceAtoms.toString(), sourceStream, sourceRevision };
  });
}

function needs(state: WalletState, message: WalletMessage): Needs {
  switch (message.kind) {
    case "ledger-entries":
      return isNext(state, message) ? entriesNeeds(state, message) : NOTHING;
    case "grant":
      return { keys: [commandKey(message.id), parkedCommandKey(message)], chains: [] };
    case "void-grant": {
      const grant = commandKey(message.grant);
      return { keys: [commandKey(message.id), parkedCommandKey(message), grant], chains: [grant] };
    }
    case "expire-grant":
    case "grant-takes-effect":
      return NOTHING;
  }
}

function decide(
  state: WalletState,
  message: WalletMessage,
  _context: undefined,
  history: History<WalletEvent>,
  at: Recorded,
): Decision<WalletEvent> {
  switch (message.kind) {
    case "ledger-entries":
      return applyEntries(state, message, history, at);
    case "grant":
    case "void-grant": {
      const known = history.find(commandKey(message.id));
      if (known !== undefined) {
        if (known.tag === tagOf(message.contentHash))
          return { kind: "skip", answer: { status: "duplicate", revision: known.revision } };
        return park(message, history, "conflict", `${message.id} was recorded with other content at revision ${known.revision}`);
      }
      return message.kind === "grant" ? grantCredits(state, message, history, at) : voidGrant(state, message, history);
    }
    case "expire-grant":
      return expireGrant(state, message, at);
    case "grant-takes-effect":
      return takeEffect(state, message, at);
  }
}

/** Numbers decide: lower ones were applied, and what is missing is read from the account's stream, also when a merged message overlaps. */
function applyEntries(
  state: WalletState,
  message: LedgerEntriesMessage,
  history: History<WalletEvent>,
  at: Recorded,
): Decision<WalletEvent> {
  const last = state.sources.get(message.sourceStream);
  if (message.number <= (last?.number ?? 0)) return { kind: "skip", answer: { status: "duplicate" } };
  if (!isNext(state, message)) {
    return { kind: "gap", sourceStream: message.sourceStream, fromRevision: last === undefined ? 0 : last.revision + 1 };
  }
  return { kind: "record", events: applyMessage(state, message, history, at), answer: RECORDED };
}

function grantCredits(
  state: WalletState,
  message: GrantCredits,
  history: History<WalletEvent>,
  at: Recorded,
): Decision<WalletEvent> {
  const problem = problemOf(message);
  if (problem !== undefined) return park(message, history, "invalid-command", problem);
  const { id, contentHash, unit, atoms, source, priority, effectiveAt, expiresAt } = message;
  const usable = effectiveAt <= at.recordedAt && (expiresAt === undefined || expiresAt > at.recordedAt);
  const paid = usable ? least(BigInt(atoms), state.units.get(unit)?.unpaid ?? 0n) : 0n;
  const data: CreditsGranted = {
    id,
    contentHash,
    unit,
    atoms: BigInt(atoms).toString(),
    source,
    priority,
    effectiveAt,
    ...(expiresAt === undefined ? {} : { expiresAt }),
    paidAtoms: paid.toString(),
  };
  return record({ type: "CreditsGranted", data });
}

/** Voids what is left of a grant; a known grant with nothing left is voided at zero. */
function voidGrant(state: WalletState, message: VoidGrant, history: History<WalletEvent>): Decision<WalletEvent> {
  const { id, grant, contentHash } = message;
  const granted = history.find(commandKey(grant));
  if (granted === undefined || history.at(granted.revision).type !== "CreditsGranted") {
    return park(message, history, "invalid-command", `there is no grant ${grant}`);
  }
  const left = findLot(state, grant)?.lot.left ?? 0n;
  return record({ type: "GrantVoided", data: { id, grant, contentHash, atoms: left.toString() } });
}

function expireGrant(state: WalletState, { grant, dueAt }: GrantExpires, at: Recorded): Decision<WalletEvent> {
  const lot = findLot(state, grant)?.lot;
  if (lot === undefined || lot.left === 0n || lot.expiresAt !== dueAt || !isExpired(lot, at.recordedAt)) return IGNORED;
  return record({ type: "GrantExpired", data: { grant, dueAt, atoms: lot.left.toString() } });
}

function takeEffect(state: WalletState, { grant, dueAt }: GrantTakesEffect, at: Recorded): Decision<WalletEvent> {
  const held = findLot(state, grant);
  if (held === undefined || !held.lot.ahead || held.lot.effectiveAt !== dueAt || at.recordedAt < dueAt) return IGNORED;
  const { lot, unit } = held;
  const paid = isUsable(lot, at.recordedAt) ? least(lot.left, unit.unpaid) : 0n;
  return record({ type: "GrantTookEffect", data: { grant, dueAt, paidAtoms: paid.toString() } });
}

/** Consecutive messages of one account towards this wallet, up to 500 entries, become one. */
function merge(earlier: WalletMessage, next: WalletMessage): WalletMessage | undefined {
  if (earlier.kind !== "ledger-entries" || next.kind !== "ledger-entries") return undefined;
  if (earlier.sourceStream !== next.sourceStream || earlier.wallet !== next.wallet || earlier.ns !== next.ns) return undefined;
  if (firstOf(next) !== earlier.number + 1 || earlier.entries.length + next.entries.length > MERGED_ENTRIES) return undefined;
  return {
    ...next,
    firstNumber: firstOf(earlier),
    occurredAt: later(earlier.occurredAt, next.occurredAt),
    entries: [...earlier.entries, ...next.entries],
  };
}

function firstOf(message: LedgerEntriesMessage): number {
  return message.firstNumber ?? message.number;
}

function isNext(state: WalletState, message: LedgerEntriesMessage): boolean {
  return firstOf(message) === (state.sources.get(message.sourceStream)?.number ?? 0) + 1;
}

/** What keeps a grant from being made; undefined when nothing does. */
function problemOf({ id, unit, atoms, priority, effectiveAt, expiresAt }: GrantCredits): string | undefined {
  if (id.startsWith(CREDIT)) return `the id ${id} is reserved for credit that the wallet makes itself`;
  if (unit === "") return "a grant needs a unit";
  if (!/^\d{1,30}$/.test(atoms) || BigInt(atoms) === 0n)
    return `a grant of ${atoms.slice(0, 40)} atoms is not a positive whole number`;
  if (!Number.isSafeInteger(priority)) return `priority ${priority} is not a whole number`;
  if (expiresAt !== undefined && expiresAt <= effectiveAt) return "a grant expires after it takes effect";
  return undefined;
}

/** Parks a command and notes it in the stream, once per content and reason. */
function park(message: WalletCommand, history: History<WalletEvent>, reason: ParkReason, detail: string): Decision<WalletEvent> {
  const { id, contentHash } = message;
  const noted = history.find(parkedCommandKey(message))?.tag === reason;
  const events: WalletEvent[] = noted ? [] : [{ type: "CommandParked", data: { id, contentHash, reason } }];
  return { kind: "park", reason, detail, events, answer: { status: reason === "conflict" ? "conflict" : "parked", detail } };
}

function record(event: WalletEvent): Decision<WalletEvent> {
  return { kind: "record", events: [event], answer: RECORDED };
}

function keysOf(event: WalletEvent): readonly EventKey[] {
  switch (event.type) {
    case "CreditsGranted":
    case "GrantVoided":
      return [{ key: commandKey(event.data.id), tag: tagOf(event.data.contentHash) }];
    case "EntriesApplied":
      return event.data.bucket === undefined ? [] : [{ key: bucketKey(event.data.account, event.data.bucket), tag: "" }];
    case "CommandParked":
      return [{ key: parkedCommandKey(event.data), tag: event.data.reason }];
    case "GrantExpired":
    case "GrantTookEffect":
      return [];
  }
}

function commandKey(id: string): string {
  return `c:${id}`;
}

function parkedCommandKey({ id, contentHash }: { readonly id: string; readonly contentHash: string }): string {
  return `p:${tagOf(contentHash)}:${id}`;
}

const NOTHING: Needs = { keys: [], chains: [] };
const RECORDED = { status: "recorded" } as const;
const IGNORED: Decision<WalletEvent> = { kind: "skip", answer: { status: "ignored" } };
const MERGED_ENTRIES = 500;
