/**
 * How all processes stand together, and asking one of them to try a parked message again: what an operator is shown where every
 * service is a process of its own. Reads hints and topics; decides nothing.
 */
import type { ParkedRecord } from "@rerate/message-bus";
import { fromMilliseconds } from "@rerate/money";
import { sleep, systemClock, type StreamEngines } from "@rerate/runtime";
import { TOPIC_TABLE, type StatusRead } from "@rerate/wire";
import { heardStatuses } from "./heartbeat.ts";
import { VERSION } from "./http-server.ts";

/** The groups that read topics, as services and doors name them. */
export const GROUPS = ["ingest", "settlement", "outcome-signal", "outcome-signal-intake", "wallet"] as const;
/** Without these no fact gets from the door to the books. */
const NEEDED = ["catalog", "ingest", "outcome-signal", "settlement", "wallet", "books"] as const;

export async function readStreamStatus(
  ns: string,
  engines: StreamEngines,
  startedAt: string,
  own: NonNullable<StatusRead["checkpoints"]>,
): Promise<StatusRead> {
  const services = heardStatuses(await engines.statusTable(), systemClock.nowMs());
  const { lag, oldestMs } = await readLag(engines);
  const checks = NEEDED.map((name) => {
    const here = services.filter(({ service }) => service === name);
    const ok = here.some(({ ready }) => ready);
    const detail = here.length === 0 ? "no process of it has said anything lately" : "no process of it is ready";
    return { name, ok, ...(ok ? {} : { detail }) };
  });
  return {
    version: VERSION,
    namespace: ns,
    ready: checks.every(({ ok }) => ok),
    checks,
    lag,
    services,
    ...(oldestMs === undefined ? {} : { oldestUnrecordedAt: fromMilliseconds(oldestMs) }),
    checkpoints: [...engines.relayPositions(), ...own],
    parked: await engines.bus.parked.count(),
    quarantined: services.flatMap(({ quarantined }) => quarantined),
    startedAt,
  };
}

/** What can still be a fact that nobody has recorded. What is published from a log is recorded. */
const FACT_TOPICS: ReadonlySet<string> = new Set(
  TOPIC_TABLE.flatMap(({ name, kind }) => (kind === "reported" || kind === "accepted" ? [name] : [])),
);

/** A group that is this little behind is perhaps behind on marks alone: between idle services there is always one under way. */
const FEW = 50;

/** How many messages each group is behind, and since when the oldest fact waits, by the clock of who sent it. */
async function readLag({
  bus,
}: StreamEngines): Promise<{ readonly lag: StatusRead["lag"]; readonly oldestMs: number | undefined }> {
  const lag: StatusRead["lag"] = [];
  const times: number[] = [];
  for (const group of GROUPS) {
    const lines = await bus.lag(group);
    const topics = new Set(lines.flatMap(({ topic, lag: behind }) => (isWorthALook(topic, behind) ? [topic] : [])));
    const waiting = topics.size === 0 ? [] : await bus.waitingSince(group, [...topics]);
    const places = new Set(waiting.map(({ topic, partition }) => `${topic}/${partition}`));
    for (const { topic, partition, lag: behind } of lines) {
      const isMarksOnly = topics.has(topic) && behind <= FEW && !places.has(`${topic}/${partition}`);
      lag.push({ group, topic, partition, lag: isMarksOnly ? 0 : behind });
    }
    for (const { topic, sinceMs } of waiting) if (FACT_TOPICS.has(topic)) times.push(sinceMs);
  }
  return { lag, oldestMs: times.length === 0 ? undefined : Math.min(...times) };
}

function isWorthALook(topic: string, behind: number): boolean {
  return behind > 0 && (behind <= FEW || FACT_TOPICS.has(topic));
}

const LOOK_EVERY_MS = 200;
const LOOK_FOR_MS = 20_000;

/** Asks whoever owns a parked message to try it again, and waits for what comes of it. True when it is gone from the parked ones. */
export async function retryElsewhere({ bus }: StreamEngines, { id }: ParkedRecord): Promise<boolean> {
  if (!(await bus.parked.askRetry(id, systemClock.now()))) return true;
  for (let waited = 0; waited < LOOK_FOR_MS; waited += LOOK_EVERY_MS) {
    await sleep(LOOK_EVERY_MS);
    const record = await bus.parked.get(id);
    if (record === undefined) return true;
    if (record.retryAskedAt === undefined) return false;
  }
  // Nobody has tried it yet; the request stays with the record.
  return false;
}
