/**
 * A whole ledger on the event store in memory, for tests: the live deciders, joined without a bus, sealed as writers seal.
 */
import { chainHash, createMemoryEventStore, FIRST_LINK, type LocalEventStore } from "@rerate/event-store";
import { hash } from "node:crypto";
import { instant, type Instant } from "@rerate/money";
import {
  createCatalogue,
  documentHash,
  encodeEvent,
  ledgerEntriesOf,
  outcome,
  outcomeDecidedMessages,
  settlement,
  streamName,
  usageRecordedOf,
  wallet,
  type AccountEvent,
  type AccountState,
  type ContractEvent,
  type Decider,
  type Decision,
  type DocumentEvent,
  type DomainEvent,
  type FactMessage,
  type GrantCredits,
  type OutcomeEvent,
  type OutcomeMessage,
  type OutcomeState,
  type SettlementMessage,
  type SignalAccepted,
  type UsageAccepted,
  type WalletEvent,
  type WalletMessage,
  type WalletState,
} from "@rerate/ledger";
import { createKeyIndex } from "../key-index.ts";

export interface SmallLedger {
  readonly eventStore: LocalEventStore;
  publish(kind: "plan" | "outcome-definition" | "price-list", id: string, document: object): Promise<string>;
  open(account: string, planId: string, payingWallet?: string): Promise<void>;
  /** A fact or signal of an account, or a grant: decided, recorded, and passed on to whom it concerns. */
  deliver(message: FactMessage | SignalAccepted | GrantCredits, at: string): Promise<void>;
  /** Fires every deadline that is due. */
  fire(at: string): Promise<void>;
}

interface Live<State, Message, Event extends DomainEvent> {
  readonly deliver: (message: Message, at: Instant) => Promise<void>;
  readonly state: () => State;
  readonly events: readonly Event[];
}

export async function smallLedger(): Promise<SmallLedger> {
  const eventStore = createMemoryEventStore();
  const catalogue = createCatalogue();
  const heads = new Map<string, { revision: number; link: string; at: string }>();
  const streams = new Map<string, Live<unknown, never, DomainEvent>>();

  async function append(stream: string, events: readonly DomainEvent[], at: Instant): Promise<number> {
    const head = heads.get(stream) ?? { revision: -1, link: FIRST_LINK, at: "" };
    const expectedRevision = head.revision;
    const sealed = events.map((event) => {
      const { type, data } = encodeEvent(event);
      const metadata = `{"at":"${at}","prev":"${head.link}"}`;
      head.revision += 1;
      head.link = chainHash(stream, head.revision, type, data, metadata);
      return { type, data, metadata };
    });
    heads.set(stream, head);
    const [result] = await eventStore.append([{ stream, expectedRevision, events: sealed }]);
    if (result?.kind !== "committed") throw new Error(`${stream}: ${JSON.stringify(result)}`);
    return head.revision;
  }

  function live<State, Message, Event extends DomainEvent, Context>(
    decider: Decider<State, Message, Event, Context>,
    stream: string,
    context: Context,
    route: (event: Event, revision: number, at: Instant) => Promise<void>,
  ): Live<State, Message, Event> {
    const known = streams.get(stream);
    if (known !== undefined) return known as unknown as Live<State, Message, Event>;
    const events: Event[] = [];
    const index = createKeyIndex<Event>(decider);
    let state = decider.initial(stream);
    async function deliver(message: Message, at: Instant): Promise<void> {
      const first = events.length;
      const history = index.history((revision) => events[revision]);
      const decision: Decision<Event> = decider.decide(state, message, context, history, { revision: first, recordedAt: at });
      if (decision.kind === "gap" || decision.kind === "wait") throw new Error(`${stream}: ${JSON.stringify(decision)}`);
      if (decision.kind === "skip" || decision.events.length === 0) return;
      for (const event of decision.events) {
        const revision = events.push(event) - 1;
        state = decider.evolve(state, event, { revision, recordedAt: at });
        index.add(event, revision);
      }
      await append(stream, decision.events, at);
      for (const [i, event] of decision.events.entries()) await route(event, first + i, at);
    }
    const made: Live<State, Message, Event> = { deliver, state: () => state, events };
    streams.set(stream, made);
    return made;
  }

  const context = {
    timeline: catalogue.timeline,
    contractRevision: (ns: string, account: string) => catalogue.contract(ns, account)?.revision,
    plan: catalogue.plan,
  };

  function account(name: string): Live<AccountState, SettlementMessage, AccountEvent> {
    const stream = streamName("account", "default", name);
    return live(settlement, stream, context, async (event, revision, at) => {
      const usage = usageRecordedOf(event, { stream, revision });
      if (usage !== undefined) await outcomes(name).deliver(usage, at);
      for (const message of ledgerEntriesOf(event, { stream, revision })) await walletOf(message.wallet).deliver(message, at);
    });
  }

  function outcomes(name: string): Live<OutcomeState, OutcomeMessage, OutcomeEvent> {
    const stream = streamName("outcome", "default", name);
    return live(outcome, stream, { definition: catalogue.definition }, async (event, revision, at) => {
      for (const { body } of outcomeDecidedMessages(event, { stream, revision })) await account(name).deliver(body, at);
    });
  }

  function walletOf(name: string): Live<WalletState, WalletMessage, WalletEvent> {
    return live(wallet, streamName("wallet", "default", name), undefined, async () => undefined);
  }

  async function record(stream: string, event: DocumentEvent | ContractEvent): Promise<void> {
    const revision = await append(stream, [event], START);
    catalogue.apply(stream, revision, START, event);
  }

  return {
    eventStore,
    async publish(kind, id, document) {
      const named = documentHash(document);
      const data = { kind, id, hash: named, effectiveFrom: START, document };
      await record(streamName("document", "default", `${kind}:${id}`), { type: "DocumentPublished", data });
      return named;
    },
    async open(name, planId, payingWallet = name) {
      const stream = streamName("contract", "default", name);
      const opened = { account: name, timeZone: "UTC", currency: "USD", wallet: payingWallet };
      await record(stream, { type: "AccountOpened", data: opened });
      await record(stream, { type: "PlanAssigned", data: { planId, from: START } });
      await account(name).deliver({ kind: "rules-changed", ns: "default", account: name, sourceRevision: 1 }, START);
    },
    async deliver(message, at) {
      const time = instant(at);
      if (message.kind === "grant") await walletOf(message.wallet).deliver(message, time);
      else if (message.kind === "signal") await outcomes(message.account).deliver(message, time);
      else await account(message.account).deliver(message, time);
      if (message.kind === "import") await outcomes(message.account).deliver(message, time);
    },
    async fire(at) {
      const time = instant(at);
      for (const [stream] of streams) {
        const { decider, state, deliver } = opened(stream);
        for (const due of [...decider.deadlines(state() as never)].filter(({ dueAt }) => dueAt <= time))
          await deliver(due.message as never, time);
      }
    },
  };

  function opened(stream: string) {
    const decider = stream.startsWith("account-") ? settlement : stream.startsWith("outcome-") ? outcome : wallet;
    const made = streams.get(stream);
    if (made === undefined) throw new Error(`${stream} is not open`);
    return { decider, ...made };
  }
}

export const START = instant("2026-01-01T00:00:00Z");

export function usage(account: string, id: string, fields: Partial<UsageAccepted> = {}): UsageAccepted {
  const content = { quantities: { input_tokens: "1000", output_tokens: "500" }, dimensions: {}, ...fields };
  return {
    kind: "usage",
    ns: "default",
    account,
    source: "app",
    id,
    type: "llm.completion",
    occurredAt: instant("2026-01-10T00:00:00Z"),
    receivedAt: instant("2026-01-10T00:00:01Z"),
    contentHash: `1:${hash("sha256", JSON.stringify(content), "base64url")}`,
    ...content,
  };
}

export function signal(account: string, id: string, about: string, name: string, at: string): SignalAccepted {
  const time = instant(at);
  const contentHash = `1:${hash("sha256", `${id} ${about} ${name}`, "base64url")}`;
  return {
    kind: "signal",
    ns: "default",
    account,
    source: "app",
    id,
    outcome: { source: "app", id: about },
    signal: name,
    occurredAt: time,
    receivedAt: time,
    contentHash,
  };
}

export function grant(name: string, id: string, atoms: string): GrantCredits {
  return {
    kind: "grant",
    ns: "default",
    wallet: name,
    id,
    unit: "USD",
    atoms,
    source: "purchase",
    priority: 100,
    effectiveAt: START,
    contentHash: `1:${hash("sha256", `${id} ${atoms}`, "base64url")}`,
    receivedAt: START,
  };
}

export const TOKEN_PLAN = {
  kind: "plan",
  id: "tokens",
  title: "Tokens with a fee, and money back for poor answers",
  currency: "USD",
  baseFee: { id: "fee", amount: "5" },
  items: [{ id: "chat", model: "tokens", when: { types: ["llm.completion"] }, prices: { input: "10", output: "30" } }],
  outcome: { id: "answer", definition: "task", types: ["llm.completion"], price: "0" },
  quality: { id: "quality", base: "marginal", scale: 1, refund: { below: "0.5", share: "0.5" } },
};

export const DEFINITION = {
  kind: "outcome-definition",
  id: "task",
  title: "Resolved or not",
  signals: { resolved: { weight: "1", explicit: true }, unresolved: { weight: "-1", explicit: true } },
  timeout: "PT24H",
  onTimeout: { use: "fixed", score: "0", verdict: "failure" },
  thresholds: { success: "0.7", partial: "0.3" },
  reversalWindow: "P30D",
  reversal: ["resolved", "unresolved"],
  explicitDecides: "last",
};

/** An account with usage, a correction, verdicts, a cost, a fee, and a wallet that pays a part. */
export async function sampleHistory(): Promise<SmallLedger> {
  const ledger = await smallLedger();
  await ledger.publish("outcome-definition", "task", DEFINITION);
  await ledger.publish("plan", "tokens", TOKEN_PLAN);
  await ledger.open("acme", "tokens");
  await ledger.open("beta", "tokens", "acme");
  await ledger.deliver(grant("acme", "g1", "30000000"), "2026-01-02T00:00:00Z");
  for (let n = 1; n <= 5; n++) await ledger.deliver(usage("acme", `r${n}`), `2026-01-10T00:00:0${n}Z`);
  await ledger.deliver(usage("beta", "b1"), "2026-01-10T00:00:06Z");
  await ledger.deliver(signal("acme", "s1", "r1", "unresolved", "2026-01-10T01:00:00Z"), "2026-01-10T01:00:00Z");
  await ledger.deliver(signal("acme", "s2", "r2", "resolved", "2026-01-10T01:00:00Z"), "2026-01-10T01:00:01Z");
  const correction = {
    corrects: { source: "app", id: "r3" },
    revision: 1,
    quantities: { input_tokens: "400", output_tokens: "100" },
  };
  await ledger.deliver(usage("acme", "c3", correction), "2026-01-11T00:00:00Z");
  await ledger.deliver({ ...cost("acme", "k1"), about: { source: "app", id: "r1" } }, "2026-01-11T00:00:01Z");
  await ledger.fire("2026-01-12T00:00:00Z");
  await ledger.fire("2026-02-05T00:00:00Z");
  return ledger;
}

export function cost(account: string, id: string): Extract<FactMessage, { readonly kind: "cost" }> {
  const time = instant("2026-01-10T00:00:00Z");
  const contentHash = `1:${hash("sha256", id, "base64url")}`;
  return {
    kind: "cost",
    ns: "default",
    account,
    source: "bill",
    id,
    occurredAt: time,
    receivedAt: time,
    contentHash,
    unit: "USD",
    atoms: "812000",
    text: "0.000812",
  };
}
