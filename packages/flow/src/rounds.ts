/**
 * Load, fold, decide, append: a round takes the messages of many streams and brings them into the log.
 *
 * The invariants: per stream one round at a time and one append in flight; nothing follows an append whose outcome is
 * unknown; a state that may be ahead of the log is dropped, never used again; parked bytes are kept before the round ends.
 */
import type { Append, AppendResult } from "@rerate/event-store";
import type { ParkedRecord } from "@rerate/message-bus";
import { allSettled } from "./all-settled.ts";
import { type Blocked, createStreamDecider, Outage } from "./decide-stream.ts";
import type { DomainEvent } from "./decider.ts";
import { BrokenStream, createStateLoader } from "./load-state.ts";
import { toMilliseconds } from "./milliseconds.ts";
import { createParking, QUARANTINED } from "./parking.ts";
import type { Quarantine } from "./quarantine.ts";
import type { StateCache } from "./state-cache.ts";
import { createStreamLocks } from "./stream-locks.ts";
import { nextAppend, undecide, type Work } from "./stream-work.ts";
import type { Limits, WorkerOptions } from "./worker-options.ts";

export interface Rounds<State, Message, Event extends DomainEvent> {
  /**
   * Does the works, again after conflicts. Resolves when every message is in the log, known as without effect, or parked;
   * works that wait for something keep `standing` "waiting". Rejects on an outage: then everything may come again.
   */
  run(works: readonly Work<State, Message, Event>[]): Promise<void>;
}

export interface RoundHooks<State, Message, Event extends DomainEvent> {
  /** The work's state is at hand, before anything is decided: messages may still be added. */
  readonly loaded: (work: Work<State, Message, Event>) => void;
  /** The round is over for this work and its state equals the log. */
  readonly finished: (work: Work<State, Message, Event>) => void;
  /** The state was dropped: what it said about deadlines may be wrong. */
  readonly dropped: (stream: string) => void;
}

export function createRounds<State, Message extends object, Event extends DomainEvent, Context>(
  options: WorkerOptions<State, Message, Event, Context>,
  limits: Limits,
  states: StateCache<State>,
  quarantine: Quarantine,
  hooks: RoundHooks<State, Message, Event>,
): Rounds<State, Message, Event> {
  type StreamWork = Work<State, Message, Event>;
  const { decider, codec, eventStore, bus, clock, metrics } = options;
  const { index, snapshots } = options.cache;
  const locks = createStreamLocks();
  const deciding = createStreamDecider({ decider, codec, index, mergeAtMost: limits.mergeAtMost });
  const loader = createStateLoader({ decider, codec, eventStore, index, snapshots, pageEvents: limits.pageEvents });
  const parking = createParking<Message>(options);
  // Counted here and reported per round: a call per message would cost more than the decision.
  let recorded = 0;
  let skipped = 0;
  /** Gaps that could not be filled, since when. */
  const gaps = new Map<string, number>();

  async function run(works: readonly StreamWork[]): Promise<void> {
    let open = works;
    for (let attempt = 0; open.length > 0; attempt++) {
      if (attempt > limits.conflictRetries) throw new Error(`${open[0]?.stream} changed under us ${attempt} times in a row`);
      if (attempt > 1) await pause(attempt);
      const lock = locks.take(open.map(({ stream }) => stream));
      try {
        if (lock.ready !== undefined) await lock.ready;
        await round(open);
      } catch (error) {
        for (const work of open) drop(work);
        metrics.count("outages", 1);
        throw error;
      } finally {
        lock.release();
      }
      open = open.filter((work) => work.standing === "open" && work.settled < work.queue.length);
    }
  }

  async function round(works: readonly StreamWork[]): Promise<void> {
    for (const work of works) {
      const problem = quarantine.problemOf(work.stream);
      if (problem !== undefined) breakWork(work, problem);
    }
    await loadStates(works);
    const context = options.context();
    const now = clock.now();
    const blocked: Promise<void>[] = [];
    for (const work of works) {
      const missing = deciding.advance(work, context, now);
      if (missing !== undefined) blocked.push(unblock(work, missing, context, now));
    }
    if (blocked.length > 0) await allSettled(blocked);
    await appendAll(works);
    await finish(works);
  }

  async function loadStates(works: readonly StreamWork[]): Promise<void> {
    let cold: StreamWork[] | undefined;
    for (const work of works) {
      if (work.standing !== "open") continue;
      const held = states.get(work.stream);
      if (held === undefined) (cold ??= []).push(work);
      else begin(work, held);
    }
    if (cold === undefined) return;
    for (let from = 0; from < cold.length; from += limits.loadsAtOnce) {
      await allSettled(cold.slice(from, from + limits.loadsAtOnce).map((work) => loadState(work)));
    }
  }

  async function loadState(work: StreamWork): Promise<void> {
    try {
      const held = await loader.load(work.stream);
      states.put(held);
      begin(work, held);
    } catch (error) {
      if (!(error instanceof BrokenStream)) throw error;
      breakWork(work, error.message);
    }
  }

  function begin(work: StreamWork, held: NonNullable<StreamWork["held"]>): void {
    work.held = held;
    work.base = held.revision;
    held.uses += 1;
    try {
      hooks.loaded(work);
    } catch (error) {
      breakWork(work, String(error));
    }
  }

  async function unblock(work: StreamWork, blocked: Blocked, context: Context, now: string): Promise<void> {
    for (let missing: Blocked | undefined = blocked; missing !== undefined;) {
      if (missing.kind === "stale") {
        metrics.count("conflicts", 1);
        drop(work);
        return;
      }
      if (missing.kind === "events") await fetchEvents(work, missing.revisions);
      else await fillGap(work, missing.sourceStream, missing.fromRevision);
      missing = deciding.advance(work, context, now);
    }
  }

  /** Reads neighbouring revisions together. */
  async function fetchEvents(work: StreamWork, revisions: ReadonlySet<number>): Promise<void> {
    const wanted = [...revisions].sort((a, b) => a - b);
    for (let i = 0; i < wanted.length;) {
      const from = wanted[i] ?? 0;
      let to = from;
      for (i++; i < wanted.length && (wanted[i] ?? 0) - to <= NEIGHBOURS && (wanted[i] ?? 0) - from < limits.pageEvents; i++)
        to = wanted[i] ?? 0;
      const page = await eventStore.readForward(work.stream, { from, maxCount: to - from + 1 });
      for (const stored of page) {
        if (!revisions.has(stored.revision)) continue;
        try {
          work.loaded.set(stored.revision, codec.decode(stored));
        } catch (error) {
          breakWork(work, `revision ${stored.revision} can't be decoded: ${String(error)}`);
        }
      }
    }
    const lost = wanted.find((revision) => !work.loaded.has(revision));
    if (lost !== undefined) breakWork(work, `the log has no revision ${lost}, which the index or an event names`);
  }

  /** Reads what the source published from there on and feeds it before the message that showed the gap. */
  async function fillGap(work: StreamWork, sourceStream: string, fromRevision: number): Promise<void> {
    const at = work.queue[work.next];
    const source = at?.input?.source;
    if (at?.input === undefined || source === undefined) {
      breakWork(work, `a gap in what ${sourceStream} publishes can't be filled: the message came from no log topic`);
      return;
    }
    const gap = `${sourceStream} from ${fromRevision}`;
    if (work.lastGap === gap) {
      breakWork(work, `the gap in what ${sourceStream} publishes stays open at revision ${fromRevision}`);
      return;
    }
    metrics.count("gaps", 1);
    const { input, key } = at;
    for (let from = fromRevision; ;) {
      const page = await eventStore.readForward(sourceStream, { from, maxCount: limits.pageEvents });
      const found = page.flatMap((event) => source.messagesOf(event)).filter((message) => message.key === key);
      const fed = found.flatMap(({ body }) => {
        const message = input.read(body);
        if (isRefusal(message)) return [];
        return [{ message, key, input, body, from: "gap", awaited: false, parkedAs: undefined, answered: undefined } as const];
      });
      if (fed.length > 0) {
        work.queue.splice(work.next, 0, ...fed);
        work.lastGap = gap;
        return;
      }
      if (page.length < limits.pageEvents) {
        unfilled(work, gap);
        return;
      }
      from += page.length;
    }
  }

  /**
   * What was published is in the log; a reader may be behind it for a moment. What does not appear there was never published by
   * this log: it is parked, so that nothing waits for it. Should it appear later, the sweep finds it there.
   */
  function unfilled(work: StreamWork, gap: string): void {
    const detail = `the source stream holds nothing that leads up to it: ${gap}`;
    const key = `${work.stream} ${gap}`;
    const nowMs = toMilliseconds(clock.now());
    const since = gaps.get(key) ?? nowMs;
    if (nowMs - since < limits.gapPatienceMs) {
      if (gaps.size >= MOST_GAPS) gaps.clear();
      gaps.set(key, since);
      wait(work, detail);
      return;
    }
    const answer = { status: "parked", detail } as const;
    const decision = { kind: "park", reason: NO_SOURCE, detail, events: [], answer } as const;
    work.next += 1;
    work.steps.push({ until: work.next, events: work.events.length, decision });
  }

  async function appendAll(works: readonly StreamWork[]): Promise<void> {
    let unknown: unknown;
    for (let wave = works; wave.length > 0;) {
      const sending: StreamWork[] = [];
      const appends: Append[] = [];
      for (const work of wave) {
        const append = nextAppend(work, limits);
        if (append === undefined) continue;
        sending.push(work);
        appends.push(append);
      }
      if (sending.length === 0) break;
      const results = await send(appends);
      wave = sending.filter((work, i) => {
        const result = results[i];
        const count = appends[i]?.events.length ?? 0;
        if (result?.kind === "committed") return committed(work, count);
        if (result?.kind === "unknown") unknown = result.cause ?? new Error("no cause given");
        else {
          metrics.count("conflicts", 1);
          // Whatever it stumbled over, it looked at a state that is not the stream's.
          work.standing = "open";
        }
        drop(work);
        return false;
      });
    }
    if (unknown !== undefined) throw new Outage("nobody knows whether an append was written", { cause: unknown });
  }

  /** Appends; sends again, unchanged, whatever has an unknown outcome. */
  async function send(appends: readonly Append[]): Promise<AppendResult[]> {
    const results = await eventStore.append(appends);
    for (let attempt = 1; attempt <= limits.unknownRetries; attempt++) {
      const unknown = [...results.keys()].filter((i) => results[i]?.kind === "unknown");
      if (unknown.length === 0) break;
      metrics.count("unknown_outcomes", unknown.length);
      await pause(attempt);
      const again = await eventStore.append(unknown.flatMap((i) => appends[i] ?? []));
      unknown.forEach((i, n) => {
        const result = again[n];
        if (result !== undefined) results[i] = result;
      });
    }
    return results;
  }

  /** Returns whether more of the work is to be appended. */
  function committed(work: StreamWork, count: number): boolean {
    const { held } = work;
    if (held === undefined) return false;
    let bytes = 0;
    for (let i = work.appended; i < work.appended + count; i++) {
      const event = work.events[i];
      if (event === undefined) continue;
      const revision = work.base + 1 + i;
      for (const { key, tag } of event.keys) index.add(held.streamId, key, revision, tag);
      bytes += event.bytes;
    }
    work.appended += count;
    held.committed = work.base + work.appended;
    held.eventsSinceCount += count;
    states.grow(held, bytes);
    recorded += count;
    settle(work);
    return work.appended < work.events.length;
  }

  /** Tells the senders of everything whose events are in the log. */
  function settle(work: StreamWork): void {
    for (; work.stepsSettled < work.steps.length; work.stepsSettled++) {
      const step = work.steps[work.stepsSettled];
      if (step === undefined || step.events > work.appended) return;
      const before = work.stepsSettled === 0 ? 0 : (work.steps[work.stepsSettled - 1]?.events ?? 0);
      const revision = work.base + 1 + before;
      for (; work.settled < step.until; work.settled++) {
        const intake = work.queue[work.settled];
        if (intake === undefined) continue;
        if (step.decision.kind === "park" && intake.input !== undefined) {
          const record = parking.recordOf(intake, step.decision.reason, step.decision.detail);
          intake.parkedAs = record.id;
          work.parked.push(record);
        } else if (intake.parkedAs !== undefined) work.mended.push(intake.parkedAs);
        if (options.answers === undefined && intake.answered === undefined) continue;
        const answer = step.events > before ? { ...step.decision.answer, revision } : step.decision.answer;
        intake.answered?.(answer);
        if (intake.from !== "submission") options.answers?.(intake.message, answer, intake.awaited);
      }
      if (step.decision.kind === "skip") skipped += 1;
      if (step.decision.kind === "park") metrics.count("parked", 1, { reason: step.decision.reason });
    }
  }

  async function finish(works: readonly StreamWork[]): Promise<void> {
    let records: ParkedRecord[] | undefined;
    for (const work of works) {
      if (work.held !== undefined) settle(work);
      // Only now: a decision that was taken back parks nothing. After a crash the message comes again, and parks again.
      (records ??= []).push(...work.parked.splice(0));
      for (const id of work.mended.splice(0)) await bus.parked.erase(id);
      if (work.held === undefined && work.standing !== "broken") continue;
      if (work.standing === "broken") {
        (records ??= []).push(...holdBack(work));
        drop(work);
      } else {
        if (work.standing === "waiting") metrics.count("waits", 1);
        release(work);
        hooks.finished(work);
      }
    }
    if (records !== undefined && records.length > 0) await bus.parked.put(records);
    if (recorded > 0) metrics.count("events", recorded);
    if (skipped > 0) metrics.count("duplicates", skipped);
    recorded = 0;
    skipped = 0;
  }

  /** The messages of a broken stream that are not done, as parked records. What came from a gap is read again when they are retried. */
  function holdBack(work: StreamWork): ParkedRecord[] {
    if (quarantine.problemOf(work.stream) === undefined) {
      quarantine.add({ stream: work.stream, problem: work.problem, since: clock.now() });
      metrics.count("quarantined", 1);
      options.log.error({ stream: work.stream, problem: work.problem }, "quarantined: an invariant of this stream is broken");
    }
    const records: ParkedRecord[] = [];
    for (; work.settled < work.queue.length; work.settled++) {
      const intake = work.queue[work.settled];
      if (intake === undefined) continue;
      const answer = { status: "parked", detail: QUARANTINED } as const;
      intake.answered?.(answer);
      if (intake.input === undefined || intake.from === "gap") continue;
      options.answers?.(intake.message, answer, intake.awaited);
      records.push(parking.recordOf(intake, QUARANTINED, work.problem));
    }
    return records;
  }

  function breakWork(work: StreamWork, problem: string): void {
    work.standing = "broken";
    work.problem = problem;
  }

  function wait(work: StreamWork, reason: string): void {
    work.standing = "waiting";
    work.problem = reason;
  }

  function release(work: StreamWork): void {
    if (work.held !== undefined) work.held.uses -= 1;
    work.held = undefined;
  }

  /** After this the stream is folded again from the log before anything else is decided about it. */
  function drop(work: StreamWork): void {
    if (work.held !== undefined) states.drop(work.stream);
    release(work);
    undecide(work);
    hooks.dropped(work.stream);
  }

  function pause(attempt: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    options.defer(resolve, Math.min(limits.pauseMs * 2 ** (attempt - 1), LONGEST_PAUSE_MS));
    return promise;
  }

  return { run };
}

/** Events this close are read in one go. */
const NEIGHBOURS = 16;
const LONGEST_PAUSE_MS = 5_000;
/** Why a message is parked whose source does not hold what it says. */
const NO_SOURCE = "no-source";
/** Remembered at most; forgetting one only makes it wait longer. */
const MOST_GAPS = 10_000;

export function isRefusal(read: object): read is { readonly park: string; readonly detail: string } {
  return "park" in read;
}
