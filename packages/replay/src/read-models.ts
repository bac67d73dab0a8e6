/**
 * The read models of a cache database against a fresh fold of the log, and building them again.
 */
import { rebuildProjections, verifyProjections, type ProjectionCheck } from "@rerate/projections";
import { recordedAtOf } from "./seal.ts";
import type { ProjectionLog } from "./verify.ts";

type Cache = Parameters<typeof rebuildProjections>[0];

/** For `verify`: compares the read models that a cache database holds. */
export function readModelsOf(cache: Cache): (log: ProjectionLog) => Promise<ProjectionCheck> {
  return async (log) => verifyProjections(cache, log);
}

/** Deletes the read models and folds the log again; resolves with the number of events. Nothing else may write to the cache. */
export async function rebuildReadModels(
  cache: Cache,
  eventStore: ProjectionLog["eventStore"],
  onProgress?: (events: number) => void,
): Promise<number> {
  return rebuildProjections(cache, { eventStore, recordedAt: recordedAtOf, ...(onProgress === undefined ? {} : { onProgress }) });
}
