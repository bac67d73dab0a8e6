/**
 * Settlement as a service: wires the settlement decider into flow. Owns `account-…` streams; decides nothing itself.
 */
import { createWorker, type ServiceSurroundings, type Worker } from "@rerate/flow";
import {
  decodeEvent,
  deliveryIdentity,
  encodeEvent,
  ledgerEntriesTopic,
  outcomeDecidedTopic,
  ownerOfKey,
  parkedNoteOf,
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
  readonly answers?: (message: SettlementMessage, answer: Answer) => void;
}

/** The topics that settlement's log publishes. */
export const settlementTopics = [usageRecordedTopic, ledgerEntriesTopic];

export function createSettlementService(options: SettlementOptions): Worker<SettlementMessage> {
  const { catalogue, answers, ...surroundings } = options;
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
        messagesOf: outcomeDecidedTopic.messagesOf,
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
    context: () => context,
    answers(message, answer) {
      // What was parked for want of an account or a plan goes on as soon as the contract has changed.
      if (message.kind === "rules-changed") retryWaiting(message.ns, message.account);
      answers?.(message, answer);
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

  /** What a crash kept from being retried, or a worker that was behind has parked since: accounts that are open by now. */
  async function sweep(): Promise<void> {
    const waiting = await options.bus.parked.list({ service: "settlement", reason: "unknown-account", limit: 1_000 });
    const ids = waiting.filter(({ ns, account }) => (catalogue.timeline(ns, account)?.length ?? 0) > 0).map(({ id }) => id);
    if (ids.length > 0) await worker.retryParked({ ids });
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
