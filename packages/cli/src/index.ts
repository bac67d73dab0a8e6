/** What other rooms use of the command line: the import of real history. */
export * from "./import/account-rule.ts";
export * from "./import/agent-tasks.ts";
export * from "./import/csv.ts";
export * from "./import/read-file.ts";
export * from "./import/send-batches.ts";
export * from "./import/usage-rows.ts";
