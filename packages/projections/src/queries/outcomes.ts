/**
 * Outcomes: their state from the read model, their whole story from the log.
 */
import { decodeEvent, streamName, type OutcomeEvent, type Verdict, type VerdictGiven } from "@rerate/ledger";
import type { Row } from "../account-scope.ts";
import { entriesFrom, viewOf, type EntryView } from "./entries.ts";
import {
  asOf,
  openedAccount,
  optionalText,
  readCursor,
  text,
  writeCursor,
  type AccountId,
  type AsOf,
  type Paging,
  type Reader,
} from "./reader.ts";

export interface OutcomeSummary {
  readonly source: string;
  readonly id: string;
  readonly status: "pending" | "decided";
  readonly verdict?: Verdict;
  readonly score?: string;
  readonly reason?: string;
  readonly verdictRevision?: number;
  readonly occurredAt?: string;
  readonly dueAt?: string;
  readonly decidedAt?: string;
}

export interface OutcomeFilter extends Paging {
  readonly verdict?: Verdict | "pending" | undefined;
}

/** The outcomes of an account by (source, id). */
export function listOutcomes(
  reader: Reader,
  id: AccountId,
  filter: OutcomeFilter,
): { outcomes: OutcomeSummary[]; next?: string } | undefined {
  if (openedAccount(reader, id) === undefined) return undefined;
  const [source = "", outcome = ""] = readCursor(filter.cursor, 2) ?? [];
  const wanted = filter.verdict === undefined ? "" : filter.verdict === "pending" ? `AND "verdict" IS NULL` : `AND "verdict" = ?`;
  const found = reader.store.rows("outcomes", [id.ns, id.account], {
    // Rows without a head are known only by their money: their outcome was not opened yet.
    sql: `AND ("source", "id") > (?, ?) AND "head" IS NOT NULL ${wanted} ORDER BY "source", "id" LIMIT ?`,
    parameters: [source, outcome, ...(wanted.endsWith("?") ? [text(filter.verdict)] : []), filter.limit + 1],
  });
  const outcomes = found.slice(0, filter.limit).map(({ key, row }) => summaryOf(String(key[2]), String(key[3]), row));
  const last = outcomes.at(-1);
  return {
    outcomes,
    ...(found.length > filter.limit && last !== undefined ? { next: writeCursor([last.source, last.id]) } : {}),
  };
}

export interface OutcomeDetail extends OutcomeSummary {
  readonly account: string;
  readonly definition?: string;
  readonly requests: { readonly source: string; readonly id: string; readonly occurredAt: string }[];
  readonly signals: SignalView[];
  readonly verdicts: (Omit<VerdictGiven, "number" | "revision" | "evidence"> & {
    readonly verdictRevision: number;
    readonly evidence: { readonly source: string; readonly id: string; readonly signal: string; readonly contribution: string }[];
  })[];
  readonly entries: EntryView[];
  readonly asOf: AsOf;
}

export interface SignalView {
  readonly source: string;
  readonly id: string;
  readonly signal: string;
  readonly confidence?: string;
  readonly value?: string;
  readonly occurredAt: string;
  readonly recordedAt: string;
  readonly effect: "counted" | "waiting" | "without-effect";
}

export async function readOutcome(
  reader: Reader,
  id: AccountId,
  source: string,
  outcome: string,
): Promise<OutcomeDetail | undefined> {
  const opened = openedAccount(reader, id);
  const row = reader.store.row("outcomes", id.ns, id.account, source, outcome);
  if (opened === undefined || row?.head === undefined) return undefined;
  const story = await storyOf(reader, id, row.head);
  const verdicts = story.flatMap(({ event }) =>
    "decided" in event.data && event.data.decided !== undefined ? [event.data.decided] : [],
  );
  const counted = new Set(verdicts.at(-1)?.evidence.map((signal) => `${signal.source}\n${signal.id}`));
  return {
    account: id.account,
    ...summaryOf(source, outcome, row),
    ...optionalText("definition", row.definition),
    requests: story.flatMap(({ event }) => requestOf(event)),
    signals: story.flatMap(({ event, recordedAt }) => signalOf(event, recordedAt, counted, verdicts.length > 0)),
    verdicts: verdicts.map(({ number: _number, revision, evidence, ...verdict }) => ({
      ...verdict,
      verdictRevision: revision,
      evidence: [...evidence],
    })),
    entries: await outcomeEntries(reader, id, row.accountHead),
    asOf: asOf(opened),
  };
}

interface Told {
  readonly event: OutcomeEvent;
  readonly recordedAt: string;
}

/** The events about one outcome, oldest first, found by their links. */
async function storyOf(reader: Reader, { ns, account }: AccountId, head: number): Promise<Told[]> {
  const stream = streamName("outcome", ns, account);
  const told: Told[] = [];
  for (let next: number | undefined = head; next !== undefined;) {
    const [stored] = await reader.eventStore.readForward(stream, { from: next, maxCount: 1 });
    if (stored === undefined) break;
    const event: OutcomeEvent = decodeEvent("outcome", stored);
    told.push({ event, recordedAt: reader.recordedAt(stored) });
    next = "link" in event.data ? event.data.link : undefined;
  }
  return told.toReversed();
}

/** What the outcome's requests, corrections and verdicts were charged, oldest first. */
async function outcomeEntries(reader: Reader, id: AccountId, head: number | undefined): Promise<EntryView[]> {
  const stream = streamName("account", id.ns, id.account);
  const views: EntryView[][] = [];
  for (let next = head; next !== undefined;) {
    const [stored] = await reader.eventStore.readForward(stream, { from: next, maxCount: 1 });
    if (stored === undefined) break;
    views.push((await entriesFrom(reader, id, next, 1)).map(viewOf));
    const event = decodeEvent("account", stored);
    next = "link" in event.data ? event.data.link : undefined;
  }
  return views.toReversed().flat();
}

function summaryOf(source: string, id: string, row: Row<"outcomes">): OutcomeSummary {
  const decided = row.verdict !== undefined;
  return {
    source,
    id,
    status: decided ? "decided" : "pending",
    ...(decided ? { verdict: text(row.verdict) as Verdict } : {}),
    ...optionalText("score", row.score),
    ...optionalText("reason", row.reason),
    ...(row.verdictRevision === undefined ? {} : { verdictRevision: Number(row.verdictRevision) }),
    ...optionalText("occurredAt", row.occurredAt),
    ...(decided ? {} : optionalText("dueAt", row.dueAt)),
    ...optionalText("decidedAt", row.decidedAt),
  };
}

function requestOf(event: OutcomeEvent): OutcomeDetail["requests"] {
  if (event.type !== "OutcomeOpened" && event.type !== "RequestAdded") return [];
  const { usage, occurredAt } = event.data;
  return [{ source: usage.source, id: usage.id, occurredAt }];
}

function signalOf(event: OutcomeEvent, recordedAt: string, counted: ReadonlySet<string>, decided: boolean): SignalView[] {
  if (event.type !== "SignalRecorded") return [];
  const { source, id, signal, confidence, value, occurredAt, tooLate } = event.data;
  const effect = counted.has(`${source}\n${id}`) ? "counted" : decided || tooLate === true ? "without-effect" : "waiting";
  return [
    {
      source,
      id,
      signal,
      ...optionalText("confidence", confidence),
      ...optionalText("value", value),
      occurredAt,
      recordedAt,
      effect,
    },
  ];
}
