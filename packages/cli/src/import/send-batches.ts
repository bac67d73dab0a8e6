/**
 * Sends facts in batches with several in flight, and counts what became of them.
 *
 * Sending is at least once and the ledger records each fact once, so a batch that got no answer is simply sent again, as is the
 * whole file after a crash. Owns the holding of deadlines: an account's first fact goes out after its import is announced.
 */
import { UnreachableError } from "@rerate/client";
import type { ImportBody, ReceiptRead } from "@rerate/wire";

export interface BatchOptions<Body> {
  readonly send: (batch: readonly Body[]) => Promise<ReceiptRead>;
  readonly accountOf: (body: Body) => string;
  /** Facts per request. Default 1,000. */
  readonly size?: number;
  /** Requests under way at the same time. Default 4. */
  readonly inFlight?: number;
  /** Called before the first batch that contains an account. */
  readonly beforeAccount?: (account: string) => Promise<void>;
  readonly onProgress?: (counts: ImportCounts) => void;
  /** Pauses before a batch without an answer is sent again; as many tries as pauses. Default 0.5, 2 and 8 seconds. */
  readonly pausesMs?: readonly number[];
  readonly sleep: (delayMs: number) => Promise<void>;
}

export interface ImportCounts {
  readonly sent: number;
  readonly accepted: number;
  /** Of the accepted ones that the owner answered: recorded now, recorded before, and parked or in conflict. */
  readonly recorded: number;
  readonly duplicates: number;
  readonly parked: number;
  /** Accepted, and not answered in time: they are recorded later. */
  readonly unanswered: number;
  /** The first reasons why facts were parked. */
  readonly reasons: readonly string[];
}

export const NO_COUNTS: ImportCounts = {
  sent: 0,
  accepted: 0,
  recorded: 0,
  duplicates: 0,
  parked: 0,
  unanswered: 0,
  reasons: [],
};

const BATCH = 1_000;
const IN_FLIGHT = 4;
const PAUSES_MS = [500, 2_000, 8_000];
const REASONS = 5;

/** Rejects with the first refusal, or when the server stays away; facts sent before are safe and may be sent again. */
export async function sendInBatches<Body>(bodies: AsyncIterable<Body>, options: BatchOptions<Body>): Promise<ImportCounts> {
  const { size = BATCH, inFlight = IN_FLIGHT } = options;
  let counts = NO_COUNTS;
  const announced = new Map<string, Promise<void>>();
  const underWay = new Set<Promise<void>>();

  async function sendOne(batch: readonly Body[]): Promise<void> {
    for (const body of batch) {
      const account = options.accountOf(body);
      let before = announced.get(account);
      if (before === undefined) announced.set(account, (before = options.beforeAccount?.(account) ?? Promise.resolve()));
      await before;
    }
    const receipt = await sendAgain(batch, options);
    counts = addReceipt(counts, batch.length, receipt);
    options.onProgress?.(counts);
  }

  async function start(batch: readonly Body[]): Promise<void> {
    const sending = sendOne(batch).finally(() => underWay.delete(sending));
    underWay.add(sending);
    // A refusal surfaces through the race or the final wait, never unhandled.
    sending.catch(() => undefined);
    if (underWay.size >= inFlight) await Promise.race(underWay);
  }

  let batch: Body[] = [];
  for await (const body of bodies) {
    batch.push(body);
    if (batch.length < size) continue;
    await start(batch);
    batch = [];
  }
  if (batch.length > 0) await start(batch);
  await Promise.all(underWay);
  return counts;
}

async function sendAgain<Body>(
  batch: readonly Body[],
  { send, sleep, pausesMs = PAUSES_MS }: BatchOptions<Body>,
): Promise<ReceiptRead> {
  for (const pauseMs of pausesMs) {
    try {
      return await send(batch);
    } catch (error) {
      if (!(error instanceof UnreachableError)) throw error;
      await sleep(pauseMs);
    }
  }
  return send(batch);
}

function addReceipt(counts: ImportCounts, sent: number, receipt: ReceiptRead): ImportCounts {
  const answers = receipt.answers ?? [];
  const count = (...statuses: readonly string[]): number => answers.filter(({ status }) => statuses.includes(status)).length;
  const recorded = count("recorded", "ignored");
  const duplicates = count("duplicate");
  const parked = count("parked", "conflict");
  const reasons = answers.flatMap(({ status, id, detail }) =>
    status === "parked" || status === "conflict" ? [`${id}: ${detail ?? status}`] : [],
  );
  return {
    sent: counts.sent + sent,
    accepted: counts.accepted + receipt.accepted,
    recorded: counts.recorded + recorded,
    duplicates: counts.duplicates + duplicates,
    parked: counts.parked + parked,
    unanswered: counts.unanswered + receipt.accepted - recorded - duplicates - parked,
    reasons: [...counts.reasons, ...reasons].slice(0, REASONS),
  };
}

/** Adds up the counts of several kinds of facts. */
export function addCounts(a: ImportCounts, b: ImportCounts): ImportCounts {
  return {
    sent: a.sent + b.sent,
    accepted: a.accepted + b.accepted,
    recorded: a.recorded + b.recorded,
    duplicates: a.duplicates + b.duplicates,
    parked: a.parked + b.parked,
    unanswered: a.unanswered + b.unanswered,
    reasons: [...a.reasons, ...b.reasons].slice(0, REASONS),
  };
}

/** Announces and ends an import of accounts: their timeouts and period ends wait meanwhile. Each account once. */
export interface ImportHold {
  start(account: string): Promise<void>;
  /** Ends what was started. To be called also when an import fails. */
  end(): Promise<void>;
}

export function createImportHold(
  sendImport: (command: ImportBody) => Promise<ReceiptRead>,
  identity: { readonly source: string; readonly id: string },
): ImportHold {
  const accounts = new Map<string, Promise<void>>();
  const command = async (account: string, phase: ImportBody["phase"]): Promise<void> => {
    await sendImport({ account, ...identity, phase });
  };
  return {
    async start(account) {
      let started = accounts.get(account);
      if (started === undefined) accounts.set(account, (started = command(account, "started")));
      await started;
    },
    async end() {
      await Promise.all([...accounts.keys()].map(async (account) => command(account, "ended")));
      accounts.clear();
    },
  };
}
