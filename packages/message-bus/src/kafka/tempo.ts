/**
 * How fast the Kafka bus does things, and how long it waits: every duration and every bound in one place.
 *
 * The defaults make an idle process cost next to nothing: one long poll per connection, a heartbeat every other second.
 */
export interface Tempo {
  /** A broker keeps a fetch so long while there is nothing new. */
  readonly fetchWaitMs: number;
  /** After a fetch that brought little the next one waits so long: what comes meanwhile goes together. The first never waits. */
  readonly gatherMs: number;
  readonly heartbeatMs: number;
  /** A member that is not heard of for so long loses its partitions. */
  readonly sessionTimeoutMs: number;
  /** So long may running handlers take when the group changes; then their partitions move all the same. */
  readonly rebalanceTimeoutMs: number;
  /** Offsets are committed at most so often while they move, and when a partition or the consumer ends. */
  readonly commitEveryMs: number;
  /** The same where they moved past marks only, so that an idle group commits little. */
  readonly commitMarksEveryMs: number;
  /** Marks go out at most so often. */
  readonly markEveryMs: number;
  /** The ends of a topic are asked for at most so often. */
  readonly endsEveryMs: number;
  /** A rejected chunk comes again after this, doubled each time up to the longest pause. */
  readonly firstPauseMs: number;
  readonly longestPauseMs: number;
  /** A partition with messages and without progress for so long is reported. */
  readonly stuckAfterMs: number;
  readonly requestTimeoutMs: number;
  /** A message that is not durable after this is refused. */
  readonly publishTimeoutMs: number;
  /** A topic that is gone for so long ends its consumers. */
  readonly missingTopicMs: number;
  /** Fetched and not yet handled bytes of a partition, beyond which no more are fetched. */
  readonly bufferedBytes: number;
  readonly fetchBytesPerPartition: number;
  readonly fetchBytes: number;
  /** A compressed batch may unpack to so much. */
  readonly maxBatchBytes: number;
}

export const DEFAULT_TEMPO: Tempo = {
  fetchWaitMs: 10_000,
  gatherMs: 10,
  heartbeatMs: 2_000,
  sessionTimeoutMs: 10_000,
  rebalanceTimeoutMs: 60_000,
  commitEveryMs: 200,
  commitMarksEveryMs: 5_000,
  markEveryMs: 2_000,
  endsEveryMs: 1_000,
  firstPauseMs: 100,
  longestPauseMs: 10_000,
  stuckAfterMs: 60_000,
  requestTimeoutMs: 15_000,
  publishTimeoutMs: 30_000,
  missingTopicMs: 15_000,
  bufferedBytes: 1_000_000,
  fetchBytesPerPartition: 1_000_000,
  fetchBytes: 8_000_000,
  maxBatchBytes: 32_000_000,
};
