/**
 * How projections see the log: the streams, and when an event was recorded.
 */
import type { EventStore, StoredEvent } from "@rerate/event-store";
import type { Instant } from "@rerate/money";

/** What reads the seal that the writers put into an event's metadata. Handed in, because the loop that writes seals owns their form. */
export interface Seals {
  readonly recordedAt: (stored: StoredEvent) => Instant;
}

export interface LedgerLog extends Seals {
  readonly eventStore: Pick<EventStore, "readForward" | "readAll">;
}
