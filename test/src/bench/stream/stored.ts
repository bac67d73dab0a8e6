/**
 * What a window has stored, read from the log after the clock stopped: how many events, of which size, in appends of which size.
 */
import type { EventStore, Position, StoredEvent } from "@rerate/event-store";
import { readSeal } from "@rerate/flow";

export interface Stored {
  readonly events: readonly StoredEvent[];
  /** Events by what their stream is of: account, wallet, … */
  readonly byCategory: ReadonlyMap<string, number>;
  /** Events of each append. A round's events of one stream have one time, and go in one append. */
  readonly appendSizes: readonly number[];
  /** Where the next window begins. */
  readonly end: Position | undefined;
}

const PAGE = 1_000;

export async function readStored(eventStore: EventStore, after: Position | undefined): Promise<Stored> {
  const events: StoredEvent[] = [];
  let at = after;
  for (let end = false; !end;) {
    const page = await eventStore.readAll({ after: at, maxCount: PAGE });
    events.push(...page.events);
    at = page.next ?? page.events.at(-1)?.position ?? at;
    end = page.end;
  }
  const byCategory = new Map<string, number>();
  const appends = new Map<string, number>();
  for (const { stream, metadata } of events) {
    const category = stream.slice(0, stream.indexOf("-"));
    byCategory.set(category, (byCategory.get(category) ?? 0) + 1);
    const append = `${stream} ${readSeal(metadata).recordedAt}`;
    appends.set(append, (appends.get(append) ?? 0) + 1);
  }
  return { events, byCategory, appendSizes: [...appends.values()], end: at };
}
