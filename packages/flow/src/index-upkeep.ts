/**
 * Keeping the caches of one service in step with the log: catching up at the start, saving now and then.
 *
 * The invariant: a checkpoint is saved only when every event of the service up to it is in the index and every stream with
 * an event up to it has its deadlines (or "unknown") stored. So a start has to read only what comes after the checkpoint.
 */
import type { EventPage, EventStore, StoredEvent } from "@rerate/event-store";
import type { DomainEvent } from "./decider.ts";
import { type Deadlines, UNKNOWN } from "./deadlines.ts";
import type { Checkpoint } from "./identity-index.ts";
import { cover } from "./load-state.ts";
import { linkAfter } from "./seal.ts";
import type { StateCache } from "./state-cache.ts";
import type { Limits, WorkerOptions } from "./worker-options.ts";

export interface IndexUpkeep {
  /** Reads the log from the checkpoint to its end. Nothing may be decided before this resolves. */
  catchUp(): Promise<void>;
  /**
   * Told how many events the round appended: now and then reads on in the log, while its newest events are in memory, and
   * saves when much is unsaved. Resolves at once unless so much is waiting that the worker has to slow down.
   */
  afterRound(appended: number): Promise<void> | undefined;
  /** Reads what others have appended: keys, and deadlines that nobody else looks after any more. */
  readForeign(): Promise<void>;
  /** Saves everything, so that the next start reads nothing again. */
  saveAll(): Promise<void>;
}

const PAGE = 4_000;
const MOST_PAGES = 1_000;
/** With so many times the usual number of unsaved keys, rounds wait for the saving. */
const SLOW_DOWN = 2;
/** Appended events after which the log is read on. */
const FOLLOW_AFTER = 500;

/** Forgets caches that belong to another log: one that was replaced, or put back from a backup. */
export async function forgetForeignCaches<State, Message extends object, Event extends DomainEvent, Context>(
  options: WorkerOptions<State, Message, Event, Context>,
): Promise<void> {
  const { index, snapshots, deadlines } = options.cache;
  for (const checkpoint of [index.checkpoint, index.newest]) {
    if (checkpoint === undefined || (await isOf(options.eventStore, checkpoint))) continue;
    options.log.warn({ service: options.name }, "the caches belong to another log: they are built again");
    index.clear();
    snapshots.clear();
    deadlines.clear();
    return;
  }
}

async function isOf(eventStore: EventStore, { witness }: Checkpoint): Promise<boolean> {
  const [event] = await eventStore.readForward(witness.stream, { from: witness.revision, maxCount: 1 });
  return event !== undefined && event.revision === witness.revision && linkAfter(event) === witness.link;
}

export function createIndexUpkeep<State, Message extends object, Event extends DomainEvent, Context>(
  options: WorkerOptions<State, Message, Event, Context>,
  limits: Limits,
  states: StateCache<State>,
  deadlines: Deadlines,
  /** The caches can't be written: the worker must end. */
  onFailure: (error: unknown) => void,
): IndexUpkeep {
  const { codec, decider, eventStore, prefixes, defer, log, metrics } = options;
  const { index } = options.cache;
  let at = index.checkpoint;
  let saving: Promise<void> | undefined;
  let following: Promise<void> | undefined;
  let appendedSince = 0;
  let failure: { readonly error: unknown } | undefined;

  const pause = () => new Promise<void>((resolve) => defer(resolve, 0));

  async function nextPage(): Promise<EventPage> {
    return await eventStore.readAll({ after: at?.position, prefixes, maxCount: PAGE });
  }

  function moveTo(page: EventPage): void {
    const last = page.events.at(-1);
    const witness = last === undefined ? at?.witness : { stream: last.stream, revision: last.revision, link: linkAfter(last) };
    if (page.next !== undefined && witness !== undefined) at = { position: page.next, witness };
  }

  async function save(whole: boolean): Promise<void> {
    if (at === undefined) return;
    deadlines.save();
    await index.save(at, { whole, pause });
  }

  /**
   * Adds what others appended; what this worker holds is covered up to its last append. Deadlines of streams with events that
   * no finished round here has seen are stored as unknown.
   */
  function coverPage(events: readonly StoredEvent[]): void {
    const foreign = new Map<string, StoredEvent[]>();
    for (const event of events) {
      const held = states.peek(event.stream);
      if (held !== undefined && held.uses > 0) deadlines.loosen(event.stream);
      if (held !== undefined && held.committed >= event.revision) continue;
      const list = foreign.get(event.stream);
      if (list === undefined) foreign.set(event.stream, [event]);
      else list.push(event);
    }
    for (const [stream, list] of foreign) {
      const decoded = list.map((event) => codec.decode(event));
      if (cover(index, decider, index.numberOf(stream), list, decoded) > 0) deadlines.set(stream, UNKNOWN);
    }
  }

  /** One at a time: whoever calls while it runs gets what is running. */
  function follow(): Promise<void> {
    following ??= readOn().finally(() => {
      following = undefined;
    });
    return following;
  }

  async function readOn(): Promise<void> {
    appendedSince = 0;
    // Bounded, so that a busy writer can't keep it from saving.
    for (let pages = 0; pages < MOST_PAGES; pages++) {
      const page = await nextPage();
      coverPage(page.events);
      moveTo(page);
      if (page.end) break;
      await pause();
    }
  }

  function warn(error: unknown): void {
    log.warn({ service: options.name, err: error }, "the identity index was not saved, or not read on");
  }

  async function followAndSave(whole: boolean): Promise<void> {
    await follow();
    try {
      await save(whole);
    } catch (error) {
      // A batch that is half written is neither in memory nor in the file.
      failure = { error };
      onFailure(error);
      throw error;
    }
    metrics.gauge("unsaved_keys", index.unsaved);
  }

  return {
    async catchUp() {
      let count = 0;
      for (let end = false; !end;) {
        const page = await nextPage();
        for (const stored of page.events) {
          const streamId = index.numberOf(stored.stream);
          for (const { key, tag } of decider.keysOf(codec.decode(stored))) index.add(streamId, key, stored.revision, tag);
          deadlines.set(stored.stream, UNKNOWN);
        }
        count += page.events.length;
        moveTo(page);
        ({ end } = page);
        if (index.unsaved >= limits.unsavedKeys) await save(false);
      }
      if (count > 0) log.info({ service: options.name, events: count }, "caught up with the log");
    },
    afterRound(appended) {
      if (failure !== undefined) throw failure.error;
      appendedSince += appended;
      // Also while a batch is being saved: what is read soon is still in memory.
      if (appendedSince >= FOLLOW_AFTER) follow().catch(warn);
      if (index.unsaved < limits.unsavedKeys) return undefined;
      saving ??= followAndSave(false)
        .catch(warn)
        .finally(() => {
          saving = undefined;
        });
      return index.unsaved < limits.unsavedKeys * SLOW_DOWN ? undefined : saving;
    },
    async readForeign() {
      // What runs may have passed by already what is asked for here.
      await following;
      await follow();
    },
    async saveAll() {
      await following?.catch(() => undefined);
      await saving;
      if (failure !== undefined) throw failure.error;
      await followAndSave(true);
    },
  };
}
