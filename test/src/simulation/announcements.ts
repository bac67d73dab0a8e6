/**
 * What people tell the catalogue in a simulation, when: documents, contracts, plan changes. Appended straight to the log, as
 * catalog does, without faults: a wrong price list is not what is being tried here.
 */
import { FIRST_LINK, NO_STREAM, type EventStore, type NewEvent } from "@rerate/event-store";
import { linkAfter, sealText } from "@rerate/flow";
import { streamName, type ContractEvent, type DocumentEvent } from "@rerate/ledger";
import { fromMilliseconds } from "@rerate/money";
import { chainHash } from "@rerate/event-store";
import { COMPLETED_LIST, EARLIER_LIST, FIRST_LIST, LATER_VERSION, POOL, type PoolDocument } from "./plan-pool.ts";
import { DAY, START, type SimAccount } from "./accounts.ts";
import type { Workload } from "./workload.ts";

export interface Announcement {
  readonly atMs: number;
  readonly stream: string;
  readonly events: readonly (ContractEvent | DocumentEvent)[];
}

/** All announcements of a workload in the order of time. What belongs together is one append. */
export function announcementsOf({ accounts, laterVersion, lists }: Workload): readonly Announcement[] {
  const namespaces = [...new Set(accounts.map(({ ns }) => ns))];
  const documents = namespaces.flatMap((ns) => [
    ...POOL.map((document) => publication(ns, document, START - DAY, START - 30 * DAY)),
    publication(ns, FIRST_LIST, START - DAY, lists.fromMs),
    ...(lists.kind === "completed" ? [publication(ns, COMPLETED_LIST, lists.mendedMs, lists.fromMs)] : []),
    ...(lists.kind === "extended" ? [publication(ns, EARLIER_LIST, lists.mendedMs, START - 30 * DAY)] : []),
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

/** The contract with the plans known by then, then each later change when it is announced; what is announced together is one append. */
function contractOf({ ns, account, wallet, timeZone, opensMs, assignments }: SimAccount): Announcement[] {
  if (opensMs === undefined) return [];
  const stream = streamName("contract", ns, account);
  const said = assignments
    .flatMap((each) => [each.announcedMs, each.againMs].flatMap((atMs) => (atMs === undefined ? [] : [{ ...each, atMs }])))
    .toSorted((a, b) => a.atMs - b.atMs || a.fromMs - b.fromMs);
  const opened = { type: "AccountOpened", data: { account, timeZone, currency: "USD", wallet } } as const;
  const knownMs = Math.max(opensMs, START - DAY);
  const byTime = new Map<number, ContractEvent[]>([[opensMs, [opened]]]);
  for (const { planId, fromMs, atMs } of said) {
    const together = byTime.get(atMs <= knownMs ? opensMs : atMs) ?? [];
    byTime.set(atMs <= knownMs ? opensMs : atMs, together);
    together.push({ type: "PlanAssigned", data: { planId, from: fromMilliseconds(fromMs) } });
  }
  return [...byTime].map(([atMs, events]) => ({ atMs, stream, events }));
}
