/** Read models: what the log adds up to, and every question that can be asked of it. */
export { createProjector, type Projector, type ProjectorOptions, type ProjectorStatus } from "./projector.ts";
export { openProjectionStore, type Checkpoint, type ProjectionStore } from "./store.ts";
export {
  dumpTables,
  foldLog,
  rebuildProjections,
  verifyProjections,
  type FoldOptions,
  type ProjectionCheck,
  type TableDump,
} from "./rebuild.ts";
export type { LedgerLog, Seals } from "./ledger-log.ts";
