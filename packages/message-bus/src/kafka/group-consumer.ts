/**
 * One member of a consumer group: joins, gets partitions, reads them, hands chunks to the handler, commits.
 *
 * A change of the group waits for running handlers before partitions move, as long as the rebalance timeout allows. Whoever
 * was taken for dead forgets everything at once. Offsets move only after the handler; nothing here makes anything exactly-once.
 */
import type { ConsumeOptions, Consumer } from "../port.ts";
import { assignPartitions } from "./assign.ts";
import type { Assignment, Joined, KafkaConnection, Membership } from "./connection.ts";
import { codeOf, KafkaStoppedError, willPass } from "./kafka-error.ts";
import { type ConsumedTopic, createLaneSet, type LaneStatus } from "./lane-set.ts";
import type { KafkaLog } from "./log.ts";
import { backOff, createNaps, type Defer } from "./nap.ts";
import { createPartitionReader, type PartitionReader } from "./partition-reader.ts";
import { createPassedEnds, type PassedEnds } from "./passed-ends.ts";
import { outsideLog, startOffsets } from "./start-offsets.ts";
import type { Tempo } from "./tempo.ts";

export interface GroupConsumerOptions {
  /** The name in Kafka. */
  readonly group: string;
  readonly topics: readonly ConsumedTopic[];
  /** How many partitions every topic must have. */
  readonly partitions: number;
  readonly consuming: ConsumeOptions;
  /** Of this consumer alone; closed with it. */
  readonly connection: KafkaConnection;
  readonly tempo: Tempo;
  readonly now: () => string;
  readonly defer: Defer;
  readonly log: KafkaLog;
  /** It has ended for good, and not because somebody stopped it. */
  readonly onCrash: (error: Error) => void;
  readonly onEnded: () => void;
}

export interface GroupConsumer extends Consumer {
  status(): readonly LaneStatus[];
}

const FIRST_RETRY_MS = 100;
const LONGEST_RETRY_MS = 3_000;
/** How many heartbeats pass between two looks at the number of partitions. */
const LOOK_EVERY = 20;
/** Who stops does not wait longer for the group: it notices after the session timeout. */
const LEAVE_MS = 5_000;
/** The part of the rebalance timeout that handlers may use; the rest is left to join in. */
const FOR_HANDLERS = 0.8;

export function startGroupConsumer(options: GroupConsumerOptions): GroupConsumer {
  const { group, topics, partitions, consuming, connection, tempo, defer, log } = options;
  const names = topics.map(({ kafkaName }) => kafkaName);
  const naps = createNaps(defer);
  const ends = new Map<string, PassedEnds>();
  const { promise: done, resolve, reject } = Promise.withResolvers<void>();
  let member: Membership | undefined;
  let owned: readonly number[] = [];
  let stopping = false;
  let ended = false;
  let joining = false;
  /** The delay after which the next commit is due; infinite when none is. */
  let commitDueMs = Infinity;
  let missingMs = 0;

  const lanes = createLaneSet({
    topics,
    consuming,
    tempo,
    defer,
    onMoved: commitSoon,
    onRoom: () => reader.wake(),
    onSettled: () => naps.wake(),
  });
  const reader: PartitionReader = createPartitionReader({
    connection,
    tempo,
    defer,
    log,
    wants: (topic, partition) => lanes.get(topic, partition)?.wants() ?? false,
    onRecords: (topic, partition, set, highWatermark) => lanes.get(topic, partition)?.add(set, highWatermark),
    onOutOfRange: (place) => fail(outsideLog(group, place)),
    onFailure: fail,
  });
  const ending = live();

  async function live(): Promise<void> {
    try {
      // Whoever called gets the consumer before anything happens.
      await Promise.resolve();
      await run();
      if (ended) return;
      while (lanes.handling()) await naps.nap(tempo.heartbeatMs);
      await Promise.race([leave(), createNaps(defer).nap(LEAVE_MS)]);
      end();
      await connection.close();
      resolve();
    } catch (error) {
      fail(error);
    }
  }

  async function run(): Promise<void> {
    for (let attempt = 0; !isStopping();) {
      try {
        await drain();
        if (isStopping()) return;
        await take(await join());
        attempt = 0;
        missingMs = 0;
        await stay();
      } catch (error) {
        if (isStopping()) return;
        if (isLost(error)) forget();
        const pauseMs = backOff(attempt, FIRST_RETRY_MS, LONGEST_RETRY_MS);
        attempt += 1;
        assertPasses(error, pauseMs);
        log.warn({ group, err: error, pauseMs }, "the group cannot be reached; it is tried again");
        await naps.nap(pauseMs);
      }
    }
  }

  function isStopping(): boolean {
    return stopping;
  }

  /** Throws what waiting does not mend. A topic may be unknown for a moment while a broker starts. */
  function assertPasses(error: unknown, pauseMs: number): void {
    if (codeOf(error) !== "UNKNOWN_TOPIC_OR_PARTITION") {
      if (!willPass(error)) throw error;
      return;
    }
    missingMs += pauseMs;
    if (missingMs < tempo.missingTopicMs) return;
    throw new KafkaStoppedError(`one of the topics ${names.join(", ")} is not there: create it (rerate topics create)`, {
      cause: error,
    });
  }

  /** Lets running handlers finish and commits, so that partitions can change hands. */
  async function drain(): Promise<void> {
    reader.set([]);
    lanes.pause();
    let late = false;
    if (lanes.running()) defer(() => (late = true), tempo.rebalanceTimeoutMs * FOR_HANDLERS);
    const isLate = () => late;
    while (lanes.running() && !isLate()) {
      await naps.nap(tempo.heartbeatMs);
      if (lanes.running()) await beat();
    }
    if (lanes.running()) {
      log.warn({ group }, "handlers did not finish in time: their partitions go to others meanwhile");
      await commit();
      forget();
    } else await commit();
  }

  /** Joins the group and learns which partitions this member gets. */
  async function join(): Promise<Assignment> {
    await checkPartitionCounts();
    const memberId = member?.memberId ?? "";
    joining = true;
    try {
      const joined = await connection.joinGroup({ group, memberId, topics: names, owned, ...tempo });
      member = { memberId: joined.memberId, generation: joined.generation };
      return await connection.syncGroup(group, member, assignments(joined));
    } finally {
      joining = false;
    }
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

  async function checkPartitionCounts(): Promise<void> {
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
    const starts = await startOffsets({ connection, group, member, topics: names, partitions: gained });
    if (isStopping()) return;
    owned = next;
    lanes.open(starts);
    resetEnds();
    if (gained.length > 0) consuming.onAssigned?.(gained);
    reader.set(lanes.places());
    lanes.resume();
    log.info({ group, partitions: owned, lost, gained }, "joined the group");
  }

  function release(lost: readonly number[]): void {
    lanes.close(lost);
    owned = owned.filter((partition) => !lost.includes(partition));
    if (lost.length > 0) consuming.onRevoked?.(lost);
  }

  /** Its partitions are with others by now, or will be: nothing of what was read here counts any more. */
  function forget(): void {
    reader.set([]);
    member = undefined;
    release(owned);
  }

  /** Keeps the membership until the group changes. */
  async function stay(): Promise<void> {
    for (let ticks = 1; !isStopping(); ticks++) {
      await pause(tempo.heartbeatMs);
      if (isStopping() || !(await beat())) return;
      if (ticks % LOOK_EVERY === 0) await look();
      for (const stuck of lanes.tick()) log.warn({ group, ...stuck }, "a partition has messages and makes no progress");
    }
  }

  async function look(): Promise<void> {
    try {
      await checkPartitionCounts();
    } catch (error) {
      if (error instanceof KafkaStoppedError) throw error;
      log.debug({ group, err: error }, "the topics could not be looked at");
    }
  }

  /** Waits the whole time, unless the consumer stops: handlers that settle in between wake naps, too. */
  async function pause(delayMs: number): Promise<void> {
    let over = false;
    defer(() => {
      over = true;
      naps.wake();
    }, delayMs);
    const isOver = () => over;
    while (!isOver() && !isStopping()) await naps.nap(delayMs);
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

  function commitSoon(pastMessages: boolean): void {
    const delayMs = pastMessages ? tempo.commitEveryMs : tempo.commitMarksEveryMs;
    if (commitDueMs <= delayMs || ended) return;
    commitDueMs = delayMs;
    defer(() => {
      if (commitDueMs !== delayMs) return;
      commitDueMs = Infinity;
      commit().catch(fail);
    }, delayMs);
  }

  /** Commits what has moved. What cannot be committed now goes with the next one; what is lost is lost. */
  async function commit(): Promise<void> {
    const moved = lanes.uncommitted();
    if (member === undefined || moved.length === 0) return;
    try {
      await connection.commit(group, member, moved);
      lanes.committed(moved);
    } catch (error) {
      if (codeOf(error) === "CLOSED") return;
      if (!willPass(error)) throw error;
      log.debug({ group, err: error }, "offsets were not committed; they go with the next ones");
      if (!isLost(error)) commitSoon(true);
    }
  }

  function resetEnds(): void {
    ends.clear();
    for (const { name, kafkaName, hasEnds } of topics) {
      if (!hasEnds) continue;
      const asked = [{ topic: kafkaName, partitions: owned }];
      const list = async () => (await connection.listOffsets(asked, "end"))[0]?.offsets ?? new Map<number, number>();
      ends.set(name, createPassedEnds({ list, now: options.now, defer, everyMs: tempo.endsEveryMs }));
    }
  }

  function readUpTo(name: string): string | undefined {
    const topic = topics.find((one) => one.name === name);
    if (topic === undefined || owned.length === 0 || ended) return undefined;
    const own = owned.map((partition) => lanes.get(topic.kafkaName, partition)).filter((lane) => lane !== undefined);
    if (own.length < owned.length) return undefined;
    const positions = new Map(own.map((lane) => [lane.partition, lane.position()]));
    const said = [
      ...(topic.hasEnds ? [ends.get(name)?.readUpTo(positions)] : []),
      ...(topic.marks === undefined ? [] : own.map((lane) => lane.marked())),
    ];
    return said.reduce((least, one) => (least === undefined || one === undefined ? undefined : one < least ? one : least));
  }

  async function leave(): Promise<void> {
    if (member === undefined) return;
    try {
      await commit();
      await connection.leaveGroup(group, member.memberId);
    } catch (error) {
      log.debug({ group, err: error }, "the group was left without a word; it notices after the session timeout");
    }
  }

  async function stop(): Promise<void> {
    if (!stopping) {
      stopping = true;
      naps.wake();
      reader.stop();
      lanes.pause();
      // A join waits for all other members, which may take as long as their handlers.
      defer(() => {
        if (joining && !ended) connection.reset();
      }, LEAVE_MS);
      await ending;
    }
    await done;
  }

  function end(): void {
    ended = true;
    stopping = true;
    naps.wake();
    reader.stop();
    release(owned);
    options.onEnded();
  }

  /** Ends for good: other members go on at the last commit. */
  function fail(error: unknown): void {
    if (ended) return;
    const reason = error instanceof Error ? error : new Error(String(error));
    const left = member;
    end();
    log.error({ group, err: reason }, "a consumer has stopped");
    void abandon(left);
    reject(reason);
    options.onCrash(reason);
  }

  async function abandon(left: Membership | undefined): Promise<void> {
    if (left !== undefined) await connection.leaveGroup(group, left.memberId).catch(() => undefined);
    await connection.close();
  }

  // Whoever does not ask hears of it through onCrash.
  done.catch(() => undefined);
  return { readUpTo, done, stop, status: () => lanes.status() };
}

function isLost(error: unknown): boolean {
  const code = codeOf(error);
  return code === "UNKNOWN_MEMBER_ID" || code === "ILLEGAL_GENERATION" || code === "FENCED_INSTANCE_ID";
}
