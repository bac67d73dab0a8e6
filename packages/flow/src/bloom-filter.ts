/**
 * "Certainly not, or perhaps": which keys may be in the identity index, in about 12 bits each.
 *
 * Grows in generations, each twice as large as the one before; a full generation never changes again. Never forgets a key:
 * a wrong "perhaps" costs one look-up (about 0.4 % per generation), a wrong "not" cannot happen.
 */

export interface BloomFilter {
  /** Keys added so far, as far as they were not taken for known ones. */
  readonly size: number;
  readonly bytes: number;
  has(streamId: number, key: string): boolean;
  add(streamId: number, key: string): void;
  /** Calls back with every generation that changed since the last call, so that it can be stored. */
  save(store: (generation: number, keys: number, bits: Uint8Array) => void): void;
}

interface Generation {
  readonly bits: Uint32Array<ArrayBuffer>;
  /** Number of bits minus one; the number is a power of two. */
  readonly mask: number;
  readonly capacity: number;
  keys: number;
  changed: boolean;
}

export interface StoredGeneration {
  readonly keys: number;
  readonly bits: Uint8Array;
}

const FIRST_BITS = 2 ** 20;
/** Beyond this, generations stop growing: 2³¹ bits are 256 MB and hold 178 M keys. */
const MOST_BITS = 2 ** 31;
const BITS_PER_KEY = 12;
const PROBES = 6;

/** A filter with the generations that were stored, oldest first; empty without. */
export function createBloomFilter(stored: readonly StoredGeneration[] = []): BloomFilter {
  // The newest first: it is the largest, and the one that keys are added to.
  const generations: Generation[] = [];
  let size = 0;
  for (const { keys, bits } of stored) {
    const generation = newGeneration(bits.length * 8);
    new Uint8Array(generation.bits.buffer).set(bits);
    generations.unshift({ ...generation, keys, changed: false });
    size += keys;
  }
  // The two halves of the hash of the key that was looked at last.
  let first = 0;
  let second = 0;

  function hash(streamId: number, key: string): void {
    let a = 0xdeadbeef ^ streamId;
    let b = 0x41c6ce57 ^ streamId;
    for (let i = 0; i < key.length; i++) {
      const unit = key.charCodeAt(i);
      a = Math.imul(a ^ unit, 2654435761);
      b = Math.imul(b ^ unit, 1597334677);
    }
    a = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909);
    b = Math.imul(b ^ (b >>> 16), 2246822507) ^ Math.imul(a ^ (a >>> 13), 3266489909);
    first = a >>> 0;
    second = (b | 1) >>> 0;
  }

  function contains({ bits, mask }: Generation): boolean {
    let at = first;
    for (let probe = 0; probe < PROBES; probe++) {
      const bit = (at & mask) >>> 0;
      if (((bits[bit >>> 5] ?? 0) & (1 << (bit & 31))) === 0) return false;
      at = (at + second) | 0;
    }
    return true;
  }

  function has(streamId: number, key: string): boolean {
    hash(streamId, key);
    for (const generation of generations) if (contains(generation)) return true;
    return false;
  }

  return {
    get size() {
      return size;
    },
    get bytes() {
      return generations.reduce((sum, { bits }) => sum + bits.byteLength, 0);
    },
    has,
    add(streamId, key) {
      if (has(streamId, key)) return;
      let newest = generations[0];
      if (newest === undefined || newest.keys >= newest.capacity) {
        newest = newGeneration(newest === undefined ? FIRST_BITS : Math.min(MOST_BITS, newest.bits.length * 64));
        generations.unshift(newest);
      }
      let at = first;
      for (let probe = 0; probe < PROBES; probe++) {
        const bit = (at & newest.mask) >>> 0;
        newest.bits[bit >>> 5] = (newest.bits[bit >>> 5] ?? 0) | (1 << (bit & 31));
        at = (at + second) | 0;
      }
      newest.keys += 1;
      newest.changed = true;
      size += 1;
    },
    save(store) {
      for (const [index, generation] of generations.entries()) {
        if (!generation.changed) continue;
        generation.changed = false;
        store(generations.length - 1 - index, generation.keys, new Uint8Array(generation.bits.buffer));
      }
    },
  };
}

function newGeneration(bits: number): Generation {
  return {
    bits: new Uint32Array(bits / 32),
    mask: bits - 1,
    capacity: Math.floor(bits / BITS_PER_KEY),
    keys: 0,
    changed: true,
  };
}
