/**
 * What a process has on the stream and not in one process: a relay for what its log publishes, a sweep of what it reads, and the
 * tables where both keep their places.
 */
import { createMemoryCheckpoints, type PartitionCheckpoints, type Relay, type SweepOptions } from "@rerate/flow";
import { contractChangedTopic } from "@rerate/ledger";
import type { LogTopic, MessageBus } from "@rerate/message-bus";
import { outcomeSignalTopics } from "@rerate/service-outcome-signal";
import { settlementTopics } from "@rerate/service-settlement";
import type { EventStore } from "@rerate/event-store";
import type { SeededRandom, VirtualProcess } from "@rerate/testkit";
import { InjectedOutage, type Faults } from "./faults.ts";
import { pass } from "./faulty-event-store.ts";
import type { Makers, Mode } from "./system.ts";

export interface StreamParts {
  /** Undefined for a process that publishes nothing from a log. */
  relayFor(name: string, on: StreamProcess): Relay | undefined;
  sweepFor(name: string, process: VirtualProcess): SweepOptions | undefined;
}

export interface StreamProcess {
  readonly process: VirtualProcess;
  readonly eventStore: EventStore;
  readonly bus: MessageBus;
}

const PUBLISHED: Readonly<Record<string, readonly LogTopic[]>> = {
  settlement: settlementTopics,
  "outcome-signal": outcomeSignalTopics,
  catalog: [contractChangedTopic],
};

const SILENT = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

export function createStreamParts(options: {
  readonly mode: Mode;
  readonly partitions: number;
  readonly random: SeededRandom;
  readonly faults: Faults;
  readonly makers: Makers;
}): StreamParts {
  const { mode, partitions, faults, makers } = options;
  const tables = new Map<string, PartitionCheckpoints>();
  const sweepsShare = options.random.chance(0.5);

  /** A table as one process sees it; what it holds outlives the process. */
  function open(table: PartitionCheckpoints, process: VirtualProcess): PartitionCheckpoints {
    const hop = async () => {
      await pass(process, faults.delayMs());
      if (faults.strikes("checkpoint-rejects")) throw new InjectedOutage("the table of checkpoints cannot be reached");
    };
    return {
      async load(partition) {
        await hop();
        return await table.load(partition);
      },
      async save(partition, position) {
        await hop();
        await table.save(partition, position);
        await hop();
      },
    };
  }

  function tableOf(name: string): PartitionCheckpoints {
    const table = tables.get(name) ?? createMemoryCheckpoints();
    tables.set(name, table);
    return table;
  }

  return {
    relayFor(name, { process, eventStore, bus }) {
      const topics = PUBLISHED[name];
      if (topics === undefined || mode === "views") return undefined;
      const checkpoints = open(tableOf(name), process);
      const defer = (task: () => void, delayMs: number) => process.defer(task, delayMs);
      return makers.relay({ name, eventStore, bus, topics, partitionCount: partitions, checkpoints, defer, log: SILENT });
    },
    sweepFor(name, process) {
      if (mode !== "lossy-stream") return undefined;
      const own = new Map<string, PartitionCheckpoints>();
      return makers.sweep({
        partitionCount: partitions,
        checkpointsOf(topic) {
          const kept = sweepsShare ? tableOf(`${name} ${topic}`) : (own.get(topic) ?? createMemoryCheckpoints());
          own.set(topic, kept);
          return open(kept, process);
        },
      });
    },
  };
}
