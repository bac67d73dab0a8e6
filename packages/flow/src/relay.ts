/**
 * Publishing from the log to a bus that does not serve log topics itself.
 *
 * One follower per process, over the streams of the partitions that the process owns. Owns no rule: what an event publishes
 * is the pure `messagesOf` of its topic. The invariants: published in log order per stream; the checkpoint of a partition moves
 * after the publish; a mark goes out, for partitions that are followed here, only when everything that was in their streams when
 * it was said has been published. Publishing something again is harmless: consumers go by numbers.
 */
import type { EventPage, EventStore, Position } from "@rerate/event-store";
import type { LogTopic, Message, MessageBus } from "@rerate/message-bus";
import { allSettled } from "./all-settled.ts";
import { type Follower, followLog } from "./follow-log.ts";
import { earliest, isAfter, type PartitionCheckpoints } from "./partition-checkpoints.ts";
import { partitionOf, shardPrefixes } from "./shards.ts";
import type { Defer, Log } from "./worker-options.ts";

export interface RelayOptions {
  readonly name: string;
  readonly eventStore: EventStore;
  readonly bus: MessageBus;
  readonly topics: readonly LogTopic[];
  /** How many partitions the topics have. */
  readonly partitionCount: number;
  /** Undefined when the bus serves log topics as views of the log: then there is nothing to relay. */
  readonly checkpoints: PartitionCheckpoints | undefined;
  readonly defer: Defer;
  readonly log: Log;
}

export interface Relay {
  /** From now on these partitions, of whose streams this process is the writer, are published from here, and no others. */
  own(partitions: Iterable<number>): void;
  /**
   * Everything that the inputs before `readUpTo` made the service publish from these partitions is in the log by now: said to the
   * bus once all of it has been published. About partitions that are not owned here nothing is said. All when absent.
   */
  mark(topic: string, readUpTo: string, sources?: readonly number[]): void;
  /** Stops publishing and saves the checkpoints. */
  stop(): Promise<void>;
}

const SAVE_EVERY_MS = 1_000;
/** After fewer events than this it rests for so long: what is appended meanwhile goes out together. */
const MANY = 500;
const GATHER_MS = 10;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 10_000;

/** Services call it either way: with a bus that serves log topics itself, marks go straight to it. */
export function startRelay(options: RelayOptions): Relay {
  const { bus, checkpoints } = options;
  if (checkpoints !== undefined) return createRelay(options, checkpoints);
  return { own: () => {}, mark: (topic, readUpTo, sources) => bus.mark(topic, readUpTo, sources), stop: async () => {} };
}

function createRelay(options: RelayOptions, checkpoints: PartitionCheckpoints): Relay {
  const { name, eventStore, topics, partitionCount, defer, log } = options;
  const prefixes = [...new Set(topics.map(({ streamPrefix }) => streamPrefix))];
  const places = createPlaces(options, checkpoints);
  let owned: readonly number[] = [];
  let following: Following | undefined;
  /** Runs whenever `owned` has changed; one at a time. */
  let changing: Promise<void> | undefined;
  let stopped = false;
  /** The page that is being published. */
  let publishing: Promise<void> = Promise.resolve();
  const marks = createMarks(options, () => following);

  async function publish({ events, next }: EventPage, partitions: readonly number[]): Promise<void> {
    const messages = topics.map((): Message[] => []);
    // Event by event, so that an event that several topics publish from is decoded once.
    for (const event of events) {
      if (places.passed(partitionOf(event.stream, partitionCount), event.position)) continue;
      for (const [at, { streamPrefix, messagesOf }] of topics.entries()) {
        if (event.stream.startsWith(streamPrefix)) messages[at]?.push(...messagesOf(event));
      }
    }
    await allSettled(
      topics.map(async ({ topic }, at) => {
        const own = messages[at] ?? [];
        if (own.length > 0) await options.bus.publish(topic, own);
      }),
    );
    const position = next ?? events.at(-1)?.position;
    if (position !== undefined) places.reach(partitions, position);
    if (events.length > 0 && events.length < MANY) await new Promise<void>((resolve) => defer(resolve, GATHER_MS));
  }

  /** Stops after the page in hand, so that it need not be published again. */
  async function unfollow(): Promise<void> {
    await following?.follower.stop();
    following = undefined;
    await Promise.allSettled([publishing]);
  }

  /** Follows the partitions that are owned now, from the least of their places. */
  async function follow(partitions: readonly number[]): Promise<void> {
    await unfollow();
    await places.keepOnly(partitions);
    if (partitions.length === 0) return;
    const follower = await followLog({
      name,
      eventStore,
      prefixes: prefixes.flatMap((prefix) => shardPrefixes(prefix, partitions, partitionCount)),
      after: earliest(partitions.map((partition) => places.of(partition))),
      onEvents(page) {
        publishing = publish(page, partitions);
        return publishing;
      },
      defer,
      log,
    });
    if (stopped) return await follower.stop();
    following = { follower, partitions: new Set(partitions) };
    marks.pass();
  }

  async function change(): Promise<void> {
    let failures = 0;
    for (let done: readonly number[] | undefined; done !== owned;) {
      if (stopped) return;
      const partitions = owned;
      try {
        await follow(partitions);
        done = partitions;
        failures = 0;
      } catch (error) {
        failures += 1;
        log.warn({ relay: name, err: error }, "the relay could not take over partitions; it tries again after a pause");
        const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** (failures - 1), LONGEST_PAUSE_MS);
        await new Promise<void>((resolve) => defer(resolve, pauseMs));
      }
    }
  }

  return {
    own(partitions) {
      owned = [...partitions].sort((a, b) => a - b);
      changing ??= new Promise<void>((resolve) => defer(resolve, 0)).then(change).finally(() => {
        changing = undefined;
      });
    },
    mark: marks.say,
    async stop() {
      stopped = true;
      await unfollow();
      await places.save();
    },
  };
}

interface Following {
  readonly follower: Follower;
  readonly partitions: ReadonlySet<number>;
}

/** How far each partition has been published, and how far that is saved. */
function createPlaces({ name, defer, log }: RelayOptions, checkpoints: PartitionCheckpoints) {
  const reached = new Map<number, Position | undefined>();
  const unsaved = new Set<number>();
  let saveIsDue = false;

  async function save(): Promise<void> {
    const saving = [...unsaved];
    unsaved.clear();
    await allSettled(
      saving.map(async (partition) => {
        const position = reached.get(partition);
        try {
          if (position !== undefined) await checkpoints.save(partition, position);
        } catch (error) {
          if (reached.has(partition)) unsaved.add(partition);
          log.warn({ relay: name, partition, err: error }, "a checkpoint was not saved; a later one will be");
        }
      }),
    );
    if (unsaved.size > 0) saveSoon();
  }

  function saveSoon(): void {
    if (saveIsDue) return;
    saveIsDue = true;
    defer(() => {
      saveIsDue = false;
      void save();
    }, SAVE_EVERY_MS);
  }

  function passed(partition: number, position: Position): boolean {
    const place = reached.get(partition);
    return place !== undefined && !isAfter(position, place);
  }

  return {
    of: (partition: number) => reached.get(partition),
    passed,
    reach(partitions: readonly number[], position: Position): void {
      for (const partition of partitions) {
        if (!reached.has(partition) || passed(partition, position)) continue;
        reached.set(partition, position);
        unsaved.add(partition);
      }
      if (unsaved.size > 0) saveSoon();
    },
    /** Loads the places of partitions that are new, and saves those of the ones that go, for whoever has them now. */
    async keepOnly(partitions: readonly number[]): Promise<void> {
      await save();
      for (const partition of reached.keys()) if (!partitions.includes(partition)) reached.delete(partition);
      await allSettled(
        partitions
          .filter((partition) => !reached.has(partition))
          .map(async (partition) => void reached.set(partition, await checkpoints.load(partition))),
      );
    },
    save,
  };
}

/** Marks that wait until what they speak of has been published. Of several about one topic and source only the latest counts. */
function createMarks({ bus, log, name, partitionCount }: RelayOptions, following: () => Following | undefined) {
  let waiting = new Map<string, Map<number, string>>();
  let running = false;

  function passOn(marks: typeof waiting, partitions: ReadonlySet<number>): void {
    for (const [topic, sources] of marks) {
      const byTime = new Map<string, number[]>();
      for (const [source, readUpTo] of sources) {
        if (!partitions.has(source)) continue;
        const together = byTime.get(readUpTo);
        if (together === undefined) byTime.set(readUpTo, [source]);
        else together.push(source);
      }
      for (const [readUpTo, together] of byTime) bus.mark(topic, readUpTo, together);
    }
  }

  async function run(): Promise<void> {
    for (let now = following(); now !== undefined && waiting.size > 0; now = following()) {
      const marks = waiting;
      waiting = new Map();
      await now.follower.caughtUp();
      // One that was stopped meanwhile has not caught up: another one follows now, or nobody here.
      if (following() === now) passOn(marks, now.partitions);
    }
  }

  function pass(): void {
    if (running) return;
    running = true;
    run()
      .catch((error: unknown) => log.warn({ relay: name, err: error }, "a mark could not be passed on; the next one will be"))
      .finally(() => {
        running = false;
      });
  }

  return {
    say(topic: string, readUpTo: string, sources?: readonly number[]): void {
      const latest = waiting.get(topic) ?? new Map<number, string>();
      waiting.set(topic, latest);
      for (const source of sources ?? Array.from({ length: partitionCount }, (_, partition) => partition))
        if ((latest.get(source) ?? "") < readUpTo) latest.set(source, readUpTo);
      pass();
    },
    pass,
  };
}
