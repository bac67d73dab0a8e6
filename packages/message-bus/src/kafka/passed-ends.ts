/**
 * Up to when everything published to a topic has been handled here, for topics without marks: the time at which end offsets
 * were asked for that have since been passed. Nothing is asked while nobody wants to know.
 */
import type { Defer } from "./nap.ts";

export interface PassedEndsOptions {
  /** The end of each own partition, now. */
  readonly list: () => Promise<ReadonlyMap<number, number>>;
  readonly now: () => string;
  readonly defer: Defer;
  readonly everyMs: number;
}

export interface PassedEnds {
  /** `positions`: the offset after the last handled message, per own partition. */
  readUpTo(positions: ReadonlyMap<number, number>): string | undefined;
}

export function createPassedEnds({ list, now, defer, everyMs }: PassedEndsOptions): PassedEnds {
  let known: string | undefined;
  let asked: { readonly at: string; readonly ends: ReadonlyMap<number, number> } | undefined;
  let resting = false;

  async function fetch(at: string): Promise<void> {
    try {
      const ends = await list();
      asked ??= { at, ends };
    } catch {
      // The next call asks again.
    }
  }

  function ask(): void {
    if (resting) return;
    resting = true;
    defer(() => {
      resting = false;
    }, everyMs);
    const at = now();
    void fetch(at);
  }

  return {
    readUpTo(positions) {
      if (asked !== undefined && [...asked.ends].every(([partition, end]) => (positions.get(partition) ?? 0) >= end)) {
        known = asked.at;
        asked = undefined;
      }
      if (asked === undefined) ask();
      return known;
    },
  };
}
