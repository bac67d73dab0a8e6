/**
 * A part of the log on its way into the tables: folded in memory, not yet written.
 */
import type { EventPage, Position, StoredEvent } from "@rerate/event-store";
import { decodeEvent } from "@rerate/ledger";
import { createFold, foldAccount, foldOther, foldProgress, streamParts } from "./fold.ts";
import type { LedgerLog } from "./ledger-log.ts";
import { createSubjects } from "./subjects.ts";
import type { Deltas } from "./tables.ts";

export interface Batch {
  /** Events folded since the last `take`. */
  readonly events: number;
  /** Where the log was read to; undefined when nothing was added. */
  readonly position: Position | undefined;
  /** Folds a page of the log, reading earlier events of its streams where an event is about one of them. */
  add(page: EventPage): Promise<void>;
  /** Hands over what was folded and starts anew. */
  take(): Deltas;
}

export function createBatch(log: LedgerLog): Batch {
  const subjects = createSubjects(log);
  let fold = createFold();
  let events = 0;
  let position: Position | undefined;
  let newest = new Map<string, StoredEvent>();

  return {
    get events() {
      return events;
    },
    get position() {
      return position;
    },
    async add(page) {
      for (const stored of page.events) {
        const { category } = streamParts(stored.stream);
        if (category === "account") {
          const event = decodeEvent("account", stored);
          const found = subjects.of(stored.stream, event);
          subjects.remember(stored.stream, stored.revision, event);
          newest.set(stored.stream, stored);
          foldAccount(fold, stored, event, found === undefined ? undefined : await found);
        } else foldOther(fold, log, stored);
        events += 1;
      }
      position = page.next ?? position;
    },
    take() {
      for (const stored of newest.values()) foldProgress(fold, log, stored);
      const taken = fold.deltas;
      fold = createFold();
      events = 0;
      position = undefined;
      newest = new Map();
      return taken;
    },
  };
}
