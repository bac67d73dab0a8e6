/**
 * What the log says at the end of a seed, read as plain JSON and added up with sums of the simulation's own.
 *
 * Knows the stored shapes, no rule of pricing. Problems that show while reading (broken chains, gaps, overdrawn lots) are
 * collected in words.
 */
import { hash } from "node:crypto";
import type { EventStore, StoredEvent } from "@rerate/event-store";
import type { AccountEvent, Entry, OutcomeEvent, WalletEvent } from "@rerate/ledger";
import { identityOf } from "./oracle.ts";
import { plus, rational, text, type Rational } from "./rational.ts";

export interface AccountBooks {
  /** Content hash by identity of usage, corrections and costs. */
  readonly recorded: Map<string, string>;
  /** Per accumulator its quantity and atoms, "3/2=450", by `item|unit|period|cell|version`. */
  readonly accumulators: Map<string, { quantity: Rational; atoms: bigint }>;
  /** Atoms by `kind item period unit`. */
  readonly beside: Map<string, bigint>;
  readonly net: Map<string, bigint>;
  /** Applied verdict with the highest revision, by outcome. */
  readonly verdicts: Map<string, { readonly revision: number; readonly verdict: string; readonly score: string }>;
  readonly entries: Entry[];
  /** By wallet: the entries sent to it, one list per message. */
  readonly sent: Map<string, (readonly Entry[])[]>;
  costAtoms: bigint;
  /** When each identity was recorded. */
  readonly recordedAt: Map<string, string>;
  /** Closed periods: when each was due, and where it stands in the stream. */
  readonly closes: { readonly dueAt: string; readonly revision: number }[];
  /** Where the messages of `outcome.decided` were taken, by their number. */
  readonly verdictsTaken: Map<number, number>;
  /** Rules that came too late for what was recorded, in words. */
  readonly refusals: string[];
  /** An import held its deadlines at some time. */
  imported: boolean;
  /** By unit: what accumulators charge, and what quality refunds have given back. */
  readonly charged: Map<string, bigint>;
  readonly refunded: Map<string, bigint>;
}

export interface OutcomeBooks {
  /** Timeouts that have fired, by outcome: the due time of the first. */
  readonly fired: Map<string, string>;
  /** Requests so far, by outcome. */
  readonly requests: Map<string, string[]>;
  /** Verdicts that a timeout gave: when it was due, under which number it was published, and the requests it was about. */
  readonly timeouts: { readonly dueAt: string; readonly number: number; readonly requests: readonly string[] }[];
  /** Requests that came after their outcome's timeout had fired, with its due time. */
  readonly lateRequests: Map<string, string>;
  /** Content hashes of signals that were recorded after their outcome's timeout had fired, with its due time. */
  readonly afterTimeout: Map<string, string>;
  readonly signals: Map<string, string>;
  readonly verdicts: Map<string, { readonly revision: number; readonly verdict: string; readonly score: string }>;
}

export interface WalletBooks {
  /** By account: messages applied, with their entries in order. */
  readonly applied: Map<
    string,
    { number: number; readonly entries: { readonly entry: number; readonly unit: string; readonly atoms: string }[] }
  >;
  readonly lots: Map<
    string,
    { readonly unit: string; size: bigint; left: bigint; readonly from: string; readonly to: string | undefined }
  >;
  readonly unpaid: Map<string, bigint>;
  readonly commands: Set<string>;
}

export interface Books {
  readonly accounts: Map<string, AccountBooks>;
  readonly outcomes: Map<string, OutcomeBooks>;
  readonly wallets: Map<string, WalletBooks>;
  readonly problems: string[];
  readonly events: number;
  /** SHA-256 over everything stored: equal runs have equal traces. */
  readonly trace: string;
}

export async function readBooks(eventStore: Pick<EventStore, "readAll">): Promise<Books> {
  const accounts = new Map<string, AccountBooks>();
  const outcomes = new Map<string, OutcomeBooks>();
  const wallets = new Map<string, WalletBooks>();
  const problems: string[] = [];
  const heads = new Map<string, { readonly revision: number; readonly link: string; readonly at: string }>();
  const events = await allEvents(eventStore);
  let trace = "";
  for (const stored of events) {
    trace = hash(
      "sha256",
      `${trace}\n${stored.stream}@${stored.revision} ${stored.type} ${stored.data} ${stored.metadata}`,
      "hex",
    );
    checkChain(stored, heads, problems);
    const [category = "", owner = ""] = splitStream(stored.stream);
    try {
      if (category === "account")
        foldAccount(open(accounts, owner, newAccount), decoded(stored) as AccountEvent, stored, problems);
      if (category === "outcome") foldOutcome(open(outcomes, owner, newOutcome), decoded(stored) as OutcomeEvent);
      if (category === "wallet") foldWallet(open(wallets, owner, newWallet), decoded(stored) as WalletEvent, stored, problems);
    } catch (error) {
      problems.push(`${stored.stream}@${stored.revision} cannot be read: ${String(error)}`);
    }
  }
  return { accounts, outcomes, wallets, problems, events: events.length, trace };
}

export async function allEvents(eventStore: Pick<EventStore, "readAll">): Promise<readonly StoredEvent[]> {
  const events: StoredEvent[] = [];
  for (let after: string | undefined; ;) {
    const page = await eventStore.readAll({ after, maxCount: 1_000 });
    events.push(...page.events);
    if (page.end) return events;
    after = page.next;
  }
}

/** Invariants 3 and 4: no gap, no change, no event out of its time. */
function checkChain(
  { stream, revision, type, data, metadata }: StoredEvent,
  heads: Map<string, { readonly revision: number; readonly link: string; readonly at: string }>,
  problems: string[],
): void {
  const before = heads.get(stream) ?? { revision: -1, link: "A".repeat(43), at: "" };
  const { at, prev } = JSON.parse(metadata) as { readonly at: string; readonly prev: string };
  if (revision !== before.revision + 1) problems.push(`${stream}: revision ${revision} follows ${before.revision}`);
  if (prev !== before.link) problems.push(`${stream}@${revision}: the hash chain is broken`);
  if (at < before.at) problems.push(`${stream}@${revision}: recorded at ${at}, before ${before.at}`);
  heads.set(stream, { revision, link: hash("sha256", `${stream}\n${revision}\n${type}\n${data}\n${metadata}`, "base64url"), at });
}

/** Category and "namespace/name" of a stream name; the simulation's names have only dots and dashes to escape. */
function splitStream(stream: string): readonly string[] {
  const dash = stream.indexOf("-");
  const [, ns = "", name = ""] = stream.slice(dash + 1).split(".");
  return [stream.slice(0, dash), `${unescaped(ns)}/${unescaped(name)}`];
}

function unescaped(part: string): string {
  return part.replaceAll(/~([0-9a-f]{2})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)));
}

/** As the stored text says; what reads it checks nothing, it adds up. */
function decoded({ type, data }: StoredEvent): unknown {
  return { type, data: JSON.parse(data) as object };
}

function open<Value>(map: Map<string, Value>, key: string, make: () => Value): Value {
  const known = map.get(key) ?? make();
  map.set(key, known);
  return known;
}

function newAccount(): AccountBooks {
  return {
    recorded: new Map(),
    accumulators: new Map(),
    beside: new Map(),
    net: new Map(),
    verdicts: new Map(),
    entries: [],
    sent: new Map(),
    costAtoms: 0n,
    recordedAt: new Map(),
    closes: [],
    verdictsTaken: new Map(),
    refusals: [],
    imported: false,
    charged: new Map(),
    refunded: new Map(),
  };
}

function newOutcome(): OutcomeBooks {
  return {
    fired: new Map(),
    requests: new Map(),
    timeouts: [],
    lateRequests: new Map(),
    afterTimeout: new Map(),
    signals: new Map(),
    verdicts: new Map(),
  };
}

function newWallet(): WalletBooks {
  return { applied: new Map(), lots: new Map(), unpaid: new Map(), commands: new Set() };
}

function foldAccount(
  books: AccountBooks,
  event: AccountEvent,
  { stream, revision, metadata }: StoredEvent,
  problems: string[],
): void {
  const where = `${stream}@${revision}`;
  switch (event.type) {
    case "UsageRecorded":
    case "UsageCorrected":
    case "CorrectionWaiting":
    case "CostRecorded":
    case "CostCorrected": {
      const identity = identityOf(event.data);
      if (books.recorded.has(identity)) problems.push(`${where}: ${identity} is recorded twice`);
      books.recorded.set(identity, event.data.contentHash);
      books.recordedAt.set(identity, (JSON.parse(metadata) as { readonly at: string }).at);
      break;
    }
    case "VerdictApplied": {
      const { outcome, verdictRevision, verdict, score } = event.data;
      keepHighest(books.verdicts, identityOf(outcome), { revision: verdictRevision, verdict, score });
      if (event.data.source !== undefined) books.verdictsTaken.set(event.data.source.number, revision);
      break;
    }
    case "VerdictWaiting":
      books.verdictsTaken.set(event.data.source.number, revision);
      break;
    case "PeriodClosed":
      books.closes.push({ dueAt: event.data.dueAt, revision });
      break;
    case "ImportStarted":
      books.imported = true;
      break;
    case "RulesBound":
    case "RulesRefused":
    case "PeriodOpened":
    case "ImportEnded":
    case "FactParked":
      break;
  }
  if (event.type === "RulesRefused") books.refusals.push(`${where}: rules from ${event.data.from} were refused`);
  if (event.type === "CostRecorded") books.costAtoms += BigInt(event.data.corrected?.atoms ?? event.data.atoms);
  if (event.type === "CostCorrected") books.costAtoms += BigInt(event.data.changeAtoms);
  if (!("entries" in event.data)) return;
  foldEntries(books, event.data.entries, where, problems);
  for (const [wallet, number] of Object.entries(event.data.wallets ?? {})) {
    const sent = open(books.sent, wallet, () => []);
    sent.push(event.data.entries);
    if (sent.length !== number) problems.push(`${where}: message ${number} to wallet ${wallet} is the ${sent.length}th`);
  }
}

function foldEntries(books: AccountBooks, entries: readonly Entry[], where: string, problems: string[]): void {
  for (const entry of entries) {
    const { n, role, kind, item, unit, period, cell, version } = entry;
    const atoms = BigInt(entry.atoms);
    if (n !== books.entries.length + 1) problems.push(`${where}: entry ${n} is the ${books.entries.length + 1}th`);
    books.entries.push(entry);
    addTo(books.net, unit, atoms);
    if (role === "measured") addTo(books.charged, unit, atoms);
    if (role === "quality" && kind === "refund") addTo(books.refunded, unit, -atoms);
    if (role === "measured") {
      const accumulator = open(books.accumulators, `${item}|${unit}|${period}|${cell}|${version}`, () => ({
        quantity: [0n, 1n] as Rational,
        atoms: 0n,
      }));
      if (text(accumulator.quantity) !== text(rational(entry.before)))
        problems.push(`${where}: entry ${n} does not start where its accumulator stands`);
      accumulator.quantity = plus(accumulator.quantity, rational(entry.measure));
      accumulator.atoms += atoms;
      if (text(accumulator.quantity) !== text(rational(entry.after)))
        problems.push(`${where}: entry ${n} does not end where it adds up to`);
    } else {
      const key = role === "quality" ? `quality ${item} ${unit}` : `${kind} ${item} ${period} ${unit}`;
      addTo(books.beside, key, atoms);
    }
  }
  for (const [unit, refunded] of books.refunded)
    if (refunded > (books.charged.get(unit) ?? 0n))
      problems.push(`${where}: ${refunded} ${unit} are refunded of ${books.charged.get(unit)}`);
}

function addTo(sums: Map<string, bigint>, key: string, atoms: bigint): void {
  sums.set(key, (sums.get(key) ?? 0n) + atoms);
}

function foldOutcome(books: OutcomeBooks, event: OutcomeEvent): void {
  if (event.type === "OutcomeOpened" || event.type === "RequestAdded") {
    const outcome = identityOf(event.data.outcome);
    const dueAt = books.fired.get(outcome);
    if (dueAt !== undefined) books.lateRequests.set(identityOf(event.data.usage), dueAt);
    open(books.requests, outcome, () => []).push(identityOf(event.data.usage));
  }
  if (event.type === "TimeoutPassed" && event.data.decided !== undefined) {
    const requests = [...(books.requests.get(identityOf(event.data.outcome)) ?? [])];
    books.timeouts.push({ dueAt: event.data.dueAt, number: event.data.decided.number, requests });
  }
  if (event.type === "TimeoutPassed" && !books.fired.has(identityOf(event.data.outcome)))
    books.fired.set(identityOf(event.data.outcome), event.data.dueAt);
  if (event.type === "SignalRecorded") {
    books.signals.set(identityOf(event.data), event.data.contentHash);
    const dueAt = books.fired.get(identityOf(event.data.outcome));
    if (dueAt !== undefined) books.afterTimeout.set(event.data.contentHash, dueAt);
  }
  if (!("decided" in event.data) || event.data.decided === undefined || !("outcome" in event.data)) return;
  const { revision, verdict, score } = event.data.decided;
  keepHighest(books.verdicts, identityOf(event.data.outcome), { revision, verdict, score });
}

function keepHighest<Value extends { readonly revision: number }>(map: Map<string, Value>, key: string, value: Value): void {
  if (value.revision > (map.get(key)?.revision ?? 0)) map.set(key, value);
}

/** Invariants 6 and 7: every line adds up, no lot below zero or above its size, nothing unpaid below zero. */
function foldWallet(books: WalletBooks, event: WalletEvent, { stream, revision }: StoredEvent, problems: string[]): void {
  const where = `${stream}@${revision}`;
  const take = (grant: string, atoms: bigint): void => {
    const lot = books.lots.get(grant);
    if (lot === undefined) {
      problems.push(`${where}: there is no lot ${grant}`);
      return;
    }
    lot.left -= atoms;
    if (grant.startsWith("credit:") && lot.left > lot.size) lot.size = lot.left;
    if (lot.left < 0n || lot.left > lot.size) problems.push(`${where}: lot ${grant} holds ${lot.left} of ${lot.size}`);
  };
  const owe = (unit: string, atoms: bigint): void => {
    const unpaid = (books.unpaid.get(unit) ?? 0n) + atoms;
    books.unpaid.set(unit, unpaid);
    if (unpaid < 0n) problems.push(`${where}: ${unpaid} ${unit} are unpaid`);
  };
  switch (event.type) {
    case "CreditsGranted": {
      const { id, unit, atoms, effectiveAt, expiresAt, paidAtoms } = event.data;
      books.commands.add(id);
      if (books.lots.has(id)) problems.push(`${where}: ${id} is granted twice`);
      books.lots.set(id, { unit, size: BigInt(atoms), left: BigInt(atoms), from: effectiveAt, to: expiresAt });
      take(id, BigInt(paidAtoms));
      owe(unit, -BigInt(paidAtoms));
      return;
    }
    case "GrantTookEffect":
      take(event.data.grant, BigInt(event.data.paidAtoms));
      owe(books.lots.get(event.data.grant)?.unit ?? "", -BigInt(event.data.paidAtoms));
      return;
    case "GrantVoided":
    case "GrantExpired": {
      const { grant, atoms } = event.data;
      if (event.type === "GrantVoided") books.commands.add(event.data.id);
      const lot = books.lots.get(grant);
      if (lot?.left !== BigInt(atoms)) problems.push(`${where}: ${atoms} of ${grant} are lost, but it holds ${lot?.left}`);
      if (lot !== undefined) lot.left = 0n;
      return;
    }
    case "EntriesApplied": {
      const { account, source, firstNumber, lines } = event.data;
      const applied = open(books.applied, account, () => ({ number: 0, entries: [] }));
      if (firstNumber !== applied.number + 1 && source.number !== applied.number)
        problems.push(`${where}: message ${firstNumber} of ${account} follows ${applied.number}`);
      applied.number = source.number;
      for (const { entry, unit, atoms, draws = [], unpaid = "0" } of lines) {
        applied.entries.push({ entry, unit, atoms });
        let sum = BigInt(unpaid);
        for (const [grant, drawn] of draws) {
          if (grant === `credit:${unit}` && !books.lots.has(grant))
            books.lots.set(grant, { unit, size: 0n, left: 0n, from: "", to: undefined });
          sum += BigInt(drawn);
          take(grant, BigInt(drawn));
        }
        if (sum !== BigInt(atoms)) problems.push(`${where}: ${sum} drawn and unpaid are not the ${atoms} of entry ${entry}`);
        owe(unit, BigInt(unpaid));
      }
      return;
    }
    case "CommandParked":
  }
}
