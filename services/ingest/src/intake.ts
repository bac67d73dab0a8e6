/**
 * The front door for usage, corrections and costs on Kafka: `usage.reported` → `usage.accepted`, read as over HTTP.
 */
import { createDoorIntake, type DoorIntake, type DoorIntakeOptions } from "@rerate/flow";
import { parkedNoteOf, partitionKey, shardOf } from "@rerate/ledger";
import { intakeDoorAt, ownNamespace, readReported, type IntakeLimits, type ReportedFacts } from "@rerate/wire";

export interface UsageIntakeOptions
  extends
    IntakeLimits,
    Pick<DoorIntakeOptions, "bus" | "eventStore" | "clock" | "defer" | "log" | "metrics" | "mark" | "everyMs"> {}

/** Every process of the service takes the same namespaces: what one parks, another may read again. */
export function createUsageIntake({ namespaces, futureLimitMs, ...surroundings }: UsageIntakeOptions): DoorIntake {
  return createDoorIntake({
    ...surroundings,
    name: "ingest",
    topic: "usage.reported",
    publishTo: "usage.accepted",
    ns: ownNamespace(namespaces),
    readerAt(firstSeenAt) {
      const door = intakeDoorAt(firstSeenAt, surroundings.clock.now(), { namespaces, futureLimitMs });
      return (reported) => {
        const read = readReported("usage.reported", reported, door);
        return "facts" in read ? { publish: read.facts.map(keyed) } : read;
      };
    },
    parkedNote: parkedNoteOf,
  });
}

/** Under its account's key and shard, wherever the producer had put it. */
function keyed(body: ReportedFacts["usage.reported"]): { readonly key: string; readonly shard: number; readonly body: object } {
  const { ns, account } = body;
  return { key: partitionKey(ns, account), shard: shardOf(ns, account), body };
}
