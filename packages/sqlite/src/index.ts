/** SQLite as this project uses it: databases, group commit, and the lock of a data directory. */
export {
  type Database,
  type DatabaseOptions,
  type RunResult,
  type Statement,
  type Value,
  isDiskFailure,
  openDatabase,
  openReadOnly,
  openTurnReader,
} from "./database.ts";
export { type DirectoryLock, type LockHolder, type LockResult, lockDirectory } from "./directory-lock.ts";
export { type GroupCommit, type GroupCommitOptions, createGroupCommit } from "./group-commit.ts";
