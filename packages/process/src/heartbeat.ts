/**
 * What each process says about itself, every few seconds, into the compacted topic `service.status`: read by `rerate status`.
 *
 * A hint for people: nothing decides by it. A process that has died stops saying anything, so old words are ignored by age.
 */
import type { Worker } from "@rerate/flow";
import type { ReadyCheck } from "@rerate/http";
import { serviceStatusSchema, type ServiceStatus } from "@rerate/wire";

/** How often a process says how it is, and after how long without a word it counts as gone. */
export const HEARTBEAT_MS = 10_000;
export const GONE_AFTER_MS = 3 * HEARTBEAT_MS + 5_000;

/** A table of the bus, as far as heartbeats need it. */
export interface StatusTable {
  entries(): Iterable<readonly [string, Uint8Array]>;
}

export function statusOf(
  about: { readonly service: string; readonly instance: string; readonly startedAt: string; readonly at: string },
  checks: readonly ReadyCheck[],
  workers: readonly Pick<Worker<never>, "status">[],
): ServiceStatus {
  const states = workers.map((worker) => worker.status());
  return {
    ...about,
    ready: checks.every(({ ok }) => ok),
    checks: checks.map(({ name, ok, detail }) => ({ name, ok, ...(detail === undefined ? {} : { detail }) })),
    quarantined: states.flatMap(({ quarantined }) => quarantined.map(({ stream, problem }) => ({ stream, reason: problem }))),
    waiting: states.flatMap(({ waiting }) => [...waiting].slice(0, MOST_WAITING).map(([stream, reason]) => ({ stream, reason }))),
    openDeadlines: states.reduce((sum, { openDeadlines }) => sum + openDeadlines, 0),
  };
}

export async function sayStatus(
  { sayStatus: say }: { readonly sayStatus: (key: string, status: Uint8Array) => Promise<void> },
  status: ServiceStatus,
): Promise<void> {
  await say(`${status.service}/${status.instance}`, Buffer.from(JSON.stringify(status)));
}

/** Every process that has said something lately, in the order of service and instance. */
export function heardStatuses(table: StatusTable, nowMs: number): ServiceStatus[] {
  const heard: ServiceStatus[] = [];
  for (const [, value] of table.entries()) {
    const status = readStatusText(Buffer.from(value).toString());
    if (status !== undefined && Date.parse(status.at) > nowMs - GONE_AFTER_MS) heard.push(status);
  }
  return heard.toSorted((a, b) => (`${a.service}/${a.instance}` < `${b.service}/${b.instance}` ? -1 : 1));
}

/** Another version's words may not be readable: they are left out. */
function readStatusText(text: string): ServiceStatus | undefined {
  try {
    return serviceStatusSchema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

const MOST_WAITING = 20;
