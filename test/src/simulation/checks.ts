/**
 * What must hold when everything has become quiet: the books against the oracle, and DESIGN's invariants 1 to 10.
 *
 * Returns what is wrong, in words; nothing wrong is an empty list.
 */
import type { ParkedRecord } from "@rerate/message-bus";
import { verifyProjections } from "@rerate/projections";
import { recordedAtOf, verify } from "@rerate/replay";
import type { Database } from "@rerate/sqlite";
import { topicCodec } from "@rerate/wire";
import type { EventStore } from "@rerate/event-store";
import { readBooks, type AccountBooks, type Books, type WalletBooks } from "./books.ts";
import { accountKey, expectedAccount, identityOf, type ExpectedAccount } from "./oracle.ts";
import { LISTED_PLANS } from "./plan-pool.ts";
import { NOTHING, plus, rational, text, type Rational } from "./rational.ts";
import type { SimAccount } from "./accounts.ts";
import type { Workload } from "./workload.ts";

export interface Checked {
  readonly problems: readonly string[];
  readonly books: Books;
}

export async function checkAll(options: {
  readonly workload: Workload;
  readonly eventStore: EventStore;
  readonly parked: readonly ParkedRecord[];
  readonly database: Database | undefined;
  /** When the bus first had a content, by account and hash. */
  readonly acceptedAt: ReadonlyMap<string, string>;
  readonly now: string;
  /** No topic was lost: what one service's deadlines depend on of another came in time. */
  readonly whole: boolean;
  /** Replays every decision (invariants 8 and 9); costs as much as the run itself. */
  readonly replay: boolean;
}): Promise<Checked> {
  const { workload, eventStore, database } = options;
  const books = await readBooks(eventStore);
  const problems = [...books.problems];
  for (const account of workload.accounts) {
    const key = accountKey(account);
    const recorded = books.accounts.get(key);
    const expected = expectedAccount(workload, account, {
      fact: (_, identity) => recorded?.recorded.get(identity),
      signal: (_, identity) => books.outcomes.get(key)?.signals.get(identity),
    });
    const found = [
      ...checkIdentities(account, expected, recorded, options.parked),
      ...checkMoney(expected, recorded),
      ...checkRefusals(workload, account, recorded),
      ...checkVerdicts(expected, books, key),
      ...checkTimeouts(books, key, options.acceptedAt),
      ...(options.whole ? checkMarks(books, key) : []),
    ];
    problems.push(...found.map((problem) => `${key}: ${problem}`));
  }
  problems.push(...checkWallets(workload, books, options.now));
  if (options.replay) {
    const report = await verify({ eventStore });
    problems.push(...report.problems.map((problem) => `verify: ${JSON.stringify(problem)}`));
    const { usage, verdicts, entries } = report.pending;
    if (usage + verdicts + entries > 0) problems.push(`verify: still pending: ${JSON.stringify(report.pending)}`);
  }
  if (database !== undefined) {
    const check = await verifyProjections(database, { eventStore, recordedAt: recordedAtOf });
    if (check.kind === "different")
      problems.push(`projections: ${check.table} holds ${check.stored}, a fresh fold gives ${check.folded}`);
    if (check.kind === "equal" && check.events !== books.events)
      problems.push(`projections: ${check.events} of ${books.events} events are folded`);
  }
  return { problems, books };
}

/** Invariants 1 and 2: every accepted identity is recorded once, or parked for a right reason. */
function checkIdentities(
  account: SimAccount,
  expected: ExpectedAccount,
  books: AccountBooks | undefined,
  parked: readonly ParkedRecord[],
): string[] {
  const problems: string[] = [];
  for (const identity of expected.recorded) if (books?.recorded.has(identity) !== true) problems.push(`${identity} is lost`);
  for (const identity of books?.recorded.keys() ?? [])
    if (!expected.recorded.has(identity)) problems.push(`${identity} is recorded and should not be`);
  const found = new Map<string, string>();
  for (const record of parked) {
    if (record.service !== "settlement" || record.ns !== account.ns || record.account !== account.account) continue;
    if (record.topic !== "usage.accepted") {
      problems.push(`a message of ${record.topic} is parked as ${record.reason}: ${record.detail}`);
      continue;
    }
    const body = topicCodec("usage.accepted").decode(record.bytes) as { source: string; id: string; contentHash: string };
    found.set(`${identityOf(body)} ${body.contentHash}`, record.reason);
  }
  for (const [key, reasons] of expected.parked) {
    const reason = found.get(key);
    if (reason === undefined) problems.push(`${key} should be parked (${reasons.join(" or ")})`);
    else if (!reasons.includes(reason)) problems.push(`${key} is parked as ${reason}, not ${reasons.join(" or ")}`);
  }
  for (const [key, reason] of found)
    if (!expected.parked.has(key)) problems.push(`${key} is parked as ${reason} and should not be`);
  return problems;
}

/** Invariants 5 and 7, and every total. */
function checkMoney(expected: ExpectedAccount, books: AccountBooks | undefined): string[] {
  const accumulators = new Map<string, string>();
  for (const [key, { quantity, atoms }] of books?.accumulators ?? [])
    if (quantity[0] !== 0n || atoms !== 0n) accumulators.set(key, `${text(quantity)}=${atoms}`);
  const problems = [
    ...difference("accumulators", byPlace(expected.accumulators), byPlace(accumulators)),
    ...difference(
      "beside the quantities",
      expected.beside,
      new Map([...(books?.beside ?? [])].filter(([, atoms]) => atoms !== 0n)),
    ),
    ...difference("net", withoutZeros(expected.net), withoutZeros(books?.net ?? new Map())),
  ];
  if (expected.costAtoms !== (books?.costAtoms ?? 0n))
    problems.push(`costs are ${books?.costAtoms ?? 0n}, not ${expected.costAtoms}`);
  return problems;
}

/**
 * What the accumulators of one place come to together. The last part of their keys names the price version, in each side's own
 * words; between versions that price alike, arrival decides.
 */
function byPlace(accumulators: ReadonlyMap<string, string>): Map<string, string> {
  const places = new Map<string, { readonly quantity: Rational; readonly atoms: bigint }>();
  for (const [key, value] of accumulators) {
    const place = key.slice(0, key.lastIndexOf("|"));
    const [quantity = "0", atoms = "0"] = value.split("=");
    const { quantity: sum, atoms: booked } = places.get(place) ?? { quantity: NOTHING, atoms: 0n };
    places.set(place, { quantity: plus(sum, rational(quantity)), atoms: booked + BigInt(atoms) });
  }
  return new Map([...places].map(([place, { quantity, atoms }]) => [place, `${text(quantity)}=${atoms}`]));
}

/** Rules are refused only where some came late on purpose. */
function checkRefusals({ lists }: Workload, { assignments }: SimAccount, books: AccountBooks | undefined): readonly string[] {
  const isLate = assignments.some(
    ({ planId, againMs }) => againMs !== undefined || (planId === LISTED_PLANS.id && lists.kind !== "whole"),
  );
  return isLate ? [] : (books?.refusals ?? []);
}

function checkVerdicts(expected: ExpectedAccount, books: Books, key: string): string[] {
  const decided = books.outcomes.get(key)?.verdicts ?? new Map<string, never>();
  const applied = books.accounts.get(key)?.verdicts ?? new Map<string, never>();
  const words = ({ verdict, score }: { readonly verdict: string; readonly score: string }): string => `${verdict} ${score}`;
  const all = (verdicts: ReadonlyMap<string, { readonly verdict: string; readonly score: string }>) =>
    new Map([...verdicts].map(([outcome, verdict]) => [outcome, words(verdict)]));
  return [
    ...difference("verdicts", all(expected.verdicts), all(decided)),
    ...difference("applied verdicts", all(expected.verdicts), all(applied)),
  ];
}

/** A timeout fires only after everything that had been accepted before it fell due: an outage must not count as silence. */
function checkTimeouts(books: Books, key: string, acceptedAt: ReadonlyMap<string, string>): string[] {
  return [...(books.outcomes.get(key)?.afterTimeout ?? [])].flatMap(([hash, dueAt]) => {
    const at = acceptedAt.get(`${key} ${hash}`);
    return at === undefined || at >= dueAt
      ? []
      : [`a timeout of ${dueAt} fired before a signal that was accepted at ${at} was read`];
  });
}

/**
 * What another service publishes before a time counts before a deadline of that time: requests before their outcome's timeout,
 * and a timeout's verdict before the period that was due later is closed.
 */
function checkMarks(books: Books, key: string): string[] {
  const account = books.accounts.get(key);
  const outcomes = books.outcomes.get(key);
  if (account === undefined || outcomes === undefined || account.imported) return [];
  const wasRecordedBefore = (identity: string, at: string): boolean => (account.recordedAt.get(identity) ?? at) < at;
  const problems: string[] = [];
  for (const [request, dueAt] of outcomes.lateRequests)
    if (wasRecordedBefore(request, dueAt)) problems.push(`a timeout of ${dueAt} fired before the request ${request} came`);
  for (const { dueAt, number, requests } of outcomes.timeouts) {
    const taken = account.verdictsTaken.get(number) ?? Infinity;
    const wrong = account.closes.find(
      (close) =>
        dueAt < close.dueAt && close.revision < taken && requests.every((request) => wasRecordedBefore(request, close.dueAt)),
    );
    if (wrong !== undefined) problems.push(`the period due ${wrong.dueAt} was closed before the verdict of ${dueAt} came`);
  }
  return problems;
}

/** Invariant 6: every entry is applied once, in order; draws and what is unpaid add up; grants pay what they can. */
function checkWallets(workload: Workload, books: Books, now: string): string[] {
  const problems: string[] = [];
  for (const account of workload.accounts) {
    const sent = books.accounts.get(accountKey(account))?.sent.get(account.wallet) ?? [];
    const applied = books.wallets.get(`${account.ns}/${account.wallet}`)?.applied.get(account.account);
    if ((applied?.number ?? 0) !== sent.length)
      problems.push(
        `${accountKey(account)}: wallet ${account.wallet} has applied ${applied?.number ?? 0} of ${sent.length} messages`,
      );
    const entries = sent.flat().map(({ n, unit, atoms }) => `${n} ${atoms} ${unit}`);
    const lines = (applied?.entries ?? []).map(({ entry, unit, atoms }) => `${entry} ${atoms} ${unit}`);
    const wrong = entries.findIndex((entry, index) => entry !== lines[index]);
    if (wrong >= 0 || entries.length !== lines.length)
      problems.push(
        `${accountKey(account)}: line ${wrong + 1} of wallet ${account.wallet} is ${lines[wrong]}, not ${entries[wrong]}`,
      );
  }
  const commands = new Map<string, Set<string>>();
  for (const { topic, ns, name, body } of workload.sends) {
    if (topic !== "wallet.requested" || !("id" in body)) continue;
    commands.set(`${ns}/${name}`, (commands.get(`${ns}/${name}`) ?? new Set()).add(body.id));
  }
  for (const [wallet, ids] of commands) {
    const recorded = books.wallets.get(wallet)?.commands ?? new Set();
    for (const id of ids) if (!recorded.has(id)) problems.push(`wallet ${wallet}: the command ${id} is lost`);
  }
  for (const [wallet, state] of books.wallets) problems.push(...checkPaid(wallet, state, now));
  return problems;
}

function checkPaid(wallet: string, { lots, unpaid }: WalletBooks, now: string): string[] {
  const problems: string[] = [];
  for (const [unit, atoms] of unpaid) {
    if (atoms === 0n) continue;
    for (const [id, lot] of lots) {
      if (lot.unit === unit && lot.left > 0n && lot.from <= now && (lot.to === undefined || lot.to > now))
        problems.push(`wallet ${wallet}: ${atoms} ${unit} are unpaid while ${id} holds ${lot.left}`);
    }
  }
  for (const [id, { left, to }] of lots)
    if (left > 0n && to !== undefined && to < now) problems.push(`wallet ${wallet}: ${id} has expired and holds ${left}`);
  return problems;
}

function difference(
  what: string,
  expected: ReadonlyMap<string, string | bigint>,
  found: ReadonlyMap<string, string | bigint>,
): string[] {
  const problems: string[] = [];
  for (const [key, value] of expected)
    if (found.get(key) !== value) problems.push(`${what}: ${key} is ${found.get(key)}, expected ${value}`);
  for (const [key, value] of found) if (!expected.has(key)) problems.push(`${what}: ${key} is ${value}, expected nothing`);
  return problems;
}

function withoutZeros(map: ReadonlyMap<string, bigint>): Map<string, bigint> {
  return new Map([...map].filter(([, atoms]) => atoms !== 0n));
}
