/**
 * What every service is given besides its own decider: the opened ports and this process's clock, log and metrics.
 */
import type { DomainEvent } from "./decider.ts";
import type { WorkerCache, WorkerOptions } from "./worker-options.ts";

export type ServiceSurroundings = Pick<
  WorkerOptions<unknown, object, DomainEvent, unknown>,
  "eventStore" | "bus" | "relay" | "watchRetries" | "sweep" | "clock" | "defer" | "log" | "metrics" | "limits" | "owns"
> & {
  /** Opens the part of the cache file that belongs to one service. */
  readonly cacheFor: (service: string) => WorkerCache;
};
