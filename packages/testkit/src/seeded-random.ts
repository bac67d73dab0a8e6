/**
 * Random numbers from a seed: the same seed gives the same numbers on every machine, for ever.
 *
 * Owns the generator (sfc32, seeded through splitmix32) and the few draws that simulations need. Not for secrets.
 */

export interface SeededRandom {
  /** An integer from `low` to `high`, both included. */
  integer(low: number, high: number): number;
  /** True with this probability, 0 to 1. */
  chance(probability: number): boolean;
  /** Throws a RangeError for an empty list. */
  pick<T>(items: readonly T[]): T;
  /** One of the keys, as often as its weight says. Throws a RangeError when all weights are 0. */
  weighted<K extends string>(weights: Readonly<Record<K, number>>): K;
  /** A new list in random order. */
  shuffle<T>(items: readonly T[]): T[];
  /** A generator of its own, whose draws do not disturb this one's. The same label at the same place gives the same numbers. */
  fork(label: string): SeededRandom;
}

export function seededRandom(seed: number | string): SeededRandom {
  const next = sfc32(typeof seed === "string" ? hashOf(seed) : seed >>> 0);
  const unit = (): number => next() / 2 ** 32;
  const integer = (low: number, high: number): number => low + Math.floor(unit() * (high - low + 1));

  return {
    integer,
    chance: (probability) => unit() < probability,
    pick(items) {
      const index = integer(0, items.length - 1);
      const item = items[index];
      if (index >= items.length || (item === undefined && !(index in items))) throw new RangeError("nothing to pick from");
      return item as (typeof items)[number];
    },
    weighted<K extends string>(weights: Readonly<Record<K, number>>): K {
      const entries = Object.entries<number>(weights) as [K, number][];
      const total = entries.reduce((sum, [, weight]) => sum + weight, 0);
      let at = unit() * total;
      for (const [key, weight] of entries) {
        if (at < weight) return key;
        at -= weight;
      }
      throw new RangeError("all weights are 0");
    },
    shuffle(items) {
      const shuffled = [...items];
      for (let i = shuffled.length - 1; i > 0; i--) {
        const j = integer(0, i);
        [shuffled[i], shuffled[j]] = [shuffled[j] as (typeof shuffled)[number], shuffled[i] as (typeof shuffled)[number]];
      }
      return shuffled;
    },
    fork: (label) => seededRandom(`${next()}:${label}`),
  };
}

function sfc32(seed: number): () => number {
  const mix = splitmix32(seed);
  let a = mix();
  let b = mix();
  let c = mix();
  let counter = 1;
  const next = (): number => {
    const sum = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + sum;
    return sum >>> 0;
  };
  for (let i = 0; i < 12; i++) next();
  return next;
}

function splitmix32(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let mixed = state ^ (state >>> 16);
    mixed = Math.imul(mixed, 0x21f0aaad);
    mixed ^= mixed >>> 15;
    mixed = Math.imul(mixed, 0x735a2d97);
    return mixed ^ (mixed >>> 15);
  };
}

/** FNV-1a over UTF-16 units. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}
