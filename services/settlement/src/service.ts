/**
 * Settlement as a service: wires the settlement decider into flow. Owns `account-…` streams; decides nothing itself.
 */
import { createWorker, Outage, type ServiceSurroundings, type Worker } from "@rerate/flow";
import {
  decodeEvent,
  deliveryIdentity,
  encodeEvent,
  ledgerEntriesTopic,
  outcomeDecidedTopic,
  ownerOfKey,
  parkedNoteOf,
  partitionKey,
  settlement,
  streamName,
  usageRecordedTopic,
  type AccountEvent,
  type AccountState,
  type Answer,
  type Catalogue,
  type SettlementContext,
  type SettlementMessage,
} from "@rerate/ledger";
import { topicCodec } from "@rerate/wire";

export interface SettlementOptions extends ServiceSurroundings {
  /** Kept current by whoever composes the service; read-only here. */
  readonly catalogue: Catalogue;
  /** True while the catalogue lags by an unknown time: then nothing is decided, since newer rules may be in force. */
  readonly catalogueLags?: () => boolean;
  readonly answers?: (message: SettlementMessage, answer: Answer, awaited: boolean) => void;
}

/** The topics that settlement's log publishes. */
export const settlementTopics = [usageRecordedTopic, ledgerEntriesTopic];

export function createSettlementService(options: SettlementOptions): Worker<SettlementMessage> {
  const { catalogue, catalogueLags, answers, ...surroundings } = options;
  const context: SettlementContext = {
    timeline: (ns, account) => catalogue.timeline(ns, account),
    contractRevision: (ns, account) => catalogue.contract(ns, account)?.revision,
    plan: (hash, lists) => catalogue.plan(hash, lists),
  };
  const worker = createWorker<AccountState, SettlementMessage, AccountEvent, SettlementContext>({
    ...surroundings,
    name: "settlement",
    cache: options.cacheFor("settlement"),
    decider: settlement,
    codec: { encode: encodeEvent, decode: (stored) => decodeEvent("account", stored) },
    prefixes: ["account-"],
    streamOf(message) {
      if (!("ns" in message)) throw new Error(`a ${message.kind} is decided in the stream that it fell due in`);
      return streamName("account", message.ns, message.account);
    },
    ownerOf: ownerOfKey,
    parkedNote: parkedNoteOf,
    inputs: [
      {
        topic: "usage.accepted",
        codec: topicCodec("usage.accepted"),
        read: (body) => body as SettlementMessage,
        identityOf: deliveryIdentity,
      },
      {
        topic: "outcome.decided",
        codec: topicCodec("outcome.decided"),
        read: (body) => body as SettlementMessage,
        source: outcomeDecidedTopic,
      },
      {
        topic: "contract.changed",
        isHint: true,
        codec: topicCodec("contract.changed"),
        read: (body) => ({
          ...(body as Omit<Extract<SettlementMessage, { kind: "rules-changed" }>, "kind">),
          kind: "rules-changed",
        }),
      },
    ],
    outputs: [
      { topic: "usage.recorded", inputs: ["usage.accepted"] },
      { topic: "ledger.entries", inputs: ["usage.accepted", "outcome.decided"] },
    ],
    context() {
      if (catalogueLags?.() === true) throw new Outage("the view of the catalogue lags: it cannot be read at the moment");
      return context;
    },
    answers(message, answer, awaited) {
      // What was parked for want of an account or a plan goes on as soon as the contract has changed.
      if (message.kind === "rules-changed") retryWaiting(message.ns, message.account);
      answers?.(message, answer, awaited);
    },
  });
  function retryWaiting(ns: string, account: string): void {
    for (const reason of ["unknown-account", "no-rules"]) {
      retryAll({ ns, account, reason }).catch((error: unknown) => {
        options.log.warn({ ns, account, reason, err: error }, "parked facts could not be retried; they stay parked");
      });
    }
  }

  /** Page by page, as long as something is mended. */
  async function retryAll(which: { readonly ns: string; readonly account: string; readonly reason: string }): Promise<void> {
    for (let mended = 1; mended > 0;) ({ mended } = await worker.retryParked(which));
  }

  /** The timelines under which parked facts were tried last, by account. */
  const tried = new Map<string, ReturnType<Catalogue["timeline"]>>();

  /**
   * Tries again what waits for rules: facts of accounts that are open by now (a crash may have kept them from being retried), and
   * facts without a price whose account's rules have changed.
   */
  async function sweep(): Promise<void> {
    const keys = new Map<string, string>();
    const changed = new Map<string, ReturnType<Catalogue["timeline"]>>();
    for (const reason of MENDED_BY_RULES) {
      for (const { id, ns, account } of await options.bus.parked.list({ service: "settlement", reason, limit: 1_000 })) {
        const timeline = catalogue.timeline(ns, account);
        if (timeline === undefined || timeline.length === 0) continue;
        const key = partitionKey(ns, account);
        if (reason !== "unknown-account" && tried.get(key) === timeline) continue;
        changed.set(key, timeline);
        keys.set(id, key);
      }
    }
    if (keys.size === 0) return;
    const { left = [] } = await worker.retryParked({ ids: [...keys.keys()] });
    // Whose account is another process's now may be ours tomorrow.
    for (const id of left) changed.delete(keys.get(id) ?? "");
    if (tried.size > MOST_TRIED) tried.clear();
    for (const [key, timeline] of changed) tried.set(key, timeline);
  }

  let stopped = false;
  function sweepAgain(delayMs: number): void {
    options.defer(() => {
      if (stopped) return;
      sweep()
        .catch((error: unknown) => options.log.warn({ err: error }, "parked facts could not be swept; they are tried again"))
        .finally(() => sweepAgain(SWEEP_EVERY_MS));
    }, delayMs);
  }

  return {
    ...worker,
    async start() {
      await worker.start();
      sweepAgain(0);
    },
    stop() {
      stopped = true;
      return worker.stop();
    },
  };
}

const SWEEP_EVERY_MS = 60_000;
const MENDED_BY_RULES = ["unknown-account", "no-rules", "missing-price", "unknown-model", "no-charge-item"];
const MOST_TRIED = 10_000;
