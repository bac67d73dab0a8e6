/**
 * Where the facts of one stream are found again while it is replayed: the last event under each key.
 *
 * Owns look-ups for `needs` and the rule that a decision sees only events before it.
 */
import type { Decider, DomainEvent, History, KeyEntry, Needs } from "@rerate/ledger";

export interface KeyIndex<Event> {
  /** Adds the keys of the event recorded at a revision. */
  add(event: Event, revision: number): void;
  find(key: string): KeyEntry | undefined;
  /** Revisions that a decision needs (the chains of its keys) and that `at` does not have. Empty when all is at hand. */
  missing(needs: Needs, at: (revision: number) => Event | undefined): ReadonlySet<number>;
  history(at: (revision: number) => Event | undefined): History<Event>;
}

export function createKeyIndex<Event extends DomainEvent>(
  decider: Pick<Decider<never, never, Event, never>, "keysOf" | "linkOf">,
): KeyIndex<Event> {
  const entries = new Map<string, KeyEntry>();
  return {
    add(event, revision) {
      for (const { key, tag } of decider.keysOf(event)) entries.set(key, { revision, tag });
    },
    find: (key) => entries.get(key),
    missing(needs, at) {
      if (needs.chains.length === 0) return NONE;
      const missing = new Set<number>();
      for (const key of needs.chains) {
        for (let revision = entries.get(key)?.revision; revision !== undefined;) {
          const event = at(revision);
          if (event === undefined) {
            missing.add(revision);
            break;
          }
          const link = decider.linkOf(event);
          if (link !== undefined && link >= revision) throw new Error(`the event at revision ${revision} links to ${link}`);
          revision = link;
        }
      }
      return missing;
    },
    history: (at) => ({
      find: (key) => entries.get(key),
      at(revision) {
        const event = at(revision);
        if (event === undefined) throw new Error(`revision ${revision} is not at hand`);
        return event;
      },
    }),
  };
}

const NONE: ReadonlySet<number> = new Set();
