/**
 * One seed: carries out its workload among faults, waits until everything is quiet, and checks.
 *
 * Everything that is random comes from forks of the seed, so that the same seed does the same again, byte for byte.
 */
import { partitionKey, shardOf } from "@rerate/ledger";
import type { ParkedRecord } from "@rerate/message-bus";
import { fromMilliseconds } from "@rerate/money";
import { seededRandom, virtualScheduler, type SeededRandom, type VirtualScheduler } from "@rerate/testkit";
import { announce, announcementsOf } from "./announcements.ts";
import { checkAll } from "./checks.ts";
import { faultyBus } from "./faulty-bus.ts";
import { faultsOf, type Fault, type Faults } from "./faults.ts";
import { createSystem, SERVICES, SOUND, type Makers, type System } from "./system.ts";
import { START } from "./accounts.ts";
import { workloadOf, type Send, type Workload } from "./workload.ts";

export interface SeedOptions {
  readonly seed: number;
  readonly makers?: Makers;
  /** Leaves out what costs most: the projector and the replay, which every fourth seed has in any case. */
  readonly thorough?: boolean;
  /** As on Kafka, with relays and several members of every service, which every third seed has in any case. */
  readonly stream?: boolean;
  /** Without faults: tells a mistake of the deciders from one of the machinery. */
  readonly calm?: boolean;
  readonly tell?: (line: string) => void;
}

export interface SeedResult {
  readonly seed: number;
  readonly problems: readonly string[];
  /** Equal for equal runs. */
  readonly trace: string;
  readonly events: number;
  readonly sends: number;
  readonly faults: ReadonlyMap<Fault, number>;
}

export async function runSeed({
  seed,
  makers = SOUND,
  thorough = seed % 4 === 0,
  stream = seed % 3 === 0,
  calm = false,
  tell = () => {},
}: SeedOptions): Promise<SeedResult> {
  const random = seededRandom(seed);
  const workload = workloadOf(random.fork("workload"));
  const faults = faultsOf(random.fork("faults"));
  if (calm) faults.stop();
  const scheduler = virtualScheduler(random.fork("schedule"), START - 86_400_000);
  const mode = stream ? random.fork("mode").pick(["stream", "lossy-stream"] as const) : "views";
  const system = createSystem({ scheduler, random: random.fork("system"), faults, makers, withProjector: thorough, mode });
  const run = new Run({ workload, faults, scheduler, system, random: random.fork("run"), tell });
  const sends = workload.sends.length;
  try {
    const unquiet = await run.all();
    const now = fromMilliseconds(scheduler.clock.nowMs());
    const parked = await system.bus().parked.list({ limit: 100_000 });
    const { problems, books } = await checkAll({
      workload,
      eventStore: system.eventStore,
      parked,
      database: system.database,
      acceptedAt: run.acceptedAt,
      now,
      whole: mode !== "lossy-stream",
      replay: thorough,
    });
    return {
      seed,
      problems: [...unquiet, ...system.errors, ...problems, ...(stream ? unanswered(parked) : [])],
      trace: books.trace,
      events: books.events,
      sends,
      faults: faults.counts,
    };
  } finally {
    system.database?.close();
  }
}

/** Retries that were asked for and never done. */
function unanswered(parked: readonly ParkedRecord[]): string[] {
  return parked.flatMap(({ id, service, retryAskedAt }) =>
    retryAskedAt === undefined ? [] : [`${service} was asked at ${retryAskedAt} to retry ${id}, and has not`],
  );
}

/** So many turns without anything happening are quiet: more than 15 seconds, in which every timer of a running worker fires. */
const QUIET_TURNS = 6;
/** More steps than this at one instant are a loop. */
const ENDLESS = 20_000;

interface Parts {
  readonly workload: Workload;
  readonly faults: Faults;
  readonly scheduler: VirtualScheduler;
  readonly system: System;
  readonly random: SeededRandom;
  readonly tell: (line: string) => void;
}

class Run {
  readonly #parts: Parts;
  /** When the bus first had a content, by account and hash. */
  readonly acceptedAt = new Map<string, string>();
  #unsent = 0;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Returns what kept the system from becoming quiet. */
  async all(): Promise<string[]> {
    const { workload, system, scheduler, faults, tell } = this.#parts;
    system.revive();
    const announcements = [...announcementsOf(workload)];
    const sends = [...workload.sends];
    const stops = [...new Set([...announcements.map(({ atMs }) => atMs), ...workload.bursts])].sort((a, b) => a - b);
    for (const [index, stop] of stops.entries()) {
      const loops = await this.#travelTo(stop);
      if (loops.length > 0) return loops;
      while ((announcements[0]?.atMs ?? Infinity) <= stop) {
        const announcement = announcements.shift();
        if (announcement === undefined) break;
        tell(`${this.#now()} ${announcement.events.map(({ type }) => type).join(", ")} in ${announcement.stream}`);
        await announce(system.eventStore, announcement, scheduler.clock.nowMs());
      }
      const next = stops[index + 1] ?? Infinity;
      const due = sends.findIndex(({ atMs }) => atMs >= Math.min(next, stop + 3_600_000));
      const burst = sends.splice(0, due < 0 ? sends.length : due);
      const outage = faults.strikes("topic-lost-in-outage") ? system.beginOutage() : undefined;
      if (outage !== undefined) tell(`${this.#now()} ${outage} is down, and what is published for it will be lost`);
      await this.#burst(burst);
      system.endOutage();
    }
    faults.stop();
    system.killZombies();
    system.revive();
    await this.#travelTo(workload.endMs);
    return await this.#untilQuiet(400);
  }

  /** Time passes without anything new: in a few jumps, after each of which everybody works off what is due. */
  async #travelTo(atMs: number): Promise<string[]> {
    const { scheduler, random, system } = this.#parts;
    const loops = (await this.#untilQuiet(14)).filter((problem) => problem.startsWith("never"));
    if (loops.length > 0) return loops;
    const from = scheduler.clock.nowMs();
    if (atMs <= from) return [];
    const jumps = random.integer(1, 3);
    for (let i = 1; i <= jumps; i++) {
      scheduler.advanceTo(from + Math.floor(((atMs - from) * i) / jumps));
      system.revive();
      system.mark();
      await scheduler.settle(random.integer(200, 600));
      if (i === jumps) break;
      scheduler.advanceTo(scheduler.clock.nowMs() + 1_100);
      await scheduler.settle(random.integer(20, 600));
    }
    return [];
  }

  async #burst(sends: readonly Send[]): Promise<void> {
    const { scheduler, random, system } = this.#parts;
    const ports = scheduler.process("doors");
    const doors = faultyBus(() => system.bus(), ports, this.#parts.faults);
    for (const send of sends) {
      this.#unsent += 1;
      const deliver = (): void => {
        const message = { key: partitionKey(send.ns, send.name), shard: shardOf(send.ns, send.name), body: send.body };
        doors.publish(send.topic, [message]).then(
          () => this.#acknowledged(send),
          // A door that got no acknowledgement sends again.
          () => ports.defer(deliver, random.integer(50, 2_000)),
        );
      };
      ports.defer(deliver, random.integer(0, 2_500));
    }
    if (random.chance(0.3)) await this.#askRetries();
    const turns = random.integer(6, 18);
    for (let turn = 0; turn < turns || this.#unsent > 0; turn++) {
      await scheduler.settle(random.integer(1, random.chance(0.5) ? 12 : 120));
      this.#strike();
      scheduler.advanceTo(scheduler.clock.nowMs() + random.integer(1, 600));
      if (turn % 4 === 0) system.mark();
      if (turn > 500) throw new Error("the doors cannot get rid of their messages");
    }
  }

  /** An operator asks for another try of some of what is parked. It mends nothing that time does not mend, and must leave no trace. */
  async #askRetries(): Promise<void> {
    const { parked } = this.#parts.system.bus();
    for (const { id } of this.#parts.random.shuffle(await parked.list({ limit: 100 })).slice(0, 5))
      await parked.askRetry(id, this.#now());
  }

  #acknowledged({ ns, name, body }: Send): void {
    this.#unsent -= 1;
    if (!("contentHash" in body)) return;
    const key = `${ns}/${name} ${body.contentHash}`;
    if (!this.acceptedAt.has(key)) this.acceptedAt.set(key, fromMilliseconds(this.#parts.scheduler.clock.nowMs()));
  }

  /** What may happen to processes between any two steps. */
  #strike(): void {
    const { faults, random, system, tell } = this.#parts;
    for (const service of SERVICES) {
      if (faults.strikes("crash")) {
        tell(`${this.#now()} ${service} crashes`);
        system.crash(service);
      } else if (faults.strikes("zombie")) {
        tell(`${this.#now()} ${service} is taken for dead and goes on`);
        system.zombify(service);
      } else if (system.running(service) === 1 && service !== "books" && faults.strikes("second-member")) {
        tell(`${this.#now()} ${service} gets a second member`);
        system.start(service, "nothing");
      }
    }
    if (faults.strikes("bus-restart")) {
      tell(`${this.#now()} the bus restarts`);
      system.restartBus();
    }
    if (faults.strikes("topic-recreated")) {
      const topic = system.recreateTopic();
      if (topic !== undefined) tell(`${this.#now()} the topic ${topic} is lost and made anew`);
    }
    if (random.chance(0.6)) system.revive();
    if (random.chance(0.1)) system.killZombies();
  }

  /** Lets everybody work until the log and the queues stand still; what still moves when the turns are used up. */
  async #untilQuiet(turns: number): Promise<string[]> {
    const { scheduler, system } = this.#parts;
    let still = 0;
    let before = -1;
    for (let turn = 0; turn < turns; turn++) {
      system.revive();
      system.mark();
      if ((await scheduler.settle(ENDLESS)) === ENDLESS)
        return [`never rests: ${ENDLESS} steps without time passing; ${await system.describe()}`];
      const lag = await this.#lag();
      const now = system.appends();
      still = now === before && lag === 0 && this.#unsent === 0 ? still + 1 : 0;
      if (still >= QUIET_TURNS) return [];
      before = now;
      scheduler.advanceTo(scheduler.clock.nowMs() + (turn % 5 === 4 ? 11_000 : 1_100));
    }
    return [`not quiet: ${await this.#lag()} messages wait, ${this.#unsent} are unsent; ${await system.describe()}`];
  }

  async #lag(): Promise<number> {
    let sum = 0;
    for (const group of ["settlement", "outcome-signal", "wallet"])
      for (const { lag } of await this.#parts.system.bus().lag(group)) sum += lag;
    return sum;
  }

  #now(): string {
    return fromMilliseconds(this.#parts.scheduler.clock.nowMs()).slice(0, 19);
  }
}
