/**
 * What may go wrong, how often, and a switch: a simulation ends with faults off, so that everything can become quiet.
 */
import type { SeededRandom } from "@rerate/testkit";

export type Fault =
  | "append-rejects"
  | "append-partial"
  | "append-unknown-before"
  | "append-unknown-after"
  | "read-rejects"
  | "publish-rejects"
  | "publish-twice"
  | "publish-lost-acknowledgement"
  | "handler-lost-acknowledgement"
  | "handler-delivered-twice"
  | "parked-rejects"
  | "crash"
  | "crash-without-cache"
  | "zombie"
  | "second-member"
  | "bus-restart"
  | "checkpoint-rejects"
  | "topic-recreated"
  | "topic-lost-in-outage"
  | "slow";

export interface Faults {
  /** Whether this fault happens now. Counts what happened. */
  strikes(fault: Fault): boolean;
  /** Milliseconds that a call takes: usually none, sometimes long. */
  delayMs(): number;
  stop(): void;
  readonly counts: ReadonlyMap<Fault, number>;
  readonly random: SeededRandom;
}

/** Chances per call (ports) or per scheduling turn (processes). Each seed leaves some out and doubles others. */
const CHANCES: Readonly<Record<Fault, number>> = {
  "append-rejects": 0.03,
  "append-partial": 0.04,
  "append-unknown-before": 0.03,
  "append-unknown-after": 0.04,
  "read-rejects": 0.01,
  "publish-rejects": 0.05,
  "publish-twice": 0.08,
  "publish-lost-acknowledgement": 0.06,
  "handler-lost-acknowledgement": 0.06,
  "handler-delivered-twice": 0.05,
  "parked-rejects": 0.03,
  crash: 0.03,
  "crash-without-cache": 0.3,
  zombie: 0.012,
  "second-member": 0.01,
  "bus-restart": 0.006,
  "checkpoint-rejects": 0.05,
  "topic-recreated": 0.02,
  "topic-lost-in-outage": 0.15,
  slow: 0.08,
};

export function faultsOf(random: SeededRandom): Faults {
  const chances = new Map<Fault, number>();
  for (const [fault, chance] of Object.entries(CHANCES) as [Fault, number][])
    chances.set(fault, chance * Number(random.weighted({ 0: 3, 1: 5, 2: 2 })));
  const counts = new Map<Fault, number>();
  let on = true;

  function strikes(fault: Fault): boolean {
    if (!on || !random.chance(chances.get(fault) ?? 0)) return false;
    counts.set(fault, (counts.get(fault) ?? 0) + 1);
    return true;
  }

  return {
    strikes,
    delayMs: () => (strikes("slow") ? random.integer(1, 4_000) : 0),
    stop() {
      on = false;
    },
    counts,
    random,
  };
}

/** What a fault rejects with. */
export class InjectedOutage extends Error {
  override readonly name = "InjectedOutage";
}
