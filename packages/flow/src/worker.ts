/**
 * The loop that every service runs: messages in, decided events in the log, exactly once.
 *
 * Owns the wiring: the intake of chunks, direct submissions, retries of parked messages, due deadlines and the upkeep of the
 * caches all go through the same rounds (`rounds.ts`). The invariant: a chunk's promise resolves, and so its offset moves,
 * only after every message of it is in the log, known as without effect, or parked with its bytes.
 */
import type { Chunk, Consumer, ParkedRecord } from "@rerate/message-bus";
import type { Answer, DomainEvent } from "./decider.ts";
import { createDeadlines, type Deadlines, HELD, type StreamDeadline, UNKNOWN } from "./deadlines.ts";
import { createFiring, type Firing } from "./firing.ts";
import { createIndexUpkeep, forgetForeignCaches, type IndexUpkeep } from "./index-upkeep.ts";
import { createParking, QUARANTINED, type Unread } from "./parking.ts";
import { createQuarantine, type Quarantined } from "./quarantine.ts";
import { createRounds, isRefusal, type Rounds } from "./rounds.ts";
import type { Snapshot } from "./snapshots.ts";
import { createStateCache, type Held } from "./state-cache.ts";
import { type Intake, newWork, type Work } from "./stream-work.ts";
import { DEFAULT_LIMITS, type Input, type Limits, type WorkerOptions } from "./worker-options.ts";

export interface Worker<Message> {
  /** Resolves when the caches have caught up with the log and the worker consumes. */
  start(): Promise<void>;
  /** Finishes what is running, then saves the caches. */
  stop(): Promise<void>;
  /** Settles when consuming has ended; rejected with what ended it. */
  readonly done: Promise<void>;
  status(): WorkerStatus;
  /**
   * Decides messages that do not come from the bus, on the same path. One answer per message, in order. Rejects on an outage,
   * and when a message must wait. What can't be recorded is answered "parked", but nothing keeps its bytes.
   */
  submit(messages: readonly Message[]): Promise<readonly Answer[]>;
  /** Feeds parked messages through the same path again; those that are recorded or known as duplicates are erased. */
  retryParked(which: ParkedFilter): Promise<RetryResult>;
}

export type ParkedFilter =
  | { readonly ids: readonly string[] }
  | { readonly ns?: string; readonly account?: string; readonly reason?: string; readonly limit?: number };

export interface RetryResult {
  readonly tried: number;
  /** Gone from the parked records. */
  readonly mended: number;
}

export interface WorkerStatus {
  readonly state: "new" | "catching-up" | "running" | "stopped";
  readonly quarantined: readonly Quarantined[];
  /** Streams that wait for something outside, with the reason, as of their last try. */
  readonly waiting: ReadonlyMap<string, string>;
  readonly cachedStreams: number;
  readonly openDeadlines: number;
}

/** Rejects a chunk whose messages must come again later: the bus pauses the partition and keeps the order. */
export class Waiting extends Error {
  override readonly name = "Waiting";
}

const RETRY_AT_ONCE = 1_000;
/** Streams with at most so many open deadlines are looked through after every round. */
const FEW_DEADLINES = 64;

export function createWorker<State, Message extends object, Event extends DomainEvent, Context>(
  options: WorkerOptions<State, Message, Event, Context>,
): Worker<Message> {
  type StreamWork = Work<State, Message, Event>;
  const limits: Limits = { ...DEFAULT_LIMITS, ...options.limits };
  const { decider, streamOf, bus, metrics, name } = options;
  const inputs = new Map(options.inputs.map((input) => [input.topic, input]));
  const states = createStateCache<State>({ streams: limits.cachedStreams, bytes: limits.cachedBytes });
  const quarantine = createQuarantine();
  const parking = createParking<Message>(options);
  const waiting = new Map<string, string>();
  const partitions = new Set<number>();
  const finished = Promise.withResolvers<void>();
  const rounds: Rounds<State, Message, Event> = createRounds(options, limits, states, quarantine, {
    loaded: addDueDeadlines,
    finished: afterWork,
    dropped: (stream) => deadlines.set(stream, quarantine.problemOf(stream) === undefined ? UNKNOWN : HELD),
  });
  let deadlines: Deadlines = createDeadlines(options.cache.deadlines);
  let upkeep: IndexUpkeep | undefined;
  let firing: Firing | undefined;
  let consumer: Consumer | undefined;
  let state: WorkerStatus["state"] = "new";
  /** Snapshots to be written together at the end of a round. */
  let snapshots: Snapshot[] = [];
  const running = new Set<Promise<unknown>>();
  /** Due deadlines that had to wait in the present firing. */
  let postponed: StreamDeadline[] = [];
  /** Streams with deadlines that other workers look after. */
  const foreign = new Set<string>();
  let countIsDue = false;

  /** Every way in goes through here. */
  async function run(works: readonly StreamWork[]): Promise<void> {
    if (state !== "running") throw new Error(`${name} is ${state}`);
    const round = rounds.run(works);
    running.add(round);
    try {
      await round;
    } finally {
      running.delete(round);
    }
    for (const held of states.evict()) {
      if (held.revision - held.snapshotAt >= limits.snapshotWorth) snapshots.push(snapshotOf(held));
    }
    options.cache.snapshots.put(snapshots.splice(0));
    metrics.gauge("cached_streams", states.size);
    metrics.gauge("cached_bytes", states.bytes);
    metrics.gauge("quarantined_streams", quarantine.size);
    metrics.gauge("open_deadlines", deadlines.size);
    await upkeep?.afterRound(works.reduce((sum, { appended }) => sum + appended, 0));
  }

  async function onChunk(chunk: Chunk): Promise<void> {
    const input = inputs.get(chunk.topic);
    if (input === undefined) throw new Error(`${name} does not consume ${chunk.topic}`);
    const works = new Map<string, StreamWork>();
    const unread: Unread<Message>[] = [];
    for (const received of chunk.messages) {
      const { content, key } = received;
      if (content.kind === "poison") {
        unread.push({ received, input, refusal: { park: "malformed", detail: content.error } });
        continue;
      }
      const message = input.read(content.body);
      if (isRefusal(message)) unread.push({ received, input, refusal: message });
      else add(works, { message, key, input, body: content.body, from: "topic", parkedAs: undefined, answered: undefined });
    }
    metrics.count("messages", chunk.messages.length, { topic: chunk.topic });
    if (unread.length > 0) {
      await parking.keepUnread(unread);
      metrics.count("parked", unread.length, { reason: "malformed" });
    }
    const list = [...works.values()];
    await run(list);
    for (const { stream } of list) {
      const held = states.peek(stream);
      if (held !== undefined) held.partition = chunk.partition;
    }
    const late = notWaiting(list);
    firing?.look();
    if (late !== undefined) throw late;
  }

  function add(works: Map<string, StreamWork>, intake: Intake<Message>): void {
    const stream = streamOf(intake.message);
    let work = works.get(stream);
    if (work === undefined) works.set(stream, (work = newWork(stream)));
    work.queue.push(intake);
  }

  /** Keeps the list of waiting streams; what to reject with when one of these is waiting. */
  function notWaiting(works: readonly StreamWork[]): Waiting | undefined {
    let late: Waiting | undefined;
    for (const { stream, standing, problem } of works) {
      if (standing === "waiting") {
        waiting.set(stream, problem);
        late ??= new Waiting(`${stream} waits: ${problem}`);
      } else if (waiting.size > 0) waiting.delete(stream);
    }
    return late;
  }

  /** The deadlines of a stream that are due, as messages. */
  function addDueDeadlines(work: StreamWork): void {
    if (work.fireBefore === undefined || work.held === undefined) return;
    work.queue.length = work.settled;
    const due = [...decider.deadlines(work.held.state)].filter(({ dueAt }) => dueAt < (work.fireBefore ?? ""));
    due.sort((a, b) => (a.dueAt < b.dueAt || (a.dueAt === b.dueAt && a.key < b.key) ? -1 : 1));
    for (const { message } of due.slice(0, limits.deadlinesPerStream)) {
      work.queue.push({
        message: message as Message,
        key: "",
        input: undefined,
        body: undefined,
        from: "deadline",
        parkedAs: undefined,
        answered: undefined,
      });
    }
  }

  function afterWork(work: StreamWork): void {
    const held = states.peek(work.stream);
    if (held === undefined) return;
    if (held.revision - held.snapshotAt >= limits.snapshotEvery) snapshots.push(snapshotOf(held));
    if (work.fireBefore !== undefined) afterFiring(work, work.fireBefore, countDeadlines(held));
    else if (held.eventsSinceCount === 0) return;
    // Counting goes over all open deadlines: streams with many are counted when enough has happened, or a little later.
    else if (held.deadlines <= FEW_DEADLINES || held.eventsSinceCount * 8 >= held.deadlines)
      deadlines.set(work.stream, countDeadlines(held));
    else countSoon(work.stream);
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

  /** When the soonest open deadline of a state is due. */
  function countDeadlines(held: Held<State>): string | undefined {
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
        else deadlines.set(loose, countDeadlines(held));
      }
      firing?.look();
    }, limits.markEveryMs);
  }

  function snapshotOf(held: Held<State>): Snapshot {
    const { stream, revision, link, recordedAt } = held;
    const text = decider.snapshot(held.state);
    held.snapshotAt = revision;
    return { stream, revision, link, recordedAt, text };
  }

  async function fire(streams: readonly string[], before: string): Promise<readonly StreamDeadline[]> {
    const works: StreamWork[] = [];
    for (const stream of streams) {
      if (options.owns?.(stream, partitions) ?? true) works.push(newWork(stream, before));
      else {
        foreign.add(stream);
        deadlines.set(stream, HELD);
      }
    }
    postponed = [];
    if (works.length > 0) await run(works);
    notWaiting(works);
    const fired = works.reduce((sum, { settled }) => sum + settled, 0);
    if (fired > 0) metrics.count("deadlines_fired", fired);
    return postponed;
  }

  return {
    done: finished.promise,
    async start() {
      if (state !== "new") throw new Error(`${name} was started before`);
      state = "catching-up";
      await forgetForeignCaches(options);
      deadlines = createDeadlines(options.cache.deadlines);
      upkeep = createIndexUpkeep(options, limits, states, deadlines, finished.reject);
      await upkeep.catchUp();
      state = "running";
      const topics = [...inputs.keys()];
      firing = createFiring(
        {
          ...options,
          topics: topics.filter((topic) => inputs.get(topic)?.isHint !== true),
          mark: options.mark ?? ((topic, readUpTo) => bus.mark(topic, readUpTo)),
          limits,
          fire,
        },
        deadlines,
        () => consumer,
      );
      if (topics.length > 0) {
        consumer = bus.consume({
          group: options.group ?? name,
          topics,
          maxChunk: limits.maxChunk,
          onChunk,
          onAssigned,
          onRevoked,
        });
        consumer.done.then(finished.resolve, finished.reject);
      }
      firing.look();
    },
    async stop() {
      await consumer?.stop();
      await firing?.stop();
      await Promise.allSettled(running);
      if (state !== "running") return;
      state = "stopped";
      options.cache.snapshots.put(
        [...states.all()]
          .filter((held) => held.revision - held.snapshotAt >= limits.snapshotWorth)
          .map((held) => snapshotOf(held)),
      );
      await upkeep?.saveAll();
      finished.resolve();
    },
    status: () => ({
      state,
      quarantined: quarantine.list(),
      waiting: new Map(waiting),
      cachedStreams: states.size,
      openDeadlines: deadlines.size,
    }),
    async submit(messages) {
      const works = new Map<string, StreamWork>();
      const answers: Answer[] = [];
      messages.forEach((message, i) => {
        const answered = (answer: Answer) => {
          answers[i] = answer;
        };
        add(works, { message, key: "", input: undefined, body: undefined, from: "submission", parkedAs: undefined, answered });
      });
      const list = [...works.values()];
      await run(list);
      const late = notWaiting(list);
      firing?.look();
      if (late !== undefined) throw late;
      return answers;
    },
    retryParked,
  };

  function onAssigned(added: readonly number[]): void {
    for (const partition of added) partitions.add(partition);
    for (const stream of foreign) deadlines.set(stream, UNKNOWN);
    foreign.clear();
    readForeign(limits.pauseMs);
  }

  /** Whoever had these partitions before has appended what this worker has not seen: its deadlines are ours now. */
  function readForeign(pauseMs: number): void {
    if (upkeep === undefined || state !== "running") return;
    upkeep.readForeign().then(
      () => firing?.look(),
      (error: unknown) => {
        options.log.warn({ service: name, err: error }, "what others appended could not be read; it is tried again");
        options.defer(() => readForeign(Math.min(pauseMs * 2, limits.markEveryMs * 10)), pauseMs);
      },
    );
  }

  /** Another worker may write these streams from now on: what is held of them would only run into conflicts. */
  function onRevoked(lost: readonly number[]): void {
    for (const partition of lost) partitions.delete(partition);
    for (const held of states.all()) {
      if (held.uses === 0 && held.partition !== undefined && lost.includes(held.partition)) states.drop(held.stream);
    }
  }

  async function retryParked(which: ParkedFilter): Promise<RetryResult> {
    const records = await parkedRecords(which);
    const works = new Map<string, StreamWork>();
    let mended = 0;
    for (const record of records) {
      const input = inputs.get(record.topic);
      const message = input === undefined ? undefined : readAgain(input, record);
      if (input === undefined || message === undefined) continue;
      const { key, id, reason } = record;
      const answered = (answer: Answer) => {
        if (answer.status !== "parked" && answer.status !== "conflict") mended += 1;
      };
      if (reason === QUARANTINED) release(streamOf(message.message));
      add(works, { ...message, key, input, from: "retry", parkedAs: id, answered });
    }
    const list = [...works.values()];
    await run(list);
    notWaiting(list);
    firing?.look();
    return { tried: records.length, mended };
  }

  function release(stream: string): void {
    if (quarantine.problemOf(stream) === undefined) return;
    quarantine.release(stream);
    deadlines.set(stream, UNKNOWN);
  }

  async function parkedRecords(which: ParkedFilter): Promise<readonly ParkedRecord[]> {
    if (!("ids" in which)) return await bus.parked.list({ limit: RETRY_AT_ONCE, ...which, service: name });
    const records: ParkedRecord[] = [];
    for (const id of which.ids) {
      const record = await bus.parked.get(id);
      if (record?.service === name) records.push(record);
    }
    return records;
  }

  /** A parked message, decoded; undefined while it still can't be. */
  function readAgain(
    input: Input<Message>,
    record: ParkedRecord,
  ): { readonly message: Message; readonly body: unknown } | undefined {
    try {
      const body = input.codec.decode(record.bytes);
      const message = input.read(body);
      return isRefusal(message) ? undefined : { message, body };
    } catch {
      return undefined;
    }
  }
}
