/**
 * What EventStoreDB does with an append: the expected revision, and ids that were stored before.
 *
 * The invariant: ids are compared at their positions and nothing else is, so a re-send with the same expected revision is
 * acknowledged whenever it comes, and one with the current revision is stored again.
 */
import { type EventStore, NO_STREAM, type NewEvent } from "@rerate/event-store";
import { idOf, type Proposed, toStored } from "./record.ts";

export type Expected = number | "any" | "stream-exists";

export interface AppendCommand {
  readonly stream: string;
  /** -1 for a stream that must not exist. */
  readonly expected: Expected;
  readonly events: readonly Proposed[];
}

export type AppendOutcome =
  | { readonly kind: "success"; readonly lastRevision: number }
  | { readonly kind: "wrong-expected-version"; readonly actualRevision: number }
  | { readonly kind: "too-large"; readonly maxBytes: number }
  | { readonly kind: "refused"; readonly reason: string };

/** EventStoreDB's limit for all events of one append. */
const MAX_BYTES = 1_048_576;
/** What the store below must take in one append, because the front adds ids to what it is given. */
export const FRONT_APPEND_BYTES = MAX_BYTES * 2;
/** The server's memory of recent ids, in ids: it is what `any` and `stream-exists` are idempotent by. */
const KEPT_IDS = 65_536;

export function createAppending(eventStore: EventStore): (command: AppendCommand) => Promise<AppendOutcome> {
  const recent = createRecentIds();

  async function append(command: AppendCommand): Promise<AppendOutcome> {
    const { stream, expected, events } = command;
    const size = events.reduce((sum, event) => sum + event.data.length + event.metadata.length + event.type.length * 2, 0);
    if (size > MAX_BYTES) return { kind: "too-large", maxBytes: MAX_BYTES };
    if (events.length === 0) return { kind: "success", lastRevision: typeof expected === "number" ? Math.max(expected, 0) : 0 };
    const outcome = await (typeof expected === "number"
      ? appendAt(stream, expected, events, events.map(toStored))
      : appendAnywhere(stream, expected, events));
    if (outcome.kind === "success") recent.add(stream, outcome.lastRevision, events);
    return outcome;
  }

  async function appendAt(
    stream: string,
    expected: number,
    events: readonly Proposed[],
    stored: readonly NewEvent[],
  ): Promise<AppendOutcome> {
    const [result] = await eventStore.append([{ stream, expectedRevision: expected, events: stored }]);
    if (result?.kind === "committed") return { kind: "success", lastRevision: result.lastRevision };
    if (result?.kind !== "conflict") throw new Error("the event store does not know what became of an append");
    const { actualRevision } = result;
    if (expected + events.length <= actualRevision) {
      const there = await eventStore.readForward(stream, { from: expected + 1, maxCount: events.length });
      if (there.length === events.length && there.every((event, index) => idOf(event) === events[index]?.id)) {
        return { kind: "success", lastRevision: expected + events.length };
      }
    }
    return { kind: "wrong-expected-version", actualRevision };
  }

  async function appendAnywhere(
    stream: string,
    expected: "any" | "stream-exists",
    events: readonly Proposed[],
  ): Promise<AppendOutcome> {
    const stored = events.map(toStored);
    for (;;) {
      const actualRevision = (await eventStore.readLast(stream))?.revision ?? NO_STREAM;
      if (expected === "stream-exists" && actualRevision === NO_STREAM) return { kind: "wrong-expected-version", actualRevision };
      const known = events.map(({ id }) => recent.revisionOf(stream, id));
      if (known[0] !== undefined) {
        const last = known.at(-1);
        return last !== undefined && !known.includes(undefined)
          ? { kind: "success", lastRevision: last }
          : { kind: "wrong-expected-version", actualRevision };
      }
      // Another append may have come in between: then look again.
      const outcome = await appendAt(stream, actualRevision, events, stored);
      if (outcome.kind !== "wrong-expected-version") return outcome;
    }
  }

  return async (command) => {
    try {
      return await append(command);
    } catch (error) {
      if (error instanceof RangeError) return { kind: "refused", reason: error.message };
      throw error;
    }
  };
}

/** The ids of the last appends, in two generations; lost with the process, as the server's are. */
function createRecentIds(): {
  readonly add: (stream: string, lastRevision: number, events: readonly Proposed[]) => void;
  readonly revisionOf: (stream: string, id: string) => number | undefined;
} {
  let young = new Map<string, { readonly stream: string; readonly revision: number }>();
  let old = young;
  return {
    add(stream, lastRevision, events) {
      const first = lastRevision - events.length + 1;
      for (const [index, { id }] of events.entries()) young.set(id, { stream, revision: first + index });
      if (young.size < KEPT_IDS) return;
      old = young;
      young = new Map();
    },
    revisionOf(stream, id) {
      const found = young.get(id) ?? old.get(id);
      return found?.stream === stream ? found.revision : undefined;
    },
  };
}
