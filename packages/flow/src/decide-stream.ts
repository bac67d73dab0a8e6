/**
 * Deciding the messages of one stream, one after the other, on the state in memory.
 *
 * Synchronous as long as everything is at hand; what is missing is named and fetched by the caller. The invariant: what the
 * decider throws is a broken invariant of this stream alone (`broken`); what the index throws is an outage and goes up.
 */
import { chainHash, MAX_APPEND_BYTES, MAX_APPEND_EVENTS } from "@rerate/event-store";
import type { Decider, Decision, DomainEvent, EventCodec, History, KeyEntry, Needs, Recorded } from "./decider.ts";
import type { IdentityIndex } from "./identity-index.ts";
import { sealText } from "./seal.ts";
import type { Held } from "./state-cache.ts";
import type { Step, Work } from "./stream-work.ts";

/** What a work needs before it can go on. */
export type Blocked =
  | { readonly kind: "events"; readonly revisions: ReadonlySet<number> }
  /** The index knows of events that the state has not folded: another writer was faster. */
  | { readonly kind: "stale" }
  | { readonly kind: "gap"; readonly sourceStream: string; readonly fromRevision: number };

/** A failure of what the loop stands on, to be told from a decider that throws. */
export class Outage extends Error {
  override readonly name = "Outage";
}

export interface StreamDecider<State, Message, Event extends DomainEvent, Context> {
  /** Decides as many messages as possible. Returns what is missing, or undefined when the work is done, waiting or broken. */
  advance(work: Work<State, Message, Event>, context: Context, now: string): Blocked | undefined;
}

/** Earlier events fetched in one go for the messages behind the one that needs them first. */
const PREFETCHED = 500;
const NOTHING: Needs = { keys: [], chains: [] };

export function createStreamDecider<State, Message, Event extends DomainEvent, Context>(options: {
  readonly decider: Decider<State, Message, Event, Context>;
  readonly codec: EventCodec<Event>;
  readonly index: IdentityIndex;
  readonly mergeAtMost: number;
}): StreamDecider<State, Message, Event, Context> {
  const { decider, codec, index } = options;
  type StreamWork = Work<State, Message, Event>;

  function find(work: StreamWork, held: Held<State>, key: string): KeyEntry | undefined {
    const pending = work.keys.size === 0 ? undefined : work.keys.get(key);
    if (pending !== undefined) return pending;
    try {
      return index.find(held.streamId, key);
    } catch (error) {
      throw new Outage("the identity index can't be read", { cause: error });
    }
  }

  function eventAt(work: StreamWork, revision: number): Event | undefined {
    return revision > work.base ? work.events[revision - work.base - 1]?.event : work.loaded.get(revision);
  }

  /** Follows the links of the keys' events, newest first, and collects the revisions that are not at hand. */
  function collectMissing(work: StreamWork, held: Held<State>, keys: readonly string[], missing: Set<number>): void {
    for (const key of keys) {
      let revision = find(work, held, key)?.revision;
      while (revision !== undefined) {
        const event = eventAt(work, revision);
        if (event === undefined) {
          missing.add(revision);
          break;
        }
        const link = decider.linkOf(event);
        if (link !== undefined && link >= revision) throw new Error(`the event at revision ${revision} links to ${link}`);
        revision = link;
      }
    }
  }

  function missingFor(work: StreamWork, held: Held<State>, needs: Needs, context: Context): Set<number> | undefined {
    if (needs.chains.length === 0) return undefined;
    const missing = new Set<number>();
    collectMissing(work, held, needs.chains, missing);
    if (missing.size === 0) return undefined;
    // A read costs the same for one event as for many: look ahead while the state is as it is.
    for (let i = work.next + 1; i < work.queue.length && missing.size < PREFETCHED; i++) {
      const ahead = work.queue[i];
      if (ahead !== undefined) collectMissing(work, held, decider.needs(held.state, ahead.message, context).chains, missing);
    }
    return missing;
  }

  /** The message at `next`, with those after it that may be decided as one. */
  function mergedMessage(work: StreamWork): { readonly message: Message; readonly until: number } | undefined {
    const { queue, next } = work;
    const first = queue[next];
    if (first === undefined) return undefined;
    let { message } = first;
    let until = next + 1;
    if (decider.merge === undefined || next < work.unmergedUntil) return { message, until };
    for (; until < queue.length && until - next < options.mergeAtMost; until++) {
      const later = queue[until];
      const merged = later === undefined ? undefined : decider.merge(message, later.message);
      if (merged === undefined) break;
      message = merged;
    }
    return { message, until };
  }

  function record(work: StreamWork, held: Held<State>, events: readonly Event[], at: Recorded): void {
    let bytes = 0;
    for (const event of events) {
      const revision = held.revision + 1;
      const { type, data } = codec.encode(event);
      const keys = decider.keysOf(event);
      held.state = decider.evolve(held.state, event, revision === at.revision ? at : { revision, recordedAt: at.recordedAt });
      const metadata = sealText(at.recordedAt, held.link);
      held.link = chainHash(held.stream, revision, type, data, metadata);
      held.revision = revision;
      held.recordedAt = at.recordedAt;
      for (const { key, tag } of keys) work.keys.set(key, { revision, tag });
      const size = type.length + metadata.length + Buffer.byteLength(data);
      bytes += size;
      work.events.push({ event, sealed: { type, data, metadata, body: event.data }, bytes: size, keys });
    }
    if (events.length > MAX_APPEND_EVENTS || bytes > MAX_APPEND_BYTES) {
      throw new Error(`one decision of ${events.length} events and ${bytes} bytes does not fit into an append`);
    }
    work.bytes += bytes;
  }

  function keep(work: StreamWork, until: number, decision: Step<Event>["decision"]): void {
    work.steps.push({ until, events: work.events.length, decision });
    work.next = until;
  }

  function apply(
    work: StreamWork,
    held: Held<State>,
    until: number,
    decision: Decision<Event>,
    at: Recorded,
  ): Blocked | undefined {
    // Only what all messages have in common may be said of merged ones.
    if (until > work.next + 1 && decision.kind !== "record") {
      work.unmergedUntil = until;
      return undefined;
    }
    switch (decision.kind) {
      case "record":
      case "park":
        record(work, held, decision.events, at);
        keep(work, until, decision);
        break;
      case "skip":
        keep(work, until, decision);
        break;
      case "wait":
        work.standing = "waiting";
        work.problem = decision.reason;
        break;
      case "gap":
        return { kind: "gap", sourceStream: decision.sourceStream, fromRevision: decision.fromRevision };
    }
    return undefined;
  }

  function advanceOpen(work: StreamWork, held: Held<State>, context: Context, now: string): Blocked | undefined {
    const asked: { needs: Needs } = { needs: NOTHING };
    const history = openHistory(work, held, asked);
    while (work.standing === "open") {
      const merged = mergedMessage(work);
      if (merged === undefined) return undefined;
      const needs = decider.needs(held.state, merged.message, context);
      const missing = missingFor(work, held, needs, context);
      if (missing !== undefined) {
        const end = work.base + work.events.length;
        return [...missing].some((revision) => revision > end) ? { kind: "stale" } : { kind: "events", revisions: missing };
      }
      asked.needs = needs;
      const at = { revision: held.revision + 1, recordedAt: now > held.recordedAt ? now : held.recordedAt };
      const blocked = apply(work, held, merged.until, decider.decide(held.state, merged.message, context, history, at), at);
      if (blocked !== undefined) return blocked;
    }
    return undefined;
  }

  function openHistory(work: StreamWork, held: Held<State>, asked: { readonly needs: Needs }): History<Event> {
    return {
      find(key) {
        if (!asked.needs.keys.includes(key) && !asked.needs.chains.includes(key))
          throw new Error(`a decision asked for the key "${key}", which its needs did not name`);
        return find(work, held, key);
      },
      at(revision) {
        const event = eventAt(work, revision);
        if (event === undefined) throw new Error(`a decision asked for revision ${revision}, which its needs did not name`);
        return event;
      },
    };
  }

  return {
    advance(work, context, now) {
      const { held } = work;
      if (held === undefined || work.standing !== "open") return undefined;
      let decided = work.events.length;
      try {
        const blocked = advanceOpen(work, held, context, now);
        decided = work.events.length;
        return blocked;
      } catch (error) {
        if (error instanceof Outage) throw error;
        work.standing = "broken";
        work.problem = String(error);
        // The events of the message that broke it never existed.
        decided = work.steps.at(-1)?.events ?? 0;
        return undefined;
      } finally {
        work.events.length = decided;
      }
    },
  };
}
