/**
 * The lanes of one member of a group: which partitions it works on, how far each has come, what is to be committed, which
 * stand still. Knows nothing of groups or of the network.
 */
import type { ConsumeOptions, TopicCodec } from "../port.ts";
import type { TopicOffsets } from "./connection.ts";
import { createLane, type Lane } from "./lane.ts";
import { createMarkedSources } from "./mark-record.ts";
import type { Defer } from "./nap.ts";
import type { PartitionPlace } from "./partition-reader.ts";
import type { Tempo } from "./tempo.ts";

export interface ConsumedTopic {
  /** The name that handlers see. */
  readonly name: string;
  /** The name in Kafka. */
  readonly kafkaName: string;
  readonly codec: TopicCodec;
  /** Marks travel in it; then `keepsShard` says whether a partition hears of its own source only. */
  readonly marks: { readonly keepsShard: boolean } | undefined;
  /** What was published before a time is in the topic then: its end says up to when everything has been handled. */
  readonly hasEnds: boolean;
}

export interface LaneStatus {
  readonly topic: string;
  readonly partition: number;
  /** The offset after the last handled message. */
  readonly position: number;
  /** The partition's end as last heard. */
  readonly end: number;
  /** How long it has had messages and made no progress. */
  readonly stuckMs: number;
}

export interface LaneSetOptions {
  readonly topics: readonly ConsumedTopic[];
  readonly consuming: ConsumeOptions;
  readonly tempo: Tempo;
  readonly defer: Defer;
  readonly onMoved: (pastMessages: boolean) => void;
  readonly onRoom: () => void;
  readonly onSettled: () => void;
}

export interface LaneSet {
  /** By the topic's name in Kafka. */
  get(kafkaName: string, partition: number): Lane | undefined;
  open(starts: readonly TopicOffsets[]): void;
  /** Ends the lanes of these partitions; what their handlers still do counts no more. */
  close(partitions: readonly number[]): void;
  pause(): void;
  resume(): void;
  /** True while a handler runs for a lane that is open. */
  running(): boolean;
  /** True while any handler runs, also one whose partition was taken away. */
  handling(): boolean;
  /** Where to read on. */
  places(): readonly PartitionPlace[];
  /** Positions that were not committed yet. */
  uncommitted(): readonly TopicOffsets[];
  committed(offsets: readonly TopicOffsets[]): void;
  /** Once per heartbeat: gives the lanes that have made no progress for so long, each time that time has passed again. */
  tick(): readonly LaneStatus[];
  status(): readonly LaneStatus[];
}

interface Member {
  readonly kafkaName: string;
  readonly lane: Lane;
  committed: number;
  /** Heartbeats since it last made progress with messages waiting. */
  stuckTicks: number;
}

const DEFAULT_CHUNK = 1_000;

export function createLaneSet(options: LaneSetOptions): LaneSet {
  const { topics, consuming, tempo, defer } = options;
  const members = new Map<string, Member>();
  /** Closed while their handler ran. */
  let abandoned: readonly Lane[] = [];

  function laneFor({ name, codec, marks }: ConsumedTopic, partition: number, start: number): Lane {
    return createLane(
      {
        topic: name,
        partition,
        codec,
        marks: marks === undefined ? undefined : createMarkedSources(marks.keepsShard ? partition : undefined),
        maxChunk: consuming.maxChunk ?? DEFAULT_CHUNK,
        onChunk: consuming.onChunk,
        tempo,
        defer,
        onMoved: options.onMoved,
        onRoom: options.onRoom,
        onSettled: options.onSettled,
      },
      start,
    );
  }

  function statusOf({ lane, stuckTicks }: Member): LaneStatus {
    const { topic, partition } = lane;
    return { topic, partition, position: lane.position(), end: lane.end(), stuckMs: stuckTicks * tempo.heartbeatMs };
  }

  return {
    get: (kafkaName, partition) => members.get(`${kafkaName}/${partition}`)?.lane,
    open(starts) {
      for (const { topic: kafkaName, offsets } of starts) {
        const topic = topics.find((one) => one.kafkaName === kafkaName);
        if (topic === undefined) continue;
        for (const [partition, start] of offsets) {
          const lane = laneFor(topic, partition, start);
          members.set(`${kafkaName}/${partition}`, { kafkaName, lane, committed: start, stuckTicks: 0 });
        }
      }
    },
    close(partitions) {
      abandoned = abandoned.filter((lane) => lane.running());
      for (const [key, { lane }] of members) {
        if (!partitions.includes(lane.partition)) continue;
        lane.close();
        members.delete(key);
        if (lane.running()) abandoned = [...abandoned, lane];
      }
    },
    pause() {
      for (const { lane } of members.values()) lane.pause();
    },
    resume() {
      for (const { lane } of members.values()) lane.resume();
    },
    running: () => [...members.values()].some(({ lane }) => lane.running()),
    handling: () => [...members.values()].some(({ lane }) => lane.running()) || abandoned.some((lane) => lane.running()),
    places: () =>
      [...members.values()].map(({ kafkaName, lane }) => ({
        topic: kafkaName,
        partition: lane.partition,
        offset: lane.fetched(),
      })),
    uncommitted() {
      const moved = new Map<string, Map<number, number>>();
      for (const { kafkaName, lane, committed } of members.values()) {
        if (committed === lane.position()) continue;
        const offsets = moved.get(kafkaName) ?? new Map<number, number>();
        moved.set(kafkaName, offsets.set(lane.partition, lane.position()));
      }
      return [...moved].map(([topic, offsets]) => ({ topic, offsets }));
    },
    committed(found) {
      for (const { topic, offsets } of found) {
        for (const [partition, offset] of offsets) {
          const member = members.get(`${topic}/${partition}`);
          if (member !== undefined) member.committed = offset;
        }
      }
    },
    tick() {
      const every = Math.max(1, Math.round(tempo.stuckAfterMs / tempo.heartbeatMs));
      const stuck: LaneStatus[] = [];
      for (const member of members.values()) {
        member.stuckTicks = member.lane.stoodStill() ? member.stuckTicks + 1 : 0;
        if (member.stuckTicks > 0 && member.stuckTicks % every === 0) stuck.push(statusOf(member));
      }
      return stuck;
    },
    status: () => [...members.values()].map(statusOf),
  };
}
