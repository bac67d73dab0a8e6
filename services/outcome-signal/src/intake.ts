/**
 * The front door for signals on Kafka: `signal.reported` → `signal.accepted`, read as over HTTP.
 */
import { createDoorIntake, type DoorIntake, type DoorIntakeOptions } from "@rerate/flow";
import { parkedNoteOf, partitionKey, shardOf } from "@rerate/ledger";
import { intakeDoorAt, ownNamespace, readReported, type IntakeLimits, type ReportedFacts } from "@rerate/wire";

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
    readerAt(firstSeenAt) {
      const door = intakeDoorAt(firstSeenAt, surroundings.clock.now(), { namespaces, futureLimitMs });
      return (reported) => {
        const read = readReported("signal.reported", reported, door);
        return "facts" in read ? { publish: read.facts.map(keyed) } : read;
      };
    },
    parkedNote: parkedNoteOf,
  });
}

/** Under its account's key and shard, wherever the producer had put it. */
function keyed(body: ReportedFacts["signal.reported"]): { readonly key: string; readonly shard: number; readonly body: object } {
  const { ns, account } = body;
  return { key: partitionKey(ns, account), shard: shardOf(ns, account), body };
}
