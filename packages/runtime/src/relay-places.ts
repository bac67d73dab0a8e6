/**
 * Where relays have got to, in a table that all processes share: a place for each relay and partition, kept apart by how many
 * partitions there were, since another number deals the streams out anew.
 *
 * The invariant: a place that is given is true for every stream of the partition. After the number has changed, that is the least
 * place of all partitions of a former number.
 */
import { earliest, isAfter, type PartitionCheckpoints } from "@rerate/flow";

/** A compacted topic, as far as places need it. */
export interface PlaceTable {
  entries(): Iterable<readonly [string, Uint8Array]>;
  put(key: string, value: Uint8Array): Promise<void>;
}

export interface RelayPlace {
  readonly relay: string;
  /** How many partitions there were. */
  readonly count: number;
  readonly partition: number;
  readonly position: string;
}

export function relayPlaces(table: PlaceTable): readonly RelayPlace[] {
  return [...table.entries()].flatMap(([key, value]) => {
    const [relay = "", count = "", partition = ""] = key.split("/");
    return partition === ""
      ? []
      : [{ relay, count: Number(count), partition: Number(partition), position: Buffer.from(value).toString() }];
  });
}

export function createRelayCheckpoints(table: PlaceTable, relay: string, count: number): PartitionCheckpoints {
  const save = (partition: number, position: string) => table.put(`${relay}/${count}/${partition}`, Buffer.from(position));
  return {
    save,
    async load(partition) {
      const own = relayPlaces(table).filter((place) => place.relay === relay);
      const here = own.find((place) => place.count === count && place.partition === partition);
      if (here !== undefined) return here.position;
      const inherited = latestOf(Map.groupBy(own, (place) => place.count));
      // Where nothing more is published, nothing else would say where this relay stands now.
      if (inherited !== undefined) await save(partition, inherited);
      return inherited;
    },
  };
}

/** What is done for all streams: of each number of partitions the least place, if all have one; of those the latest. */
function latestOf(byCount: ReadonlyMap<number, readonly RelayPlace[]>): string | undefined {
  let latest: string | undefined;
  for (const [count, places] of byCount) {
    const least = places.length === count ? earliest(places.map(({ position }) => position)) : undefined;
    if (least !== undefined && (latest === undefined || isAfter(least, latest))) latest = least;
  }
  return latest;
}
