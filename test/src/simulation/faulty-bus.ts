/**
 * One process's connection to the message bus: publishes get lost or doubled, handled chunks come again, and everything ends
 * when the process dies or the bus takes it for dead.
 */
import type { LocalBus, LocalConsumer, MessageBus } from "@rerate/message-bus";
import type { VirtualProcess } from "@rerate/testkit";
import { pass } from "./faulty-event-store.ts";
import { InjectedOutage, type Faults } from "./faults.ts";

export interface FaultyBus extends MessageBus {
  /** The bus takes the process for dead: its partitions go to others, while it may still be at work. */
  abandon(): void;
}

/** `real` is asked at every call, because the bus itself may have been restarted. */
export function faultyBus(real: () => LocalBus, process: VirtualProcess, faults: Faults): FaultyBus {
  const hop = (): Promise<void> => pass(process, faults.delayMs());
  const consumers: LocalConsumer[] = [];

  async function parked<Result>(call: () => Promise<Result>): Promise<Result> {
    await hop();
    if (faults.strikes("parked-rejects")) throw new InjectedOutage("the parked records cannot be reached");
    return await call();
  }

  return {
    async publish(topic, messages) {
      await hop();
      if (faults.strikes("publish-rejects")) throw new InjectedOutage("the bus is down");
      await real().publish(topic, messages);
      if (faults.strikes("publish-twice")) await real().publish(topic, messages);
      await hop();
      if (faults.strikes("publish-lost-acknowledgement")) throw new InjectedOutage("nobody heard that the bus has it");
    },
    consume(options) {
      const consumer = real().consume({
        ...options,
        async onChunk(chunk) {
          await hop();
          await options.onChunk(chunk);
          if (faults.strikes("handler-delivered-twice")) await options.onChunk(chunk);
          await hop();
          if (faults.strikes("handler-lost-acknowledgement")) throw new InjectedOutage("the offset was not kept");
        },
        onAssigned: (partitions) => {
          if (process.alive) options.onAssigned?.(partitions);
        },
        onRevoked: (partitions) => {
          if (process.alive) options.onRevoked?.(partitions);
        },
      });
      consumers.push(consumer);
      return consumer;
    },
    mark: (topic, readUpTo, sources) => real().mark(topic, readUpTo, sources),
    listen: (topic, onMessage) =>
      real().listen(topic, (body, key) => {
        if (process.alive) onMessage(body, key);
      }),
    lag: (group) => real().lag(group),
    parked: {
      put: (records) => parked(() => real().parked.put(records)),
      get: (id) => parked(() => real().parked.get(id)),
      list: (filter) => parked(() => real().parked.list(filter)),
      askRetry: (id, at) => parked(() => real().parked.askRetry(id, at)),
      erase: (id) => parked(() => real().parked.erase(id)),
      count: () => parked(() => real().parked.count()),
    },
    close: async () => {},
    abandon() {
      for (const consumer of consumers.splice(0)) consumer.abandon();
    },
  };
}
