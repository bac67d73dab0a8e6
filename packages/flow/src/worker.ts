/**
 * The loop that every service runs: messages in, decided events in the log, exactly once.
 *
 * Owns the wiring: the intake of chunks, direct submissions, retries of parked messages, due deadlines and the upkeep of the
 * caches all go through the same rounds (`rounds.ts`). The invariant: a chunk's promise resolves, and so its offset moves,
 * only after every message of it is in the log, known as without effect, or parked with its bytes.
 */
import type { Chunk, Consumer } from "@rerate/message-bus";
import type { Answer, DomainEvent } from "./decider.ts";
import { createFiring, type Firing } from "./firing.ts";
import { createIndexUpkeep, forgetForeignCaches, type IndexUpkeep } from "./index-upkeep.ts";
import { createOwnership } from "./ownership.ts";
import { createParking, type Unread } from "./parking.ts";
import { createQuarantine, type Quarantined } from "./quarantine.ts";
import { createRetries, type ParkedFilter, type RetryResult } from "./retries.ts";
import { createRounds, isRefusal, type Rounds } from "./rounds.ts";
import type { Snapshot } from "./snapshots.ts";
import { createStateCache, type Held } from "./state-cache.ts";
import { createStreamDeadlines } from "./stream-deadlines.ts";
import { createSweep } from "./sweep.ts";
import { type Decided, type Intake, newWork, type Work } from "./stream-work.ts";
import { DEFAULT_LIMITS, type Limits, type WorkerOptions } from "./worker-options.ts";

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
  const finished = Promise.withResolvers<void>();
  const rounds: Rounds<State, Message, Event> = createRounds(options, limits, states, quarantine, {
    loaded: (work) => deadlines.addDue(work),
    finished: afterWork,
    dropped: (stream) => deadlines.forget(stream),
  });
  const ownership = createOwnership({
    ...options,
    limits,
    readForeign: async () => await upkeep?.readForeign(),
    onReady() {
      deadlines.reconsider();
      firing?.look();
    },
  });
  const owns = (stream: string, partitions = ownership.partitions) => options.owns?.(stream, partitions) ?? true;
  const look = () => firing?.look();
  const ready = () => ownership.ready().keys();
  const host = { run, owns, ready, look };
  const deadlines = createStreamDeadlines<State, Message, Event, Context>(options, limits, states, quarantine, host);
  const retries = createRetries<Message>(options, limits, { decide, owns, release });
  const sweep =
    options.sweep &&
    createSweep<Message>(options, options.sweep, limits, {
      partitions: ready,
      readUpTo: (topic) => consumer?.readUpTo(topic),
      decide,
    });
  let upkeep: IndexUpkeep | undefined;
  let firing: Firing | undefined;
  let consumer: Consumer | undefined;
  let state: WorkerStatus["state"] = "new";
  /** Snapshots to be written together at the end of a round. */
  const snapshots: Snapshot[] = [];
  const running = new Set<Promise<unknown>>();

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
      const { content, key, awaited } = received;
      if (content.kind === "poison") {
        unread.push({ received, input, refusal: { park: "malformed", detail: content.error } });
        continue;
      }
      const message = input.read(content.body);
      if (isRefusal(message)) unread.push({ received, input, refusal: message });
      else {
        add(works, {
          message,
          key,
          input,
          body: content.body,
          from: "topic",
          awaited: awaited === true,
          parkedAs: undefined,
          answered: undefined,
        });
      }
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

  /** Messages that did not come in a chunk, on the same path. What must wait stays where it is. */
  async function decide(intakes: readonly Intake<Message>[]): Promise<Decided> {
    const works = new Map<string, StreamWork>();
    for (const intake of intakes) add(works, intake);
    const list = [...works.values()];
    await run(list);
    const late = notWaiting(list);
    firing?.look();
    return { late, events: list.reduce((sum, { appended }) => sum + appended, 0) };
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

  function afterWork(work: StreamWork): void {
    const held = states.peek(work.stream);
    if (held === undefined) return;
    if (held.revision - held.snapshotAt >= limits.snapshotEvery) snapshots.push(snapshotOf(held));
    deadlines.afterWork(work, held);
  }

  function snapshotOf(held: Held<State>): Snapshot {
    const { stream, revision, link, recordedAt } = held;
    const text = decider.snapshot(held.state);
    held.snapshotAt = revision;
    return { stream, revision, link, recordedAt, text };
  }

  /** Others may write these streams from now on, or have written them until now: what is held of them would run into conflicts. */
  function dropStates(changed: readonly number[]): void {
    const set = new Set(changed);
    for (const held of states.all()) {
      const { stream, partition, uses } = held;
      const isTheirs = options.owns?.(stream, set) ?? (partition !== undefined && set.has(partition));
      if (isTheirs && uses === 0) states.drop(stream);
    }
  }

  function onAssigned(added: readonly number[]): void {
    dropStates(added);
    ownership.assigned(added);
  }

  function onRevoked(lost: readonly number[]): void {
    ownership.revoked(lost);
    dropStates(lost);
  }

  function release(stream: string): void {
    if (quarantine.problemOf(stream) === undefined) return;
    quarantine.release(stream);
    deadlines.forget(stream);
  }

  return {
    done: finished.promise,
    async start() {
      if (state !== "new") throw new Error(`${name} was started before`);
      state = "catching-up";
      await forgetForeignCaches(options);
      const times = deadlines.open();
      upkeep = createIndexUpkeep(options, limits, states, times, finished.reject);
      await upkeep.catchUp();
      state = "running";
      const topics = [...inputs.keys()];
      firing = createFiring(
        {
          ...options,
          topics: topics.filter((topic) => inputs.get(topic)?.isHint !== true),
          mark: (topic, readUpTo, sources) => (options.relay ?? bus).mark(topic, readUpTo, sources),
          ready: ownership.ready,
          limits,
          fire: deadlines.fire,
        },
        times,
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
      retries.watch();
      sweep?.start();
    },
    async stop() {
      retries.stop();
      ownership.stop();
      const swept = sweep?.stop();
      await consumer?.stop();
      await firing?.stop();
      await swept;
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
      const answers: Answer[] = [];
      const intakes = messages.map((message, i): Intake<Message> => {
        const answered = (answer: Answer) => {
          answers[i] = answer;
        };
        const nowhere = { key: "", input: undefined, body: undefined, parkedAs: undefined };
        return { message, ...nowhere, from: "submission", awaited: false, answered };
      });
      const { late } = await decide(intakes);
      if (late !== undefined) throw late;
      return answers;
    },
    retryParked: retries.retry,
  };
}
