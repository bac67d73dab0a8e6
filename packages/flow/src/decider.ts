/**
 * What a decider is, as the loop sees it: a message and the state of one stream go in, events come out.
 *
 * Owns no rule. The same shapes exist in `ledger`, which this package may not import: the type checker joins the two
 * structurally where a service hands a decider over. Methods are declared as methods (not as function properties), so that
 * a decider whose instants are branded texts fits here, where an instant is a plain text.
 */

/** An event as the domain sees it: its type and its JSON data. */
export interface DomainEvent {
  readonly type: string;
  readonly data: object;
}

/** Where an event stands in its stream. `recordedAt` is a canonical instant and never goes back within a stream. */
export interface Recorded {
  readonly revision: number;
  readonly recordedAt: string;
}

/** What a decision may read of its own stream beyond the folded state. */
export interface History<Event> {
  /** The last event recorded under the key. Only keys that `needs` named may be asked for. */
  find(key: string): KeyEntry | undefined;
  /** The event at a revision; only revisions that `needs` asked for (by key and its links) are at hand. */
  at(revision: number): Event;
}

export interface KeyEntry {
  readonly revision: number;
  readonly tag: string;
}

/** A key that an event can be found by later. A later event under the same key replaces the entry. */
export interface EventKey {
  readonly key: string;
  readonly tag: string;
}

/** What the log must be asked for before a message can be decided. */
export interface Needs {
  /** Keys whose entries are looked up. */
  readonly keys: readonly string[];
  /** Of these, the keys whose event is loaded, with all events it links to, transitively. */
  readonly chains: readonly string[];
}

export type Decision<Event> =
  | { readonly kind: "record"; readonly events: readonly Event[]; readonly answer: Answer }
  | { readonly kind: "skip"; readonly answer: Answer }
  | {
      readonly kind: "park";
      readonly reason: string;
      readonly detail: string;
      readonly events: readonly Event[];
      readonly answer: Answer;
    }
  | { readonly kind: "gap"; readonly sourceStream: string; readonly fromRevision: number }
  | { readonly kind: "wait"; readonly reason: string };

/** What the sender of a message is told. */
export interface Answer {
  readonly status: "recorded" | "duplicate" | "conflict" | "parked" | "ignored";
  readonly detail?: string;
  /** The stream's revision of the (first) recorded event; filled in by the loop. */
  readonly revision?: number;
}

/** One aggregate. `evolve` may change the state in place: a state given to a failed append is thrown away and folded again. */
export interface Decider<State, Message, Event extends DomainEvent, Context> {
  readonly name: string;
  initial(stream: string): State;
  evolve(state: State, event: Event, recorded: Recorded): State;
  needs(state: State, message: Message, context: Context): Needs;
  decide(state: State, message: Message, context: Context, history: History<Event>, at: Recorded): Decision<Event>;
  /** Two messages that came one right after the other, as one; undefined when they must stay apart. */
  merge?(earlier: Message, later: Message): Message | undefined;
  keysOf(event: Event): readonly EventKey[];
  /** The revision of an earlier event of the same stream that belongs to the same story. */
  linkOf(event: Event): number | undefined;
  /** Deadlines that are open in this state, in any order. */
  deadlines(state: State): Iterable<Deadline>;
  snapshot(state: State): string;
  revive(snapshot: string): State;
}

/** A due time in an event. It fires as a message of its own once the owner has read its inputs past `dueAt`. */
export interface Deadline {
  readonly key: string;
  readonly dueAt: string;
  readonly message: unknown;
}

/** How stored text becomes an event and back. `decode` may use `body`, which is the `data` of an event that `encode` was given. */
export interface EventCodec<Event> {
  encode(event: Event): { readonly type: string; readonly data: string };
  decode(stored: {
    readonly stream: string;
    readonly revision: number;
    readonly type: string;
    readonly data: string;
    readonly body?: unknown;
  }): Event;
}
