/**
 * The front door for usage, corrections and costs on Kafka: `usage.reported` → `usage.accepted`, read as over HTTP.
 */
import { createDoorIntake, type DoorIntake, type DoorIntakeOptions } from "@rerate/flow";
import { parkedNoteOf, partitionKey, shardOf } from "@rerate/ledger";
import { intakeDoorAt, ownNamespace, readReported, type IntakeLimits } from "@rerate/wire";

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
    read(reported, firstSeenAt) {
      const door = intakeDoorAt(firstSeenAt, surroundings.clock.now(), { namespaces, futureLimitMs });
      const read = readReported("usage.reported", reported, door);
      if (!("facts" in read)) return read;
      return {
        publish: read.facts.map((body) => ({
          key: partitionKey(body.ns, body.account),
          shard: shardOf(body.ns, body.account),
          body,
        })),
      };
    },
    // The producer's own key may say anything: it stays with the bytes, where it can be erased.
    parkedNote: (record) => parkedNoteOf({ ...record, key: partitionKey(record.ns, record.account) }),
  });
}
