/**
 * Entries, read from the log: the read models only know in which part of an account's stream they are.
 */
import {
  decodeEvent,
  streamName,
  type AccountEvent,
  type Entry,
  type EntryKind,
  type Identity,
  type UsageContent,
} from "@rerate/ledger";
import { formatAmount } from "@rerate/money";
import { blockAtOrAfter, blockAtOrBefore, blockOf, type EntryBlock } from "../draws.ts";
import { BLOCK } from "../tables.ts";
import { openedAccount, readCursor, writeCursor, type AccountId, type Paging, type Reader } from "./reader.ts";

export interface EntryView {
  readonly n: number;
  readonly kind: EntryKind;
  readonly item: string;
  readonly unit: string;
  readonly amount: string;
  readonly exact: string;
  readonly source?: string;
  readonly id?: string;
  readonly occurredAt: string;
  readonly recordedAt: string;
  readonly period: string;
  readonly postedIn?: string;
  readonly corrects?: number;
  readonly model: string;
  readonly provider?: string;
  readonly llmModel?: string;
  readonly revision: number;
}

export interface EntryFilter extends Paging {
  /** The period whose invoice carries the entry. */
  readonly period?: string | undefined;
  readonly item?: string | undefined;
  readonly order: "oldest" | "newest";
}

/** An entry with the event that decided it. */
export interface FoundEntry {
  readonly entry: Entry;
  readonly event: AccountEvent;
  readonly revision: number;
  readonly recordedAt: string;
}

export async function listEntries(
  reader: Reader,
  id: AccountId,
  filter: EntryFilter,
): Promise<{ entries: EntryView[]; next?: string } | undefined> {
  if (openedAccount(reader, id) === undefined) return undefined;
  const found = await findEntries(reader, id, filter);
  const entries = found.slice(0, filter.limit).map(viewOf);
  const last = entries.at(-1);
  return { entries, ...(found.length > filter.limit && last !== undefined ? { next: writeCursor([last.n]) } : {}) };
}

/** The newest entries of an account with the events that decided them; of one period, if one is named. */
export async function newestEntries(
  reader: Reader,
  id: AccountId,
  { limit, period }: { readonly limit: number; readonly period?: string | undefined },
): Promise<FoundEntry[]> {
  return (await findEntries(reader, id, { limit, period, order: "newest" })).slice(0, limit);
}

/** The entries of a page, and at least one more where there are more. */
async function findEntries(reader: Reader, id: AccountId, filter: EntryFilter): Promise<FoundEntry[]> {
  const [after] = readCursor(filter.cursor, 1) ?? [];
  const found: FoundEntry[] = [];
  const oldest = filter.order === "oldest";
  for (let block = firstBlock(reader, id, filter.order, after); block !== undefined && found.length <= filter.limit;) {
    if (mayHold(block, filter)) {
      const inBlock = await entriesInBlock(reader, id, block.block);
      const wanted = inBlock.filter(({ entry }) => isWanted(entry, filter, after));
      found.push(...(oldest ? wanted : wanted.toReversed()));
    }
    block = oldest
      ? blockAtOrAfter(reader.store, id.ns, id.account, block.block + 1)
      : blockAtOrBefore(reader.store, id.ns, id.account, block.block - 1);
  }
  return found;
}

/** One entry by its number. */
export async function findEntry(reader: Reader, { ns, account }: AccountId, n: number): Promise<FoundEntry | undefined> {
  const block = blockOf(reader.store, ns, account, n);
  if (block === undefined) return undefined;
  const entries = await entriesInBlock(reader, { ns, account }, block.block);
  return entries.find(({ entry }) => entry.n === n);
}

/** The newest entries of a namespace, newest first: of its last events with entries. */
export async function recentEntries(
  reader: Reader,
  ns: string,
  limit: number,
): Promise<(FoundEntry & { readonly account: string })[]> {
  const found: (FoundEntry & { readonly account: string })[] = [];
  for (const { account, revision } of (reader.store.row("counters", ns)?.recent ?? []).toReversed()) {
    if (found.length >= limit) break;
    const entries = await entriesFrom(reader, { ns, account }, revision, 1);
    found.push(...entries.toReversed().map((entry) => ({ ...entry, account })));
  }
  return found.slice(0, limit);
}

/** Everything with entries among some revisions of an account's stream. */
export async function entriesFrom(
  reader: Reader,
  { ns, account }: AccountId,
  from: number,
  maxCount: number,
): Promise<FoundEntry[]> {
  const events = await reader.eventStore.readForward(streamName("account", ns, account), { from, maxCount });
  return events.flatMap((stored) => {
    const event = decodeEvent("account", stored);
    const recordedAt = reader.recordedAt(stored);
    return entriesOf(event).map((entry) => ({ entry, event, revision: stored.revision, recordedAt }));
  });
}

export function entriesOf(event: AccountEvent): readonly Entry[] {
  return "entries" in event.data ? event.data.entries : [];
}

export function viewOf({ entry, event, revision, recordedAt }: FoundEntry): EntryView {
  const { n, kind, item, unit, atoms, exact, period, postedIn, corrects, model } = entry;
  const { identity, occurredAt, content } = causeOf(event);
  return {
    n,
    kind,
    item,
    unit,
    amount: formatAmount(BigInt(atoms)),
    exact,
    ...(identity === undefined ? {} : { source: identity.source, id: identity.id }),
    occurredAt,
    recordedAt,
    period,
    ...(postedIn === undefined ? {} : { postedIn }),
    ...(corrects === undefined ? {} : { corrects }),
    model,
    ...(content?.provider === undefined ? {} : { provider: content.provider }),
    ...(content?.model === undefined ? {} : { llmModel: content.model }),
    revision,
  };
}

export interface Cause {
  /** Of the fact; of the outcome, for a verdict; none for a period's own entries. */
  readonly identity?: Identity;
  readonly occurredAt: string;
  readonly content?: UsageContent;
}

/** What an event that has entries was about. Throws for an event that cannot have any. */
export function causeOf(event: AccountEvent): Cause {
  switch (event.type) {
    case "UsageRecorded":
      return {
        identity: event.data,
        occurredAt: event.data.occurredAt,
        content: event.data.corrected?.content ?? event.data.content,
      };
    case "UsageCorrected":
      return { identity: event.data, occurredAt: event.data.occurredAt, content: event.data.content };
    case "VerdictApplied":
      return { identity: event.data.outcome, occurredAt: event.data.decidedAt };
    case "PeriodClosed":
      return { occurredAt: event.data.end };
    case "RulesBound":
    case "RulesRefused":
    case "CorrectionWaiting":
    case "CostRecorded":
    case "CostCorrected":
    case "VerdictWaiting":
    case "PeriodOpened":
    case "ImportStarted":
    case "ImportEnded":
    case "FactParked":
      throw new Error(`${event.type} has no entries`);
  }
}

function entriesInBlock(reader: Reader, id: AccountId, block: number): Promise<FoundEntry[]> {
  return entriesFrom(reader, id, block * BLOCK, BLOCK);
}

function firstBlock(
  { store }: Reader,
  { ns, account }: AccountId,
  order: EntryFilter["order"],
  after: string | number | undefined,
): EntryBlock | undefined {
  if (after === undefined)
    return order === "oldest" ? blockAtOrAfter(store, ns, account, 0) : blockAtOrBefore(store, ns, account, LAST_BLOCK);
  return blockOf(store, ns, account, order === "oldest" ? Number(after) + 1 : Number(after) - 1);
}

const LAST_BLOCK = Number.MAX_SAFE_INTEGER;

function mayHold(block: EntryBlock, { period, item }: EntryFilter): boolean {
  if (item !== undefined && !block.items.has(item)) return false;
  return period === undefined || block.periods.some(([, posted]) => posted === period);
}

function isWanted(entry: Entry, { period, item, order }: EntryFilter, after: string | number | undefined): boolean {
  if (item !== undefined && entry.item !== item) return false;
  if (period !== undefined && (entry.postedIn ?? entry.period) !== period) return false;
  if (after === undefined) return true;
  return order === "oldest" ? entry.n > Number(after) : entry.n < Number(after);
}
