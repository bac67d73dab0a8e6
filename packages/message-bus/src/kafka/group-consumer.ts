/**
 * One member of a consumer group: joins, gets partitions, reads them, hands chunks to the handler, commits.
 *
 * A change of the group waits for running handlers before partitions move, as long as the rebalance timeout allows. Whoever
 * was taken for dead forgets everything at once. Offsets move only after the handler; nothing here makes anything exactly-once.
 */
import type { ConsumeOptions, Consumer, TopicCodec } from "../port.ts";
import { assignPartitions } from "./assign.ts";
import type { Assignment, Joined, KafkaConnection, Membership, TopicOffsets, TopicPartitions } from "./connection.ts";
import { codeOf, KafkaStoppedError, willPass } from "./kafka-error.ts";
import { createLane, type Lane } from "./lane.ts";
import type { KafkaLog } from "./log.ts";
import { createMarkedSources } from "./mark-record.ts";
import { backOff, createNaps, type Defer } from "./nap.ts";
import { createPartitionReader, type PartitionReader } from "./partition-reader.ts";
import { createPassedEnds, type PassedEnds } from "./passed-ends.ts";
import type { Tempo } from "./tempo.ts";

export interface ConsumedTopic {
  /** The name that handlers see. */
  readonly name: string;
  /** The name in Kafka. */
  readonly kafkaName: string;
  readonly codec: TopicCodec;
  /** Marks travel in it; then `keepsShard` says whether a partition hears of its own source only. */
  readonly marks: { readonly keepsShard: boolean } | undefined;
}

export interface GroupConsumerOptions {
  /** The name in Kafka. */
  readonly group: string;
  readonly topics: readonly ConsumedTopic[];
  readonly partitions: number;
  readonly consuming: ConsumeOptions;
  readonly connection: KafkaConnection;
  readonly tempo: Tempo;
  readonly now: () => string;
  readonly defer: Defer;
  readonly log: KafkaLog;
  readonly onCrash: (error: Error) => void;
  readonly onEnded: () => void;
}

export interface LaneStatus {
  readonly topic: string;
  readonly partition: number;
  readonly position: number;
  readonly end: number;
  /** How long it has had messages and made no progress. */
  readonly stuckMs: number;
}

export interface GroupConsumer extends Consumer {
  status(): readonly LaneStatus[];
}

const DEFAULT_CHUNK = 1_000;
const FIRST_RETRY_MS = 100;
const LONGEST_RETRY_MS = 3_000;
/** How many heartbeats pass between two looks at the number of partitions. */
const LOOK_EVERY = 60;

export function startGroupConsumer(options: GroupConsumerOptions): GroupConsumer {
  const { group, topics, partitions, consuming, connection, tempo, defer, log } = options;
  const names = topics.map(({ kafkaName }) => kafkaName);
  const byKafkaName = new Map(topics.map((topic) => [topic.kafkaName, topic]));
  const naps = createNaps(defer);
  const lanes = new Map<string, Lane>();
  const ends = new Map<string, PassedEnds>();
  const { promise: done, resolve, reject } = Promise.withResolvers<void>();
  const committedAt = new Map<string, number>();
  let member: Membership | undefined;
  let owned: readonly number[] = [];
  let stopping = false;
  let ended = false;
  let commitDue = false;
  let ticks = 0;

  const reader: PartitionReader = createPartitionReader({
    connection,
    tempo,
    defer,
    log,
    wants: (topic, partition) => laneOf(topic, partition)?.wants() ?? false,
    onRecords: (topic, partition, set, highWatermark) => laneOf(topic, partition)?.add(set, highWatermark),
    onOutOfRange: ({ topic, partition, offset }) => fail(outsideLog(topic, partition, offset)),
    onFailure: (error) => fail(error),
  });

  function laneOf(kafkaName: string, partition: number): Lane | undefined {
    return lanes.get(`${kafkaName}/${partition}`);
  }

  async function run(): Promise<void> {
    for (let attempt = 0; !stopping;) {
      try {
        await drain();
        if (stopping) return;
        await take(await join());
        attempt = 0;
        await stay();
      } catch (error) {
        if (stopping) return;
        if (!willPass(error)) throw error;
        if (isLost(error)) forget();
        const pauseMs = backOff(attempt, FIRST_RETRY_MS, LONGEST_RETRY_MS);
        attempt += 1;
        log.warn({ group, err: error, pauseMs }, "the group cannot be reached; it is tried again");
        await naps.nap(pauseMs);
      }
    }
  }

  /** Joins the group and learns which partitions this member gets. */
  async function join(): Promise<Assignment> {
    await countPartitions();
    const joined: Joined = await connection.joinGroup({
      group,
      memberId: member?.memberId ?? "",
      topics: names,
      owned,
      ...tempo,
    });
    member = { memberId: joined.memberId, generation: joined.generation };
    return await connection.syncGroup(group, member, assignments(joined));
  }

  function assignments({ members }: Joined): ReadonlyMap<string, Assignment> {
    if (members.length === 0) return new Map();
    const shares = assignPartitions(members, partitions);
    return new Map(
      members.map(({ memberId, topics: subscribed }) => [
        memberId,
        new Map(subscribed.map((topic) => [topic, shares.get(memberId) ?? []])),
      ]),
    );
  }

  async function countPartitions(): Promise<void> {
    for (const [topic, count] of await connection.partitionCounts(names)) {
      if (count === partitions) continue;
      throw new KafkaStoppedError(
        `topic ${topic} has ${count} partitions and this process works with ${partitions}: stop all processes, give every topic the same number (rerate topics create), and start them with it`,
      );
    }
  }

  /** Takes over what was assigned: lanes of partitions that stay go on, others end or begin where the group was. */
  async function take(assignment: Assignment): Promise<void> {
    const next = [...new Set([...assignment.values()].flat())].sort((a, b) => a - b);
    const lost = owned.filter((partition) => !next.includes(partition));
    const gained = next.filter((partition) => !owned.includes(partition));
    release(lost);
    const starts = await startOffsets(gained);
    if (stopping) return;
    owned = next;
    for (const { topic, offsets } of starts) {
      for (const [partition, offset] of offsets) lanes.set(`${topic}/${partition}`, openLane(topic, partition, offset));
    }
    resetEnds();
    if (gained.length > 0) consuming.onAssigned?.(gained);
    reader.set(
      [...lanes].map(([key, lane]) => ({
        topic: key.slice(0, key.lastIndexOf("/")),
        partition: lane.partition,
        offset: lane.fetched(),
      })),
    );
    for (const lane of lanes.values()) lane.resume();
    log.info({ group, partitions: owned, lost, gained }, "joined the group");
  }

  function release(lost: readonly number[]): void {
    for (const [key, lane] of lanes) {
      if (!lost.includes(lane.partition)) continue;
      lane.close();
      lanes.delete(key);
      committedAt.delete(key);
    }
    owned = owned.filter((partition) => !lost.includes(partition));
    if (lost.length > 0) consuming.onRevoked?.(lost);
  }

  /** Where the group goes on. A group that was never here starts at the beginning; an offset outside the log stops it. */
  async function startOffsets(gained: readonly number[]): Promise<readonly TopicOffsets[]> {
    if (gained.length === 0) return [];
    const asked: readonly TopicPartitions[] = names.map((topic) => ({ topic, partitions: gained }));
    const committed = await connection.committed(group, asked);
    const first = await connection.listOffsets(asked, "beginning");
    const last = await connection.listOffsets(asked, "end");
    const missing: TopicOffsets[] = [];
    const starts = names.map((topic) => {
      const of = (found: readonly TopicOffsets[]) =>
        found.find((one) => one.topic === topic)?.offsets ?? new Map<number, number>();
      const [known, earliest, end] = [of(committed), of(first), of(last)];
      const unknown = gained.filter((partition) => !known.has(partition));
      missing.push({ topic, offsets: new Map(unknown.map((partition) => [partition, earliest.get(partition) ?? 0])) });
      const offsets = gained.map((partition): [number, number] => {
        const offset = known.get(partition) ?? earliest.get(partition) ?? 0;
        if (offset < (earliest.get(partition) ?? 0) || offset > (end.get(partition) ?? offset))
          throw outsideLog(topic, partition, offset);
        committedAt.set(`${topic}/${partition}`, offset);
        return [partition, offset];
      });
      return { topic, offsets: new Map(offsets) };
    });
    // From now on the group is known everywhere, so that its lag shows, and it cannot begin again elsewhere.
    const begun = missing.filter(({ offsets }) => offsets.size > 0);
    if (begun.length > 0) await connection.commit(group, member, begun);
    return starts;
  }

  function outsideLog(topic: string, partition: number, offset: number): KafkaStoppedError {
    return new KafkaStoppedError(
      `group ${group} stands at offset ${offset} of partition ${partition} of ${topic}, which is outside the topic's log: messages were deleted before they were handled, or the topic was created anew. Find out which, then move the group (rerate topics move-group) and start again`,
    );
  }

  function openLane(kafkaName: string, partition: number, start: number): Lane {
    const topic = byKafkaName.get(kafkaName);
    if (topic === undefined)
      throw new KafkaStoppedError(`group ${group} was assigned topic ${kafkaName}, which it does not consume`);
    return createLane(
      {
        topic: topic.name,
        partition,
        codec: topic.codec,
        marks: topic.marks === undefined ? undefined : createMarkedSources(topic.marks.keepsShard ? partition : undefined),
        maxChunk: consuming.maxChunk ?? DEFAULT_CHUNK,
        onChunk: consuming.onChunk,
        tempo,
        defer,
        onMoved: commitSoon,
        onRoom: () => reader.wake(),
        onSettled: () => naps.wake(),
      },
      start,
    );
  }

  /** Keeps the membership until the group changes. */
  async function stay(): Promise<void> {
    while (!stopping) {
      await pause(tempo.heartbeatMs);
      if (stopping || !(await beat())) return;
      ticks += 1;
      if (ticks % LOOK_EVERY === 0) await countPartitions();
      watch();
    }
  }

  /** Waits the whole time, unless the consumer stops: handlers that settle in between wake naps, too. */
  async function pause(delayMs: number): Promise<void> {
    let over = false;
    defer(() => {
      over = true;
      naps.wake();
    }, delayMs);
    while (!over && !stopping) await naps.nap(delayMs);
  }

  /** False when the group changes and this member must join again. */
  async function beat(): Promise<boolean> {
    if (member === undefined) return false;
    try {
      await connection.heartbeat(group, member);
      return true;
    } catch (error) {
      if (isLost(error)) {
        log.warn({ group, partitions: owned }, "the group took this process for dead; its partitions are with others");
        forget();
        return false;
      }
      if (codeOf(error) === "REBALANCE_IN_PROGRESS") return false;
      if (!willPass(error)) throw error;
      log.debug({ group, err: error }, "a heartbeat did not get through");
      return true;
    }
  }

  /** Lets running handlers finish and commits, so that partitions can change hands. */
  async function drain(): Promise<void> {
    reader.set([]);
    for (const lane of lanes.values()) lane.pause();
    let waitedMs = 0;
    // Some time is left to join before the coordinator gives up on this member.
    while (anyRunning() && member !== undefined && waitedMs < tempo.rebalanceTimeoutMs * 0.8) {
      const before = naps.nap(tempo.heartbeatMs);
      await before;
      waitedMs += tempo.heartbeatMs;
      if (anyRunning()) await beat();
    }
    await commit();
    if (anyRunning()) {
      log.warn({ group }, "handlers did not finish in time: their partitions go to others meanwhile");
      forget();
    }
  }

  function anyRunning(): boolean {
    return [...lanes.values()].some((lane) => lane.running());
  }

  /** Its partitions are with others by now, or will be: nothing of what was read here counts any more. */
  function forget(): void {
    reader.set([]);
    member = undefined;
    release([...owned]);
  }

  function commitSoon(): void {
    if (commitDue || ended) return;
    commitDue = true;
    defer(() => {
      commitDue = false;
      commit().catch((error: unknown) => fail(error));
    }, tempo.commitEveryMs);
  }

  /** Commits what has moved. What cannot be committed now goes with the next one; what is lost is lost. */
  async function commit(): Promise<void> {
    if (member === undefined) return;
    const moved = new Map<string, Map<number, number>>();
    for (const [key, lane] of lanes) {
      if (committedAt.get(key) === lane.position()) continue;
      const topic = key.slice(0, key.lastIndexOf("/"));
      moved.set(topic, (moved.get(topic) ?? new Map<number, number>()).set(lane.partition, lane.position()));
    }
    if (moved.size === 0) return;
    try {
      await connection.commit(
        group,
        member,
        [...moved].map(([topic, offsets]) => ({ topic, offsets })),
      );
      for (const [topic, offsets] of moved) {
        for (const [partition, offset] of offsets)
          if (lanes.has(`${topic}/${partition}`)) committedAt.set(`${topic}/${partition}`, offset);
      }
    } catch (error) {
      if (!willPass(error)) throw error;
      log.debug({ group, err: error }, "offsets were not committed; they go with the next ones");
      if (!isLost(error)) commitSoon();
    }
  }

  function isLost(error: unknown): boolean {
    const code = codeOf(error);
    return code === "UNKNOWN_MEMBER_ID" || code === "ILLEGAL_GENERATION" || code === "FENCED_INSTANCE_ID";
  }

  /** Says which partitions have messages and make no progress. */
  function watch(): void {
    const every = Math.max(1, Math.round(tempo.stuckAfterMs / tempo.heartbeatMs));
    for (const lane of lanes.values()) {
      const waited = lane.tick();
      if (waited === 0 || waited % every !== 0) continue;
      const { topic, partition } = lane;
      const stuckMs = waited * tempo.heartbeatMs;
      log.warn({ group, topic, partition, offset: lane.position(), stuckMs }, "a partition has messages and makes no progress");
    }
  }

  function resetEnds(): void {
    ends.clear();
    for (const { name, kafkaName, marks } of topics) {
      if (marks !== undefined) continue;
      const list = async () =>
        (await connection.listOffsets([{ topic: kafkaName, partitions: owned }], "end"))[0]?.offsets ?? new Map<number, number>();
      ends.set(name, createPassedEnds({ list, now: options.now, defer, everyMs: tempo.endsEveryMs }));
    }
  }

  function readUpTo(name: string): string | undefined {
    const topic = topics.find((one) => one.name === name);
    if (topic === undefined || owned.length === 0 || ended) return undefined;
    const own = owned.map((partition) => laneOf(topic.kafkaName, partition)).filter((lane) => lane !== undefined);
    if (topic.marks === undefined) return ends.get(name)?.readUpTo(new Map(own.map((lane) => [lane.partition, lane.position()])));
    let least: string | undefined;
    for (const lane of own) {
      const mark = lane.marked();
      if (mark === undefined) return undefined;
      if (least === undefined || mark < least) least = mark;
    }
    return least;
  }

  async function leave(): Promise<void> {
    if (member === undefined) return;
    await commit();
    await connection
      .leaveGroup(group, member.memberId)
      .catch((error: unknown) => log.debug({ group, err: error }, "left without a word"));
  }

  async function stop(): Promise<void> {
    if (!stopping) {
      stopping = true;
      naps.wake();
      reader.stop();
      for (const lane of lanes.values()) lane.pause();
      while (anyRunning()) await naps.nap(tempo.heartbeatMs);
      await leaving.catch(() => undefined);
    }
    await done;
  }

  function end(): boolean {
    if (ended) return false;
    ended = true;
    stopping = true;
    naps.wake();
    reader.stop();
    release([...owned]);
    options.onEnded();
    return true;
  }

  function fail(error: unknown): void {
    if (stopping || ended) return;
    const reason = error instanceof Error ? error : new Error(String(error));
    for (const lane of lanes.values()) lane.close();
    const { memberId } = member ?? {};
    end();
    log.error({ group, err: reason }, "a consumer has stopped");
    const left = memberId === undefined ? Promise.resolve() : connection.leaveGroup(group, memberId);
    void left.catch(() => undefined).then(() => connection.close());
    reject(reason);
    options.onCrash(reason);
  }

  const leaving = run()
    .then(async () => {
      if (ended) return;
      while (anyRunning()) await naps.nap(tempo.heartbeatMs);
      await leave();
      if (!end()) return;
      await connection.close();
      resolve();
    })
    .catch((error: unknown) => {
      if (stopping && !ended) {
        end();
        void connection.close();
        reject(error instanceof Error ? error : new Error(String(error)));
      } else fail(error);
    });
  done.catch(() => undefined);

  return {
    readUpTo,
    done,
    stop,
    status: () =>
      [...lanes.values()].map((lane) => ({
        topic: lane.topic,
        partition: lane.partition,
        position: lane.position(),
        end: lane.end(),
        stuckMs: 0,
      })),
  };
}
