/**
 * Kafka's topics by command and at every start: what a configuration asks of them.
 */
import type { TopicDeviation, TopicPlan, TopicSettings } from "@rerate/message-bus/kafka";
import { ConfigError, type Config } from "./config.ts";

const DAY_MS = 86_400_000;
/** So many copies where there are as many brokers. */
const COPIES = 3;
/** These commands print what they find themselves. */
const SILENT = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/** Creates topics that are missing and raises partition counts; what it did, a line each. */
export async function createStreamTopics(config: Config, topics: readonly TopicPlan[]): Promise<readonly string[]> {
  const { createTopics } = await import("@rerate/message-bus/kafka");
  return await createTopics(accessOf(config), topics, settingsOf(config));
}

/** Everything about the topics that is not as this configuration needs it. */
export async function checkStreamTopics(config: Config, topics: readonly TopicPlan[]): Promise<readonly TopicDeviation[]> {
  const { checkTopics } = await import("@rerate/message-bus/kafka");
  return await checkTopics(accessOf(config), topics, settingsOf(config));
}

/** A process that ended without a word is a member of its group until its session is over. */
const MEMBERS_GONE_MS = 15_000;

/** Puts a group, none of whose members may run, at the beginning or the end of a topic. */
export async function moveStreamGroup(config: Config, group: string, topic: string, to: "beginning" | "end"): Promise<void> {
  const { moveGroup } = await import("@rerate/message-bus/kafka");
  await moveGroup(accessOf(config), { group, topic, to, waitMs: MEMBERS_GONE_MS });
}

/** Throws a `ConfigError` that lists what is not as it must be. */
export async function requireTopics(config: Config, topics: readonly TopicPlan[]): Promise<void> {
  const problems = await checkStreamTopics(config, topics);
  if (problems.length === 0) return;
  const lines = problems.map(({ topic, problem }) => `  ${topic} ${problem}`);
  throw new ConfigError(
    `The topics are not as they must be:\n${lines.join("\n")}\n\`rerate topics create\` creates what is missing; settings are changed with Kafka's own tools.`,
  );
}

export function securityOf({ stream: { tls, sasl } }: Config): {
  readonly tls?: boolean;
  readonly sasl?: NonNullable<typeof sasl>;
} {
  return { ...(tls ? { tls } : {}), ...(sasl === undefined ? {} : { sasl }) };
}

function accessOf(config: Config) {
  return { brokers: config.stream.brokers, security: securityOf(config), log: SILENT };
}

function settingsOf({ partitions, stream: { brokers, replication, retentionDays } }: Config): TopicSettings {
  return {
    partitions,
    replication: replication ?? Math.min(COPIES, brokers.length),
    retentionMs: retentionDays * DAY_MS,
  };
}
