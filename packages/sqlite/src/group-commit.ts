/**
 * Many writers, one transaction, one fsync: everything that is queued in one turn of the event loop commits together.
 *
 * The invariant: a promise resolves only after its work is on the disk, and in the order of the calls. A work that throws
 * loses only its own changes. After a failed commit nobody knows what is on the disk: every later write is refused, because
 * a repeated fsync can claim success for data that the first one lost.
 */
import { type Database, isDiskFailure } from "./database.ts";

export interface GroupCommit {
  /**
   * Runs `work` inside the next transaction and resolves with its result when that is durable. `committed` runs at once
   * after the commit, before anything else can run: there a writer shows its result to readers.
   * If `work` throws, its changes are rolled back and only this promise rejects; it must put back its own memory.
   */
  write<Result>(work: () => Result, committed?: (result: Result) => void): Promise<Result>;
  /** What made the committer give up; undefined as long as it works. */
  readonly failure: unknown;
  /** Commits what is queued, then refuses everything. Does not close the database. */
  close(): void;
}

export interface GroupCommitOptions {
  /** Runs the queued work once the present turn is over. Default `setImmediate`. */
  readonly schedule?: (task: () => void) => void;
  /** Called once, when a commit fails: the process should stop. */
  readonly onFailure?: (error: unknown) => void;
}

/** One per writable database; all writes to it must go through it. */
export function createGroupCommit(database: Database, options: GroupCommitOptions = {}): GroupCommit {
  const schedule = options.schedule ?? ((task) => void setImmediate(task));
  let queue: Entry[] = [];
  let failure: { readonly error: unknown } | undefined;
  let closed = false;

  const begin = database.prepare("BEGIN IMMEDIATE");
  const savepoint = database.prepare("SAVEPOINT work");
  const release = database.prepare("RELEASE work");
  const commit = database.prepare("COMMIT");

  function flush(): void {
    const entries = queue;
    queue = [];
    if (entries.length === 0) return;
    if (failure === undefined) {
      try {
        begin.run();
        for (const entry of entries) runOne(entry);
        commit.run();
      } catch (error) {
        fail(error);
      }
    }
    for (const entry of entries) settle(entry);
  }

  function runOne(entry: Entry): void {
    savepoint.run();
    try {
      entry.run();
    } catch (error) {
      if (isDiskFailure(error) || !database.inTransaction) throw error;
      entry.refused = { error };
      database.exec("ROLLBACK TO work");
    }
    release.run();
  }

  function settle(entry: Entry): void {
    if (entry.refused !== undefined || failure !== undefined) {
      entry.reject(entry.refused === undefined ? refusal() : entry.refused.error);
      return;
    }
    try {
      entry.resolve();
    } catch (error) {
      // A writer whose memory does not follow the disk must not go on.
      fail(error);
      entry.reject(error);
    }
  }

  function fail(error: unknown): void {
    failure = { error };
    try {
      if (database.inTransaction) database.exec("ROLLBACK");
    } catch {
      // The first error is the one that counts, and nothing is written after it.
    }
    options.onFailure?.(error);
  }

  function refusal(): Error {
    return new Error(`a commit to ${database.path} failed; nothing more is written`, { cause: failure?.error });
  }

  return {
    write<Result>(work: () => Result, committed?: (result: Result) => void): Promise<Result> {
      if (failure !== undefined) return Promise.reject(refusal());
      if (closed) return Promise.reject(new Error(`writing to ${database.path} has ended`));
      const { promise, resolve, reject } = Promise.withResolvers<Result>();
      let result: { readonly value: Result } | undefined;
      const entry: Entry = {
        run() {
          result = { value: work() };
        },
        resolve() {
          if (result === undefined) return;
          committed?.(result.value);
          resolve(result.value);
        },
        reject,
        refused: undefined,
      };
      queue.push(entry);
      if (queue.length === 1) schedule(flush);
      return promise;
    },
    get failure() {
      return failure?.error;
    },
    close() {
      closed = true;
      flush();
    },
  };
}

interface Entry {
  readonly run: () => void;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
  /** What `run` threw. */
  refused: { readonly error: unknown } | undefined;
}
