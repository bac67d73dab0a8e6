/**
 * Who has an account in a simulated quarter, on which plans, and which rules are in force in the end.
 *
 * Owns no facts. Some rules come late on purpose: a plan for the time before another, a price list for earlier or with what was
 * missing. What they price does not depend on when they come, so that the oracle needs no arrival order.
 */
import type { SeededRandom } from "@rerate/testkit";
import { FEELESS_PLAN_IDS, LATER_VERSION, LISTED_PLANS, PLAN_IDS, planOf, POOL, type PoolPlan } from "./plan-pool.ts";

export const HOUR = 3_600_000;
export const DAY = 24 * HOUR;
/** Monday, 2026-01-05. */
export const START = Date.UTC(2026, 0, 5);
export interface Assignment {
  readonly planId: string;
  readonly fromMs: number;
  readonly announcedMs: number;
  /** Said a second time, together with what was announced then. */
  readonly againMs?: number;
}

export interface SimAccount {
  readonly ns: string;
  readonly account: string;
  readonly wallet: string;
  readonly timeZone: string;
  /** When the contract appears; undefined: never. */
  readonly opensMs: number | undefined;
  /** By their start. */
  readonly assignments: readonly Assignment[];
}

/** What says which rules are in force in the end. */
export interface Rules {
  /** When version 2 of the token plan is published, and from when it holds; undefined: never. */
  readonly laterVersion: { readonly publishedMs: number; readonly fromMs: number } | undefined;
  /**
   * How the price list comes: whole from the beginning; without one model, which is added later for all times; or for the time
   * from `fromMs` on, and later for the time before.
   */
  readonly lists: {
    readonly kind: "whole" | "completed" | "extended";
    readonly fromMs: number;
    readonly mendedMs: number;
  };
}

/** The plan document in force for an account at a time, once everything is published; undefined before the first. */
export function planInForce({ laterVersion, lists }: Rules, account: SimAccount, atMs: number): PoolPlan | undefined {
  const assignment = account.assignments.findLast(({ fromMs }) => fromMs <= atMs);
  if (assignment === undefined) return undefined;
  if (assignment.planId === LISTED_PLANS.id) return lists.kind === "completed" ? LISTED_PLANS.all : LISTED_PLANS.some;
  if (assignment.planId === LATER_VERSION.id && laterVersion !== undefined && laterVersion.fromMs <= atMs)
    return planOf(LATER_VERSION.hash);
  const first = POOL.find(({ kind, id }) => kind === "plan" && id === assignment.planId);
  return first === undefined ? undefined : planOf(first.hash);
}

export function listsOf(random: SeededRandom): Rules["lists"] {
  const kind = random.pick(["whole", "completed", "extended"] as const);
  const fromMs = kind === "extended" ? START + random.integer(2, 6) * DAY : START - 30 * DAY;
  return { kind, fromMs, mendedMs: START + random.integer(8, 45) * DAY };
}

export function accountsOf(random: SeededRandom, lastMs: number): SimAccount[] {
  const namespaces = random.shuffle(["default", "acme", "north.west"]).slice(0, random.integer(1, 3));
  const accounts: SimAccount[] = [];
  for (const ns of namespaces) {
    const shared = random.chance(0.3);
    for (const account of ["a1", "b-2", "c.3"].slice(0, random.integer(1, namespaces.length === 1 ? 3 : 2))) {
      accounts.push({
        ns,
        account,
        wallet: shared ? "pool" : account,
        timeZone: random.pick(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"]),
        opensMs: random.weighted({ start: 7, later: 2, never: 1 }) === "start" ? START - DAY : opening(random, lastMs),
        assignments: assignmentsOf(random),
      });
    }
  }
  return accounts;
}

function opening(random: SeededRandom, lastMs: number): number | undefined {
  return random.chance(0.75) ? START + random.integer(5, Math.floor((lastMs - START) / DAY)) * DAY : undefined;
}

/** The first plan from before the start or some days later, so that a few facts have none; then up to two changes. */
function assignmentsOf(random: SeededRandom): Assignment[] {
  const firstMs = random.chance(0.8) ? START - 10 * DAY : START + random.integer(2, 9) * DAY;
  if (random.chance(0.15)) return lateAssignments(random);
  const announcedMs = random.chance(0.85) ? START - DAY : START + random.integer(1, 5) * DAY;
  const assignments: Assignment[] = [{ planId: random.pick(PLAN_IDS), fromMs: firstMs, announcedMs }];
  let fromMs = START;
  for (let changes = random.weighted({ 0: 5, 1: 3, 2: 2 }); Number(changes) > assignments.length - 1;) {
    fromMs += random.integer(15, 35) * DAY;
    assignments.push({ planId: random.pick(PLAN_IDS), fromMs, announcedMs: fromMs - random.integer(4, 9) * DAY });
  }
  // Rules that are refused for their lateness reach on into what another plan cannot price: so nothing comes after the list.
  const listed = assignments.findIndex(({ planId }) => planId === LISTED_PLANS.id);
  return listed < 0 ? assignments : assignments.slice(0, listed + 1);
}

/** A plan, and weeks later the same for the time before it: facts of that time had no price until then. */
function lateAssignments(random: SeededRandom): Assignment[] {
  const planId = random.pick(FEELESS_PLAN_IDS);
  const fromMs = START + random.integer(5, 12) * DAY;
  const announcedMs = START + random.integer(13, 40) * DAY;
  const first = { planId, fromMs, announcedMs: START - DAY };
  // Assigning from an earlier time takes back what comes after it, so the plan itself is said again.
  return [
    { planId, fromMs: START - 10 * DAY, announcedMs },
    { ...first, againMs: announcedMs },
  ];
}
