/**
 * What became of every fact, counted where it lies: in the topics of accepted facts and in the log itself, past all read models.
 */
import { decodeEvent, parseStreamName, type AccountEvent, type Entry } from "@rerate/ledger";
import type { StreamEngines } from "@rerate/runtime";
import type { Feed } from "./feed.ts";

/** Identities as one text each. What stands somewhere twice is there twice. */
export interface LedgerCounts {
  readonly accepted: readonly string[];
  readonly recorded: readonly string[];
  readonly parked: number;
  /** Account and number of every entry of the accounts, and of every entry that a wallet has applied. */
  readonly entries: readonly string[];
  readonly applied: readonly string[];
  /** Movements between entries and grants. */
  readonly draws: number;
}

export function identitiesOf({ facts: { usage, corrections, costs, signals } }: Feed): string[] {
  return [
    ...[...usage, ...corrections].map(({ subject, source, id }) => identity("fact", subject, { source, id })),
    ...costs.map((cost) => identity("fact", cost.account, cost)),
    ...signals.map((signal) => identity("signal", signal.account, signal)),
  ];
}

export async function countLedger(engines: StreamEngines): Promise<LedgerCounts> {
  const accepted = await acceptedOf(engines);
  const recorded: string[] = [];
  const entries: string[] = [];
  const applied: string[] = [];
  let draws = 0;
  const read = async (prefix: string, each: (account: string, stored: Stored) => void): Promise<void> => {
    for (let after: string | undefined, end = false; !end;) {
      const page = await engines.eventStore.readAll({ prefixes: [prefix], maxCount: 2_000, after });
      for (const stored of page.events) each(parseStreamName(stored.stream).name, stored);
      ({ next: after, end } = page);
    }
  };
  await read("account-", (account, stored) => {
    const event = decodeEvent("account", stored);
    const fact = factOf(event);
    if (fact !== undefined) recorded.push(identity("fact", account, fact));
    for (const { n } of entriesOf(event)) entries.push(`${account} ${n}`);
  });
  await read("outcome-", (account, stored) => {
    const event = decodeEvent("outcome", stored);
    if (event.type === "SignalRecorded") recorded.push(identity("signal", account, event.data));
  });
  await read("wallet-", (_wallet, stored) => {
    const event = decodeEvent("wallet", stored);
    if (event.type !== "EntriesApplied") return;
    for (const { entry, draws: moved = [] } of event.data.lines) {
      applied.push(`${event.data.account} ${entry}`);
      draws += moved.length;
    }
  });
  return { accepted, recorded, parked: await engines.bus.parked.count(), entries, applied, draws };
}

type Stored = Parameters<typeof decodeEvent>[1];

interface Identity {
  readonly source: string;
  readonly id: string;
}

function identity(kind: "fact" | "signal", account: string, { source, id }: Identity): string {
  return JSON.stringify([kind, account, source, id]);
}

function factOf(event: AccountEvent): Identity | undefined {
  switch (event.type) {
    case "UsageRecorded":
    case "UsageCorrected":
    case "CorrectionWaiting":
    case "CostRecorded":
    case "CostCorrected":
      return event.data;
    default:
      return undefined;
  }
}

function entriesOf({ data }: AccountEvent): readonly Pick<Entry, "n">[] {
  return "entries" in data ? (data.entries ?? []) : [];
}

/** Every delivery on the topics of accepted facts, from their beginning to their end. */
async function acceptedOf({ bus }: StreamEngines): Promise<string[]> {
  const accepted: string[] = [];
  for (const topic of ["usage.accepted", "signal.accepted"]) {
    await bus.scan(topic, (messages) => {
      for (const { content } of messages) {
        if (content.kind !== "body" || !isFact(content.body)) continue;
        const { kind, account } = content.body;
        accepted.push(identity(kind === "signal" ? "signal" : "fact", account, content.body));
      }
    });
  }
  return accepted;
}

function isFact(body: unknown): body is Identity & { readonly kind: string; readonly account: string } {
  return typeof body === "object" && body !== null && "kind" in body && body.kind !== "import";
}
