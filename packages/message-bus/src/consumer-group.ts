/**
 * A consumer group in this process: its members, who of them owns which partition, and the handlers that are running.
 *
 * Every topic and partition is a lane: one chunk at a time, lanes beside each other. A partition changes its owner only
 * between chunks. Owns no messages and no offsets: feeds do.
 */
import type { Feed, Progress } from "./feed.ts";
import type { ConsumeOptions, Consumer, ReceivedMessage } from "./port.ts";

/** A consumer that can also vanish. */
export interface LocalConsumer extends Consumer {
  /**
   * Leaves at once, as if its process had died: nothing is called or saved any more, and what its running handlers still do
   * moves no offset.
   */
  abandon(): void;
}

export interface GroupHost {
  /** Runs a task after so many milliseconds, never at once. */
  readonly defer: (task: () => void, delayMs: number) => void;
  /** True while handling more of this topic would only leave other consumers further behind. */
  readonly mustGiveWay: (topic: string) => boolean;
  /** A chunk was handled: save the positions some time. */
  readonly moved: () => void;
  /** Resolves when the group's positions are durable. */
  readonly save: () => Promise<void>;
  /** The last member has gone. */
  readonly empty: () => void;
}

export interface ConsumerGroup {
  readonly name: string;
  readonly feeds: readonly Feed[];
  join(options: ConsumeOptions): LocalConsumer;
  /** There may be messages to peek. */
  wake(topic: string, partition: number): void;
  /** Ends every consumer with this error. */
  fail(error: unknown): void;
  stop(): Promise<void>;
}

interface Member {
  readonly options: ConsumeOptions;
  readonly progress: Map<string, Progress>;
  leaving: boolean;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
  readonly done: Promise<void>;
}

interface Lane {
  readonly feed: Feed;
  readonly partition: number;
  /** Whose handler has a chunk right now. */
  running: Member | undefined;
  /** A step is scheduled or running: whoever wakes the lane need not. */
  busy: boolean;
  /** The chunk that a handler rejected: it comes again unchanged. */
  rejected: readonly ReceivedMessage[] | undefined;
  rejections: number;
  /** How often the next chunk has given way to other consumers. */
  gaveWay: number;
  /** Changes when the lane is taken away from an abandoned member: what it still does then is ignored. */
  epoch: number;
}

const DEFAULT_CHUNK = 1_000;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 10_000;
/** A chunk gives way so often, so long each time: half a second in all, so that consumers which stand still hold up nobody. */
const GIVE_WAY_AT_MOST = 250;
const GIVE_WAY_MS = 2;

export function createConsumerGroup(name: string, feeds: readonly Feed[], host: GroupHost): ConsumerGroup {
  const partitions = Math.max(...feeds.map((feed) => feed.partitions));
  const lanes = feeds.flatMap((feed) => Array.from({ length: feed.partitions }, (_, partition) => newLane(feed, partition)));
  const lanesOf = new Map(feeds.map((feed) => [feed.topic, lanes.filter((lane) => lane.feed === feed)]));
  const members: Member[] = [];
  const owners: (Member | undefined)[] = Array.from({ length: partitions }, () => undefined);
  /** Called whenever a handler has settled. */
  const settled = new Set<() => void>();
  let rebalancing = false;

  function rebalanceSoon(): void {
    if (rebalancing) return;
    rebalancing = true;
    host.defer(() => {
      rebalancing = false;
      rebalance();
    }, 0);
  }

  /** Partition p belongs to the member p mod members. One with a running handler moves when that has settled. */
  function rebalance(): void {
    const lost = new Map<Member, number[]>();
    const gained = new Map<Member, number[]>();
    for (const [partition, owner] of owners.entries()) {
      const next = members[partition % members.length];
      if (next === owner || lanes.some((lane) => lane.partition === partition && lane.running !== undefined)) continue;
      owners[partition] = next;
      if (owner !== undefined) lost.set(owner, [...(lost.get(owner) ?? []), partition]);
      if (next !== undefined) gained.set(next, [...(gained.get(next) ?? []), partition]);
      for (const lane of lanes) if (lane.partition === partition) lane.rejected = undefined;
    }
    for (const [member, gone] of lost) {
      member.progress.clear();
      member.options.onRevoked?.(gone);
    }
    for (const [member, added] of gained) {
      member.progress.clear();
      member.options.onAssigned?.(added);
    }
    for (const lane of lanes) wakeLane(lane);
  }

  function wakeLane(lane: Lane): void {
    if (lane.busy) return;
    lane.busy = true;
    stepLater(lane, 0);
  }

  function stepLater(lane: Lane, delayMs: number): void {
    const { epoch } = lane;
    host.defer(() => {
      step(lane, epoch).catch(fail);
    }, delayMs);
  }

  async function step(lane: Lane, epoch: number): Promise<void> {
    if (lane.epoch !== epoch) return;
    const owner = owners[lane.partition];
    const mayRun = owner !== undefined && !owner.leaving && owner === members[lane.partition % members.length];
    const messages = mayRun ? (lane.rejected ?? lane.feed.peek(lane.partition, owner.options.maxChunk ?? DEFAULT_CHUNK)) : [];
    if (!mayRun || messages.length === 0) {
      lane.busy = false;
      return;
    }
    if (lane.gaveWay < GIVE_WAY_AT_MOST && host.mustGiveWay(lane.feed.topic)) {
      lane.gaveWay += 1;
      stepLater(lane, GIVE_WAY_MS);
      return;
    }
    lane.gaveWay = 0;
    lane.running = owner;
    const handled = await handle(owner, lane, messages);
    if (lane.epoch !== epoch) return;
    lane.running = undefined;
    if (handled) {
      lane.feed.passed(lane.partition, messages);
      lane.rejected = undefined;
      lane.rejections = 0;
      host.moved();
    } else {
      lane.rejected = messages;
      lane.rejections += 1;
    }
    for (const call of settled) call();
    const pauseMs = handled ? 0 : Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (lane.rejections - 1));
    stepLater(lane, pauseMs);
    if (owner !== members[lane.partition % members.length]) rebalanceSoon();
  }

  /** Whether the handler has resolved. Why it rejected is its own business: it logs, and the chunk comes again. */
  async function handle(owner: Member, lane: Lane, messages: readonly ReceivedMessage[]): Promise<boolean> {
    try {
      await owner.options.onChunk({ topic: lane.feed.topic, partition: lane.partition, messages });
      return true;
    } catch {
      return false;
    }
  }

  function owned(member: Member): number[] {
    return [...owners.keys()].filter((partition) => owners[partition] === member);
  }

  function leave(member: Member): void {
    member.leaving = true;
    const index = members.indexOf(member);
    if (index >= 0) members.splice(index, 1);
  }

  async function stop(member: Member): Promise<void> {
    if (member.leaving) return await member.done;
    leave(member);
    await new Promise<void>((resolve) => {
      const check = () => {
        if (lanes.some((lane) => lane.running === member)) return;
        settled.delete(check);
        resolve();
      };
      settled.add(check);
      check();
    });
    await host.save().catch(member.reject);
    rebalance();
    member.resolve();
    if (members.length === 0) host.empty();
    return await member.done;
  }

  function abandon(member: Member): void {
    const owns = owned(member);
    leave(member);
    for (const lane of lanes) {
      if (!owns.includes(lane.partition)) continue;
      lane.epoch += 1;
      Object.assign(lane, { running: undefined, busy: false, rejected: undefined, rejections: 0, gaveWay: 0 });
    }
    for (const partition of owns) owners[partition] = undefined;
    for (const call of settled) call();
    member.resolve();
    if (members.length === 0) host.empty();
    else rebalanceSoon();
  }

  function fail(error: unknown): void {
    for (const member of members.splice(0)) {
      member.leaving = true;
      member.reject(error);
    }
    host.empty();
  }

  return {
    name,
    feeds,
    join(options) {
      const { promise: done, resolve, reject } = Promise.withResolvers<void>();
      const member: Member = { options, progress: new Map(), leaving: false, resolve, reject, done };
      members.push(member);
      rebalanceSoon();
      return {
        done,
        readUpTo(topic) {
          const feed = feeds.find((candidate) => candidate.topic === topic);
          const partitions = owned(member);
          if (feed === undefined || partitions.length === 0) return undefined;
          const progress = member.progress.get(topic) ?? {};
          member.progress.set(topic, progress);
          return feed.readUpTo(partitions, progress);
        },
        stop: () => stop(member),
        abandon: () => abandon(member),
      };
    },
    wake(topic, partition) {
      const lane = lanesOf.get(topic)?.[partition];
      if (lane !== undefined) wakeLane(lane);
    },
    fail,
    async stop() {
      await Promise.all([...members].map(stop));
    },
  };
}

function newLane(feed: Feed, partition: number): Lane {
  return { feed, partition, running: undefined, busy: false, rejected: undefined, rejections: 0, gaveWay: 0, epoch: 0 };
}
