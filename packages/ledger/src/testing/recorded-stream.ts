/**
 * One stream in memory with a decider on top: what `flow` does with a message, without I/O, for tests of the deciders.
 *
 * Stricter than it has to be: events and snapshots go through JSON, only keys that `needs` named can be looked up, only events
 * that it asked to load can be read, and a decision must come out the same twice and leave the state as it was.
 */
import { deepStrictEqual } from "node:assert/strict";
import type { Instant } from "@rerate/money";
import type { Deadline, Decider, Decision, DomainEvent, History, KeyEntry, Recorded } from "../decider.ts";

export interface RecordedStream<State, Message, Event> {
  readonly events: readonly Event[];
  readonly state: () => State;
  /** Decides the message and records what the decision says. `at` never goes back. */
  readonly deliver: (message: Message, at: Instant) => Decision<Event>;
  /** The deadlines that are due at a time, soonest first. */
  readonly due: (at: Instant) => readonly Deadline[];
  /** Fires what is due at a time until nothing is. */
  readonly fire: (at: Instant) => void;
  /** Puts the state through its snapshot, as a restart would. */
  readonly restart: () => void;
}

export function recordedStream<State, Message, Event extends DomainEvent, Context>(
  decider: Decider<State, Message, Event, Context>,
  stream: string,
  context: Context,
): RecordedStream<State, Message, Event> {
  const events: Event[] = [];
  const index = new Map<string, KeyEntry>();
  let state = decider.initial(stream);
  let now: Instant | undefined;

  function deliver(message: Message, at: Instant): Decision<Event> {
    now = now === undefined || at > now ? at : now;
    const place: Recorded = { revision: events.length, recordedAt: now };
    const before = decider.snapshot(state);
    const history = historyFor(message);
    const decision = decider.decide(state, message, context, history, place);
    deepStrictEqual(decider.decide(state, message, context, history, place), decision);
    deepStrictEqual(decider.snapshot(state), before);
    if (decision.kind === "record" || decision.kind === "park") for (const event of decision.events) record(event, now);
    return decision;
  }

  function record(decided: Event, recordedAt: Instant): void {
    const event = JSON.parse(JSON.stringify(decided)) as Event;
    deepStrictEqual(event, decided);
    const revision = events.length;
    events.push(event);
    state = decider.evolve(state, event, { revision, recordedAt });
    for (const { key, tag } of decider.keysOf(event)) index.set(key, { revision, tag });
  }

  function historyFor(message: Message): History<Event> {
    const { keys, chains } = decider.needs(state, message, context);
    const named = new Set([...keys, ...chains]);
    const loaded = new Set<number>();
    for (const chain of chains) {
      let revision = index.get(chain)?.revision;
      while (revision !== undefined) {
        loaded.add(revision);
        revision = decider.linkOf(eventAt(revision));
      }
    }
    return {
      find: (key) => {
        if (!named.has(key)) throw new Error(`needs did not name the key ${key}`);
        return index.get(key);
      },
      at: (revision) => {
        if (!loaded.has(revision)) throw new Error(`needs did not load revision ${revision}`);
        return eventAt(revision);
      },
    };
  }

  function eventAt(revision: number): Event {
    const event = events[revision];
    if (event === undefined) throw new Error(`there is no event ${revision}`);
    return event;
  }

  const due = (at: Instant): readonly Deadline[] =>
    [...decider.deadlines(state)].filter(({ dueAt }) => dueAt <= at).sort((a, b) => (a.dueAt < b.dueAt ? -1 : 1));

  return {
    events,
    state: () => state,
    deliver,
    due,
    fire: (at) => {
      for (let rounds = 0; rounds < 1000; rounds += 1) {
        const [next] = due(at);
        if (next === undefined) return;
        deliver(next.message as Message, at);
      }
      throw new Error("a deadline fires without end");
    },
    restart: () => {
      state = decider.revive(decider.snapshot(state));
    },
  };
}
