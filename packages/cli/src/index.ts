/** What other parts use of the command line: imports of files as facts, and the program itself. */
export { EXIT, type ExitCode } from "./failure.ts";
export { oneAccount, zipfAccounts, type AccountRule } from "./import/account-rule.ts";
export { agentTaskFacts, type AgentTaskFacts, type AgentTaskOptions } from "./import/agent-tasks.ts";
export { csvRows, CsvError, type CsvRow } from "./import/csv.ts";
export { readRows } from "./import/read-file.ts";
export {
  addCounts,
  createImportHold,
  NO_COUNTS,
  sendInBatches,
  type BatchOptions,
  type ImportCounts,
  type ImportHold,
} from "./import/send-batches.ts";
export {
  mappedUsage,
  RowError,
  TRACES,
  traceUsage,
  USAGE_FIELDS,
  type ColumnMap,
  type TraceName,
  type TraceOptions,
  type UsageMapper,
} from "./import/usage-rows.ts";
export { runCommandLine } from "./program.ts";
