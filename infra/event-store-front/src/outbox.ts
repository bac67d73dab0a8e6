/**
 * Answers on their way: in the order they come, or as the faults want them.
 *
 * One per front. The invariant: every answer goes out once, unless its fault says never.
 */

/** Held answers go out after so long, whether or not enough have come. */
const HOLD_MS = 20;

export interface Outbox {
  readonly send: (write: () => void, delayMs: number) => void;
  /** Goes out after the answers that are held back later. */
  readonly hold: (write: () => void) => void;
}

export function createOutbox(): Outbox {
  let held: (() => void)[] = [];

  function flush(): void {
    const writes = held.toReversed();
    held = [];
    for (const write of writes) write();
  }

  return {
    send(write, delayMs) {
      if (delayMs > 0) setTimeout(write, delayMs);
      else write();
    },
    hold(write) {
      if (held.length === 0) setTimeout(flush, HOLD_MS);
      held.push(write);
    },
  };
}
