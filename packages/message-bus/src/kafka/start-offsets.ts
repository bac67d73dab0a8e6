/** Where a group goes on in the partitions that a member was given. */
import type { KafkaConnection, Membership, TopicOffsets } from "./connection.ts";
import { KafkaStoppedError } from "./kafka-error.ts";

export interface StartOffsetsOptions {
  readonly connection: KafkaConnection;
  readonly group: string;
  readonly member: Membership | undefined;
  readonly topics: readonly string[];
  readonly partitions: readonly number[];
}

/**
 * The committed offset of each partition; the beginning where the group has none, which is then committed, so that the group's
 * lag shows from now on. Throws a `KafkaStoppedError` when a committed offset is outside the topic's log.
 */
export async function startOffsets({
  connection,
  group,
  member,
  topics,
  partitions,
}: StartOffsetsOptions): Promise<readonly TopicOffsets[]> {
  if (partitions.length === 0) return [];
  const asked = topics.map((topic) => ({ topic, partitions }));
  const committed = await connection.committed(group, asked);
  const beginnings = await connection.listOffsets(asked, "beginning");
  const ends = await connection.listOffsets(asked, "end");
  const begun: TopicOffsets[] = [];
  const starts = topics.map((topic) => {
    const [known, first, end] = [offsetsIn(committed, topic), offsetsIn(beginnings, topic), offsetsIn(ends, topic)];
    const unknown = partitions.filter((partition) => !known.has(partition));
    if (unknown.length > 0)
      begun.push({ topic, offsets: new Map(unknown.map((partition) => [partition, first.get(partition) ?? 0])) });
    const offsets = partitions.map((partition): [number, number] => {
      const offset = known.get(partition) ?? first.get(partition) ?? 0;
      const isInside = offset >= (first.get(partition) ?? 0) && offset <= (end.get(partition) ?? offset);
      if (!isInside) throw outsideLog(group, { topic, partition, offset });
      return [partition, offset];
    });
    return { topic, offsets: new Map(offsets) };
  });
  if (begun.length > 0) await connection.commit(group, member, begun);
  return starts;
}

export function outsideLog(
  group: string,
  { topic, partition, offset }: { readonly topic: string; readonly partition: number; readonly offset: number },
): KafkaStoppedError {
  return new KafkaStoppedError(
    `group ${group} stands at offset ${offset} of partition ${partition} of ${topic}, which is outside the topic's log: messages were deleted before they were handled, or the topic was created anew. Find out which, then move the group (rerate topics move-group) and start again`,
  );
}

function offsetsIn(found: readonly TopicOffsets[], topic: string): ReadonlyMap<number, number> {
  return found.find((one) => one.topic === topic)?.offsets ?? new Map<number, number>();
}
