/**
 * Shards and partitions: which streams belong to which partition of the bus.
 *
 * All that flow knows of stream names is that they begin `{category}-{shard}.` with two hex digits of shard; internal topics put a
 * message into partition (shard mod count). So the streams of a partition are a set of prefixes, fixed as long as the count is.
 */

const SHARDS = 256;

/** Every shard s with s mod count = partition. */
export function shardsOf(partition: number, partitionCount: number): readonly number[] {
  const shards: number[] = [];
  for (let shard = partition; shard < SHARDS; shard += partitionCount) shards.push(shard);
  return shards;
}

/** What the names of these partitions' streams begin with, below a prefix such as `account-`; the prefix alone when it is all of them. */
export function shardPrefixes(streamPrefix: string, partitions: Iterable<number>, partitionCount: number): readonly string[] {
  const shards = [...new Set(partitions)].flatMap((partition) => shardsOf(partition, partitionCount));
  if (shards.length === SHARDS) return [streamPrefix];
  return shards.sort((a, b) => a - b).map((shard) => `${streamPrefix}${shard.toString(16).padStart(2, "0")}.`);
}

/** Throws for a stream whose name has no shard. */
export function partitionOf(stream: string, partitionCount: number): number {
  const dash = stream.indexOf("-");
  const digits = stream.slice(dash + 1, dash + 3);
  if (dash < 0 || stream[dash + 3] !== "." || !HEX.test(digits)) throw new RangeError(`"${stream}" names no shard`);
  return Number.parseInt(digits, 16) % partitionCount;
}

/** Whether a worker with these partitions looks after a stream: what services on a partitioned bus give as `owns`. */
export function ownsByShard(partitionCount: number): (stream: string, partitions: ReadonlySet<number>) => boolean {
  return (stream, partitions) => partitions.has(partitionOf(stream, partitionCount));
}

const HEX = /^[0-9a-f]{2}$/;
