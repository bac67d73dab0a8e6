/**
 * Finding what was lost on the way: messages that another service's log published and that never came here, and after which
 * nothing came that would have shown the gap.
 *
 * Reads the source log behind the consumer and decides the last message of each source stream and key once more: one whose
 * number is not ahead is dropped, one that is ahead shows the gap, which is filled from the source. The invariant: a place is
 * kept only when everything before it, for its partition, is in this service's log. Without a loss it changes nothing.
 */
import type { Position, StoredEvent } from "@rerate/event-store";
import type { DomainEvent } from "./decider.ts";
import { toMilliseconds } from "./milliseconds.ts";
import { earliest, isAfter, type PartitionCheckpoints } from "./partition-checkpoints.ts";
import { isRefusal } from "./rounds.ts";
import { readSeal } from "./seal.ts";
import { shardPrefixes } from "./shards.ts";
import type { Decided, Intake } from "./stream-work.ts";
import type { Input, Limits, WorkerOptions } from "./worker-options.ts";

export interface Sweep {
  start(): void;
  /** Resolves when nothing is being swept any more. */
  stop(): Promise<void>;
}

/** What sweeping needs beside the worker's own options; where topics are views of the log, nothing can be lost. */
export interface SweepOptions {
  readonly partitionCount: number;
  /** Where the places of one topic are kept. Of another process they are as good: a place is true for everybody. */
  readonly checkpointsOf: (topic: string) => PartitionCheckpoints;
}

export interface SweepHost<Message> {
  /** The partitions that are looked after here. */
  readonly partitions: () => Iterable<number>;
  /** What was published to a topic before this time has been handled, as far as it came. */
  readonly readUpTo: (topic: string) => string | undefined;
  /** Decides messages on the usual path. */
  readonly decide: (intakes: readonly Intake<Message>[]) => Promise<Decided>;
}

/** Events per read, messages decided at a time, and messages held before they are decided. */
const PAGE = 1_000;
const AT_ONCE = 500;
const MOST_HELD = 10_000;
/** What is older than this is looked at although nobody says how far the topic has been read. */
const SURELY_LATE_MS = 3_600_000;

export function createSweep<Message extends object>(
  options: Pick<
    WorkerOptions<unknown, Message, DomainEvent, unknown>,
    "name" | "inputs" | "eventStore" | "clock" | "defer" | "log" | "metrics"
  >,
  { partitionCount, checkpointsOf }: SweepOptions,
  limits: Limits,
  host: SweepHost<Message>,
): Sweep {
  const { name, eventStore, clock, defer, log, metrics } = options;
  const sources = options.inputs.flatMap((input) =>
    input.source === undefined ? [] : [{ input, source: input.source, checkpoints: checkpointsOf(input.topic) }],
  );
  let running: Promise<void> | undefined;
  let stopped = false;

  /** An event counts when its messages should have come by now. One with a time far ahead of the clock counts, too. */
  function limitOf(topic: string): (event: StoredEvent) => boolean {
    const nowMs = toMilliseconds(clock.now());
    const upTo = host.readUpTo(topic);
    return ({ metadata }) => {
      const { recordedAt } = readSeal(metadata);
      const ageMs = nowMs - toMilliseconds(recordedAt);
      if (ageMs < -limits.sweepGraceMs) return true;
      return ageMs >= limits.sweepGraceMs && (upTo === undefined ? ageMs >= SURELY_LATE_MS : recordedAt < upTo);
    };
  }

  async function sweepTopic({ input, source, checkpoints }: (typeof sources)[number]): Promise<void> {
    const isDue = limitOf(input.topic);
    const places = new Map<number, Position | undefined>();
    for (const partition of host.partitions()) places.set(partition, await checkpoints.load(partition));
    if (places.size === 0) return;
    const { streamPrefix, keepsShard } = source;
    const prefixes = keepsShard === true ? shardPrefixes(streamPrefix, places.keys(), partitionCount) : [streamPrefix];
    const held = new Map<string, Intake<Message>>();
    let at = earliest(places.values());
    for (let end = false; !end;) {
      if (stopped) return;
      const page = await eventStore.readAll({ after: at, prefixes, maxCount: PAGE });
      const due = page.events.findIndex((event) => !isDue(event));
      const events = due < 0 ? page.events : page.events.slice(0, due);
      for (const event of events) hold(held, input, source, event, places);
      at = (due < 0 ? page.next : events.at(-1)?.position) ?? at;
      end = page.end || due >= 0;
      if (!end && held.size < MOST_HELD) continue;
      if (!(await decideAll(input.topic, [...held.values()]))) return;
      held.clear();
      await keep(places, at, checkpoints);
    }
  }

  /** Keeps the last message of each source stream and key, of those that belong here. */
  function hold(
    held: Map<string, Intake<Message>>,
    input: Input<Message>,
    source: NonNullable<Input<Message>["source"]>,
    event: StoredEvent,
    places: ReadonlyMap<number, Position | undefined>,
  ): void {
    for (const { key, shard, body } of source.messagesOf(event)) {
      const partition = shard % partitionCount;
      const place = places.get(partition);
      if (!places.has(partition) || (place !== undefined && !isAfter(event.position, place))) continue;
      const message = input.read(body);
      if (isRefusal(message)) continue;
      const intake = {
        message,
        key,
        input,
        body,
        from: "sweep",
        awaited: false,
        parkedAs: undefined,
        answered: undefined,
      } as const;
      held.set(`${event.stream}\n${key}`, intake);
    }
  }

  /** False when something had to wait: then the place stays where it is. */
  async function decideAll(topic: string, intakes: readonly Intake<Message>[]): Promise<boolean> {
    for (let from = 0; from < intakes.length; from += AT_ONCE) {
      if (stopped) return false;
      const { late, events } = await host.decide(intakes.slice(from, from + AT_ONCE));
      if (events > 0) {
        metrics.count("swept", events);
        log.warn({ service: name, topic, events }, "messages that never came were found in their source");
      }
      if (late !== undefined) return false;
    }
    return true;
  }

  async function run(): Promise<void> {
    for (const each of sources) {
      try {
        if (!stopped) await sweepTopic(each);
      } catch (error) {
        log.warn({ service: name, topic: each.input.topic, err: error }, "a topic could not be swept; it is tried again");
      }
    }
  }

  function again(): void {
    defer(() => {
      if (!stopped) running = run().finally(again);
    }, limits.sweepEveryMs);
  }

  return {
    start() {
      if (sources.length > 0) again();
    },
    async stop() {
      stopped = true;
      await running;
    },
  };
}

async function keep(
  places: Map<number, Position | undefined>,
  at: Position | undefined,
  checkpoints: PartitionCheckpoints,
): Promise<void> {
  if (at === undefined) return;
  for (const [partition, place] of places) {
    if (place !== undefined && !isAfter(at, place)) continue;
    places.set(partition, at);
    await checkpoints.save(partition, at);
  }
}
