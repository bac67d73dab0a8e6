/**
 * Who would have paid what under another plan: every account's recorded facts, priced by it, beside what is recorded.
 *
 * Writes nothing. The same log, plan and engine give the same report, byte for byte; the report names all three.
 */
import type { EventStore } from "@rerate/event-store";
import { formatAmount } from "@rerate/money";
import {
  compile,
  documentHash,
  priceListsOf,
  decodeEvent,
  parseStreamName,
  SETTLEMENT_REVISION,
  type AccountEvent,
  type Entry,
  type ParkReason,
} from "@rerate/ledger";
import type { PlanDocument, PriceListDocument } from "@rerate/pricing";
import { scanLog, streamsOf } from "./chain-check.ts";
import { readFrame, rerateAccount, type ReratedFact, type ReratePlan } from "./rerate-account.ts";
import { openStreamWindow } from "./stream-window.ts";

export interface CompareOptions {
  readonly eventStore: Pick<EventStore, "readAll" | "readForward">;
  readonly plan: PlanDocument;
  /** By the names that the plan uses. Names that are missing here are taken from the log, in their latest version. */
  readonly priceLists?: Readonly<Record<string, PriceListDocument>>;
  /** Only these accounts; a `*` at the end stands for any rest of a name. Default: all. */
  readonly accounts?: readonly string[];
  /** Namespace of the accounts. Default: all. */
  readonly ns?: string;
  /** How many of the largest differences are explained. Default 20. */
  readonly largest?: number;
  readonly onProgress?: (progress: { readonly events: number; readonly accounts: number; readonly of: number }) => void;
}

export interface ComparedUnit {
  readonly unit: string;
  readonly recordedAtoms: string;
  readonly comparedAtoms: string;
  /** Compared minus recorded: positive means that the other plan charges more. */
  readonly differenceAtoms: string;
}

export interface ComparedAccount {
  readonly ns: string;
  readonly account: string;
  readonly facts: number;
  readonly unpriced: number;
  readonly units: readonly ComparedUnit[];
}

export interface ComparedFact extends ComparedUnit {
  readonly ns: string;
  readonly account: string;
  /** Revision of the recorded event. */
  readonly revision: number;
  readonly type: string;
  readonly source?: string;
  readonly id?: string;
  /** The arithmetic of either side, a line each. */
  readonly recorded: readonly string[];
  readonly compared: readonly string[];
}

export interface CompareReport {
  /** SHA-256 over the heads of all streams. */
  readonly log: string;
  readonly plan: string;
  readonly planId: string;
  readonly priceLists: Readonly<Record<string, string>>;
  readonly engine: string;
  readonly events: number;
  /** Usage, corrections and costs. */
  readonly facts: number;
  /** Causes that book something else: facts, verdicts and closes of periods. */
  readonly differingFacts: number;
  /** Facts that the other plan has no price for, by reason, with the first few. */
  readonly unpriced: {
    readonly count: number;
    readonly reasons: Readonly<Partial<Record<ParkReason, number>>>;
    readonly examples: readonly string[];
  };
  /** Breaks of the hash chain: run `verify` before trusting the comparison of such a log. */
  readonly chainProblems: number;
  readonly totals: readonly ComparedUnit[];
  /** Largest difference first. */
  readonly accounts: readonly ComparedAccount[];
  readonly largest: readonly ComparedFact[];
}

const EXAMPLES = 10;
/** Verdicts, closes of periods and imports are causes too, and no facts of an account. */
const FACTS: ReadonlySet<string> = new Set<AccountEvent["type"]>([
  "UsageRecorded",
  "UsageCorrected",
  "CostRecorded",
  "CostCorrected",
  "CorrectionWaiting",
]);

/** Rejects when the plan uses a price list that is neither given nor in the log. */
export async function compare(options: CompareOptions): Promise<CompareReport> {
  const { eventStore, largest = 20, onProgress } = options;
  let chainProblems = 0;
  const scan = await scanLog({ eventStore, onProblem: () => void (chainProblems += 1) });
  const plan = planOf(
    options,
    (ns, name) =>
      scan.catalogue.documents(ns).findLast(({ published }) => published.kind === "price-list" && published.id === name)
        ?.published,
  );
  const found = createFindings(largest);
  const streams = streamsOf(scan, "account")
    .filter((stream) => isWanted(stream, options))
    .sort();
  for (const [index, stream] of streams.entries()) {
    const open = () =>
      openStreamWindow<AccountEvent>(eventStore, stream, ({ type, data }) => decodeEvent("account", { stream, type, data }));
    const frame = await readFrame(open());
    const account = found.account(stream);
    if (frame !== undefined) await rerateAccount(stream, open(), frame, plan, account.add);
    account.done();
    onProgress?.({ events: found.facts(), accounts: index + 1, of: streams.length });
  }
  return {
    log: scan.head,
    plan: plan.hash,
    planId: plan.id,
    priceLists: plan.priceLists,
    engine: `settlement@${SETTLEMENT_REVISION}`,
    events: scan.events,
    chainProblems,
    ...found.report(),
  };
}

function isWanted(stream: string, { accounts, ns }: CompareOptions): boolean {
  const parts = parseStreamName(stream);
  return (
    (ns === undefined || parts.ns === ns) && (accounts === undefined || accounts.some((account) => isNamed(parts.name, account)))
  );
}

function isNamed(name: string, pattern: string): boolean {
  return pattern.endsWith("*") ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
}

function planOf(
  { plan, priceLists = {}, ns = "default" }: CompareOptions,
  publishedList: (ns: string, name: string) => { readonly hash: string; readonly document: unknown } | undefined,
): ReratePlan {
  const planHash = documentHash(plan);
  const documents = new Map<string, unknown>([[planHash, plan]]);
  const hashes: Record<string, string> = {};
  for (const name of priceListsOf(plan)) {
    const given = priceLists[name];
    const list = given === undefined ? publishedList(ns, name) : { hash: documentHash(given), document: given };
    if (list === undefined) throw new Error(`plan ${plan.id} uses the price list "${name}": give it, or publish it first`);
    documents.set(list.hash, list.document);
    hashes[name] = list.hash;
  }
  const compiled = compile(planHash, hashes, (hash) => documents.get(hash));
  if (compiled === undefined) throw new Error(`plan ${plan.id} cannot be compiled: a document is missing`);
  return {
    hash: planHash,
    id: plan.id,
    priceLists: hashes,
    plan: (hash) => (hash === planHash ? compiled : undefined),
  };
}

interface Findings {
  account(stream: string): { readonly add: (fact: ReratedFact) => void; readonly done: () => void };
  facts(): number;
  report(): Pick<CompareReport, "facts" | "differingFacts" | "unpriced" | "totals" | "accounts" | "largest">;
}

type Sums = Map<string, { recorded: bigint; compared: bigint }>;

function createFindings(largest: number): Findings {
  const totals: Sums = new Map();
  const accounts: ComparedAccount[] = [];
  const reasons: Partial<Record<ParkReason, number>> = {};
  const examples: string[] = [];
  let top: Difference[] = [];
  let facts = 0;
  let differing = 0;
  let unpriced = 0;

  return {
    facts: () => facts,
    account(stream) {
      const { ns, name } = parseStreamName(stream);
      const sums: Sums = new Map();
      const own = { facts: 0, unpriced: 0 };
      return {
        add(fact) {
          if (FACTS.has(fact.type)) {
            facts += 1;
            own.facts += 1;
          }
          if (fact.unpriced !== undefined) {
            const { reason, detail } = fact.unpriced;
            unpriced += 1;
            own.unpriced += 1;
            reasons[reason] = (reasons[reason] ?? 0) + 1;
            if (examples.length < EXAMPLES) examples.push(`${name}: ${fact.source ?? ""} ${fact.id ?? ""}: ${reason}, ${detail}`);
          }
          const units = sumsOf(fact);
          let differs = false;
          for (const [unit, { recorded, compared }] of units) {
            addTo(sums, unit, recorded, compared);
            if (recorded === compared) continue;
            differs = true;
            top.push({ ns, account: name, fact, unit, recorded, compared, size: absolute(compared - recorded) });
          }
          if (differs) differing += 1;
          if (top.length > 8 * largest + 64) top = largestOf(top, largest);
        },
        done() {
          for (const [unit, { recorded, compared }] of sums) addTo(totals, unit, recorded, compared);
          accounts.push({ ns, account: name, ...own, units: unitsOf(sums) });
        },
      };
    },
    report: () => ({
      facts,
      differingFacts: differing,
      unpriced: { count: unpriced, reasons, examples },
      totals: unitsOf(totals),
      accounts: accounts.toSorted(
        (a, b) => bySize(sizeOf(a), sizeOf(b)) || byText(`${a.ns} ${a.account}`, `${b.ns} ${b.account}`),
      ),
      largest: largestOf(top, largest).map(comparedFact),
    }),
  };
}

function sumsOf(fact: ReratedFact): Sums {
  const sums: Sums = new Map();
  for (const { unit, atoms } of fact.recorded) addTo(sums, unit, BigInt(atoms), 0n);
  for (const { unit, atoms } of fact.rerated) addTo(sums, unit, 0n, BigInt(atoms));
  return sums;
}

function addTo(sums: Sums, unit: string, recorded: bigint, compared: bigint): void {
  const known = sums.get(unit) ?? { recorded: 0n, compared: 0n };
  sums.set(unit, { recorded: known.recorded + recorded, compared: known.compared + compared });
}

function unitsOf(sums: Sums): ComparedUnit[] {
  return [...sums]
    .sort(([a], [b]) => byText(a, b))
    .map(([unit, { recorded, compared }]) => comparedUnit(unit, recorded, compared));
}

function comparedUnit(unit: string, recorded: bigint, compared: bigint): ComparedUnit {
  return {
    unit,
    recordedAtoms: recorded.toString(),
    comparedAtoms: compared.toString(),
    differenceAtoms: (compared - recorded).toString(),
  };
}

/** A fact that costs something else, before its arithmetic is written out: only the largest ones are. */
interface Difference {
  readonly ns: string;
  readonly account: string;
  readonly fact: ReratedFact;
  readonly unit: string;
  readonly recorded: bigint;
  readonly compared: bigint;
  readonly size: bigint;
}

function comparedFact({ ns, account, fact, unit, recorded, compared }: Difference): ComparedFact {
  const { revision, type, source, id, unpriced } = fact;
  return {
    ns,
    account,
    revision,
    type,
    ...(source === undefined ? {} : { source }),
    ...(id === undefined ? {} : { id }),
    ...comparedUnit(unit, recorded, compared),
    recorded: arithmetic(fact.recorded, unit),
    compared: unpriced === undefined ? arithmetic(fact.rerated, unit) : [`no price: ${unpriced.reason}, ${unpriced.detail}`],
  };
}

function arithmetic(entries: readonly Entry[], unit: string): string[] {
  return entries
    .filter((entry) => entry.unit === unit)
    .flatMap(({ kind, item, steps, atoms }) => [...steps, `${kind} ${item}: ${formatAmount(BigInt(atoms))} ${unit}`]);
}

function largestOf(differences: readonly Difference[], count: number): Difference[] {
  return differences
    .toSorted(
      (a, b) =>
        bySize(a.size, b.size) ||
        byText(a.ns, b.ns) ||
        byText(a.account, b.account) ||
        a.fact.revision - b.fact.revision ||
        byText(a.unit, b.unit),
    )
    .slice(0, count);
}

function sizeOf(account: ComparedAccount): bigint {
  return account.units.reduce((sum, { differenceAtoms }) => sum + absolute(BigInt(differenceAtoms)), 0n);
}

function bySize(a: bigint, b: bigint): number {
  const [left, right] = [absolute(a), absolute(b)];
  return left === right ? 0 : left > right ? -1 : 1;
}

function absolute(value: bigint): bigint {
  return value < 0n ? -value : value;
}

function byText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
