/**
 * How the process stands, and what operators do with parked messages: reads of what the parts know, no decisions.
 */
import type { Quarantined, Worker } from "@rerate/flow";
import type { ReadyCheck } from "@rerate/http";
import type { OutcomeMessage, SettlementMessage, WalletMessage } from "@rerate/ledger";
import type { ParkedRecord } from "@rerate/message-bus";
import type { Instant } from "@rerate/money";
import type { Engines } from "@rerate/runtime";
import { VERSION } from "@rerate/process";
import type { StatusRead } from "@rerate/wire";
import type { Views } from "./views.ts";

export interface Workers {
  readonly settlement: Worker<SettlementMessage>;
  readonly "outcome-signal": Worker<OutcomeMessage>;
  readonly wallet: Worker<WalletMessage>;
}

export function readyChecks(workers: Workers, projector: Views): ReadyCheck[] {
  const services = Object.entries(workers).map(([name, worker]) => {
    const { state, quarantined } = worker.status();
    const ok = state === "running" && quarantined.length === 0;
    return {
      name,
      ok,
      ...(ok ? {} : { detail: quarantined.length > 0 ? `${quarantined.length} streams are quarantined` : state }),
    };
  });
  const { running, failure } = projector.status();
  return [
    ...services,
    {
      name: "projections",
      ok: running,
      ...(failure === undefined ? {} : { detail: failure instanceof Error ? failure.message : "it ended by itself" }),
    },
  ];
}

/** Tries one parked message again in the service that parked it. */
export async function retryParked(workers: Workers, record: ParkedRecord): Promise<boolean> {
  const worker = Object.entries(workers).find(([name]) => name === record.service)?.[1];
  if (worker === undefined) return false;
  const { mended } = await worker.retryParked({ ids: [record.id] });
  return mended > 0;
}

export async function readStatus(
  ns: string,
  engines: Engines,
  workers: Workers,
  checks: readonly ReadyCheck[],
  startedAt: Instant,
): Promise<StatusRead> {
  const lag: StatusRead["lag"] = [];
  for (const group of Object.keys(workers)) for (const line of await engines.bus.lag(group)) lag.push({ group, ...line });
  const quarantined = Object.values(workers).flatMap((worker) =>
    worker.status().quarantined.map(({ stream, problem }: Quarantined) => ({ stream, reason: problem })),
  );
  return {
    version: VERSION,
    namespace: ns,
    ready: checks.every(({ ok }) => ok),
    checks: checks.map(({ name, ok, detail }) => ({ name, ok, ...(detail === undefined ? {} : { detail }) })),
    lag,
    parked: await engines.bus.parked.count(),
    quarantined,
    startedAt,
  };
}
