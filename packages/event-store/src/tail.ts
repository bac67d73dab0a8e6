/**
 * The newest blocks of the log in memory, so that readers near the end neither read nor parse, and find the writer's bodies.
 *
 * A cache: without gaps up to the end of the log, bounded by events and by bytes, oldest blocks forgotten first. Bodies go
 * before their blocks: who reads at once finds them, and what the collector of garbage has to carry along stays small.
 */
import type { Block } from "./block.ts";
import type { StoredEvent } from "./port.ts";

export interface TailBound {
  readonly events: number;
  readonly bytes: number;
  /** Newest events whose bodies are kept. */
  readonly bodies: number;
}

export interface Tail {
  /** The block right after the newest one. */
  push(block: Block): void;
  /** Number of the first event in memory; Infinity when there is none. */
  first(): number;
  /** Blocks in order, beginning with the one that holds event `number`, which must be in memory. */
  from(number: number): Iterable<Block>;
  /** Events of a stream from a revision on, at most so many; undefined when memory does not reach back that far. */
  ofStream(stream: string, revision: number, maxCount: number): readonly StoredEvent[] | undefined;
  last(stream: string): StoredEvent | undefined;
}

export function createTail(bound: TailBound): Tail {
  const blocks = createDeque<Block>();
  const streams = new Map<string, Deque<Block>>();
  /** The newest blocks, with their bodies. */
  const bodied = createDeque<Block>();
  let events = 0;
  let bytes = 0;
  let bodies = 0;

  function forgetBodies(): void {
    const oldest = bodied.shift();
    if (oldest === undefined) return;
    bodies -= oldest.events.length;
    for (const event of oldest.events) event.body = undefined;
  }

  function forgetOldest(): void {
    const oldest = blocks.shift();
    if (oldest === undefined) return;
    events -= oldest.events.length;
    bytes -= costOf(oldest);
    // The oldest block of the log is the oldest of its stream, too.
    const ofStream = streams.get(oldest.stream);
    ofStream?.shift();
    if (ofStream?.length() === 0) streams.delete(oldest.stream);
  }

  return {
    push(block) {
      blocks.push(block);
      const ofStream = streams.get(block.stream) ?? createDeque<Block>();
      ofStream.push(block);
      streams.set(block.stream, ofStream);
      events += block.events.length;
      bytes += costOf(block);
      while (events > bound.events || bytes > bound.bytes) forgetOldest();
      bodied.push(block);
      bodies += block.events.length;
      while (bodies > bound.bodies) forgetBodies();
    },
    first: () => blocks.at(0)?.first ?? Infinity,
    *from(number) {
      for (let index = holder(blocks, (block) => block.first <= number); index < blocks.length(); index++) {
        const block = blocks.at(index);
        if (block !== undefined) yield block;
      }
    },
    ofStream(stream, revision, maxCount) {
      const held = streams.get(stream);
      const oldest = held?.at(0)?.events[0];
      if (held === undefined || oldest === undefined || oldest.revision > revision) return undefined;
      const found: StoredEvent[] = [];
      const start = holder(held, (block) => (block.events[0]?.revision ?? 0) <= revision);
      for (let index = start; index < held.length() && found.length < maxCount; index++) {
        for (const event of held.at(index)?.events ?? []) {
          if (event.revision >= revision && found.length < maxCount) found.push(event);
        }
      }
      return found;
    },
    last(stream) {
      const held = streams.get(stream);
      return held?.at(held.length() - 1)?.events.at(-1);
    },
  };
}

/** Roughly the memory of a block: its text and the objects around it. Bodies are bounded by their number. */
function costOf({ events }: Block): number {
  let cost = 0;
  for (const { data, metadata } of events) cost += 256 + metadata.length + data.length;
  return cost;
}

/** Index of the last block for which `before` is true; they come first. */
function holder(blocks: Deque<Block>, before: (block: Block) => boolean): number {
  let low = 0;
  let high = blocks.length();
  while (high - low > 1) {
    const middle = (low + high) >>> 1;
    const block = blocks.at(middle);
    if (block !== undefined && before(block)) low = middle;
    else high = middle;
  }
  return low;
}

interface Deque<Item> {
  readonly length: () => number;
  readonly at: (index: number) => Item | undefined;
  readonly push: (item: Item) => void;
  readonly shift: () => Item | undefined;
}

/** An array whose front can be taken away without moving the rest every time. */
function createDeque<Item>(): Deque<Item> {
  let items: (Item | undefined)[] = [];
  let head = 0;
  return {
    length: () => items.length - head,
    at: (index) => items[head + index],
    push(item) {
      items.push(item);
    },
    shift() {
      const item = items[head];
      items[head] = undefined;
      head = Math.min(head + 1, items.length);
      if (head * 2 > items.length) {
        items = items.slice(head);
        head = 0;
      }
      return item;
    },
  };
}
