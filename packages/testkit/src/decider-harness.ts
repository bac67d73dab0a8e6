/**
 * given / when / then for deciders: events that happened, a message, and exactly what it records.
 *
 * Owns a stream in memory with the look-ups that deciders ask for. Knows the deciders only by shape, so that every package's
 * tests can use it.
 */

interface EventLike {
  readonly type: string;
  readonly data: object;
}

interface RecordedLike<Time extends string> {
  readonly revision: number;
  readonly recordedAt: Time;
}

/** The parts of a decider that the harness calls; the ledger's `Decider` has them. */
export interface DeciderLike<State, Message, Event extends EventLike, Context, Decision, Time extends string> {
  readonly initial: (stream: string) => State;
  readonly evolve: (state: State, event: Event, recorded: RecordedLike<Time>) => State;
  readonly needs: (
    state: State,
    message: Message,
    context: Context,
  ) => { readonly keys: readonly string[]; readonly chains: readonly string[] };
  readonly decide: (
    state: State,
    message: Message,
    context: Context,
    history: { find(key: string): { readonly revision: number; readonly tag: string } | undefined; at(revision: number): Event },
    at: RecordedLike<Time>,
  ) => Decision;
  readonly keysOf: (event: Event) => readonly { readonly key: string; readonly tag: string }[];
  readonly linkOf: (event: Event) => number | undefined;
  readonly snapshot: (state: State) => string;
  readonly revive: (snapshot: string) => State;
}

export interface Harness<State, Message, Event, Decision, Time extends string> {
  /** The state after everything recorded so far. */
  readonly state: State;
  readonly events: readonly Event[];
  /** Records events as they are. */
  given(...events: readonly Event[]): void;
  /** Decides and records what was decided; returns the decision. */
  when(message: Message, recordedAt: Time): Decision;
  /** Goes on from a snapshot, as after a restart. */
  restart(): void;
}

/** A stream in memory under one decider. History answers only for keys and revisions that `needs` asked for, as in production. */
export function harness<
  State,
  Message,
  Event extends EventLike,
  Context,
  Decision extends { readonly kind: string; readonly events?: readonly Event[] },
  Time extends string,
>(
  decider: DeciderLike<State, Message, Event, Context, Decision, Time>,
  stream: string,
  context: Context,
  start: Time,
): Harness<State, Message, Event, Decision, Time> {
  let state = decider.initial(stream);
  const events: Event[] = [];
  const index = new Map<string, { revision: number; tag: string }>();
  let last = start;

  const record = (event: Event, recordedAt: Time): void => {
    const revision = events.length;
    // Through text and back, so that nothing survives which storage would lose.
    const stored = JSON.parse(JSON.stringify(event)) as Event;
    events.push(stored);
    state = decider.evolve(state, stored, { revision, recordedAt });
    for (const { key, tag } of decider.keysOf(stored)) index.set(key, { revision, tag });
  };

  return {
    get state() {
      return state;
    },
    events,
    given(...given) {
      for (const event of given) record(event, last);
    },
    when(message, at) {
      last = at > last ? at : last;
      const { keys, chains } = decider.needs(state, message, context);
      const asked = new Set([...keys, ...chains]);
      const loaded = new Set<number>();
      for (const key of chains) {
        for (let revision = index.get(key)?.revision; revision !== undefined && !loaded.has(revision);) {
          loaded.add(revision);
          const event = events[revision];
          revision = event === undefined ? undefined : decider.linkOf(event);
        }
      }
      const history = {
        find(key: string) {
          if (!asked.has(key)) throw new Error(`decide looked up "${key}" without asking for it`);
          return index.get(key);
        },
        at(revision: number) {
          const event = events[revision];
          if (event === undefined || !loaded.has(revision))
            throw new Error(`decide read revision ${revision} without asking for it`);
          return event;
        },
      };
      const decision = decider.decide(state, message, context, history, { revision: events.length, recordedAt: last });
      for (const event of decision.events ?? []) record(event, last);
      return decision;
    },
    restart() {
      state = decider.revive(decider.snapshot(state));
    },
  };
}
