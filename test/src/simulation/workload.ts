/**
 * What happens in one simulated quarter, from a seed: facts and commands, and when a door sends them.
 *
 * Owns no faults and no expectations. The same seed gives the same workload, whatever goes wrong while it is carried out.
 * What is sent once here may still arrive several times; what is listed twice is a client's own repetition.
 */
import { hash } from "node:crypto";
import type { CostAccepted, Identity, ImportCommand, SignalAccepted, UsageAccepted, WalletCommand } from "@rerate/ledger";
import { fromMilliseconds, type Instant } from "@rerate/money";
import type { SeededRandom } from "@rerate/testkit";
import { accountsOf, DAY, HOUR, listsOf, planInForce, START, type Rules, type SimAccount } from "./accounts.ts";
import { definitionOf, LISTED_PLANS } from "./plan-pool.ts";

/** When the last burst is over, the clock goes on this far: every timeout passes, and every period of the workload closes. */
export const AFTERMATH = 40 * DAY;

export type SentBody = UsageAccepted | CostAccepted | ImportCommand | SignalAccepted | WalletCommand;

export interface Send {
  readonly atMs: number;
  readonly topic: "usage.accepted" | "signal.accepted" | "wallet.requested";
  readonly ns: string;
  /** Account or wallet: what the message is keyed by. */
  readonly name: string;
  readonly body: SentBody;
}

export interface Workload extends Rules {
  readonly accounts: readonly SimAccount[];
  /** Times at which something happens, about a week apart. */
  readonly bursts: readonly number[];
  readonly sends: readonly Send[];
  readonly endMs: number;
}

export function workloadOf(random: SeededRandom): Workload {
  const bursts = burstsOf(random);
  const lastMs = bursts.at(-1) ?? START;
  const laterVersion = random.chance(0.5)
    ? { publishedMs: START + 20 * DAY, fromMs: START + random.integer(30, 60) * DAY }
    : undefined;
  const accounts = accountsOf(random, lastMs);
  const lists = listsOf(random);
  const writer = new Writer(random, bursts, accounts, { laterVersion, lists });
  const facts = random.integer(24, 44);
  for (let i = 0; i < facts; i++) writer.usage();
  for (let i = random.integer(0, 4); i > 0; i--) writer.cost();
  for (let i = random.integer(2, 7); i > 0; i--) writer.grant();
  for (let i = random.integer(0, 2); i > 0; i--) writer.importing();
  return { accounts, laterVersion, lists, bursts, sends: writer.inOrder(), endMs: awayFromMonthEnds(lastMs + AFTERMATH) };
}

/** So that which periods have closed by the end depends on no hour and no time zone. */
function awayFromMonthEnds(ms: number): number {
  let at = ms;
  while (new Date(at).getUTCDate() < 3 || new Date(at).getUTCDate() > 27) at += DAY;
  return at;
}

function burstsOf(random: SeededRandom): number[] {
  const bursts: number[] = [];
  for (let at = START + random.integer(1, 5) * DAY; at < START + 90 * DAY; at += random.integer(20, 300) * HOUR) bursts.push(at);
  return bursts;
}

interface Written {
  readonly account: SimAccount;
  readonly identity: Identity;
  readonly occurredMs: number;
  readonly outcome: string | undefined;
}

/** Writes facts and what follows from them, each with the burst that sends it. */
class Writer {
  readonly #random: SeededRandom;
  readonly #bursts: readonly number[];
  readonly #accounts: readonly SimAccount[];
  readonly #rules: Rules;
  readonly #sends: Send[] = [];
  #written: Written[] = [];
  #grants = 0;
  #counter = 0;

  constructor(random: SeededRandom, bursts: readonly number[], accounts: readonly SimAccount[], rules: Rules) {
    this.#random = random;
    this.#bursts = bursts;
    this.#accounts = accounts;
    this.#rules = rules;
  }

  inOrder(): Send[] {
    return this.#sends.toSorted((a, b) => a.atMs - b.atMs);
  }

  /** A usage fact with what belongs to it: repetitions, conflicts, corrections in any order, signals. */
  usage(): void {
    const random = this.#random;
    const account = random.pick(this.#accounts);
    const burst = random.integer(0, this.#bursts.length - 1);
    const sentMs = this.#within(burst);
    const before = random.weighted({ now: 8, late: 2 }) === "now" ? random.integer(0, 20 * HOUR) : random.integer(1, 45 * DAY);
    const occurredMs = Math.max(START - 6 * DAY, sentMs - before);
    const sibling = this.#sibling(account, occurredMs);
    const identity = { source: sibling?.identity.source ?? random.pick(["app", "batch"]), id: `u${this.#next()}` };
    const outcome = sibling?.outcome ?? (random.chance(0.15) ? `o${this.#next()}` : undefined);
    // What a list does not price yet is asked of it often.
    const isListed = planInForce(this.#rules, account, occurredMs)?.id === LISTED_PLANS.id;
    const complete = random.chance(isListed ? 0.7 : 0.93);
    const fact = { account, identity, occurredMs, outcome };
    const body = this.#usageBody(fact, this.#content(complete), {});
    this.#send("usage.accepted", sentMs, account, body);
    this.#written.push(fact);
    if (random.chance(0.3)) this.#send("usage.accepted", this.#atOrAfter(sentMs), account, body);
    if (random.chance(0.08))
      this.#send("usage.accepted", this.#atOrAfter(sentMs - DAY), account, this.#usageBody(fact, this.#content(complete), {}));
    if (random.chance(0.1)) this.#sameElsewhere(fact);
    if (complete && random.chance(0.35)) this.#corrections(fact, sentMs);
    if (random.chance(0.75)) this.#signals(fact);
  }

  /** A cost, sometimes corrected, sometimes about a fact. */
  cost(): void {
    const random = this.#random;
    const account = random.pick(this.#accounts);
    const sentMs = this.#within(random.integer(0, this.#bursts.length - 1));
    const identity = { source: "costs", id: `k${this.#next()}` };
    const occurredAt = fromMilliseconds(sentMs - random.integer(0, 30 * HOUR));
    const bodyOf = (
      atoms: number,
      correction: { readonly corrects?: Identity; readonly revision?: number },
      self: Identity,
    ): CostAccepted => {
      const about = this.#written.find((fact) => fact.account === account)?.identity;
      const fields = {
        ...self,
        occurredAt,
        unit: "USD",
        atoms: String(atoms),
        text: `${atoms} atoms`,
        ...correction,
        ...(about === undefined ? {} : { about }),
      };
      return {
        kind: "cost",
        ns: account.ns,
        account: account.account,
        ...fields,
        receivedAt: fromMilliseconds(sentMs),
        contentHash: hashOf(fields),
      };
    };
    this.#send("usage.accepted", sentMs, account, bodyOf(random.integer(1, 5_000_000), {}, identity));
    for (let revision = 1; random.chance(0.5) && revision <= 3; revision++) {
      const body = bodyOf(
        random.integer(0, 5_000_000),
        { corrects: identity, revision },
        { source: "costs", id: `k${this.#next()}` },
      );
      this.#send("usage.accepted", this.#atOrAfter(sentMs - 10 * DAY), account, body);
    }
  }

  /** A grant, now or ahead of its time, with or without expiry; sometimes voided weeks later. */
  grant(): void {
    const random = this.#random;
    const account = random.pick(this.#accounts);
    const { ns, wallet } = account;
    this.#grants += 1;
    const id = `g${this.#grants}`;
    const sentMs = this.#within(random.integer(0, this.#bursts.length - 1));
    const effectiveMs = random.chance(0.8) ? sentMs - HOUR : sentMs + random.integer(1, 20) * DAY;
    const unit = random.pick(["USD", "USD", "credits"]);
    const fields = {
      id,
      unit,
      atoms: String(BigInt(random.integer(1, 90)) * 100_000_000n),
      source: random.pick(["purchase", "promotion"] as const),
      priority: random.pick([50, 100, 100]),
      effectiveAt: fromMilliseconds(effectiveMs),
      ...(random.chance(0.5) ? { expiresAt: fromMilliseconds(effectiveMs + random.integer(1, 40) * DAY) } : {}),
    };
    const grant = {
      kind: "grant",
      ns,
      wallet,
      ...fields,
      contentHash: hashOf(fields),
      receivedAt: fromMilliseconds(sentMs),
    } as const;
    this.#sendToWallet(sentMs, account, grant);
    if (random.chance(0.3)) this.#sendToWallet(this.#atOrAfter(sentMs), account, grant);
    if (!random.chance(0.25)) return;
    const voidMs = this.#atOrAfter(sentMs + 3 * DAY);
    const fieldsOfVoid = { id: `v${this.#grants}`, grant: id };
    if (voidMs > sentMs + 2 * DAY)
      this.#sendToWallet(voidMs, account, {
        kind: "void-grant",
        ns,
        wallet,
        ...fieldsOfVoid,
        contentHash: hashOf(fieldsOfVoid),
        receivedAt: fromMilliseconds(voidMs),
      });
  }

  /** An import that holds an account's deadlines until it ends, or is forgotten and expires. In the end it changes nothing. */
  importing(): void {
    const random = this.#random;
    const account = random.pick(this.#accounts);
    const sentMs = this.#within(random.integer(0, this.#bursts.length - 1));
    const command = {
      kind: "import",
      ns: account.ns,
      account: account.account,
      source: "history",
      id: `i${this.#next()}`,
      expiresAt: fromMilliseconds(sentMs + random.integer(1, 9) * DAY),
      receivedAt: fromMilliseconds(sentMs),
    } as const;
    const ends = random.chance(0.7);
    for (const topic of ["usage.accepted", "signal.accepted"] as const) {
      this.#send(topic, sentMs, account, { ...command, phase: "started" });
      if (ends) this.#send(topic, this.#atOrAfter(sentMs), account, { ...command, phase: "ended" });
    }
  }

  #next(): number {
    this.#counter += 1;
    return this.#counter;
  }

  /** A time within a burst. */
  #within(burst: number): number {
    return (this.#bursts[burst] ?? START) + this.#random.integer(0, 3_000);
  }

  /** A time in the first burst from `ms` on, or in one after it. */
  #atOrAfter(ms: number): number {
    const first = this.#bursts.findIndex((at) => at >= ms);
    const from = first < 0 ? this.#bursts.length - 1 : first;
    return Math.max(
      this.#within(Math.min(this.#bursts.length - 1, from + this.#random.integer(0, 2))),
      Math.min(ms, this.#bursts.at(-1) ?? ms),
    );
  }

  #content(complete: boolean): Pick<UsageAccepted, "type" | "model" | "quantities"> {
    const random = this.#random;
    const input = random.integer(0, 4_000);
    const quantities: Record<string, string> = {
      input_tokens: String(input),
      cached_input_tokens: String(random.integer(0, input)),
      output_tokens: String(random.integer(0, 2_000)),
      pages: random.pick(["0", "0.5", "1", "1", "2", "3.25", "0.000000001", "6"]),
    };
    if (!complete) delete quantities[random.pick(["pages", "pages", "input_tokens"])];
    const model = complete || random.chance(0.5) ? random.pick(["small", "large"]) : "unheard-of";
    return { type: random.pick(["chat", "chat", "chat", "embedding"]), model, quantities };
  }

  /** A fact of the same hours that shares its outcome: several requests, one result. */
  #sibling(account: SimAccount, occurredMs: number): Written | undefined {
    if (!this.#random.chance(0.5)) return undefined;
    const plan = planInForce(this.#rules, account, occurredMs);
    return this.#written.find(
      (fact) =>
        fact.account === account &&
        fact.outcome !== undefined &&
        Math.abs(fact.occurredMs - occurredMs) < 20 * DAY &&
        planInForce(this.#rules, account, fact.occurredMs) === plan,
    );
  }

  #usageBody(
    { account, identity, occurredMs, outcome }: Written,
    content: Pick<UsageAccepted, "type" | "model" | "quantities">,
    correction: { readonly self?: Identity; readonly corrects?: Identity; readonly revision?: number },
  ): UsageAccepted {
    const { self = identity, ...rest } = correction;
    const occurredAt = fromMilliseconds(occurredMs);
    const fields = { ...self, occurredAt, ...content, ...(outcome === undefined ? {} : { outcome }), ...rest };
    return {
      kind: "usage",
      ns: account.ns,
      account: account.account,
      ...fields,
      dimensions: {},
      receivedAt: occurredAt,
      contentHash: hashOf(fields),
    };
  }

  /** The same source and id under another account: another fact. */
  #sameElsewhere(fact: Written): void {
    const other = this.#random.pick(this.#accounts);
    if (other === fact.account) return;
    const elsewhere = { ...fact, account: other, outcome: undefined };
    this.#send("usage.accepted", this.#atOrAfter(fact.occurredMs), other, this.#usageBody(elsewhere, this.#content(true), {}));
  }

  /** Revisions in any order, before or after the original; sometimes two of one number, sometimes down to nothing. */
  #corrections(fact: Written, sentMs: number): void {
    const random = this.#random;
    const revisions = random.integer(1, 3);
    for (let revision = 1; revision <= revisions; revision++) {
      for (let copies = random.chance(0.12) ? 2 : 1; copies > 0; copies--) {
        const content = random.chance(0.2) ? VOIDED : this.#content(true);
        const self = { source: fact.identity.source, id: `c${this.#next()}` };
        const body = this.#usageBody(fact, content, { self, corrects: fact.identity, revision });
        const atMs = this.#atOrAfter(Math.max(fact.occurredMs, sentMs - random.integer(0, 20) * DAY));
        this.#send("usage.accepted", atMs, fact.account, body);
        if (random.chance(0.2)) this.#send("usage.accepted", this.#atOrAfter(atMs), fact.account, body);
      }
    }
  }

  /** Signals with times of their own: early, late, in any order, after the timeout, beyond the window. */
  #signals(fact: Written): void {
    const random = this.#random;
    const plan = planInForce(this.#rules, fact.account, fact.occurredMs);
    const kinds =
      plan?.outcome === undefined || random.chance(0.05)
        ? ["accept", "edit"]
        : Object.keys(definitionOf(plan.outcome.definition).signals);
    const outcome = { source: fact.identity.source, id: fact.outcome ?? fact.identity.id };
    for (let count = random.integer(1, 4); count > 0; count--) {
      const after = random.weighted({ soon: 6, later: 3, muchLater: 1 });
      const ownMs = fact.occurredMs + random.integer(0, after === "soon" ? 20 * HOUR : after === "later" ? 4 * DAY : 42 * DAY);
      if (ownMs > (this.#bursts.at(-1) ?? 0)) continue;
      const body = this.#signalBody(fact, outcome, { source: "ui", id: `s${this.#next()}` }, random.pick(kinds), ownMs);
      const atMs = this.#atOrAfter(ownMs);
      this.#send("signal.accepted", atMs, fact.account, body);
      if (random.chance(0.25)) this.#send("signal.accepted", this.#atOrAfter(atMs), fact.account, body);
      if (random.chance(0.05))
        this.#send(
          "signal.accepted",
          this.#atOrAfter(ownMs),
          fact.account,
          this.#signalBody(fact, outcome, body, random.pick(kinds), ownMs + 1),
        );
    }
  }

  #signalBody({ account }: Written, outcome: Identity, { source, id }: Identity, signal: string, ownMs: number): SignalAccepted {
    const random = this.#random;
    const occurredAt: Instant = fromMilliseconds(ownMs);
    const fields = {
      source,
      id,
      outcome,
      signal,
      ...(signal === "quality" ? { value: String(random.pick([0, 12, 20, 30, 39, 40, 77, 90, 91, 100])) } : {}),
      ...(signal !== "quality" && random.chance(0.4) ? { confidence: random.pick(["0", "0.5", "0.333", "1"]) } : {}),
      occurredAt,
    };
    return {
      kind: "signal",
      ns: account.ns,
      account: account.account,
      ...fields,
      receivedAt: occurredAt,
      contentHash: hashOf(fields),
    };
  }

  #send(topic: "usage.accepted" | "signal.accepted", atMs: number, { ns, account }: SimAccount, body: SentBody): void {
    this.#sends.push({ atMs, topic, ns, name: account, body });
  }

  #sendToWallet(atMs: number, { ns, wallet }: SimAccount, body: WalletCommand): void {
    this.#sends.push({ atMs, topic: "wallet.requested", ns, name: wallet, body });
  }
}

/** A correction to nothing. */
const VOIDED: Pick<UsageAccepted, "type" | "model" | "quantities"> = {
  type: "chat",
  model: "small",
  quantities: { input_tokens: "0", cached_input_tokens: "0", output_tokens: "0", pages: "0", requests: "0" },
};

function hashOf(fields: object): string {
  return `1:${hash("sha256", JSON.stringify(fields), "base64url")}`;
}
