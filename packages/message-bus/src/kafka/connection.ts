/**
 * Connections to a Kafka cluster: the only file that names kafkajs.
 *
 * kafkajs brings sockets, TLS, SASL, metadata, the group protocol and topic administration. Record sets are encoded and
 * decoded here in the package (`protocol.ts`, `record-batch.ts`), because kafkajs ends a consumer for good at the first batch
 * it cannot unpack. Offsets are numbers here: exact up to 2^53.
 */
import kafkajs, { type Admin, type Cluster, type Kafka } from "kafkajs";
import { connect as connectTcp, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { connect as connectTls } from "node:tls";
import { asKafkaError, causes, KafkaError, KafkaStoppedError } from "./kafka-error.ts";
import type { KafkaLog } from "./log.ts";
import type { Exchange } from "./protocol.ts";

export interface ConnectionOptions {
  readonly brokers: readonly string[];
  readonly clientId: string;
  readonly log: KafkaLog;
  /** How long a broker may take to answer. */
  readonly requestTimeoutMs: number;
  readonly tls?: boolean;
  readonly sasl?: SaslOf<"plain"> | SaslOf<"scram-sha-256"> | SaslOf<"scram-sha-512">;
}

interface SaslOf<Mechanism> {
  readonly mechanism: Mechanism;
  readonly username: string;
  readonly password: string;
}

export interface TopicPartitions {
  readonly topic: string;
  readonly partitions: readonly number[];
}

export interface TopicOffsets {
  readonly topic: string;
  /** A partition that is not there had no offset. */
  readonly offsets: ReadonlyMap<number, number>;
}

export interface Membership {
  readonly memberId: string;
  readonly generation: number;
}

export interface Joined extends Membership {
  /** All members, where this one is the leader and must assign; empty elsewhere. */
  readonly members: readonly {
    readonly memberId: string;
    readonly topics: readonly string[];
    readonly owned: readonly number[];
  }[];
}

/** topic → partitions. */
export type Assignment = ReadonlyMap<string, readonly number[]>;

/** One set of sockets to the cluster. Fetches have a socket of their own, so that a long poll delays nothing else. */
export interface KafkaConnection {
  /** How many partitions each topic has, asked anew. Rejects with UNKNOWN_TOPIC_OR_PARTITION when one is not there. */
  partitionCounts(topics: readonly string[]): Promise<ReadonlyMap<string, number>>;
  /** The broker that leads each partition, as last heard. */
  leaders(partitions: readonly TopicPartitions[]): ReadonlyMap<string, readonly TopicPartitions[]>;
  /** Sends a request to a broker. */
  exchange<Answer>(node: string, exchange: Exchange<Answer>): Promise<Answer>;
  /** The offsets after the last message (also of open transactions) or of the first one still there. */
  listOffsets(partitions: readonly TopicPartitions[], which: "end" | "beginning"): Promise<readonly TopicOffsets[]>;
  joinGroup(options: {
    readonly group: string;
    readonly memberId: string;
    readonly topics: readonly string[];
    readonly owned: readonly number[];
    readonly sessionTimeoutMs: number;
    readonly rebalanceTimeoutMs: number;
  }): Promise<Joined>;
  syncGroup(group: string, member: Membership, assignments: ReadonlyMap<string, Assignment>): Promise<Assignment>;
  heartbeat(group: string, member: Membership): Promise<void>;
  leaveGroup(group: string, memberId: string): Promise<void>;
  committed(group: string, partitions: readonly TopicPartitions[]): Promise<readonly TopicOffsets[]>;
  /** Outside a group when `member` is undefined: works only while the group has no members. */
  commit(group: string, member: Membership | undefined, offsets: readonly TopicOffsets[]): Promise<void>;
  /** Breaks all sockets: requests under way reject, the next request connects anew. */
  reset(): void;
  close(): Promise<void>;
}

const ASSIGNER = "rerate-1";

/** What a kafkajs broker can do beyond its published type. */
interface FullBroker {
  readonly connectionPool: { send(request: object): Promise<unknown> };
  joinGroup(request: object): Promise<{
    readonly generationId: number;
    readonly leaderId: string;
    readonly memberId: string;
    readonly members: readonly { readonly memberId: string; readonly memberMetadata: Buffer }[];
  }>;
  syncGroup(request: object): Promise<{ readonly memberAssignment: Buffer }>;
  heartbeat(request: object): Promise<unknown>;
  leaveGroup(request: object): Promise<unknown>;
}

/** Connects lazily: a broker that is not there shows at the first request. */
export function openConnection(options: ConnectionOptions): KafkaConnection {
  const sockets = new Set<Socket>();
  const cluster = clusterOf(createKafka(options, sockets));
  const coordinators = new Map<string, string>();
  let closed = false;
  /** How often the sockets were broken: what fails because of that must not break their successors. */
  let resets = 0;

  /** Runs a request; what kafkajs throws becomes a `KafkaError`. After a broken connection everything is looked up anew. */
  async function run<Result>(request: () => Promise<Result>): Promise<Result> {
    if (closed) throw new KafkaError("CLOSED", "the connection is closed");
    const before = resets;
    try {
      await cluster.connect();
      return await request();
    } catch (error) {
      const known = asKafkaError(error);
      if (known.code === "CONNECTION") coordinators.clear();
      // A socket that carries no answer may be dead without knowing; others are opened anew by themselves.
      if (before === resets && causes(error).some(({ name }) => name === "KafkaJSRequestTimeoutError")) reset();
      throw known;
    }
  }

  function reset(): void {
    resets += 1;
    coordinators.clear();
    for (const socket of sockets) socket.destroy(new Error("connection reset by this client"));
    sockets.clear();
  }

  async function coordinator<Result>(
    group: string,
    request: (broker: FullBroker & Coordinator) => Promise<Result>,
  ): Promise<Result> {
    return await run(async () => {
      let node = coordinators.get(group);
      if (node === undefined) {
        await cluster.refreshMetadataIfNecessary();
        node = await findCoordinator(cluster, group, () => closed);
        coordinators.set(group, node);
      }
      try {
        return await request((await cluster.findBroker({ nodeId: node })) as unknown as FullBroker & Coordinator);
      } catch (error) {
        if (asKafkaError(error).code === "NOT_COORDINATOR_FOR_GROUP") coordinators.delete(group);
        throw error;
      }
    });
  }

  return {
    async partitionCounts(topics) {
      return await run(async () => {
        await cluster.addMultipleTargetTopics([...topics]);
        await cluster.refreshMetadata();
        return new Map(topics.map((topic) => [topic, cluster.findTopicPartitionMetadata(topic).length]));
      });
    },
    leaders(partitions) {
      const nodes = new Map<string, TopicPartitions[]>();
      for (const { topic, partitions: wanted } of partitions) {
        for (const [node, led] of Object.entries(leadersOf(cluster, topic, wanted))) {
          if (Number(node) < 0)
            throw new KafkaError("LEADER_NOT_AVAILABLE", `a partition of ${topic} has no leader at the moment`);
          nodes.set(node, [...(nodes.get(node) ?? []), { topic, partitions: led }]);
        }
      }
      return nodes;
    },
    async exchange(node, { api, version, name, body, decode, timeoutMs }) {
      return await run(async () => {
        const broker = (await cluster.findBroker({ nodeId: node })) as unknown as FullBroker;
        const answer = await broker.connectionPool.send({
          request: { apiKey: api, apiVersion: version, apiName: name, encode: async () => ({ buf: body, buffer: body }) },
          response: { decode: async (bytes: Buffer) => ({ answer: decode(bytes) }), parse: async (decoded: unknown) => decoded },
          requestTimeout: timeoutMs,
        });
        return (answer as { readonly answer: ReturnType<typeof decode> }).answer;
      });
    },
    async listOffsets(partitions, which) {
      if (partitions.every((one) => one.partitions.length === 0)) return [];
      const asked = partitions.map(({ topic, partitions: wanted }) => ({
        topic,
        partitions: wanted.map((partition) => ({ partition })),
        fromBeginning: which === "beginning",
      }));
      const found = await run(async () => {
        await cluster.addMultipleTargetTopics(partitions.map(({ topic }) => topic));
        return await cluster.fetchTopicsOffset(asked);
      });
      return found.map(offsetsOf);
    },
    async joinGroup({ group, memberId, topics, owned, sessionTimeoutMs, rebalanceTimeoutMs }) {
      const userData = Buffer.from(JSON.stringify(owned));
      const metadata = kafkajs.AssignerProtocol.MemberMetadata.encode({ version: 0, topics: [...topics], userData });
      const joined = await coordinator(group, (broker) =>
        broker.joinGroup({
          groupId: group,
          memberId,
          sessionTimeout: sessionTimeoutMs,
          rebalanceTimeout: rebalanceTimeoutMs,
          groupProtocols: [{ name: ASSIGNER, metadata }],
        }),
      );
      return {
        memberId: joined.memberId,
        generation: joined.generationId,
        members: joined.leaderId === joined.memberId ? joined.members.map(memberOf) : [],
      };
    },
    async syncGroup(group, { memberId, generation }, assignments) {
      const groupAssignment = [...assignments].map(([member, assignment]) => ({
        memberId: member,
        memberAssignment: kafkajs.AssignerProtocol.MemberAssignment.encode({
          version: 0,
          assignment: Object.fromEntries([...assignment].map(([topic, partitions]) => [topic, [...partitions]])),
          userData: Buffer.alloc(0),
        }),
      }));
      const { memberAssignment } = await coordinator(group, (broker) =>
        broker.syncGroup({ groupId: group, generationId: generation, memberId, groupAssignment }),
      );
      return new Map(Object.entries(kafkajs.AssignerProtocol.MemberAssignment.decode(memberAssignment)?.assignment ?? {}));
    },
    async heartbeat(group, { memberId, generation }) {
      await coordinator(group, (broker) => broker.heartbeat({ groupId: group, groupGenerationId: generation, memberId }));
    },
    async leaveGroup(group, memberId) {
      await coordinator(group, (broker) => broker.leaveGroup({ groupId: group, memberId }));
    },
    async committed(group, partitions) {
      const topics = partitions.map(({ topic, partitions: wanted }) => ({
        topic,
        partitions: wanted.map((partition) => ({ partition, offset: "" })),
      }));
      const { responses } = await coordinator(group, (broker) => broker.offsetFetch({ groupId: group, topics }));
      return responses.map(offsetsOf);
    },
    async commit(group, member, offsets) {
      const topics = offsets.map(({ topic, offsets: next }) => ({
        topic,
        partitions: [...next].map(([partition, offset]) => ({ partition, offset: String(offset) })),
      }));
      await coordinator(group, (broker) =>
        broker.offsetCommit({
          groupId: group,
          groupGenerationId: member?.generation ?? -1,
          memberId: member?.memberId ?? "",
          topics,
        }),
      );
    },
    reset,
    async close() {
      if (closed) return;
      closed = true;
      reset();
      await cluster.disconnect().catch(() => undefined);
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** A cluster that never had a group makes the topic of their offsets at the first question, which takes a moment. */
async function findCoordinator(cluster: Cluster, group: string, isClosed: () => boolean): Promise<string> {
  for (let attempt = 0; ; attempt++) {
    try {
      return String((await cluster.findGroupCoordinatorMetadata({ groupId: group })).coordinator.nodeId);
    } catch (error) {
      if (attempt >= COORDINATOR_ATTEMPTS || isClosed()) throw error;
    }
    await sleep(COORDINATOR_PAUSE_MS);
  }
}

const COORDINATOR_ATTEMPTS = 10;
const COORDINATOR_PAUSE_MS = 200;

function leadersOf(cluster: Cluster, topic: string, partitions: readonly number[]): Readonly<Record<string, number[]>> {
  try {
    return cluster.findLeaderForPartitions(topic, [...partitions]);
  } catch (error) {
    throw new KafkaError("LEADER_NOT_AVAILABLE", `nothing is known yet of who leads ${topic}`, error);
  }
}

export interface DescribedTopic {
  readonly partitions: number;
  /** Copies of its least copied partition. */
  readonly replication: number;
  readonly settings: ReadonlyMap<string, string>;
}

export interface TopicAdmin {
  /** Those of the topics that are there. */
  describe(topics: readonly string[]): Promise<ReadonlyMap<string, DescribedTopic>>;
  create(
    topics: readonly {
      readonly topic: string;
      readonly partitions: number;
      readonly replication: number;
      readonly settings: Readonly<Record<string, string>>;
    }[],
  ): Promise<void>;
  raisePartitions(topic: string, partitions: number): Promise<void>;
  delete(topics: readonly string[]): Promise<void>;
}

/** Topic administration, for as long as `use` runs. */
export async function withAdmin<Result>(
  options: ConnectionOptions,
  use: (admin: TopicAdmin) => Promise<Result>,
): Promise<Result> {
  const sockets = new Set<Socket>();
  const admin = createKafka(options, sockets).admin({ retry: { retries: 5, initialRetryTime: 100, maxRetryTime: 1_000 } });
  try {
    await admin.connect();
    return await use(topicAdmin(admin));
  } catch (error) {
    throw error instanceof KafkaStoppedError ? error : asKafkaError(error);
  } finally {
    await admin.disconnect().catch(() => undefined);
    for (const socket of sockets) socket.destroy();
  }
}

function topicAdmin(admin: Admin): TopicAdmin {
  return {
    async describe(topics) {
      const there = new Set(await admin.listTopics());
      const wanted = topics.filter((topic) => there.has(topic));
      if (wanted.length === 0) return new Map();
      const metadata = await admin.fetchTopicMetadata({ topics: wanted });
      const { resources } = await admin.describeConfigs({
        includeSynonyms: false,
        resources: wanted.map((name) => ({ type: kafkajs.ConfigResourceTypes.TOPIC, name })),
      });
      return new Map(
        metadata.topics.map(({ name, partitions }) => {
          const entries = resources.find((resource) => resource.resourceName === name)?.configEntries ?? [];
          const settings = new Map(entries.map(({ configName, configValue }) => [configName, configValue]));
          const replication = Math.min(...partitions.map(({ replicas }) => replicas.length));
          return [name, { partitions: partitions.length, replication, settings }];
        }),
      );
    },
    async create(topics) {
      if (topics.length === 0) return;
      await admin.createTopics({
        waitForLeaders: false,
        topics: topics.map(({ topic, partitions, replication, settings }) => ({
          topic,
          numPartitions: partitions,
          replicationFactor: replication,
          configEntries: Object.entries(settings).map(([name, value]) => ({ name, value })),
        })),
      });
      await haveLeaders(
        admin,
        topics.map(({ topic }) => topic),
      );
    },
    async raisePartitions(topic, partitions) {
      await admin.createPartitions({ topicPartitions: [{ topic, count: partitions }] });
      await haveLeaders(admin, [topic], partitions);
    },
    async delete(topics) {
      const there = new Set(await admin.listTopics());
      const wanted = topics.filter((topic) => there.has(topic));
      if (wanted.length > 0) await admin.deleteTopics({ topics: wanted });
    },
  };
}

/** Created topics are known to every broker, and led by one, only a moment later. */
async function haveLeaders(admin: Admin, topics: string[], atLeast = 1): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      const metadata = await admin.fetchTopicMetadata({ topics });
      const isLed = metadata.topics.every(
        ({ partitions }) => partitions.length >= atLeast && partitions.every(({ leader }) => leader >= 0),
      );
      if (isLed || attempt >= CREATED_ATTEMPTS) return;
    } catch (error) {
      if (attempt >= CREATED_ATTEMPTS) throw error;
    }
    await sleep(CREATED_PAUSE_MS);
  }
}

const CREATED_ATTEMPTS = 100;
const CREATED_PAUSE_MS = 100;

interface Coordinator {
  offsetFetch(request: object): Promise<{ readonly responses: readonly OffsetsAnswer[] }>;
  offsetCommit(request: object): Promise<unknown>;
}

interface OffsetsAnswer {
  readonly topic: string;
  readonly partitions: readonly { readonly partition: number; readonly offset: string }[];
}

function offsetsOf({ topic, partitions }: OffsetsAnswer): TopicOffsets {
  const known = partitions.filter(({ offset }) => Number(offset) >= 0);
  return { topic, offsets: new Map(known.map(({ partition, offset }) => [partition, Number(offset)])) };
}

function memberOf({ memberId, memberMetadata }: { readonly memberId: string; readonly memberMetadata: Buffer }) {
  const metadata = kafkajs.AssignerProtocol.MemberMetadata.decode(memberMetadata);
  return { memberId, topics: metadata?.topics ?? [], owned: ownedBy(metadata?.userData) };
}

function ownedBy(userData: Buffer | undefined): readonly number[] {
  try {
    const owned: unknown = JSON.parse(String(userData));
    return Array.isArray(owned) ? owned.filter((partition) => typeof partition === "number") : [];
  } catch {
    return [];
  }
}

function createKafka({ brokers, clientId, log, requestTimeoutMs, tls, sasl }: ConnectionOptions, sockets: Set<Socket>): Kafka {
  return new kafkajs.Kafka({
    brokers: [...brokers],
    clientId,
    requestTimeout: requestTimeoutMs,
    connectionTimeout: 3_000,
    ...(tls === true ? { ssl: true } : {}),
    ...(sasl === undefined ? {} : { sasl: { ...sasl } }),
    // Each attempt to connect takes the next of the brokers; whoever asked tries again after that.
    retry: { retries: Math.max(1, brokers.length), initialRetryTime: 50, maxRetryTime: 200 },
    // Whoever asked hears of every error and says so once; here it is a detail.
    logLevel: kafkajs.logLevel.WARN,
    logCreator: () => (entry) => log.debug({ kafka: entry.namespace, broker: entry.log["broker"] }, entry.log.message),
    socketFactory: ({ host, port, ssl, onConnect }) => {
      const socket =
        ssl === undefined || ssl === null ? connectTcp({ host, port }, onConnect) : connectTls({ host, port, ...ssl }, onConnect);
      socket.setKeepAlive(true, 60_000);
      socket.setNoDelay(true);
      sockets.add(socket);
      socket.once("close", () => sockets.delete(socket));
      return socket;
    },
  });
}

/** kafkajs hands its cluster to partition assigners, which is the one documented way to it; this consumer is never run. */
function clusterOf(kafka: Kafka): Cluster {
  let found: Cluster | undefined;
  kafka.consumer({
    groupId: "unused",
    allowAutoTopicCreation: false,
    // Concerns the offsets that are listed: also what an open transaction has written counts as published.
    readUncommitted: true,
    partitionAssigners: [
      ({ cluster }) => {
        found = cluster;
        return {
          name: ASSIGNER,
          version: 0,
          assign: async () => [],
          protocol: () => ({ name: ASSIGNER, metadata: Buffer.alloc(0) }),
        };
      },
    ],
  });
  if (found === undefined) throw new Error("kafkajs gave no cluster");
  return found;
}
