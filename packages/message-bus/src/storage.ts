/**
 * What the local bus asks of the place where it keeps published messages, group offsets and parked records.
 *
 * Owns no behaviour: `memory-storage.ts` and `sqlite-storage.ts` implement it, `local-bus.ts` does everything else.
 */
import type { ParkedStore } from "./port.ts";

/** Consecutive messages of one partition, published by one call. */
export interface StoredBlock {
  readonly topic: string;
  readonly partition: number;
  /** Offset of the first message; the others follow one by one. */
  readonly first: number;
  readonly messages: readonly StoredMessage[];
}

export interface StoredMessage {
  readonly key: string;
  readonly bytes: Uint8Array;
}

/** Where a group goes on: the offset of the next message that it has not handled. */
export interface GroupOffset {
  readonly group: string;
  readonly topic: string;
  readonly partition: number;
  readonly next: number;
}

/** Blocks that every known group has passed and that may go: those that end at or before `before`. */
export interface Trim {
  readonly topic: string;
  readonly partition: number;
  readonly before: number;
}

export interface BusStorage {
  /** The offset after the last stored message, per topic and partition that ever had one. */
  ends(): readonly { readonly topic: string; readonly partition: number; readonly next: number }[];
  /** Stores in the order of the calls. Calls `committed` as soon as the blocks are durable, then resolves. */
  append(blocks: readonly StoredBlock[], committed: () => void): Promise<void>;
  /** Stored messages from an offset on, in order, from whole blocks, about `maxCount` of them and at least one block. */
  read(topic: string, partition: number, from: number, maxCount: number): readonly StoredBlock[];
  offsets(): readonly GroupOffset[];
  /** Resolves when durable. The trims happen together with the offsets, or later, or in part: never before. */
  saveOffsets(offsets: readonly GroupOffset[], trims: readonly Trim[]): Promise<void>;
  readonly parked: ParkedStore;
}
