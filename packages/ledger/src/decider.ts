/**
 * What a decider is: a message and the state of one stream go in, events come out. Nothing else goes in.
 *
 * Every service, the simulation and every replay call the same deciders. A decider does no I/O, knows no clock and no
 * randomness, and never throws for a business "no": that is a value. It throws only for a broken invariant.
 */
import type { Instant } from "@rerate/money";

/** An event as the domain sees it: its type and its JSON data (strings, safe integers, booleans, null, arrays, objects). */
export interface DomainEvent {
  readonly type: string;
  readonly data: object;
}

/** Where an event stands in its stream. `recordedAt` never goes back within a stream. */
export interface Recorded {
  readonly revision: number;
  readonly recordedAt: Instant;
}

/**
 * What a decision may read of its own stream beyond the folded state. Keys are those that `keysOf` gave when the events
 * were recorded; the caller's index answers for every event of the stream, however old.
 */
export interface History<Event> {
  /** The last event recorded under the key, with the tag it was recorded with. */
  find(key: string): KeyEntry | undefined;
  /** The event at a revision; only revisions that `needs` asked for (by key and its links) are at hand. */
  at(revision: number): Event;
}

export interface KeyEntry {
  readonly revision: number;
  readonly tag: string;
}

/** A key that an event can be found by later. Keys are unique per stream; a later event under the same key replaces the entry. */
export interface EventKey {
  readonly key: string;
  /** Short text kept in the index, so that the usual look-up (is this a duplicate?) needs no read of the log. */
  readonly tag: string;
}

/** What the log must be asked for before a message can be decided. */
export interface Needs {
  /** Keys whose entries are looked up. */
  readonly keys: readonly string[];
  /** Of these, the keys whose event is loaded, with all events it links to (`linkOf`), transitively. */
  readonly chains: readonly string[];
}

export type Decision<Event> =
  | { readonly kind: "record"; readonly events: readonly Event[]; readonly answer: Answer }
  /** Nothing to record: a duplicate, a stale number, a signal without effect. */
  | { readonly kind: "skip"; readonly answer: Answer }
  /** The message can't be recorded as it is. It is parked with its bytes; `events` note it in the stream (may be empty). */
  | {
      readonly kind: "park";
      readonly reason: ParkReason;
      readonly detail: string;
      readonly events: readonly Event[];
      readonly answer: Answer;
    }
  /** Numbers are missing between the last applied message and this one: the caller reads the source stream from there and feeds them first. */
  | { readonly kind: "gap"; readonly sourceStream: string; readonly fromRevision: number }
  /** Something outside the stream (the catalogue) is not far enough yet: try again later, keep the order. */
  | { readonly kind: "wait"; readonly reason: string };

/** What the sender of a message is told when it asked to wait for the owner's answer. */
export interface Answer {
  readonly status: "recorded" | "duplicate" | "conflict" | "parked" | "ignored";
  readonly detail?: string;
  /** The stream's revision of the (first) recorded event; filled in by the caller. */
  readonly revision?: number;
}

export type ParkReason =
  | "unknown-account"
  | "conflict"
  | "revision-conflict"
  | "no-rules"
  | "missing-price"
  | "missing-quantity"
  | "bad-quantity"
  | "missing-dimension"
  | "unknown-model"
  | "parts-exceed-total"
  | "no-charge-item"
  | "late-limit"
  | "future"
  | "unknown-document"
  | "corrects-other-account-fields"
  | "unknown-wallet"
  | "malformed"
  | "invalid-command";

/**
 * One aggregate. `State` is owned by the caller and evolves in place: `evolve` may change and return the same object,
 * so a state that was given to a failed append is thrown away and folded again.
 */
export interface Decider<State, Message, Event extends DomainEvent, Context> {
  readonly name: string;
  /** The state of a stream without events. */
  readonly initial: (stream: string) => State;
  readonly evolve: (state: State, event: Event, recorded: Recorded) => State;
  readonly needs: (state: State, message: Message, context: Context) => Needs;
  readonly decide: (state: State, message: Message, context: Context, history: History<Event>, at: Recorded) => Decision<Event>;
  /**
   * Two messages for the same stream that came one right after the other, as one; undefined when they must stay apart.
   * Deciding the merged message books exactly what deciding both would.
   */
  readonly merge?: (earlier: Message, later: Message) => Message | undefined;
  readonly keysOf: (event: Event) => readonly EventKey[];
  /** The revision of an earlier event of the same stream that belongs to the same story (the same outcome, the same fact). */
  readonly linkOf: (event: Event) => number | undefined;
  /** Deadlines that are open in this state, soonest first not required. */
  readonly deadlines: (state: State) => Iterable<Deadline>;
  /** JSON text of the whole state and back, for snapshots. `revive(snapshot(s))` folds on exactly as `s` does. */
  readonly snapshot: (state: State) => string;
  readonly revive: (snapshot: string) => State;
}

/** A due time in an event. It fires as a message of its own (`message`) once the owner has read its inputs past `dueAt`. */
export interface Deadline {
  readonly key: string;
  readonly dueAt: Instant;
  readonly message: unknown;
}

export const SKIP_NEEDS: Needs = { keys: [], chains: [] };
