/**
 * The embedded event store: the log in a SQLite file, one row per append, one fsync for everything queued together.
 *
 * Expected revisions are checked inside the transaction, in the order of the calls; readers see an append once it is on the
 * disk. The tail of the log and the heads of streams are kept in memory, bounded: they are caches of the file.
 */
import type { Database, GroupCommit } from "@rerate/sqlite";
import { checkAppend, judgeAppend } from "./append-rules.ts";
import { type Block, blockOf } from "./block.ts";
import { createListeners, type LocalEventStore, numberOf } from "./local.ts";
import { type Head, openLogTables } from "./log-tables.ts";
import { type AllOptions, type Append, type AppendResult, type EventPage, NO_STREAM, type StoredEvent } from "./port.ts";
import { createRecentMap } from "./recent-map.ts";
import { createSubscriptions } from "./subscriptions.ts";
import { createTail, type TailBound } from "./tail.ts";

export interface EmbeddedOptions {
  readonly database: Database;
  /** The only writer of the database. Without it the store is read-only, and may stand beside a writer in another thread or process. */
  readonly commit?: GroupCommit;
  /** For a read-only store: calls back whenever the writer has committed. Without it there are no subscriptions. */
  readonly onCommitted?: (callback: () => void) => void;
  /** How much of the end of the log stays in memory. Default 4,096 events and about 16 MB, 3,072 of them with bodies. */
  readonly keep?: TailBound;
  /** How many streams' last revisions stay in memory, at least. Default 65,536. */
  readonly keepHeads?: number;
  /** How a waiting subscription is woken. Default `setImmediate`. */
  readonly defer?: (task: () => void) => void;
  /** Default `MAX_APPEND_BYTES`. More for a store whose writer adds something of its own to what it is given. */
  readonly maxAppendBytes?: number;
}

const DEFAULT_KEEP = { events: 4_096, bytes: 16_000_000, bodies: 3_072 };
const DEFAULT_HEADS = 65_536;
/** One page from the disk stops after so much text or so many skipped blocks: a call must not hold up the process. */
const PAGE_BYTES = 8_000_000;
const PAGE_SKIPS = 4_096;

/** Closing the store ends its subscriptions; the database and the group commit belong to the caller. */
export function createEmbeddedEventStore(options: EmbeddedOptions): LocalEventStore {
  const { database, commit } = options;
  const tables = openLogTables(database);
  const tail = createTail(options.keep ?? DEFAULT_KEEP);
  const heads = createRecentMap<string, Head>(options.keepHeads ?? DEFAULT_HEADS);
  const listeners = createListeners();
  /** Number of the last event: written, perhaps not yet durable; and durable, which readers may see. */
  const last = { written: tables.lastNumber(), visible: 0 };
  last.visible = last.written;
  let closed = false;

  function assertOpen(): void {
    if (closed) throw new Error("the event store is closed");
  }

  function headOf(stream: string): Head | undefined {
    const known = heads.get(stream);
    if (known !== undefined) return known;
    const found = tables.findHead(stream);
    // A reader beside another process's writer cannot know when a head has moved.
    if (found !== undefined && commit !== undefined) heads.set(stream, found);
    return found;
  }

  function readStream(stream: string, from: number, maxCount: number): readonly StoredEvent[] {
    const kept = tail.ofStream(stream, from, maxCount);
    if (kept !== undefined) return kept;
    const head = headOf(stream);
    return head === undefined || from > head.revision ? [] : readStreamFromDisk(head, from, maxCount);
  }

  function readStreamFromDisk(head: Head, from: number, maxCount: number): readonly StoredEvent[] {
    const found: StoredEvent[] = [];
    for (const block of tables.blocksOfStream(head.id, from)) {
      for (const event of block.events) if (event.revision >= from && found.length < maxCount) found.push(event);
      if (found.length >= maxCount) break;
    }
    return found;
  }

  /** Inside the transaction: the results of a list of appends, and the blocks to show once they are durable. */
  function writeAll(appends: readonly Append[]): Written {
    const before = last.written;
    const written: { readonly results: AppendResult[]; readonly blocks: Block[] } = { results: [], blocks: [] };
    try {
      for (const append of appends) written.results.push(writeOne(append, written.blocks));
      return written;
    } catch (error) {
      // The transaction forgets this list; so must the memory.
      last.written = before;
      heads.clear();
      throw error;
    }
  }

  function writeOne(append: Append, blocks: Block[]): AppendResult {
    const { stream, events } = append;
    const head = headOf(stream);
    const actualRevision = head?.revision ?? NO_STREAM;
    // Reads the disk, not the tail, which does not have the other appends of this transaction yet.
    const storedFrom = (from: number, maxCount: number) => (head === undefined ? [] : readStreamFromDisk(head, from, maxCount));
    const judged = judgeAppend(append, actualRevision, storedFrom);
    if (judged !== "write") return judged;
    const target = head ?? tables.addStream(stream);
    const first = last.written + 1;
    tables.addBlock(target, first, actualRevision + 1, events);
    last.written += events.length;
    const lastRevision = actualRevision + events.length;
    heads.set(stream, { id: target.id, family: target.family, revision: lastRevision });
    blocks.push(blockOf(stream, first, actualRevision + 1, events));
    return { kind: "committed", lastRevision };
  }

  function show({ blocks }: Written): void {
    if (blocks.length === 0) return;
    for (const block of blocks) {
      tail.push(block);
      last.visible = block.first + block.events.length - 1;
    }
    listeners.call();
  }

  async function readAll({ after, prefixes, maxCount }: AllOptions): Promise<EventPage> {
    assertOpen();
    const start = numberOf(after) + 1;
    if (commit === undefined) last.visible = tables.lastNumber();
    if (start > last.visible) return { events: [], next: after, end: true };
    const inMemory = start >= tail.first();
    const blocks = inMemory ? tail.from(start) : tables.blocksFrom(start, prefixes && tables.familiesOf(prefixes));
    return collect(blocks, start, prefixes, maxCount, inMemory);
  }

  function collect(
    blocks: Iterable<Block>,
    start: number,
    prefixes: readonly string[] | undefined,
    maxCount: number,
    inMemory: boolean,
  ): EventPage {
    const events: StoredEvent[] = [];
    let next = start - 1;
    let bytes = 0;
    let skips = 0;
    for (const block of blocks) {
      // Committed by another thread or process since the end was read: not all before it may have been seen.
      if (block.first > last.visible) break;
      const matches = prefixes === undefined || prefixes.some((prefix) => block.stream.startsWith(prefix));
      const from = Math.max(0, start - block.first);
      const until = matches ? Math.min(block.events.length, from + maxCount - events.length) : block.events.length;
      if (matches) {
        for (let index = from; index < until; index++) {
          const event = block.events[index];
          if (event === undefined) continue;
          events.push(event);
          bytes += event.data.length + event.metadata.length;
        }
      } else skips += 1;
      next = Math.max(next, block.first + until - 1);
      if (events.length >= maxCount || (!inMemory && (bytes > PAGE_BYTES || skips > PAGE_SKIPS))) {
        return { events, next: String(next), end: next >= last.visible };
      }
    }
    // No further block matches: the page reaches the end.
    return { events, next: String(last.visible), end: true };
  }

  options.onCommitted?.(listeners.call);
  const subscriptions = createSubscriptions({
    readAll,
    onAppended: listeners.add,
    defer: options.defer ?? ((task) => void setImmediate(task)),
  });

  return {
    async append(appends) {
      assertOpen();
      if (commit === undefined) throw new Error(`${database.path} is open for reading only`);
      for (const append of appends) checkAppend(append, options.maxAppendBytes);
      return (await commit.write(() => writeAll(appends), show)).results;
    },
    async readForward(stream, { from = 0, maxCount }) {
      assertOpen();
      return readStream(stream, from, maxCount);
    },
    async readLast(stream) {
      assertOpen();
      const kept = tail.last(stream);
      if (kept !== undefined) return kept;
      const head = headOf(stream);
      return head === undefined ? undefined : tables.lastBlock(head.id)?.events.at(-1);
    },
    readAll,
    subscribeAll(subscribing) {
      // Nobody would tell it of new events: readers beside a writer page with `readAll`.
      if (commit === undefined && options.onCommitted === undefined)
        throw new Error(`${database.path} is open for reading only, without subscriptions`);
      return subscriptions.start(subscribing);
    },
    onAppended: listeners.add,
    async close() {
      closed = true;
      await subscriptions.stopAll();
    },
  };
}

interface Written {
  readonly results: AppendResult[];
  readonly blocks: readonly Block[];
}
