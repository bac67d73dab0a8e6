/**
 * The folded state of an outcome stream: what is open, and the numbers that make messages exactly-once.
 *
 * Stays small however long the stream is: a decided outcome leaves it, and its story is read back through its key
 * (`story.ts`). An undecided one stays only as long as its timeout is ahead.
 */
import type { Instant } from "@rerate/money";
import type { PublishedFrom } from "../account-events.ts";
import type { Deadline } from "../decider.ts";
import type { Identity } from "../messages.ts";
import type { OutcomeEvent, VerdictGiven } from "../outcome-events.ts";
import { identityKey } from "../settlement/keys.ts";

export interface OutcomeState {
  readonly stream: string;
  /** Outcomes whose timeout is ahead. */
  readonly open: Map<string, OpenOutcome>;
  /** Last number applied of each stream that publishes usage to this one. */
  readonly sources: Map<string, { readonly number: number; readonly revision: number }>;
  /** Imports that hold the timeouts. */
  readonly imports: Map<string, Identity & { readonly expiresAt: Instant }>;
  /** Last number published to `outcome.decided`. */
  published: number;
}

export interface OpenOutcome {
  readonly outcome: Identity;
  readonly dueAt: Instant;
}

/** A timeout fell due. */
export interface TimeoutDue {
  readonly kind: "timeout";
  readonly outcome: Identity;
  readonly dueAt: Instant;
}

/** A forgotten import fell due: it stops holding the timeouts. */
export interface ImportExpired {
  readonly kind: "expire-import";
  readonly source: string;
  readonly id: string;
}

export function initial(stream: string): OutcomeState {
  return { stream, open: new Map(), sources: new Map(), imports: new Map(), published: 0 };
}

/** Throws when a number that should run without gaps does not. */
export function evolve(state: OutcomeState, event: OutcomeEvent): OutcomeState {
  switch (event.type) {
    case "OutcomeOpened":
    case "RequestAdded":
      takeNumber(state, event.data.source);
      setOpen(state, event.data.outcome, event.data.dueAt);
      giveNumber(state, event.data.decided);
      return state;
    case "SignalRecorded":
      if (event.data.decided !== undefined) setOpen(state, event.data.outcome, undefined);
      giveNumber(state, event.data.decided);
      return state;
    case "TimeoutPassed":
      setOpen(state, event.data.outcome, undefined);
      giveNumber(state, event.data.decided);
      return state;
    case "ImportStarted":
      state.imports.set(identityKey(event.data), event.data);
      return state;
    case "ImportEnded":
      state.imports.delete(identityKey(event.data));
      return state;
    case "FactParked":
      return state;
  }
}

/** Timeouts that are ahead; while an import holds them, only the import's own expiry. */
export function* deadlines(state: OutcomeState): Iterable<Deadline> {
  if (state.imports.size > 0) {
    for (const [key, { source, id, expiresAt }] of state.imports) {
      const message: ImportExpired = { kind: "expire-import", source, id };
      yield { key: `import:${key}`, dueAt: expiresAt, message };
    }
    return;
  }
  for (const [key, { outcome, dueAt }] of state.open) {
    const message: TimeoutDue = { kind: "timeout", outcome, dueAt };
    yield { key: `timeout:${key}`, dueAt, message };
  }
}

export function snapshot(state: OutcomeState): string {
  const form: SnapshotForm = {
    stream: state.stream,
    open: [...state.open],
    sources: [...state.sources],
    imports: [...state.imports],
    published: state.published,
  };
  return JSON.stringify(form);
}

export function revive(text: string): OutcomeState {
  const form = JSON.parse(text) as SnapshotForm;
  return {
    stream: form.stream,
    open: new Map(form.open),
    sources: new Map(form.sources),
    imports: new Map(form.imports),
    published: form.published,
  };
}

interface SnapshotForm {
  readonly stream: string;
  readonly open: readonly [string, OpenOutcome][];
  readonly sources: readonly [string, { readonly number: number; readonly revision: number }][];
  readonly imports: readonly [string, Identity & { readonly expiresAt: Instant }][];
  readonly published: number;
}

function setOpen(state: OutcomeState, outcome: Identity, dueAt: Instant | undefined): void {
  if (dueAt === undefined) state.open.delete(identityKey(outcome));
  else state.open.set(identityKey(outcome), { outcome, dueAt });
}

function takeNumber(state: OutcomeState, { stream, number, revision }: PublishedFrom): void {
  const last = state.sources.get(stream)?.number ?? 0;
  if (number !== last + 1) throw new Error(`${state.stream}: usage ${number} of ${stream} follows ${last}`);
  state.sources.set(stream, { number, revision });
}

function giveNumber(state: OutcomeState, decided: VerdictGiven | undefined): void {
  if (decided === undefined) return;
  if (decided.number !== state.published + 1)
    throw new Error(`${state.stream}: verdict ${decided.number} follows ${state.published}`);
  state.published = decided.number;
}
