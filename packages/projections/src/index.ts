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
export * from "./queries/accounts.ts";
export * from "./queries/costs.ts";
export {
  listEntries,
  newestEntries,
  recentEntries,
  type EntryFilter,
  type EntryView,
  type FoundEntry,
} from "./queries/entries.ts";
export * from "./queries/explanation.ts";
export {
  listInvoices,
  readInvoice,
  type Invoice,
  type InvoiceLine,
  type InvoiceSection,
  type InvoiceSummary,
} from "./queries/invoices.ts";
export * from "./queries/outcomes.ts";
export { CursorError, type AccountId, type AsOf, type Paging, type Reader, type UnitAmounts } from "./queries/reader.ts";
export * from "./queries/shared-identities.ts";
export * from "./queries/totals.ts";
export * from "./queries/usage.ts";
