/**
 * Topics of hints inside one process: whoever listens at the moment hears a message, and nothing is kept.
 *
 * Bodies are encoded and thrown away, so that a message that other engines would refuse is refused here, too.
 */
import type { Listener, Message, TopicCodec } from "./port.ts";

export interface HintTopicOptions {
  readonly name: string;
  readonly codec: TopicCodec;
}

type OnMessage = (body: unknown, key: string) => void;

export interface Hints {
  has(topic: string): boolean;
  publish(topic: string, messages: readonly Message[]): void;
  listen(topic: string, onMessage: OnMessage): Listener;
}

/** Listeners are called through `defer`, never from within `publish`; one that throws is not heard of, as nothing may depend on hints. */
export function createHints(topics: readonly HintTopicOptions[], defer: (task: () => void, delayMs: number) => void): Hints {
  const heard = new Map(topics.map(({ name, codec }) => [name, { codec, listeners: new Set<OnMessage>() }]));

  function of(topic: string) {
    const found = heard.get(topic);
    if (found === undefined) throw new Error(`there is no topic ${topic} of hints`);
    return found;
  }

  return {
    has: (topic) => heard.has(topic),
    publish(topic, messages) {
      const { codec, listeners } = of(topic);
      for (const { body } of messages) codec.encode(body);
      if (listeners.size === 0) return;
      defer(() => {
        for (const listener of listeners) for (const { body, key } of messages) tell(listener, body, key);
      }, 0);
    },
    listen(topic, onMessage) {
      const { listeners } = of(topic);
      // Each call is a listener of its own, also when the function is the same.
      const listener: OnMessage = (body, key) => onMessage(body, key);
      listeners.add(listener);
      return {
        async stop() {
          listeners.delete(listener);
        },
      };
    },
  };
}

function tell(listener: OnMessage, body: unknown, key: string): void {
  try {
    listener(body, key);
  } catch {
    // The others still hear it.
  }
}
