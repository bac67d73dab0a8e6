/**
 * What people tell the catalogue in a simulation, when: documents, contracts, plan changes. Appended straight to the log, as
 * catalog does, without faults: a wrong price list is not what is being tried here.
 */
import { FIRST_LINK, NO_STREAM, type EventStore, type NewEvent } from "@rerate/event-store";
import { linkAfter, sealText } from "@rerate/flow";
import { streamName, type ContractEvent, type DocumentEvent } from "@rerate/ledger";
import { fromMilliseconds } from "@rerate/money";
import { chainHash } from "@rerate/event-store";
import { LATER_VERSION, POOL, type PoolDocument } from "./plan-pool.ts";
import { DAY, START, type SimAccount, type Workload } from "./workload.ts";

export interface Announcement {
  readonly atMs: number;
  readonly stream: string;
  readonly events: readonly (ContractEvent | DocumentEvent)[];
}

/** All announcements of a workload in the order of time. What belongs together is one append. */
export function announcementsOf({ accounts, laterVersion }: Workload): readonly Announcement[] {
  const namespaces = [...new Set(accounts.map(({ ns }) => ns))];
  const documents = namespaces.flatMap((ns) => [
    ...POOL.map((document) => publication(ns, document, START - DAY, START - 30 * DAY)),
    ...(laterVersion === undefined ? [] : [publication(ns, LATER_VERSION, laterVersion.publishedMs, laterVersion.fromMs)]),
  ]);
  // Sorting is stable: documents stay before the contracts that name them.
  return [...documents, ...accounts.flatMap(contractOf)].toSorted((a, b) => a.atMs - b.atMs);
}

export async function announce(eventStore: EventStore, { stream, events }: Announcement, nowMs: number): Promise<void> {
  const last = await eventStore.readLast(stream);
  const recordedAt = fromMilliseconds(nowMs);
  let revision = last?.revision ?? NO_STREAM;
  let link = last === undefined ? FIRST_LINK : linkAfter(last);
  const sealed: NewEvent[] = [];
  for (const { type, data: fields } of events) {
    revision += 1;
    const data = JSON.stringify(fields);
    const metadata = sealText(recordedAt, link);
    sealed.push({ type, data, metadata });
    link = chainHash(stream, revision, type, data, metadata);
  }
  const [result] = await eventStore.append([{ stream, expectedRevision: last?.revision ?? NO_STREAM, events: sealed }]);
  if (result?.kind !== "committed") throw new Error(`${stream} was not written: ${JSON.stringify(result)}`);
}

function publication(ns: string, { kind, id, hash, document }: PoolDocument, atMs: number, fromMs: number): Announcement {
  const data = { kind, id, hash, effectiveFrom: fromMilliseconds(fromMs), document };
  return { atMs, stream: streamName("document", ns, `${kind}:${id}`), events: [{ type: "DocumentPublished", data }] };
}

/** The contract with the plans known by then, then each later change when it is announced. */
function contractOf({ ns, account, wallet, timeZone, opensMs, assignments }: SimAccount): Announcement[] {
  if (opensMs === undefined) return [];
  const stream = streamName("contract", ns, account);
  const assigned = assignments.map(({ planId, fromMs, announcedMs }) => ({
    atMs: Math.max(opensMs, announcedMs),
    event: { type: "PlanAssigned", data: { planId, from: fromMilliseconds(fromMs) } } as const,
  }));
  const opened = { type: "AccountOpened", data: { account, timeZone, currency: "USD", wallet } } as const;
  const known = assigned.filter(({ atMs }) => atMs <= Math.max(opensMs, START - DAY));
  const later = assigned.filter((one) => !known.includes(one));
  return [
    { atMs: opensMs, stream, events: [opened, ...known.map(({ event }) => event)] },
    ...later.map(({ atMs, event }) => ({ atMs, stream, events: [event] })),
  ];
}
