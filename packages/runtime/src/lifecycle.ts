/**
 * Starting and stopping a process: parts stop in the reverse order of their start, once, within a time limit.
 */
import type { Logger } from "./logger.ts";

export interface Part {
  readonly name: string;
  stop(): Promise<void> | void;
}

export interface Lifecycle {
  add(part: Part): void;
  /** Stops all parts, last started first. A part that fails to stop is logged and the others still stop. */
  stop(): Promise<void>;
}

export function createLifecycle(log: Pick<Logger, "error">): Lifecycle {
  const parts: Part[] = [];
  let stopping: Promise<void> | undefined;
  return {
    add: (part) => void parts.push(part),
    stop() {
      stopping ??= (async () => {
        for (const part of parts.toReversed()) {
          try {
            await part.stop();
          } catch (error) {
            log.error({ part: part.name, err: error }, "a part did not stop cleanly");
          }
        }
      })();
      return stopping;
    },
  };
}

/** Calls back once for Ctrl-C and for SIGTERM; a second signal ends the process at once. */
export function onStopSignal(callback: (signal: string) => void): void {
  let asked = false;
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => {
      if (asked) process.exit(130);
      asked = true;
      callback(signal);
    });
  }
}
