/**
 * Applies the entries of a message to a copy of the wallet's units, and finds how the entries they correct were paid.
 *
 * An entry's line is found through its bucket: 512 entry numbers of one account share a key, and the events of a bucket link
 * to each other. The line of a correction goes into the bucket of the entry that it corrects, so one chain tells how
 * an entry was paid and how much of it has been taken back. A wallet without any lot so far (pure postpaid)
 * writes no buckets: there everything is unpaid, and giving back reduces that, with nothing to look up.
 */
import type { History, Needs, Recorded } from "../decider.ts";
import type { LedgerEntriesMessage, WalletEntry } from "../messages.ts";
import type { AppliedEntry, EntriesApplied, WalletEvent } from "../wallet-events.ts";
import type { WalletState } from "./state.ts";
import { applyLine, copyUnit, giveBack, newUnit, pay, type Composition, type Moves, type Unit } from "./unit.ts";

export function bucketKey(account: string, bucket: number): string {
  return `e:${account}:${bucket}`;
}

export function bucketOf(entry: number): number {
  return Math.floor(entry / BUCKET_SIZE);
}

/** The buckets that applying the entries may write to, and those it reads compositions from. */
export function entriesNeeds(state: WalletState, { account, entries }: LedgerEntriesMessage): Needs {
  if (entries.every((entry) => isCharge(entry) && state.units.get(entry.unit)?.funded !== true)) return { keys: [], chains: [] };
  const keys = new Set<string>();
  const chains = new Set<string>();
  for (const entry of entries) {
    keys.add(bucketKey(account, bucketOf(entry.entry)));
    if (entry.corrects === undefined || isCharge(entry)) continue;
    const corrected = bucketKey(account, bucketOf(entry.corrects));
    keys.add(corrected);
    if (state.units.get(entry.unit)?.funded === true) chains.add(corrected);
  }
  return { keys: [...keys], chains: [...chains] };
}

/** The events that apply a message's entries, in entry order. `at` is the place of the first. */
export function applyMessage(
  state: WalletState,
  message: LedgerEntriesMessage,
  history: History<WalletEvent>,
  at: Recorded,
): WalletEvent[] {
  const units = new Map<string, Unit>();
  const paid = compositionsOf(message.account, history);
  const groups: Group[] = [];
  for (const entry of message.entries) {
    const unit = unitFor(state, units, entry.unit);
    const wasFunded = state.units.get(entry.unit)?.funded === true;
    const line = lineOf(entry, movesOf(unit, entry, at, paid, wasFunded));
    applyLine(unit, line, at);
    paid.add(line);
    const bucket = unit.funded ? bucketOf(line.corrects ?? line.entry) : undefined;
    addToGroup(groups, line, bucket, unit);
  }
  if (groups.length === 0) groups.push({ bucket: undefined, lines: [], unpaid: new Map() });
  return eventsOf(groups, message, history, at);
}

interface Group {
  bucket: number | undefined;
  readonly lines: AppliedEntry[];
  /** What is unpaid after the group's last line of each unit. */
  readonly unpaid: Map<string, bigint>;
}

function movesOf(unit: Unit, entry: WalletEntry, at: Recorded, paid: Compositions, wasFunded: boolean): Moves {
  const atoms = BigInt(entry.atoms);
  if (atoms >= 0n) return pay(unit, atoms, at.recordedAt);
  const composition = entry.corrects === undefined ? undefined : paid.of(entry.corrects, entry.unit, wasFunded);
  return giveBack(unit, -atoms, at.recordedAt, composition, entry.kind === "bonus");
}

function lineOf({ entry, unit, atoms, kind, corrects }: WalletEntry, { draws, unpaid }: Moves): AppliedEntry {
  const takesBack = atoms.startsWith("-") && kind !== "bonus";
  return {
    entry,
    unit,
    atoms,
    ...(corrects !== undefined && takesBack ? { corrects } : {}),
    ...(draws.size === 0 ? {} : { draws: [...draws].map(([lot, change]): [string, string] => [lot, change.toString()]) }),
    ...(unpaid === 0n ? {} : { unpaid: unpaid.toString() }),
  };
}

/** Consecutive lines of one bucket share an event; a line that needs no bucket goes with the line before it. */
function addToGroup(groups: Group[], line: AppliedEntry, bucket: number | undefined, unit: Unit): void {
  let group = groups.at(-1);
  if (group === undefined || (bucket !== undefined && group.bucket !== undefined && group.bucket !== bucket)) {
    group = { bucket, lines: [], unpaid: new Map() };
    groups.push(group);
  }
  group.bucket ??= bucket;
  group.lines.push(line);
  group.unpaid.set(unit.unit, unit.unpaid);
}

function eventsOf(
  groups: readonly Group[],
  message: LedgerEntriesMessage,
  history: History<WalletEvent>,
  at: Recorded,
): WalletEvent[] {
  const { account, sourceStream, sourceRevision, number, firstNumber = number } = message;
  const heads = new Map<number, number>();
  return groups.map(({ bucket, lines, unpaid }, index) => {
    const link = bucket === undefined ? undefined : (heads.get(bucket) ?? history.find(bucketKey(account, bucket))?.revision);
    if (bucket !== undefined) heads.set(bucket, at.revision + index);
    const data: EntriesApplied = {
      account,
      source: { stream: sourceStream, revision: sourceRevision, number },
      firstNumber,
      lines,
      unpaid: Object.fromEntries([...unpaid].map(([unit, atoms]) => [unit, atoms.toString()])),
      ...(bucket === undefined ? {} : { bucket }),
      ...(link === undefined ? {} : { link }),
    };
    return { type: "EntriesApplied", data };
  });
}

interface Compositions {
  /** How an entry was paid; undefined for one that was applied before the unit had any lot: it was wholly unpaid. */
  of(entry: number, unit: string, wasFunded: boolean): Composition | undefined;
  add(line: AppliedEntry): void;
}

function compositionsOf(account: string, history: History<WalletEvent>): Compositions {
  const lines = new Map<number, AppliedEntry>();
  const reversed = new Map<number, bigint>();
  const loaded = new Set<number>();
  const add = (line: AppliedEntry): void => {
    lines.set(line.entry, line);
    if (line.corrects !== undefined) reversed.set(line.corrects, (reversed.get(line.corrects) ?? 0n) - BigInt(line.atoms));
  };
  const load = (bucket: number): void => {
    if (loaded.has(bucket)) return;
    loaded.add(bucket);
    for (let revision = history.find(bucketKey(account, bucket))?.revision; revision !== undefined;) {
      const event = history.at(revision);
      if (event.type !== "EntriesApplied") throw new Error(`${event.type} is in no bucket`);
      for (const line of event.data.lines) add(line);
      revision = event.data.link;
    }
  };
  return {
    add,
    of(entry, unit, wasFunded) {
      if (wasFunded) load(bucketOf(entry));
      const line = lines.get(entry);
      return line === undefined || line.unit !== unit ? undefined : { line, reversed: reversed.get(entry) ?? 0n };
    },
  };
}

function unitFor(state: WalletState, copies: Map<string, Unit>, name: string): Unit {
  let unit = copies.get(name);
  if (unit === undefined) {
    const known = state.units.get(name);
    unit = known === undefined ? newUnit(name) : copyUnit(known);
    copies.set(name, unit);
  }
  return unit;
}

function isCharge({ atoms }: WalletEntry): boolean {
  return !atoms.startsWith("-");
}

const BUCKET_SIZE = 512;
