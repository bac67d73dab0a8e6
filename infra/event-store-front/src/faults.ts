/**
 * The faults that a front makes on demand: what a network, a proxy or a dying server does to a client.
 *
 * Owns the switches and the seeded choice between them, and no transport. What a fault leaves in the log is fixed: `hang` and
 * `unavailable` store nothing, the others store the append.
 */

/** Counts say how many of the next calls or appends are hit; 0 is off. */
export interface FaultSettings {
  /** Calls (appends, reads, new subscriptions) that are taken and never answered. */
  readonly hang: number;
  /** Calls that break with UNAVAILABLE at once. A batch stream breaks with everything on it. */
  readonly unavailable: number;
  /** Appends that are stored, and then their call breaks with UNAVAILABLE. */
  readonly dropAfterCommit: number;
  /** Appends that are stored and never answered, while their call goes on. */
  readonly swallow: number;
  /** Appends that are stored, and then their call ends as if all was well. */
  readonly endStream: number;
  /** Appends whose answers are held back and sent in the reverse order. */
  readonly reorderAnswers: number;
  /** Every answer waits so long. */
  readonly delayMs: number;
  /** Picks a fault for one in so many appends, the same ones for the same seed and order of appends. 0 is off. */
  readonly chaosOneIn: number;
  readonly chaosSeed: number;
}

/** What happens to one append. */
export type AppendFate =
  | "none"
  | "hang"
  | "unavailable"
  | "dropAfterCommit"
  | "swallow"
  | "endStream"
  | "reorderAnswers"
  | "restart";
/** What happens to one read or subscription. */
export type ReadFate = "none" | "hang" | "unavailable";

export interface Faults {
  /** Changes the named settings and leaves the others. */
  set(settings: Partial<FaultSettings>): void;
  /** The settings with what is left of each count. */
  left(): FaultSettings;
  fateOfAppend(): AppendFate;
  fateOfRead(): ReadFate;
}

export const NO_FAULTS: FaultSettings = {
  hang: 0,
  unavailable: 0,
  dropAfterCommit: 0,
  swallow: 0,
  endStream: 0,
  reorderAnswers: 0,
  delayMs: 0,
  chaosOneIn: 0,
  chaosSeed: 1,
};

/** In the order in which they are used up, when several are on. */
const COUNTED = ["hang", "unavailable", "dropAfterCommit", "swallow", "endStream", "reorderAnswers"] as const;
const CHAOS = [...COUNTED, "restart"] as const;

export function createFaults(initial: Partial<FaultSettings> = {}): Faults {
  let settings: FaultSettings = { ...NO_FAULTS, ...initial };
  let random = createRandom(settings.chaosSeed);

  function counted<Fate extends (typeof COUNTED)[number]>(fates: readonly Fate[]): Fate | "none" {
    const fate = fates.find((name) => settings[name] > 0);
    if (fate === undefined) return "none";
    settings = { ...settings, [fate]: settings[fate] - 1 };
    return fate;
  }

  return {
    set(changes) {
      settings = { ...settings, ...changes };
      if (changes.chaosSeed !== undefined) random = createRandom(changes.chaosSeed);
    },
    left: () => settings,
    fateOfAppend() {
      const fate = counted(COUNTED);
      if (fate !== "none" || settings.chaosOneIn === 0 || random(settings.chaosOneIn) > 0) return fate;
      return CHAOS[random(CHAOS.length)] ?? "none";
    },
    fateOfRead: () => counted(["hang", "unavailable"]),
  };
}

/** Settings from JSON text. Throws a RangeError that names what is wrong. */
export function parseFaultSettings(text: string): Partial<FaultSettings> {
  const given: unknown = JSON.parse(text);
  if (typeof given !== "object" || given === null) throw new RangeError("the settings are a JSON object");
  const settings: Record<string, number> = {};
  for (const [name, value] of Object.entries(given)) {
    if (!(name in NO_FAULTS)) throw new RangeError(`there is no fault "${name}"; there are ${Object.keys(NO_FAULTS).join(", ")}`);
    if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`"${name}" is a whole number from 0`);
    settings[name] = value;
  }
  return settings;
}

/** Whole numbers below a bound, the same sequence for the same seed (mulberry32). */
function createRandom(seed: number): (bound: number) => number {
  let state = seed >>> 0;
  return (bound) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % bound;
  };
}
