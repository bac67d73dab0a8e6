/**
 * The oracle: what the books must say in the end, computed from the set of facts that doors accepted.
 *
 * Plain, slow and order-free on purpose, and written differently from the code: no deciders, no streams, no arrival order. Of
 * what arrival decides (which of two contents of one identity came first) it is told the answer and checks that it is one
 * of those possible. Imports types of the code under test and nothing else.
 */
import type { CostAccepted, SignalAccepted, UsageAccepted } from "@rerate/ledger";
import { atoms, measuresUnder, outcomePrice, type OracleMeasure } from "./oracle-price.ts";
import { finalVerdict, type OracleVerdict } from "./oracle-verdict.ts";
import { definitionOf, LISTED_PLANS, type PoolPlan } from "./plan-pool.ts";
import {
  floor,
  halfEven,
  isLess,
  minus,
  NOTHING,
  over,
  plus,
  rational,
  smaller,
  text,
  times,
  type Rational,
} from "./rational.ts";
import { planInForce, type SimAccount } from "./accounts.ts";
import type { SentBody, Workload } from "./workload.ts";

/** What arrival decided: the content recorded under an identity, by the account's key and the identity's. */
export interface Arrivals {
  fact(account: string, identity: string): string | undefined;
  signal(account: string, identity: string): string | undefined;
}

export interface ExpectedAccount {
  /** Identities of usage, corrections and costs that are recorded. */
  readonly recorded: ReadonlySet<string>;
  /** `identity hash` of what is parked, with the reasons that are right. */
  readonly parked: ReadonlyMap<string, readonly string[]>;
  /** Per accumulator its quantity and booked atoms: "3/2=450". Those that came to nothing are left out. */
  readonly accumulators: ReadonlyMap<string, string>;
  /**
   * Atoms by `fee item period unit`, `true-up …`, `cap …`; quality refunds and bonuses by `quality item unit`: of an outcome
   * over two periods, arrival decides where they are posted, never how much they are.
   */
  readonly beside: ReadonlyMap<string, bigint>;
  readonly verdicts: ReadonlyMap<string, OracleVerdict>;
  /** Net atoms by unit. */
  readonly net: ReadonlyMap<string, bigint>;
  readonly costAtoms: bigint;
}

/** The key of an account in all maps of the simulation. */
export function accountKey({ ns, account }: { readonly ns: string; readonly account: string }): string {
  return `${ns}/${account}`;
}

export function identityOf({ source, id }: { readonly source: string; readonly id: string }): string {
  return `${source}#${id}`;
}

export function expectedAccount(workload: Workload, account: SimAccount, arrivals: Arrivals): ExpectedAccount {
  return new AccountOracle(workload, account, arrivals).result();
}

interface Fact {
  readonly message: UsageAccepted;
  readonly plan: PoolPlan;
  readonly occurredMs: number;
  /** Of the content that holds in the end. */
  readonly measures: readonly OracleMeasure[];
  readonly period: string;
}

interface Accumulator {
  readonly unit: string;
  readonly period: string;
  readonly price: (quantity: Rational) => Rational;
  quantity: Rational;
  /** Σ refunded share × measure, under an average quality policy. */
  weighted: Rational;
}

const UNPRICED = ["missing-quantity", "unknown-model", "parts-exceed-total"];

class AccountOracle {
  readonly #workload: Workload;
  readonly #account: SimAccount;
  readonly #key: string;
  readonly #arrivals: Arrivals;
  readonly #recorded = new Set<string>();
  readonly #parked = new Map<string, readonly string[]>();
  readonly #accumulators = new Map<string, Accumulator>();
  readonly #beside = new Map<string, bigint>();
  readonly #verdicts = new Map<string, OracleVerdict>();

  constructor(workload: Workload, account: SimAccount, arrivals: Arrivals) {
    this.#workload = workload;
    this.#account = account;
    this.#key = accountKey(account);
    this.#arrivals = arrivals;
  }

  result(): ExpectedAccount {
    const facts = this.#facts();
    for (const fact of facts) for (const measure of fact.measures) this.#add(accumulatorOf(fact, measure), fact.period, measure);
    for (const story of storiesOf(facts)) this.#judge(story);
    for (const [key, { unit, quantity, weighted, price }] of this.#accumulators) {
      if (weighted[0] === 0n || quantity[0] === 0n) continue;
      const refund = halfEven(over(times(price(quantity), weighted), quantity));
      this.#addBeside(`quality ${qualityOf(facts, key)} ${unit}`, -refund);
    }
    this.#periods();
    const accumulators = new Map<string, string>();
    const net = new Map<string, bigint>();
    for (const [key, { quantity, price, unit }] of this.#accumulators) {
      const booked = halfEven(price(quantity));
      if (quantity[0] !== 0n || booked !== 0n) accumulators.set(key, `${text(quantity)}=${booked}`);
      net.set(unit, (net.get(unit) ?? 0n) + booked);
    }
    for (const [key, amount] of this.#beside) {
      const unit = key.split(" ").at(-1) ?? "";
      net.set(unit, (net.get(unit) ?? 0n) + amount);
    }
    const costAtoms = this.#costs();
    const beside = new Map([...this.#beside].filter(([, amount]) => amount !== 0n));
    return { recorded: this.#recorded, parked: this.#parked, accumulators, beside, verdicts: this.#verdicts, net, costAtoms };
  }

  /** All bodies of one kind that doors accepted for the account, each content once, by identity. */
  #accepted<Kind extends SentBody["kind"]>(kind: Kind): Map<string, Map<string, Extract<SentBody, { readonly kind: Kind }>>> {
    type Body = Extract<SentBody, { readonly kind: Kind }>;
    const byIdentity = new Map<string, Map<string, Body>>();
    for (const { body, ns, name, topic } of this.#workload.sends) {
      if (
        body.kind !== kind ||
        topic === "wallet.requested" ||
        body.kind === "import" ||
        `${ns}/${name}` !== this.#key ||
        !("source" in body)
      )
        continue;
      const contents = byIdentity.get(identityOf(body)) ?? new Map<string, Body>();
      byIdentity.set(identityOf(body), contents.set(body.contentHash, body as Body));
    }
    return byIdentity;
  }

  /** The content that holds an identity, as arrival decided; all others are conflicts. */
  #winner<Body extends { readonly contentHash: string }>(
    identity: string,
    contents: ReadonlyMap<string, Body>,
  ): Body | undefined {
    if (contents.size === 1) return [...contents.values()][0];
    return contents.get(this.#arrivals.fact(this.#key, identity) ?? "");
  }

  #park(identity: string, contentHash: string, reasons: readonly string[]): void {
    this.#parked.set(`${identity} ${contentHash}`, reasons);
  }

  #facts(): Fact[] {
    const usage = this.#accepted("usage");
    const facts: Fact[] = [];
    const corrections = new Map<string, UsageAccepted[]>();
    const originals: [string, Map<string, UsageAccepted>][] = [];
    for (const [identity, contents] of usage) {
      const [first] = contents.values();
      if (this.#account.opensMs === undefined) {
        for (const hash of contents.keys()) this.#park(identity, hash, ["unknown-account"]);
      } else if (first?.corrects === undefined) originals.push([identity, contents]);
      else {
        const corrected = identityOf(first.corrects);
        corrections.set(corrected, [...(corrections.get(corrected) ?? []), first]);
      }
    }
    const inForce = new Map([...corrections].map(([corrected, list]) => [corrected, this.#corrections(list)]));
    for (const [identity, contents] of originals) facts.push(...this.#original(identity, contents, inForce.get(identity)));
    return facts;
  }

  /** Records the corrections of one fact and returns the highest. Of two with one revision, arrival decided. */
  #corrections(list: readonly UsageAccepted[]): UsageAccepted | undefined {
    const byRevision = new Map<number, UsageAccepted[]>();
    for (const correction of list)
      byRevision.set(correction.revision ?? 1, [...(byRevision.get(correction.revision ?? 1) ?? []), correction]);
    let highest: UsageAccepted | undefined;
    for (const same of byRevision.values()) {
      const kept =
        same.length === 1 ? same[0] : same.find((one) => this.#arrivals.fact(this.#key, identityOf(one)) !== undefined);
      for (const one of same) {
        if (one === kept) this.#recorded.add(identityOf(one));
        else this.#park(identityOf(one), one.contentHash, ["revision-conflict"]);
      }
      if (kept !== undefined && (kept.revision ?? 1) > (highest?.revision ?? 0)) highest = kept;
    }
    return highest;
  }

  #original(identity: string, contents: Map<string, UsageAccepted>, correction: UsageAccepted | undefined): readonly Fact[] {
    const [any] = contents.values();
    if (any === undefined) return [];
    const occurredMs = Date.parse(any.occurredAt.slice(0, 23) + "Z");
    const plan = planInForce(this.#workload, this.#account, occurredMs);
    if (plan === undefined) {
      for (const hash of contents.keys()) this.#park(identity, hash, ["no-rules"]);
      return [];
    }
    const priced = [...contents.values()].filter((content) => measuresUnder(plan, content) !== undefined);
    const message =
      priced.length === 1 ? priced[0] : this.#winner(identity, new Map(priced.map((one) => [one.contentHash, one])));
    // Where no plan was bound for its time at first, that stays the reason.
    const isLate = plan.id === LISTED_PLANS.id || this.#account.assignments.some(({ againMs }) => againMs !== undefined);
    for (const one of contents.values()) {
      if (one === message) continue;
      const unpriced = priced.includes(one) ? [] : isLate ? [...UNPRICED, "no-rules"] : UNPRICED;
      this.#park(identity, one.contentHash, message === undefined ? unpriced : [...unpriced, "conflict"]);
    }
    const measures = message === undefined ? undefined : measuresUnder(plan, correction ?? message);
    if (message === undefined || measures === undefined) return [];
    this.#recorded.add(identity);
    return [{ message, plan, occurredMs, measures, period: monthOf(this.#account.timeZone, occurredMs) }];
  }

  #add(key: string, period: string, { unit, amount, price }: Pick<OracleMeasure, "unit" | "amount" | "price">): void {
    const known = this.#accumulators.get(key);
    if (known === undefined) this.#accumulators.set(key, { unit, period, price, quantity: amount, weighted: NOTHING });
    else known.quantity = plus(known.quantity, amount);
  }

  #addBeside(key: string, amount: bigint): void {
    this.#beside.set(key, (this.#beside.get(key) ?? 0n) + amount);
  }

  /** What the verdict on the requests of one outcome moves. The earliest request binds rules, price and period. */
  #judge(story: readonly Fact[]): void {
    const [binding] = story.toSorted((a, b) => a.occurredMs - b.occurredMs || (a.message.id < b.message.id ? -1 : 1));
    const outcome = binding?.plan.outcome;
    if (binding === undefined || outcome === undefined) return;
    const opening = story.filter(({ message }) => outcome.types === undefined || outcome.types.includes(message.type));
    const [bound] = opening.toSorted((a, b) => a.occurredMs - b.occurredMs || (a.message.id < b.message.id ? -1 : 1));
    if (bound === undefined) return;
    const key = outcomeOf(binding.message);
    const verdict = finalVerdict(definitionOf(outcome.definition), bound.occurredMs, this.#signals(key));
    if (verdict === undefined) return;
    this.#verdicts.set(key, verdict);
    const share = rational(outcome.shares?.[verdict.verdict] ?? (verdict.verdict === "success" ? "1" : "0"));
    const price = (quantity: Rational) => outcomePrice(outcome, quantity);
    const unit = outcome.unit ?? binding.plan.currency;
    this.#add(`${outcome.id}|${unit}|${binding.period}||${binding.plan.title}`, binding.period, { unit, amount: share, price });
    this.#quality(story, binding, rational(verdict.score));
  }

  #quality(story: readonly Fact[], { plan }: Fact, score: Rational): void {
    const { quality } = plan;
    if (quality === undefined) return;
    const scaled = times(score, [BigInt(quality.scale), 1n]);
    const below = rational(quality.refund?.below ?? "0");
    const share = isLess(scaled, below) ? over(minus(below, scaled), below) : NOTHING;
    if (quality.base === "average") {
      for (const fact of story) {
        for (const measure of fact.measures) {
          const accumulator = this.#accumulators.get(accumulatorOf(fact, measure));
          if (accumulator !== undefined)
            accumulator.weighted = plus(accumulator.weighted, times(smaller(share, [1n, 1n]), measure.amount));
        }
      }
      return;
    }
    const charged = new Map<string, Rational>();
    for (const { measures } of story)
      for (const { unit, amount, price } of measures) charged.set(unit, plus(charged.get(unit) ?? NOTHING, price(amount)));
    const bonus =
      quality.bonus !== undefined && isLess(rational(quality.bonus.above), scaled) ? rational(quality.bonus.share) : NOTHING;
    for (const [unit, amount] of charged) {
      const step = atoms(quality.step ?? "0.000000001");
      const inSteps = (value: Rational) => floor(over(value, step)) * floor(step);
      this.#addBeside(`quality ${quality.id} ${unit}`, -inSteps(times(amount, bonus)) - inSteps(times(amount, share)));
    }
  }

  /** The signals of an outcome that are recorded. */
  #signals(outcome: string) {
    return [...this.#accepted("signal")].flatMap(([identity, contents]) => {
      const held: SignalAccepted | undefined =
        contents.size === 1 ? [...contents.values()][0] : contents.get(this.#arrivals.signal(this.#key, identity) ?? "");
      if (held === undefined || identityOf(held.outcome) !== outcome) return [];
      return [{ ...held, ownMs: Date.parse(held.occurredAt.slice(0, 23) + "Z") }];
    });
  }

  /** Base fee, true-up and cap of every month that has closed, with or without usage. */
  #periods(): void {
    const [first] = this.#account.assignments;
    if (first === undefined || this.#account.opensMs === undefined) return;
    const { timeZone } = this.#account;
    let month = monthOf(timeZone, first.fromMs);
    for (; monthStartMs(timeZone, following(month)) + 3_600_000 < this.#workload.endMs; month = following(month)) {
      const startMs = Math.max(first.fromMs, monthStartMs(timeZone, month));
      const plan = planInForce(this.#workload, this.#account, startMs);
      if (plan === undefined) continue;
      const { baseFee, minimum, maximum } = plan;
      let charged = 0n;
      for (const { unit, period, quantity, price } of this.#accumulators.values())
        if (period === month && unit === "USD") charged += halfEven(price(quantity));
      if (baseFee !== undefined) {
        charged += floor(atoms(baseFee.amount));
        this.#addBeside(`fee ${baseFee.id} ${month} USD`, floor(atoms(baseFee.amount)));
      }
      const short = floor(atoms(minimum?.amount ?? "0")) - charged;
      if (minimum !== undefined && short > 0n) this.#addBeside(`true-up ${minimum.id} ${month} USD`, short);
      const above = charged - floor(atoms(maximum?.amount ?? "0"));
      if (maximum !== undefined && above > 0n) this.#addBeside(`cap ${maximum.id} ${month} USD`, -above);
    }
  }

  #costs(): bigint {
    let sum = 0n;
    const highest = new Map<string, CostAccepted>();
    const known = this.#accepted("cost");
    for (const [identity, contents] of known) {
      const [cost] = contents.values();
      if (cost === undefined) continue;
      if (this.#account.opensMs === undefined) {
        this.#park(identity, cost.contentHash, ["unknown-account"]);
        continue;
      }
      this.#recorded.add(identity);
      const original = identityOf(cost.corrects ?? cost);
      if ((cost.revision ?? 0) >= (highest.get(original)?.revision ?? 0)) highest.set(original, cost);
    }
    for (const cost of highest.values()) sum += BigInt(cost.atoms);
    return sum;
  }
}

/** The plan's title stands for the version of its price terms. */
function accumulatorOf({ plan, period }: Fact, { item, unit, cell }: OracleMeasure): string {
  return `${item}|${unit}|${period}|${cell}|${plan.title}`;
}

function outcomeOf({ source, id, outcome }: UsageAccepted): string {
  return identityOf({ source, id: outcome ?? id });
}

function storiesOf(facts: readonly Fact[]): readonly (readonly Fact[])[] {
  const stories = new Map<string, Fact[]>();
  for (const fact of facts) stories.set(outcomeOf(fact.message), [...(stories.get(outcomeOf(fact.message)) ?? []), fact]);
  return [...stories.values()];
}

function qualityOf(facts: readonly Fact[], accumulator: string): string {
  const title = accumulator.split("|").at(-1);
  return facts.find(({ plan }) => plan.title === title)?.plan.quality?.id ?? "";
}

const FORMATS = new Map<string, Intl.DateTimeFormat>();

/** Year, month, day, hour, minute of a time in a zone, by the runtime's own calendar. */
function partsIn(timeZone: string, ms: number): readonly number[] {
  let format = FORMATS.get(timeZone);
  if (format === undefined) {
    format = new Intl.DateTimeFormat("en-US", {
      timeZone,
      hourCycle: "h23",
      year: "numeric",
      month: "2-digit",
      day: "2-digit",
      hour: "2-digit",
      minute: "2-digit",
    });
    FORMATS.set(timeZone, format);
  }
  const parts = new Map(format.formatToParts(ms).map(({ type, value }) => [type as string, Number(value)]));
  return ["year", "month", "day", "hour", "minute"].map((part) => parts.get(part) ?? 0);
}

function monthOf(timeZone: string, ms: number): string {
  const [year = 0, month = 0] = partsIn(timeZone, ms);
  return `${year}-${String(month).padStart(2, "0")}`;
}

function following(month: string): string {
  const [year = 0, number = 0] = month.split("-").map(Number);
  return number === 12 ? `${year + 1}-01` : `${year}-${String(number + 1).padStart(2, "0")}`;
}

/** Local midnight of the month's first day: the guess in UTC, moved by the zone's offset there. */
function monthStartMs(timeZone: string, month: string): number {
  const [year = 0, number = 1] = month.split("-").map(Number);
  const wanted = Date.UTC(year, number - 1, 1);
  let guess = wanted;
  for (let i = 0; i < 3; i++) {
    const [y = 0, m = 1, d = 1, hour = 0, minute = 0] = partsIn(timeZone, guess);
    guess += wanted - Date.UTC(y, m - 1, d, hour, minute);
  }
  return guess;
}
