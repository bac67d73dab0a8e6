/**
 * The folded state of a wallet: its units with their open lots, and the numbers that make messages exactly-once.
 * Bounded by the number of open grants: exhausted lots are dropped (`unit.ts`), entries are not kept at all.
 */
import type { Instant } from "@rerate/money";
import type { Deadline, Recorded } from "../decider.ts";
import type { CreditsGranted, EntriesApplied, WalletEvent } from "../wallet-events.ts";
import { addLot, applyLine, assertConserved, closeLot, newUnit, payDebt, type Lot, type Unit } from "./unit.ts";

export interface WalletState {
  readonly stream: string;
  readonly units: Map<string, Unit>;
  /** Last number applied of each account's stream. */
  readonly sources: Map<string, { readonly number: number; readonly revision: number }>;
  /** Of the last event: the time at which lots are looked at. Undefined before the first. */
  recordedAt: Instant | undefined;
}

/** A grant falls due to expire. */
export interface GrantExpires {
  readonly kind: "expire-grant";
  readonly grant: string;
  readonly dueAt: Instant;
}

/** A grant made ahead of its time becomes usable. */
export interface GrantTakesEffect {
  readonly kind: "grant-takes-effect";
  readonly grant: string;
  readonly dueAt: Instant;
}

export function initial(stream: string): WalletState {
  return { stream, units: new Map(), sources: new Map(), recordedAt: undefined };
}

/** Throws when an event breaks conservation, takes a lot below zero, or skips a number. */
export function evolve(state: WalletState, event: WalletEvent, recorded: Recorded): WalletState {
  state.recordedAt = recorded.recordedAt;
  switch (event.type) {
    case "CreditsGranted": {
      const unit = unitOf(state, event.data.unit);
      addLot(unit, lotOf(event.data, recorded), BigInt(event.data.paidAtoms));
      assertConserved(unit);
      return state;
    }
    case "GrantTookEffect": {
      const { unit, lot } = heldLot(state, event.data.grant);
      lot.ahead = false;
      payDebt(unit, lot, BigInt(event.data.paidAtoms));
      assertConserved(unit);
      return state;
    }
    case "GrantVoided":
    case "GrantExpired": {
      const held = findLot(state, event.data.grant);
      if (held === undefined && event.data.atoms !== "0")
        throw new Error(`${state.stream}: no grant ${event.data.grant} is open`);
      if (held !== undefined) {
        closeLot(held.unit, event.data.grant, BigInt(event.data.atoms));
        assertConserved(held.unit);
      }
      return state;
    }
    case "EntriesApplied":
      applyEntries(state, event.data, recorded);
      return state;
    case "CommandParked":
      return state;
  }
}

export function findLot(state: WalletState, id: string): { readonly unit: Unit; readonly lot: Lot } | undefined {
  for (const unit of state.units.values()) {
    const lot = unit.lots.find((each) => each.id === id);
    if (lot !== undefined) return { unit, lot };
  }
  return undefined;
}

/** Expiries of lots that still hold something, and grants whose time has yet to come. */
export function* deadlines(state: WalletState): Iterable<Deadline> {
  for (const { lots } of state.units.values()) {
    for (const { id, left, effectiveAt, expiresAt, ahead } of lots) {
      if (left === 0n) continue;
      if (ahead) {
        const message: GrantTakesEffect = { kind: "grant-takes-effect", grant: id, dueAt: effectiveAt };
        yield { key: `effect:${id}`, dueAt: effectiveAt, message };
      }
      if (expiresAt === undefined) continue;
      const message: GrantExpires = { kind: "expire-grant", grant: id, dueAt: expiresAt };
      yield { key: `expiry:${id}`, dueAt: expiresAt, message };
    }
  }
}

export function snapshot(state: WalletState): string {
  const form: SnapshotForm = {
    stream: state.stream,
    recordedAt: state.recordedAt ?? null,
    sources: [...state.sources],
    units: [...state.units.values()].map((unit) => ({
      ...unit,
      unpaid: unit.unpaid.toString(),
      entries: unit.entries.toString(),
      drawn: unit.drawn.toString(),
      granted: unit.granted.toString(),
      lost: unit.lost.toString(),
      lots: unit.lots.map((lot) => ({
        ...lot,
        size: lot.size.toString(),
        left: lot.left.toString(),
        expiresAt: lot.expiresAt ?? null,
      })),
    })),
  };
  return JSON.stringify(form);
}

export function revive(text: string): WalletState {
  const form = JSON.parse(text) as SnapshotForm;
  const units = form.units.map((unit): [string, Unit] => [
    unit.unit,
    {
      ...unit,
      unpaid: BigInt(unit.unpaid),
      entries: BigInt(unit.entries),
      drawn: BigInt(unit.drawn),
      granted: BigInt(unit.granted),
      lost: BigInt(unit.lost),
      lots: unit.lots.map((lot) => ({
        ...lot,
        size: BigInt(lot.size),
        left: BigInt(lot.left),
        expiresAt: lot.expiresAt ?? undefined,
      })),
    },
  ]);
  return { stream: form.stream, recordedAt: form.recordedAt ?? undefined, sources: new Map(form.sources), units: new Map(units) };
}

type Texts<Whole, Keys extends keyof Whole> = Omit<Whole, Keys> & Readonly<Record<Keys, string>>;
type LotForm = Omit<Texts<Lot, "size" | "left">, "expiresAt"> & { readonly expiresAt: Instant | null };
interface SnapshotForm {
  readonly stream: string;
  readonly recordedAt: Instant | null;
  readonly sources: readonly [string, { readonly number: number; readonly revision: number }][];
  readonly units: readonly (Omit<Texts<Unit, "unpaid" | "entries" | "drawn" | "granted" | "lost">, "lots"> & {
    readonly lots: readonly LotForm[];
  })[];
}

function applyEntries(state: WalletState, data: EntriesApplied, recorded: Recorded): void {
  const { stream, number, revision } = data.source;
  const last = state.sources.get(stream)?.number ?? 0;
  // One decision may take several events, which all name the message's last number.
  if (data.firstNumber !== last + 1 && number !== last)
    throw new Error(`${state.stream}: ${data.firstNumber} of ${stream} follows ${last}`);
  state.sources.set(stream, { number, revision });
  for (const line of data.lines) applyLine(unitOf(state, line.unit), line, recorded);
  for (const [name, unpaid] of Object.entries(data.unpaid)) {
    const unit = unitOf(state, name);
    if (unit.unpaid.toString() !== unpaid) throw new Error(`${state.stream}: ${unit.unpaid} ${name} are unpaid, not ${unpaid}`);
    assertConserved(unit);
  }
}

function unitOf(state: WalletState, name: string): Unit {
  let unit = state.units.get(name);
  if (unit === undefined) {
    unit = newUnit(name);
    state.units.set(name, unit);
  }
  return unit;
}

function heldLot(state: WalletState, id: string): { readonly unit: Unit; readonly lot: Lot } {
  const held = findLot(state, id);
  if (held === undefined) throw new Error(`${state.stream}: no grant ${id} is open`);
  return held;
}

function lotOf(data: CreditsGranted, recorded: Recorded): Lot {
  const size = BigInt(data.atoms);
  return {
    id: data.id,
    source: data.source,
    size,
    left: size,
    priority: data.priority,
    effectiveAt: data.effectiveAt,
    expiresAt: data.expiresAt,
    grantedAt: recorded.revision,
    lastDraw: 0,
    ahead: data.effectiveAt > recorded.recordedAt,
  };
}
