/** The loop that every service runs, once: load, fold, decide, append; and following the log. */
export type * from "./decider.ts";
export { Outage } from "./decide-stream.ts";
export { createDoorIntake, type DoorIntake, type DoorIntakeOptions, type NotTaken, type ReportedBytes } from "./door-intake.ts";
export { type CheckpointStore, type Follower, type FollowOptions, followLog } from "./follow-log.ts";
export type { Checkpoint, IdentityIndex } from "./identity-index.ts";
export { parkedId, QUARANTINED } from "./parking.ts";
export type { Quarantined } from "./quarantine.ts";
export {
  createMemoryCheckpoints,
  createSqliteCheckpoints,
  earliest,
  isAfter,
  type PartitionCheckpoints,
} from "./partition-checkpoints.ts";
export { type Relay, type RelayOptions, startRelay } from "./relay.ts";
export type { ParkedFilter, RetryResult } from "./retries.ts";
export type { SweepOptions } from "./sweep.ts";
export type { ServiceSurroundings } from "./surroundings.ts";
export { linkAfter, readSeal, type Seal, sealText } from "./seal.ts";
export { ownsByShard, partitionOf, shardPrefixes, shardsOf } from "./shards.ts";
export { createWorker, Waiting, type Worker, type WorkerStatus } from "./worker.ts";
export { createMemoryCache, createSqliteCache } from "./worker-cache.ts";
export type {
  Clock,
  Defer,
  Input,
  Limits,
  Log,
  Metrics,
  Note,
  Output,
  Refusal,
  WorkerCache,
  WorkerCounter,
  WorkerGauge,
  WorkerOptions,
} from "./worker-options.ts";
export { DEFAULT_LIMITS } from "./worker-options.ts";
