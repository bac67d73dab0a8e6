/**
 * Publishing from the log to a bus that does not serve log topics itself.
 *
 * Owns no rule: what an event publishes is the pure `messagesOf` of its topic. The invariants: published in log order, the
 * checkpoint moves after the publish, and a mark goes out only when everything in the log before it has been published.
 */
import type { EventStore } from "@rerate/event-store";
import type { LogTopic, Message, MessageBus } from "@rerate/message-bus";
import { type CheckpointStore, type Follower, followLog } from "./follow-log.ts";
import type { Defer, Log } from "./worker-options.ts";

export interface RelayOptions {
  readonly name: string;
  readonly eventStore: EventStore;
  readonly bus: MessageBus;
  readonly topics: readonly LogTopic[];
  /** Undefined when the bus serves log topics as views of the log: then there is nothing to relay. */
  readonly checkpoints: CheckpointStore | undefined;
  readonly defer: Defer;
  readonly log: Log;
}

export interface Relay {
  /** For a worker's `mark`: passes the mark on once everything that is in the log by now has been published. */
  mark(topic: string, readUpTo: string): void;
  stop(): Promise<void>;
}

/** Starts publishing the topics, if the bus needs it. Services call it either way. */
export async function startRelay(options: RelayOptions): Promise<Relay> {
  const { bus, topics, checkpoints } = options;
  if (checkpoints === undefined) {
    return { mark: (topic, readUpTo) => bus.mark(topic, readUpTo), stop: async () => {} };
  }
  const follower = await followLog({
    ...options,
    checkpoints,
    prefixes: [...new Set(topics.map(({ streamPrefix }) => streamPrefix))],
    async onEvents({ events }) {
      for (const { topic, streamPrefix, messagesOf } of topics) {
        const messages: Message[] = [];
        for (const event of events) if (event.stream.startsWith(streamPrefix)) messages.push(...messagesOf(event));
        if (messages.length > 0) await bus.publish(topic, messages);
      }
    },
  });
  return { mark: createMarks(options, follower), stop: () => follower.stop() };
}

/** Of several marks that wait for the same topic, only the latest counts. */
function createMarks({ bus, log, name }: RelayOptions, follower: Follower): Relay["mark"] {
  const waiting = new Map<string, string>();
  let running = false;

  async function pass(): Promise<void> {
    while (waiting.size > 0) {
      const marks = [...waiting];
      waiting.clear();
      await follower.caughtUp();
      for (const [topic, readUpTo] of marks) bus.mark(topic, readUpTo);
    }
  }

  return (topic, readUpTo) => {
    waiting.set(topic, readUpTo);
    if (running) return;
    running = true;
    pass()
      .catch((error: unknown) => log.warn({ relay: name, err: error }, "a mark could not be passed on; the next one will be"))
      .finally(() => {
        running = false;
      });
  };
}
