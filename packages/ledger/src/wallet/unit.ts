/**
 * One unit (a currency or a credit unit) of a wallet: its lots, what is unpaid, and how an entry is paid or given back.
 *
 * Owns the rules of drawing and returning. Knows no events and no numbers. Invariants: a lot stays between zero and its size,
 * what is unpaid never goes below zero, and every line's draws and unpaid change add up to its amount.
 */
import type { Instant } from "@rerate/money";
import type { AppliedEntry } from "../wallet-events.ts";

export interface Unit {
  readonly unit: string;
  unpaid: bigint;
  /** Sum of all entries applied; always `drawn` + `unpaid`. */
  entries: bigint;
  drawn: bigint;
  /** Sum of all grants, and of what grants lost to expiry and voiding; always: what is left = granted − lost − drawn. */
  granted: bigint;
  lost: bigint;
  /** Whether there ever was a lot. Until then everything is unpaid, and nothing needs looking up. */
  funded: boolean;
  /** Counts draws, to know which lot was drawn last. */
  draws: number;
  /** In draw order. Exhausted ones stay while they are among the last `EXHAUSTED_KEPT`, so that money can return to them. */
  readonly lots: Lot[];
}

export interface Lot {
  readonly id: string;
  readonly source: string;
  size: bigint;
  left: bigint;
  readonly priority: number;
  readonly effectiveAt: Instant;
  readonly expiresAt: Instant | undefined;
  /** Revision of the event that made it. */
  readonly grantedAt: number;
  /** The unit's draw count at its last draw; 0 when it was never drawn. */
  lastDraw: number;
  /** Granted ahead of its time, and its taking effect is not recorded yet. */
  ahead: boolean;
}

/** What an entry moves: signed atoms by lot (positive drawn, negative given back) and the change of what is unpaid. */
export interface Moves {
  readonly draws: ReadonlyMap<string, bigint>;
  readonly unpaid: bigint;
}

/** How a charged entry was paid, and how much of it has been taken back before. */
export interface Composition {
  readonly line: AppliedEntry;
  readonly reversed: bigint;
}

export function newUnit(unit: string): Unit {
  return { unit, unpaid: 0n, entries: 0n, drawn: 0n, granted: 0n, lost: 0n, funded: false, draws: 0, lots: [] };
}

export function copyUnit(unit: Unit): Unit {
  return { ...unit, lots: unit.lots.map((lot) => ({ ...lot })) };
}

/**
 * The lot that takes what is owed to the customer and has no lot to return to: bonuses, and refunds of what an expired grant had
 * paid. One per unit, without expiry, drawn like any other, so that a million bonuses are still one lot.
 */
export function creditLot(unit: string): string {
  return `${CREDIT}${unit}`;
}

export const CREDIT = "credit:";

export function isUsable(lot: Lot, now: Instant): boolean {
  return lot.effectiveAt <= now && !isExpired(lot, now);
}

export function isExpired(lot: Lot, now: Instant): boolean {
  return lot.expiresAt !== undefined && lot.expiresAt <= now;
}

/** Draws a positive amount from the usable lots in draw order; the rest is unpaid. */
export function pay(unit: Unit, atoms: bigint, now: Instant): Moves {
  const moves = new OpenMoves(unit);
  moves.unpaid = atoms - moves.drawUpTo(atoms, now);
  return moves;
}

/**
 * Gives back `atoms` > 0.
 *
 * First along the composition of the corrected entry, last part first: its unpaid part, then its draws. What a lot that has
 * expired, was voided or was forgotten had paid becomes credit, so nothing that the customer was owed is lost. What goes beyond the
 * composition reduces what is unpaid, then returns to the lots drawn last, then becomes credit. A bonus was never drawn
 * anywhere: it skips the lots. At the end usable lots pay what is still unpaid, as a new grant would.
 */
export function giveBack(unit: Unit, atoms: bigint, now: Instant, composition: Composition | undefined, isBonus: boolean): Moves {
  const moves = new OpenMoves(unit);
  let credit = 0n;
  let rest = atoms;
  for (const { lot: id, atoms: part } of isBonus ? [] : partsLeft(composition)) {
    if (rest === 0n) break;
    const wanted = least(part, rest);
    const lot = id === undefined ? undefined : unit.lots.find((each) => each.id === id);
    if (id !== undefined && (lot === undefined || isExpired(lot, now))) {
      credit += wanted;
      rest -= wanted;
    } else rest -= lot === undefined ? moves.reduceUnpaid(wanted) : moves.putBack(lot, wanted);
  }
  rest -= moves.reduceUnpaid(rest);
  if (!isBonus) {
    const drawn = unit.lots.filter((lot) => lot.lastDraw > 0 && !isExpired(lot, now)).sort((a, b) => b.lastDraw - a.lastDraw);
    for (const lot of drawn) rest -= moves.putBack(lot, rest);
  }
  credit += rest;
  credit -= moves.reduceUnpaid(credit);
  if (credit > 0n) moves.draw(creditLot(unit.unit), -credit);
  if (unit.unpaid + moves.unpaid > 0n) moves.unpaid -= moves.drawUpTo(unit.unpaid + moves.unpaid, now);
  return moves;
}

/** Applies a line to the unit: the same in a decision's copy and in the folded state. Throws when it breaks an invariant. */
export function applyLine(
  unit: Unit,
  line: AppliedEntry,
  place: { readonly revision: number; readonly recordedAt: Instant },
): void {
  const atoms = BigInt(line.atoms);
  const unpaid = BigInt(line.unpaid ?? "0");
  let drawn = 0n;
  for (const [id, text] of line.draws ?? []) {
    const change = BigInt(text);
    drawn += change;
    drawFrom(unit, lotFor(unit, id, place), change);
  }
  if (drawn + unpaid !== atoms) throw new Error(`entry ${line.entry}: ${drawn} drawn and ${unpaid} unpaid are not ${atoms}`);
  unit.entries += atoms;
  changeUnpaid(unit, unpaid);
  if (line.draws !== undefined) dropOldExhausted(unit);
}

/** Adds a granted lot, which pays `paid` of what is unpaid. */
export function addLot(unit: Unit, lot: Lot, paid: bigint): void {
  insertInDrawOrder(unit.lots, lot);
  unit.funded = true;
  unit.granted += lot.size;
  payDebt(unit, lot, paid);
}

/** A lot pays part of what was left unpaid. */
export function payDebt(unit: Unit, lot: Lot, paid: bigint): void {
  if (paid === 0n) return;
  drawFrom(unit, lot, paid);
  changeUnpaid(unit, -paid);
  dropOldExhausted(unit);
}

/** Closes a lot for good: what was left of it is lost. Throws unless that is `atoms`. */
export function closeLot(unit: Unit, id: string, atoms: bigint): void {
  const index = unit.lots.findIndex((lot) => lot.id === id);
  const left = unit.lots[index]?.left ?? 0n;
  if (left !== atoms) throw new Error(`${id} has ${left} left, not ${atoms}`);
  if (index >= 0) unit.lots.splice(index, 1);
  unit.lost += atoms;
}

/** Throws unless entries = draws + unpaid, and what is left = granted − lost − drawn. */
export function assertConserved(unit: Unit): void {
  const left = unit.lots.reduce((sum, lot) => sum + lot.left, 0n);
  if (unit.entries !== unit.drawn + unit.unpaid)
    throw new Error(`${unit.unit}: entries are not what was drawn and what is unpaid`);
  if (left !== unit.granted - unit.lost - unit.drawn)
    throw new Error(`${unit.unit}: lots do not hold what was granted and not drawn`);
}

export function least(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}

/** Moves while they are put together: what lots hold and what is unpaid is seen as if they were applied. */
class OpenMoves implements Moves {
  readonly draws = new Map<string, bigint>();
  unpaid = 0n;
  readonly #unit: Unit;

  constructor(unit: Unit) {
    this.#unit = unit;
  }

  draw(id: string, atoms: bigint): void {
    const sum = (this.draws.get(id) ?? 0n) + atoms;
    if (sum === 0n) this.draws.delete(id);
    else this.draws.set(id, sum);
  }

  drawUpTo(atoms: bigint, now: Instant): bigint {
    let rest = atoms;
    for (const lot of this.#unit.lots) {
      if (rest === 0n) break;
      if (!isUsable(lot, now)) continue;
      const taken = least(rest, this.#leftOf(lot));
      if (taken === 0n) continue;
      this.draw(lot.id, taken);
      rest -= taken;
    }
    return atoms - rest;
  }

  putBack(lot: Lot, atoms: bigint): bigint {
    const back = least(atoms, lot.size - this.#leftOf(lot));
    if (back > 0n) this.draw(lot.id, -back);
    return back;
  }

  reduceUnpaid(atoms: bigint): bigint {
    const reduced = least(atoms, this.#unit.unpaid + this.unpaid);
    this.unpaid -= reduced;
    return reduced;
  }

  #leftOf(lot: Lot): bigint {
    return lot.left - (this.draws.get(lot.id) ?? 0n);
  }
}

/** The parts of a composition that have not been taken back yet, last part first. The unpaid part has no lot. */
function partsLeft(composition: Composition | undefined): { readonly lot: string | undefined; readonly atoms: bigint }[] {
  if (composition === undefined) return [];
  const { line } = composition;
  const parts = (line.draws ?? []).map(([lot, text]) => ({ lot: lot as string | undefined, atoms: BigInt(text) }));
  parts.push({ lot: undefined, atoms: BigInt(line.unpaid ?? "0") });
  let skipped = composition.reversed;
  const left: { readonly lot: string | undefined; readonly atoms: bigint }[] = [];
  for (const part of parts.toReversed()) {
    if (part.atoms <= 0n) continue;
    const gone = least(skipped, part.atoms);
    skipped -= gone;
    if (part.atoms > gone) left.push({ lot: part.lot, atoms: part.atoms - gone });
  }
  return left;
}

function lotFor(unit: Unit, id: string, place: { readonly revision: number; readonly recordedAt: Instant }): Lot {
  const known = unit.lots.find((lot) => lot.id === id);
  if (known !== undefined) return known;
  if (id !== creditLot(unit.unit)) throw new Error(`there is no lot ${id} of ${unit.unit}`);
  const lot: Lot = {
    id,
    source: "adjustment",
    size: 0n,
    left: 0n,
    priority: DEFAULT_PRIORITY,
    effectiveAt: place.recordedAt,
    expiresAt: undefined,
    grantedAt: place.revision,
    lastDraw: 0,
    ahead: false,
  };
  insertInDrawOrder(unit.lots, lot);
  unit.funded = true;
  return lot;
}

function drawFrom(unit: Unit, lot: Lot, change: bigint): void {
  lot.left -= change;
  unit.drawn += change;
  if (change > 0n) {
    unit.draws += 1;
    lot.lastDraw = unit.draws;
  }
  if (lot.id === creditLot(unit.unit) && lot.left > lot.size) lot.size = lot.left;
  if (lot.left < 0n || lot.left > lot.size) throw new Error(`lot ${lot.id} would hold ${lot.left} of ${lot.size}`);
}

function changeUnpaid(unit: Unit, change: bigint): void {
  unit.unpaid += change;
  if (unit.unpaid < 0n) throw new Error(`${unit.unit}: ${unit.unpaid} would be unpaid`);
}

/** Lower priority first, then the sooner expiry, then the earlier grant, then the id. */
function insertInDrawOrder(lots: Lot[], lot: Lot): void {
  const index = lots.findIndex((other) => drawnBefore(lot, other));
  lots.splice(index < 0 ? lots.length : index, 0, lot);
}

function drawnBefore(a: Lot, b: Lot): boolean {
  if (a.priority !== b.priority) return a.priority < b.priority;
  if (a.expiresAt !== b.expiresAt) return b.expiresAt === undefined || (a.expiresAt !== undefined && a.expiresAt < b.expiresAt);
  return a.grantedAt === b.grantedAt ? a.id < b.id : a.grantedAt < b.grantedAt;
}

/** Keeps the state bounded: of the exhausted lots only those drawn last stay. */
function dropOldExhausted(unit: Unit): void {
  let exhausted = 0;
  let oldest = -1;
  for (const [index, lot] of unit.lots.entries()) {
    if (lot.left > 0n) continue;
    exhausted += 1;
    if (oldest < 0 || lot.lastDraw < (unit.lots[oldest]?.lastDraw ?? 0)) oldest = index;
  }
  if (exhausted > EXHAUSTED_KEPT) {
    unit.lots.splice(oldest, 1);
    dropOldExhausted(unit);
  }
}

export const DEFAULT_PRIORITY = 100;
const EXHAUSTED_KEPT = 64;
