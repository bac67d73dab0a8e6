/**
 * Creating and checking topics, and moving groups: by command, and checked at the start of every process. Nothing else creates
 * a topic.
 *
 * Owns which settings a kind of topic needs. Until a fact is recorded its topic is the only copy, so retention is far above the
 * longest outage, an acknowledged message is on two brokers where there are three, and no broker that lacks it may lead.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { type DescribedTopic, openConnection, withAdmin } from "./connection.ts";
import { codeOf, KafkaStoppedError } from "./kafka-error.ts";
import type { KafkaLog } from "./log.ts";
import type { KafkaBusOptions } from "./kafka-bus.ts";

/**
 * `reported`: from producers. `accepted`: from doors to owners. `published`: from a log. `hint`: heard by all, at most once.
 * `table`: compacted, the last value of every key.
 */
export type TopicKind = "reported" | "accepted" | "published" | "hint" | "table";

export interface TopicPlan {
  readonly name: string;
  readonly kind: TopicKind;
}

export interface TopicSettings {
  /** Of reported, accepted and published topics; hints and tables have one. */
  readonly partitions: number;
  /** Copies of every message. */
  readonly replication: number;
  /** How long messages are kept. Default 30 days. */
  readonly retentionMs?: number;
  readonly prefix?: string;
}

export interface TopicAccess {
  readonly brokers: readonly string[];
  readonly security?: KafkaBusOptions["security"];
  readonly log: KafkaLog;
}

export interface TopicDeviation {
  readonly topic: string;
  /** A sentence for people: what is, and what should be. */
  readonly problem: string;
}

const DAY_MS = 86_400_000;
const DEFAULT_RETENTION_MS = 30 * DAY_MS;
const HINT_RETENTION_MS = 3_600_000;
/** A table also holds parked messages, whole batches among them. */
const TABLE_MESSAGE_BYTES = 16_777_216;
const REQUEST_TIMEOUT_MS = 15_000;

/** Creates what is missing and raises partition counts that are too low; leaves everything else as it is. Returns what it did. */
export async function createTopics(
  access: TopicAccess,
  table: readonly TopicPlan[],
  settings: TopicSettings,
): Promise<readonly string[]> {
  return await withAdmin(clientOf(access), async (admin) => {
    const existing = await admin.describe(table.map(({ name }) => nameOf(name, settings)));
    const done: string[] = [];
    const missing = table.filter(({ name }) => !existing.has(nameOf(name, settings)));
    await admin.create(
      missing.map(({ name, kind }) => ({
        topic: nameOf(name, settings),
        partitions: partitionsOf(kind, settings),
        replication: settings.replication,
        settings: settingsOf(kind, settings),
      })),
    );
    done.push(...missing.map(({ name }) => `created ${nameOf(name, settings)}`));
    for (const { name, kind } of table) {
      const topic = nameOf(name, settings);
      const found = existing.get(topic)?.partitions;
      const wanted = partitionsOf(kind, settings);
      if (found === undefined || found >= wanted) continue;
      await admin.raisePartitions(topic, wanted);
      done.push(`raised ${topic} from ${found} to ${wanted} partitions`);
    }
    return done;
  });
}

/** Everything that is not as it must be; empty when all is well. */
export async function checkTopics(
  access: TopicAccess,
  table: readonly TopicPlan[],
  settings: TopicSettings,
): Promise<readonly TopicDeviation[]> {
  return await withAdmin(clientOf(access), async (admin) => {
    const found = await admin.describe(table.map(({ name }) => nameOf(name, settings)));
    return table.flatMap(({ name, kind }) => {
      const topic = nameOf(name, settings);
      return problemsOf(kind, settings, found.get(topic)).map((problem) => ({ topic, problem }));
    });
  });
}

/** Deletes topics with everything in them; those that are not there are no error. For tests. */
export async function deleteTopics(
  access: TopicAccess,
  table: readonly TopicPlan[],
  settings: Pick<TopicSettings, "prefix">,
): Promise<void> {
  await withAdmin(clientOf(access), (admin) => admin.delete(table.map(({ name }) => nameOf(name, settings))));
}

/**
 * Puts a group at the beginning or the end of a topic: the way on after it stood outside the topic's log. Works only while
 * no member of the group runs.
 */
export async function moveGroup(
  access: TopicAccess,
  {
    group,
    topic,
    to,
    prefix = "",
    waitMs = 0,
  }: {
    readonly group: string;
    readonly topic: string;
    readonly to: "beginning" | "end";
    readonly prefix?: string;
    /** How long members may take to be gone: a process that ended without a word stays one until its session is over. */
    readonly waitMs?: number;
  },
): Promise<void> {
  const connection = openConnection(clientOf(access));
  try {
    const count = (await connection.partitionCounts([prefix + topic])).get(prefix + topic) ?? 0;
    const partitions = Array.from({ length: count }, (_, partition) => partition);
    const offsets = await connection.listOffsets([{ topic: prefix + topic, partitions }], to);
    for (let waitedMs = 0; ; waitedMs += MOVE_AGAIN_MS) {
      try {
        return await connection.commit(prefix + group, undefined, offsets);
      } catch (error) {
        if (!RUNNING.has(codeOf(error) ?? "")) throw error;
        const problem = `group ${prefix + group} cannot be moved while members of it run: stop them first`;
        if (waitedMs >= waitMs) throw new KafkaStoppedError(problem, { cause: error });
        await sleep(MOVE_AGAIN_MS);
      }
    }
  } finally {
    await connection.close();
  }
}

const MOVE_AGAIN_MS = 500;
/** How Kafka refuses to move a group that has members. */
const RUNNING = new Set(["UNKNOWN_MEMBER_ID", "ILLEGAL_GENERATION", "REBALANCE_IN_PROGRESS"]);

function clientOf({ brokers, security, log }: TopicAccess) {
  return { ...security, brokers, clientId: "rerate-topics", log, requestTimeoutMs: REQUEST_TIMEOUT_MS };
}

function nameOf(name: string, { prefix = "" }: Pick<TopicSettings, "prefix">): string {
  return prefix + name;
}

function partitionsOf(kind: TopicKind, { partitions }: TopicSettings): number {
  return kind === "hint" || kind === "table" ? 1 : partitions;
}

function settingsOf(
  kind: TopicKind,
  { replication, retentionMs = DEFAULT_RETENTION_MS }: TopicSettings,
): Readonly<Record<string, string>> {
  const safety = { "min.insync.replicas": String(replication >= 3 ? 2 : 1), "unclean.leader.election.enable": "false" };
  if (kind === "table") {
    // What was erased or replaced is gone from the disk a day or two later.
    return {
      ...safety,
      "cleanup.policy": "compact",
      "max.message.bytes": String(TABLE_MESSAGE_BYTES),
      "max.compaction.lag.ms": String(DAY_MS),
      "delete.retention.ms": String(DAY_MS),
      "segment.ms": String(DAY_MS),
    };
  }
  const kept = kind === "hint" ? HINT_RETENTION_MS : retentionMs;
  return { ...safety, "cleanup.policy": "delete", "retention.ms": String(kept), "retention.bytes": "-1" };
}

function problemsOf(kind: TopicKind, settings: TopicSettings, found: DescribedTopic | undefined): string[] {
  if (found === undefined) return ["is missing"];
  const problems: string[] = [];
  const wanted = settingsOf(kind, settings);
  const actual = (name: string) => found.settings.get(name) ?? "";
  const partitions = partitionsOf(kind, settings);
  if (found.partitions !== partitions) problems.push(`has ${found.partitions} partitions, and must have ${partitions}`);
  if (found.replication < settings.replication)
    problems.push(`has ${found.replication} copies of a message, and must have ${settings.replication}`);
  for (const name of ["cleanup.policy", "unclean.leader.election.enable"]) {
    if (actual(name) !== wanted[name]) problems.push(`has ${name}=${actual(name)}, and must have ${wanted[name]}`);
  }
  for (const name of ["min.insync.replicas", "max.message.bytes"]) {
    if (wanted[name] !== undefined && Number(actual(name)) < Number(wanted[name])) {
      problems.push(`has ${name}=${actual(name)}, and must have at least ${wanted[name]}`);
    }
  }
  for (const name of ["retention.ms", "retention.bytes"]) {
    // -1 is for ever.
    if (wanted[name] === undefined || Number(actual(name)) === -1) continue;
    if (Number(wanted[name]) === -1) problems.push(`has ${name}=${actual(name)}, and must have no such limit (-1)`);
    else if (Number(actual(name)) < Number(wanted[name]))
      problems.push(`has ${name}=${actual(name)}, and must have at least ${wanted[name]}`);
  }
  return problems;
}
