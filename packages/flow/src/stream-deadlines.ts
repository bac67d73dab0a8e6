/**
 * The deadlines of the streams of one worker: when each stream's soonest is due, and deciding those that are.
 *
 * Owns the counting; `firing.ts` says when something may fire, `deadlines.ts` keeps the times. The invariant: a stream whose
 * time may be too late is stored as unknown until it has been counted again; one that another worker looks after is held.
 */
import type { DomainEvent } from "./decider.ts";
import { createDeadlines, type Deadlines, HELD, type StreamDeadline, UNKNOWN } from "./deadlines.ts";
import type { Quarantine } from "./quarantine.ts";
import type { Held, StateCache } from "./state-cache.ts";
import { newWork, type Work } from "./stream-work.ts";
import type { Limits, WorkerOptions } from "./worker-options.ts";

export interface StreamDeadlines<State, Message, Event extends DomainEvent> {
  /** Opens what the cache file holds. */
  open(): Deadlines;
  readonly size: number;
  /** The deadlines of a stream that are due, as messages of the work that fires them. */
  addDue(work: Work<State, Message, Event>): void;
  /** The round is over for this work: its deadlines are counted, now or a little later. */
  afterWork(work: Work<State, Message, Event>, held: Held<State>): void;
  /** The state was dropped, or the stream may be decided again: what was known of its deadlines may be wrong. */
  forget(stream: string): void;
  /** Decides what is due before a time in these streams, if they are of these partitions. Returns those that have to wait. */
  fire(streams: readonly string[], before: string, partitions: ReadonlySet<number>): Promise<readonly StreamDeadline[]>;
  /** Streams that were left to others are looked at again: who looks after them has changed. */
  reconsider(): void;
}

export interface StreamDeadlinesHost<State, Message, Event extends DomainEvent> {
  readonly run: (works: readonly Work<State, Message, Event>[]) => Promise<void>;
  /** Whether a worker with these partitions looks after a stream. */
  readonly owns: (stream: string, partitions: ReadonlySet<number>) => boolean;
  /** The partitions of whose streams everything is known now. */
  readonly ready: () => Iterable<number>;
  /** Something may be due. */
  readonly look: () => void;
}

/** Streams with at most so many open deadlines are looked through after every round. */
const FEW_DEADLINES = 64;

export function createStreamDeadlines<State, Message extends object, Event extends DomainEvent, Context>(
  options: WorkerOptions<State, Message, Event, Context>,
  limits: Limits,
  states: StateCache<State>,
  quarantine: Quarantine,
  host: StreamDeadlinesHost<State, Message, Event>,
): StreamDeadlines<State, Message, Event> {
  type StreamWork = Work<State, Message, Event>;
  const { decider, metrics } = options;
  let deadlines: Deadlines = createDeadlines(options.cache.deadlines);
  /** Due deadlines that had to wait in the present firing. */
  let postponed: StreamDeadline[] = [];
  /** Streams with deadlines that other workers look after. */
  const foreign = new Set<string>();
  let countIsDue = false;

  /** When the soonest open deadline of a state is due. */
  function count(held: Held<State>): string | undefined {
    let soonest: string | undefined;
    held.deadlines = 0;
    held.eventsSinceCount = 0;
    for (const { dueAt } of decider.deadlines(held.state)) {
      held.deadlines += 1;
      if (soonest === undefined || dueAt < soonest) soonest = dueAt;
    }
    return soonest;
  }

  function countSoon(stream: string): void {
    deadlines.loosen(stream);
    if (countIsDue) return;
    countIsDue = true;
    options.defer(() => {
      countIsDue = false;
      for (const loose of deadlines.takeLoose()) {
        const held = states.peek(loose);
        if (held === undefined) deadlines.set(loose, UNKNOWN);
        else if (held.uses > 0) countSoon(loose);
        else deadlines.set(loose, count(held));
      }
      host.look();
    }, limits.markEveryMs);
  }

  function afterFiring(work: StreamWork, before: string, soonest: string | undefined): void {
    if (work.standing === "waiting" && soonest !== undefined) postponed.push({ stream: work.stream, dueAt: soonest });
    else if (work.queue.length > 0 && work.events.length === 0 && soonest !== undefined && soonest < before) {
      const problem = `a deadline that was due at ${soonest} was decided and stays open`;
      quarantine.add({ stream: work.stream, problem, since: options.clock.now() });
      metrics.count("quarantined", 1);
      options.log.error({ stream: work.stream, problem }, "quarantined: an invariant of this stream is broken");
      deadlines.set(work.stream, HELD);
    } else deadlines.set(work.stream, soonest);
  }

  return {
    open() {
      deadlines = createDeadlines(options.cache.deadlines);
      return deadlines;
    },
    get size() {
      return deadlines.size;
    },
    addDue(work) {
      const { fireBefore } = work;
      if (fireBefore === undefined || work.held === undefined) return;
      work.queue.length = work.settled;
      const due = [...decider.deadlines(work.held.state)].filter(({ dueAt }) => dueAt < fireBefore);
      due.sort((a, b) => (a.dueAt < b.dueAt || (a.dueAt === b.dueAt && a.key < b.key) ? -1 : 1));
      for (const { message } of due.slice(0, limits.deadlinesPerStream)) {
        work.queue.push({
          message: message as Message,
          key: "",
          input: undefined,
          body: undefined,
          from: "deadline",
          awaited: false,
          parkedAs: undefined,
          answered: undefined,
        });
      }
    },
    afterWork(work, held) {
      if (work.fireBefore !== undefined) afterFiring(work, work.fireBefore, count(held));
      else if (held.eventsSinceCount === 0) return;
      // Counting goes over all open deadlines: streams with many are counted when enough has happened, or a little later.
      else if (held.deadlines <= FEW_DEADLINES || held.eventsSinceCount * 8 >= held.deadlines)
        deadlines.set(work.stream, count(held));
      else countSoon(work.stream);
    },
    forget: (stream) => deadlines.set(stream, quarantine.problemOf(stream) === undefined ? UNKNOWN : HELD),
    async fire(streams, before, partitions) {
      const works: StreamWork[] = [];
      postponed = [];
      for (const stream of streams) {
        if (host.owns(stream, partitions)) works.push(newWork(stream, before));
        else if (host.owns(stream, new Set(host.ready()))) postponed.push({ stream, dueAt: UNKNOWN });
        else {
          foreign.add(stream);
          deadlines.set(stream, HELD);
        }
      }
      if (works.length > 0) await host.run(works);
      const fired = works.reduce((sum, { settled }) => sum + settled, 0);
      if (fired > 0) metrics.count("deadlines_fired", fired);
      return postponed;
    },
    reconsider() {
      for (const stream of foreign) deadlines.set(stream, UNKNOWN);
      foreign.clear();
    },
  };
}
