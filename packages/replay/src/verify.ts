/**
 * Is the ledger what its own facts and rules say? Reads the whole log and decides everything again.
 *
 * 1. The hash chain of every stream. 2. Every recorded decision, with the same deciders that serve live traffic. 3. What streams say
 * they received from each other. 4. Double entry. 5. The read models, when a check of them is handed in. Writes nothing. Memory is
 * bounded by the number of streams and the facts of the largest one (about 200 bytes each), not by the log.
 */
import type { EventStore } from "@rerate/event-store";
import {
  accountPostings,
  decodeEvent,
  entriesOf,
  outcome as outcomeDecider,
  outcomeDecidedMessages,
  parseStreamName,
  settlement,
  streamName,
  usageRecordedOf,
  wallet as walletDecider,
  walletPostings,
  type AccountEvent,
  type OutcomeEvent,
  type SettlementContext,
  type WalletEvent,
} from "@rerate/ledger";
import type { ProjectionCheck } from "@rerate/projections";
import { accountCauses, outcomeCauses, receivedUsage, receivedVerdict } from "./causes.ts";
import { scanLog, streamsOf, type LogScan } from "./chain-check.ts";
import { createExchange, type Exchange } from "./exchange.ts";
import { createProblemLog, type Problem, type ProblemKind, type ProblemLog } from "./problem.ts";
import { redecide } from "./redecide.ts";
import { recordedAtOf } from "./seal.ts";
import { openStreamWindow } from "./stream-window.ts";
import { createTrialBalance, type BalanceLine, type TrialBalance } from "./trial-balance.ts";
import { walletCauses } from "./wallet-causes.ts";

export type VerifyPhase = "chain" | "accounts" | "wallets" | "projections";

export interface VerifyProgress {
  readonly phase: VerifyPhase;
  /** Events done in this phase, and in all where it is known. */
  readonly events: number;
  readonly of: number | undefined;
}

export interface VerifyOptions {
  readonly eventStore: Pick<EventStore, "readAll" | "readForward">;
  readonly onProgress?: (progress: VerifyProgress) => void;
  /** Compares the read models with a fresh fold of the log. Skipped when absent. */
  readonly projections?: (log: ProjectionLog) => Promise<ProjectionCheck>;
}

export interface ProjectionLog {
  readonly eventStore: Pick<EventStore, "readAll" | "readForward">;
  readonly recordedAt: typeof recordedAtOf;
}

export interface VerifyReport {
  readonly ok: boolean;
  readonly events: number;
  readonly streams: number;
  /** Events that were decided again, and ledger entries among them. */
  readonly decided: number;
  readonly entries: number;
  /** SHA-256 over the heads of all streams: names this log, as long as its chains are whole. */
  readonly head: string;
  /** First problems of each kind, and how many there are of each. */
  readonly problems: readonly Problem[];
  readonly counts: Readonly<Record<ProblemKind, number>>;
  /** Published and not yet received by the other stream: work in progress, no error. */
  readonly pending: { readonly usage: number; readonly verdicts: number; readonly entries: number };
  readonly trialBalance: readonly BalanceLine[];
  readonly projections: "equal" | "different" | "not checked";
}

/** Never rejects for what it finds; rejects when the log cannot be read at all. */
export async function verify(options: VerifyOptions): Promise<VerifyReport> {
  const { eventStore, onProgress } = options;
  const found = createProblemLog();
  const scan = await scanLog({
    eventStore,
    onProblem: found.add,
    onProgress: (events) => onProgress?.({ phase: "chain", events, of: undefined }),
  });
  const audit = createAudit(options, scan, found);
  const owners = [...new Set([...streamsOf(scan, "account"), ...streamsOf(scan, "outcome")].map(ownerKey))];
  for (const owner of owners) await audit.account(owner);
  for (const stream of streamsOf(scan, "wallet")) await audit.wallet(stream);
  audit.unappliedWallets();
  const projections = await checkProjections(options, found);
  return {
    ok: found.problems.length === 0,
    events: scan.events,
    streams: scan.streams.size,
    decided: audit.counts.decided,
    entries: audit.counts.entries,
    head: scan.head,
    problems: found.problems,
    counts: found.counts,
    pending: audit.pending,
    trialBalance: audit.balance.lines(),
    projections,
  };
}

/** Deciders are given no timeline: they use the rules that the streams bound, and documents by hash. */
export function recordedContext(scan: LogScan): SettlementContext {
  return { timeline: () => undefined, contractRevision: () => Number.MAX_SAFE_INTEGER, plan: scan.catalogue.plan };
}

interface Audit {
  readonly counts: { decided: number; entries: number };
  readonly pending: { usage: number; verdicts: number; entries: number };
  readonly balance: TrialBalance;
  account(owner: string): Promise<void>;
  wallet(stream: string): Promise<void>;
  /** Entries towards wallets that have no stream yet. */
  unappliedWallets(): void;
}

interface WalletTotals {
  readonly charged: Map<string, bigint>;
  messages: number;
}

function createAudit({ eventStore, onProgress }: VerifyOptions, scan: LogScan, found: ProblemLog): Audit {
  const counts = { decided: 0, entries: 0 };
  const pending = { usage: 0, verdicts: 0, entries: 0 };
  const balance = createTrialBalance();
  const context = recordedContext(scan);
  const wallets = new Map<string, WalletTotals>();

  function note(phase: VerifyPhase): void {
    counts.decided += 1;
    if (counts.decided % 1_000 === 0) onProgress?.({ phase, events: counts.decided, of: scan.events });
  }

  function book(postings: Parameters<TrialBalance["add"]>[0], stream: string, revision: number): void {
    const problem = balance.add(postings, { stream, revision });
    if (problem !== undefined) found.add(problem);
  }

  async function auditAccount(stream: string, usage: Exchange, verdicts: Exchange): Promise<void> {
    const { ns } = parseStreamName(stream);
    const window = openStreamWindow<AccountEvent>(eventStore, stream, (stored) => decodeEvent("account", bare(stored)));
    const result = await redecide(stream, window, {
      decider: settlement,
      context,
      causesOf: (ahead) => accountCauses(stream, ahead),
      onEvent: (read) => {
        note("accounts");
        book(accountPostings(read.event, stream), stream, read.revision);
        countEntries(ns, read.event);
        const place = { stream, revision: read.revision };
        const message = usageRecordedOf(read.event, place);
        if (message !== undefined) usage.published(message.number, usageDigest(message));
        const received = receivedVerdict(stream, read);
        if (received !== undefined) verdicts.received(received.number, received, place);
      },
    });
    if (result.problem !== undefined) found.add(result.problem);
  }

  function countEntries(ns: string, event: AccountEvent): void {
    const booked = entriesOf(event);
    if (booked?.wallets === undefined) return;
    counts.entries += booked.entries.length;
    for (const wallet of Object.keys(booked.wallets)) {
      const stream = streamName("wallet", ns, wallet);
      const totals = wallets.get(stream) ?? { charged: new Map(), messages: 0 };
      totals.messages += 1;
      for (const { unit, atoms } of booked.entries) totals.charged.set(unit, (totals.charged.get(unit) ?? 0n) + BigInt(atoms));
      wallets.set(stream, totals);
    }
  }

  async function auditOutcomes(stream: string, usage: Exchange, verdicts: Exchange): Promise<void> {
    const window = openStreamWindow<OutcomeEvent>(eventStore, stream, (stored) => decodeEvent("outcome", bare(stored)));
    const result = await redecide(stream, window, {
      decider: outcomeDecider,
      context: { definition: scan.catalogue.definition },
      causesOf: (ahead) => outcomeCauses(stream, ahead),
      onEvent: (read) => {
        note("accounts");
        const place = { stream, revision: read.revision };
        for (const { body } of outcomeDecidedMessages(read.event, place)) verdicts.published(body.number, body);
        const message = receivedUsage(stream, read);
        if (message !== undefined) usage.received(message.number, usageDigest(message), place);
      },
    });
    if (result.problem !== undefined) found.add(result.problem);
  }

  async function auditWallet(stream: string): Promise<void> {
    const { ns, name } = parseStreamName(stream);
    const window = openStreamWindow<WalletEvent>(eventStore, stream, (stored) => decodeEvent("wallet", bare(stored)));
    const causes = walletCauses(eventStore, stream);
    const units = new Map<string, string>();
    const applied = new Map<string, bigint>();
    const result = await redecide(stream, window, {
      decider: walletDecider,
      context: undefined,
      causesOf: (ahead) => causes.causesOf(ahead),
      onEvent: ({ event, revision }) => {
        note("wallets");
        if (event.type === "CreditsGranted") units.set(event.data.id, event.data.unit);
        if (event.type === "EntriesApplied") {
          for (const { unit, atoms, draws } of event.data.lines) {
            applied.set(unit, (applied.get(unit) ?? 0n) + BigInt(atoms));
            for (const [grant] of draws ?? []) units.set(grant, unit);
          }
        }
        book(
          walletPostings(event, stream, (grant) => units.get(grant) ?? ""),
          stream,
          revision,
        );
      },
    });
    if (result.problem !== undefined) {
      found.add(result.problem);
      wallets.delete(stream);
      return;
    }
    const totals = wallets.get(stream);
    wallets.delete(stream);
    let received = 0;
    for (const { number } of result.state.sources.values()) received += number;
    pending.entries += (totals?.messages ?? 0) - received;
    for (const unit of new Set([...(totals?.charged.keys() ?? []), ...applied.keys()])) {
      const waiting = (totals?.charged.get(unit) ?? 0n) - (applied.get(unit) ?? 0n);
      const unpaid = result.state.units.get(unit)?.unpaid ?? 0n;
      const owed = balance.receivable(ns, name, unit);
      if (owed === unpaid + waiting) continue;
      found.add({
        kind: "balance",
        stream,
        field: unit,
        recorded: unpaid.toString(),
        recomputed: (owed - waiting).toString(),
        message: "what is unpaid is not what was charged minus what grants paid",
      });
    }
  }

  return {
    counts,
    pending,
    balance,
    async account(owner) {
      const usage = createExchange("usage.recorded");
      const verdicts = createExchange("outcome.decided");
      const { ns, name } = parseStreamName(`account-${owner}`);
      const [account, outcomes] = [streamName("account", ns, name), streamName("outcome", ns, name)];
      const before = found.counts.decision + found.counts.unreadable;
      if (scan.streams.has(account)) await auditAccount(account, usage, verdicts);
      if (scan.streams.has(outcomes)) await auditOutcomes(outcomes, usage, verdicts);
      // A stream that was left after its first difference has not told everything that it published.
      if (found.counts.decision + found.counts.unreadable > before) return;
      const [sent, decided] = [usage.compare(), verdicts.compare()];
      for (const problem of [...sent.problems, ...decided.problems]) found.add(problem);
      pending.usage += sent.pending;
      pending.verdicts += decided.pending;
    },
    wallet: auditWallet,
    unappliedWallets() {
      for (const { messages } of wallets.values()) pending.entries += messages;
    },
  };
}

/** Shard, namespace and name: what account and outcome streams of one owner share. */
function ownerKey(stream: string): string {
  return stream.slice(stream.indexOf("-") + 1);
}

/** The stored text alone: a body that a writer kept in memory proves nothing. */
function bare(stored: { readonly stream: string; readonly type: string; readonly data: string }): {
  readonly stream: string;
  readonly type: string;
  readonly data: string;
} {
  const { stream, type, data } = stored;
  return { stream, type, data };
}

/** An attempt number is told to outcome-signal and not recorded there. */
function usageDigest(message: { readonly attempt?: number | undefined }): object {
  return { ...message, attempt: undefined };
}

async function checkProjections(
  { eventStore, projections, onProgress }: VerifyOptions,
  found: ProblemLog,
): Promise<VerifyReport["projections"]> {
  if (projections === undefined) return "not checked";
  onProgress?.({ phase: "projections", events: 0, of: undefined });
  const check = await projections({ eventStore, recordedAt: recordedAtOf });
  if (check.kind === "equal") return "equal";
  if (check.kind === "outdated") return "not checked";
  const { table, stored, folded } = check;
  found.add({
    kind: "projection",
    field: table,
    recorded: stored,
    recomputed: folded,
    message: `the read models are not the fold of the log; \`rerate projections rebuild\` builds them again`,
  });
  return "different";
}
