/**
 * What the engines inside this process have beyond the port: they say when something was appended.
 *
 * Positions of local engines are the decimal number of the event in the whole log, counted from 1 without gaps.
 */
import type { EventStore, Position } from "./port.ts";

export interface LocalEventStore extends EventStore {
  /** Calls back after every commit, when readers can see it. Returns the function that ends it. */
  onAppended(callback: () => void): () => void;
}

/** The number in the log of a position; 0 stands before the first event. Throws a RangeError for another engine's position. */
export function numberOf(position: Position | undefined): number {
  if (position === undefined) return 0;
  const number = Number(position);
  if (!Number.isSafeInteger(number) || number < 0) throw new RangeError(`"${position}" is no position of this log`);
  return number;
}

/** The callbacks of `onAppended`. */
export function createListeners(): { readonly add: (callback: () => void) => () => void; readonly call: () => void } {
  const callbacks = new Set<() => void>();
  return {
    add(callback) {
      // Wrapped, so that one function added twice can be taken away once.
      const entry = () => callback();
      callbacks.add(entry);
      return () => callbacks.delete(entry);
    },
    call() {
      for (const callback of callbacks) callback();
    },
  };
}
