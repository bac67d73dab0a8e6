/**
 * Which member of a group gets which partitions. A partition number stands for that partition of every topic of the group, so
 * one process works on a shard's usage, signals and entries alike.
 *
 * Pure. Balanced within one, and members keep what they have as far as that allows: a moved partition costs a cold start.
 */
export interface GroupMember {
  readonly memberId: string;
  /** What it owned until now. */
  readonly owned: readonly number[];
}

/** Every partition from 0 up to `count` goes to exactly one of the members, of whom there is at least one. */
export function assignPartitions(members: readonly GroupMember[], count: number): ReadonlyMap<string, readonly number[]> {
  const taken = new Set<number>();
  // Those who have most are first to keep one more than the others; ids break ties, so that every leader decides alike.
  const claims = [...members].sort((a, b) => b.owned.length - a.owned.length || (a.memberId < b.memberId ? -1 : 1));
  const least = Math.floor(count / members.length);
  let larger = count % members.length;
  const shares = claims.map(({ memberId, owned }) => {
    const valid = [...new Set(owned)].filter((partition) => partition >= 0 && partition < count && !taken.has(partition));
    valid.sort((a, b) => a - b);
    const quota = valid.length > least && larger > 0 ? least + 1 : least;
    if (quota > least) larger -= 1;
    const kept = valid.slice(0, quota);
    for (const partition of kept) taken.add(partition);
    return { memberId, partitions: kept };
  });
  const free = Array.from({ length: count }, (_, partition) => partition).filter((partition) => !taken.has(partition));
  for (const share of shares) while (share.partitions.length < least) share.partitions.push(free.shift() ?? 0);
  for (const share of shares) {
    const next = share.partitions.length === least && larger > 0 ? free.shift() : undefined;
    if (next === undefined) continue;
    larger -= 1;
    share.partitions.push(next);
  }
  return new Map(shares.map(({ memberId, partitions }) => [memberId, partitions.sort((a, b) => a - b)]));
}
