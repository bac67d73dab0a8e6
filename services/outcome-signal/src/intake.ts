/**
 * The front door for signals on Kafka: `signal.reported` → `signal.accepted`, read as over HTTP.
 */
import { createDoorIntake, type DoorIntake, type DoorIntakeOptions } from "@rerate/flow";
import { parkedNoteOf, partitionKey, shardOf } from "@rerate/ledger";
import { intakeDoorAt, ownNamespace, readReported, type IntakeLimits } from "@rerate/wire";

export interface SignalIntakeOptions
  extends
    IntakeLimits,
    Pick<DoorIntakeOptions, "bus" | "eventStore" | "clock" | "defer" | "log" | "metrics" | "mark" | "everyMs"> {}

/** Every process of the service takes the same namespaces: what one parks, another may read again. */
export function createSignalIntake({ namespaces, futureLimitMs, ...surroundings }: SignalIntakeOptions): DoorIntake {
  return createDoorIntake({
    ...surroundings,
    name: "outcome-signal-intake",
    topic: "signal.reported",
    publishTo: "signal.accepted",
    ns: ownNamespace(namespaces),
    read(reported, firstSeenAt) {
      const door = intakeDoorAt(firstSeenAt, surroundings.clock.now(), { namespaces, futureLimitMs });
      const read = readReported("signal.reported", reported, door);
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
