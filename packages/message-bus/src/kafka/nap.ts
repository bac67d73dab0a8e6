/** Waiting that can be cut short, over the timers that the bus was given. */
export type Defer = (task: () => void, delayMs: number) => void;

export interface Naps {
  /** Resolves after so many milliseconds, or at the next `wake`. */
  nap(delayMs: number): Promise<void>;
  /** Ends all waiting. */
  wake(): void;
}

export function createNaps(defer: Defer): Naps {
  const waiting = new Set<() => void>();
  return {
    nap(delayMs) {
      return new Promise((resolve) => {
        const end = () => {
          waiting.delete(end);
          resolve();
        };
        waiting.add(end);
        defer(end, Math.max(1, delayMs));
      });
    },
    wake() {
      for (const end of waiting) end();
    },
  };
}

/** Grows from `firstMs`, doubled per attempt, up to `longestMs`. */
export function backOff(attempt: number, firstMs: number, longestMs: number): number {
  return Math.min(longestMs, firstMs * 2 ** Math.min(attempt, 20));
}
