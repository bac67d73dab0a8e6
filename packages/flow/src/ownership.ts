/**
 * The partitions that this worker owns now, and of which of them it knows everything.
 *
 * The invariant: a partition is ready only when everything that others appended to its streams before it came here has been read,
 * so that its deadlines are known. What is said about a partition (marks) is said only while it is ready, and only when it
 * was not lost in between: every assignment has a number of its own.
 */
import type { Limits, WorkerOptions } from "./worker-options.ts";

export interface Ownership {
  readonly partitions: ReadonlySet<number>;
  /** The ready partitions, each with the number of its assignment. */
  ready(): ReadonlyMap<number, number>;
  assigned(added: readonly number[]): void;
  revoked(lost: readonly number[]): void;
  stop(): void;
}

export interface OwnershipOptions extends Pick<
  WorkerOptions<unknown, never, never, unknown>,
  "name" | "relay" | "defer" | "log"
> {
  readonly limits: Limits;
  /** Reads what others have appended so far. */
  readonly readForeign: () => Promise<void>;
  /** Partitions have become ready. */
  readonly onReady: (partitions: readonly number[]) => void;
}

export function createOwnership(options: OwnershipOptions): Ownership {
  const { name, relay, defer, log, limits } = options;
  const partitions = new Set<number>();
  const assignments = new Map<number, number>();
  let ready: ReadonlyMap<number, number> = new Map();
  let lastAssignment = 0;
  let reading = false;
  let stopped = false;

  function setReady(next: Iterable<readonly [number, number]>): void {
    ready = new Map([...next].filter(([partition, assignment]) => assignments.get(partition) === assignment));
  }

  /** Whoever had these partitions before has appended what this worker has not seen: its deadlines are ours now. */
  async function read(): Promise<void> {
    let pauseMs = limits.pauseMs;
    while (ready.size < assignments.size) {
      if (stopped) return;
      const before = [...assignments];
      try {
        await options.readForeign();
        const added = before.filter(([partition, assignment]) => ready.get(partition) !== assignment);
        setReady(before);
        if (!stopped) options.onReady(added.map(([partition]) => partition));
      } catch (error) {
        log.warn({ service: name, err: error }, "what others appended could not be read; it is tried again");
        const waitMs = pauseMs;
        await new Promise<void>((resolve) => defer(resolve, waitMs));
        pauseMs = Math.min(pauseMs * 2, limits.markEveryMs * 10);
      }
    }
  }

  return {
    partitions,
    ready: () => ready,
    assigned(added) {
      for (const partition of added) {
        partitions.add(partition);
        assignments.set(partition, ++lastAssignment);
      }
      relay?.own(partitions);
      if (reading) return;
      reading = true;
      void read().finally(() => {
        reading = false;
      });
    },
    revoked(lost) {
      for (const partition of lost) {
        partitions.delete(partition);
        assignments.delete(partition);
      }
      setReady(ready);
      relay?.own(partitions);
    },
    stop() {
      stopped = true;
    },
  };
}
