/**
 * The message bus inside one process, over any storage: topics, groups, offsets, marks.
 *
 * Offsets are saved lazily, at least every half second while they move and when a consumer stops; so after a crash some
 * chunks come again, as they do on Kafka. Nothing polls: an idle bus has no timer.
 */
import { type ConsumerGroup, createConsumerGroup, type LocalConsumer } from "./consumer-group.ts";
import type { Feed, FeedHost } from "./feed.ts";
import { countAhead, createLogView, type LogTopicOptions, type LogView } from "./log-view.ts";
import { createHints, type HintTopicOptions } from "./hints.ts";
import type { ConsumeOptions, LogReader, MessageBus } from "./port.ts";
import { createPublishedTopic, type TopicOptions } from "./published-topic.ts";
import type { BusStorage, GroupOffset, Trim } from "./storage.ts";

export interface LocalBusOptions {
  /** Topics that doors publish to. */
  readonly topics: readonly TopicOptions[];
  /** Topics that are views of the log. They need `log`. */
  readonly logTopics?: readonly LogTopicOptions[];
  readonly log?: LogReader;
  /** Topics that are only listened to: nothing of them is kept. */
  readonly hintTopics?: readonly HintTopicOptions[];
  /** The present time as a canonical instant. */
  readonly now: () => string;
  /** Runs a task after so many milliseconds, never at once; 0 is as soon as possible. A waiting task must not keep the process alive. */
  readonly defer: (task: () => void, delayMs: number) => void;
  /** How much of each partition of a published topic stays in memory. Default 16,384 messages and 8 MB of encoded bytes. */
  readonly keep?: { readonly messages: number; readonly bytes: number };
}

export interface LocalBus extends MessageBus {
  consume(options: ConsumeOptions): LocalConsumer;
  /** Resolves when no consumer of a published topic is far behind; after a fifth of a second in any case. One caller after the other. */
  room(): Promise<void>;
}

const SAVE_AFTER_MS = 500;
const DEFAULT_KEEP = { messages: 16_384, bytes: 8_000_000 };

export function createLocalBus(options: LocalBusOptions, storage: BusStorage): LocalBus {
  const { log, defer, now } = options;
  const published = new Map(
    options.topics.map((topic) => [topic.name, createPublishedTopic(topic, storage, options.keep ?? DEFAULT_KEEP, defer)]),
  );
  const logTopics = new Map((options.logTopics ?? []).map((topic) => [topic.topic, topic]));
  for (const topic of logTopics.keys())
    if (published.has(topic)) throw new Error(`topic ${topic} is published and a view of the log`);
  const groups = new Map<string, ConsumerGroup>();
  const views = new Set<LogView>();
  const hints = createHints(options.hintTopics ?? [], defer);
  const marks = createMarks();
  const positions = createPositions(storage.offsets());
  const dirty = new Set<ConsumerGroup>();
  let saveIsDue = false;
  let closed = false;
  const unlisten = log?.onAppended(() => {
    for (const view of views) view.appended();
  });

  function openGroup(name: string, topics: readonly string[]): ConsumerGroup {
    const host: FeedHost = {
      wake: (topic, partition) => group.wake(topic, partition),
      moved: () => saveSoon(group),
      fail: (error) => group.fail(error),
      defer,
      now,
    };
    const feeds = topics.map((topic) => openFeed(name, topic, host));
    const group = createConsumerGroup(name, feeds, {
      defer,
      // What doors publish makes the log grow: those who read the log come first.
      mustGiveWay: (topic) => published.has(topic) && [...views].some((view) => view.crowded()),
      moved: host.moved,
      save: () => save([group]),
      empty: () => closeGroup(group),
    });
    groups.set(name, group);
    return group;
  }

  function openFeed(group: string, topic: string, host: FeedHost): Feed {
    const publishedTopic = published.get(topic);
    if (publishedTopic !== undefined) return publishedTopic.feed(positions.open(group, topic, publishedTopic.partitions), host);
    const logTopic = logTopics.get(topic);
    if (logTopic === undefined || log === undefined) throw new Error(`there is no topic ${topic}`);
    const view = createLogView(logTopic, log, positions.open(group, topic, logTopic.partitions), host);
    views.add(view);
    const mark = marks.least(topic);
    if (mark !== undefined) view.mark(mark);
    return {
      ...view,
      close() {
        views.delete(view);
        view.close();
      },
    };
  }

  function closeGroup(group: ConsumerGroup): void {
    dirty.delete(group);
    if (groups.get(group.name) === group) groups.delete(group.name);
    for (const feed of group.feeds) feed.close();
  }

  function saveSoon(group: ConsumerGroup): void {
    dirty.add(group);
    if (saveIsDue) return;
    saveIsDue = true;
    defer(() => {
      saveIsDue = false;
      const moved = [...dirty];
      dirty.clear();
      save(moved).catch((error: unknown) => {
        for (const group of moved) group.fail(error);
      });
    }, SAVE_AFTER_MS);
  }

  async function save(moved: readonly ConsumerGroup[]): Promise<void> {
    const changed = moved.flatMap((group) => positions.changed(group));
    if (changed.length === 0) return;
    const topics = new Set(changed.map(({ topic }) => topic).filter((topic) => published.has(topic)));
    await storage.saveOffsets(
      changed,
      [...topics].flatMap((topic) => positions.passedByAll(topic)),
    );
  }

  function assertOpen(): void {
    if (closed) throw new Error("the message bus is closed");
  }

  return {
    async publish(topic, messages) {
      assertOpen();
      if (hints.has(topic)) return hints.publish(topic, messages);
      const target = published.get(topic);
      if (target === undefined) throw new Error(`there is no topic ${topic} to publish to`);
      if (messages.length > 0) await target.publish(messages);
    },
    async room() {
      for (const topic of published.values()) await topic.room();
    },
    consume(consuming) {
      assertOpen();
      const topics = [...new Set(consuming.topics)].sort();
      if (topics.length === 0) throw new Error(`a consumer of group ${consuming.group} names no topic`);
      const group = groups.get(consuming.group) ?? openGroup(consuming.group, topics);
      if (group.feeds.length !== topics.length || group.feeds.some((feed, index) => feed.topic !== topics[index])) {
        throw new Error(`the consumers of group ${consuming.group} name different topics`);
      }
      return group.join(consuming);
    },
    mark(topic, readUpTo, sources) {
      const logTopic = logTopics.get(topic);
      if (logTopic === undefined) throw new Error(`topic ${topic} is no view of the log`);
      const before = marks.least(topic);
      const least = marks.set(topic, readUpTo, sources, logTopic.partitions);
      if (least === undefined || least === before) return;
      for (const view of views) if (view.topic === topic) view.mark(least);
    },
    listen(topic, onMessage) {
      assertOpen();
      return hints.listen(topic, onMessage);
    },
    async lag(name) {
      const active = groups.get(name)?.feeds;
      const lags: { readonly topic: string; readonly partition: number; readonly lag: number }[] = [];
      for (const topic of active?.map((feed) => feed.topic) ?? positions.topicsOf(name)) {
        const counts = await (active?.find((feed) => feed.topic === topic)?.lag() ?? lagAtRest(name, topic));
        counts.forEach((lag, partition) => lags.push({ topic, partition, lag }));
      }
      return lags;
    },
    parked: storage.parked,
    async close() {
      if (closed) return;
      closed = true;
      unlisten?.();
      await Promise.allSettled([...groups.values()].map((group) => group.stop()));
    },
  };

  /** The lag of a group without members. */
  async function lagAtRest(group: string, topic: string): Promise<readonly number[]> {
    const publishedTopic = published.get(topic);
    if (publishedTopic !== undefined) {
      return positions
        .open(group, topic, publishedTopic.partitions)
        .map((next, partition) => publishedTopic.end(partition) - next);
    }
    const logTopic = logTopics.get(topic);
    if (logTopic === undefined || log === undefined) return [];
    const next = positions.open(group, topic, logTopic.partitions);
    return await countAhead(logTopic, log, Math.max(0, Math.min(...next) - 1), next);
  }
}

/** What was said about each log topic, by source partition; inputs have as many partitions as the topic. */
function createMarks() {
  const topics = new Map<string, (string | undefined)[]>();
  const least = (topic: string): string | undefined => {
    const marks = topics.get(topic) ?? [undefined];
    return marks.reduce((lowest, mark) =>
      lowest === undefined || mark === undefined ? undefined : mark < lowest ? mark : lowest,
    );
  };
  return {
    /** The time up to which all sources have spoken. */
    least,
    set(topic: string, readUpTo: string, sources: readonly number[] | undefined, partitions: number): string | undefined {
      const marks = topics.get(topic) ?? Array.from({ length: partitions }, () => undefined);
      topics.set(topic, marks);
      for (const source of sources ?? marks.keys()) {
        if (source < 0 || source >= partitions) throw new RangeError(`topic ${topic} has no source partition ${source}`);
        if ((marks[source] ?? "") < readUpTo) marks[source] = readUpTo;
      }
      return least(topic);
    },
  };
}

/** Where every known group goes on, as far as that is saved or on its way to the disk. */
function createPositions(stored: readonly GroupOffset[]) {
  const groups = new Map<string, Map<string, number[]>>();
  const trimmed = new Map<string, number>();
  for (const { group, topic, partition, next } of stored) of(group, topic)[partition] = next;

  function of(group: string, topic: string): number[] {
    const topics = groups.get(group) ?? new Map<string, number[]>();
    groups.set(group, topics);
    const next = topics.get(topic) ?? [];
    topics.set(topic, next);
    return next;
  }

  return {
    topicsOf: (group: string): readonly string[] => [...(groups.get(group)?.keys() ?? [])],
    /** The next offset per partition; the group is known from now on, so that nothing it has not passed is trimmed. */
    open(group: string, topic: string, partitions: number): readonly number[] {
      const next = of(group, topic);
      // With another number of partitions the same keys are elsewhere: go on where nothing can be missed.
      const lowest = next.length === 0 || next.length === partitions ? 0 : Math.min(...next);
      return Array.from({ length: partitions }, (_, partition) => (next.length === partitions ? (next[partition] ?? 0) : lowest));
    },
    /** What has moved since the last call; taken as saved. */
    changed(group: ConsumerGroup): GroupOffset[] {
      return group.feeds.flatMap((feed) => {
        const next = of(group.name, feed.topic);
        return Array.from({ length: feed.partitions }, (_, partition) => partition).flatMap((partition) => {
          const position = feed.position(partition);
          if (next[partition] === position) return [];
          next[partition] = position;
          return [{ group: group.name, topic: feed.topic, partition, next: position }];
        });
      });
    },
    /** How far every known group has come in a topic, where that is further than at the last call. */
    passedByAll(topic: string): Trim[] {
      const known = [...groups.values()].map((topics) => topics.get(topic)).filter((next) => next !== undefined);
      const partitions = Math.max(0, ...known.map((next) => next.length));
      return Array.from({ length: partitions }, (_, partition) => partition).flatMap((partition) => {
        const before = Math.min(...known.map((next) => next[partition] ?? 0));
        if (before <= (trimmed.get(`${topic}\n${partition}`) ?? 0)) return [];
        trimmed.set(`${topic}\n${partition}`, before);
        return [{ topic, partition, before }];
      });
    },
  };
}
