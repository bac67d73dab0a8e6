/**
 * Wallet as a service: wires the wallet decider into flow. Owns `wallet-…` streams; sets no price.
 */
import { createWorker, type ServiceSurroundings, type Worker } from "@rerate/flow";
import {
  decodeEvent,
  deliveryIdentity,
  encodeEvent,
  ledgerEntriesTopic,
  ownerOfKey,
  parkedNoteOf,
  streamName,
  wallet,
  type Answer,
  type WalletEvent,
  type WalletMessage,
  type WalletState,
} from "@rerate/ledger";
import { topicCodec } from "@rerate/wire";

export interface WalletOptions extends ServiceSurroundings {
  readonly answers?: (message: WalletMessage, answer: Answer, awaited: boolean) => void;
}

export function createWalletService(options: WalletOptions): Worker<WalletMessage> {
  const { answers, ...surroundings } = options;
  return createWorker<WalletState, WalletMessage, WalletEvent, undefined>({
    ...surroundings,
    name: "wallet",
    cache: options.cacheFor("wallet"),
    decider: wallet,
    codec: { encode: encodeEvent, decode: (stored) => decodeEvent("wallet", stored) },
    prefixes: ["wallet-"],
    streamOf(message) {
      if (!("ns" in message)) throw new Error(`a ${message.kind} is decided in the stream that it fell due in`);
      return streamName("wallet", message.ns, message.wallet);
    },
    ownerOf: ownerOfKey,
    parkedNote: parkedNoteOf,
    inputs: [
      {
        topic: "wallet.requested",
        codec: topicCodec("wallet.requested"),
        read: (body) => body as WalletMessage,
        identityOf: deliveryIdentity,
      },
      {
        topic: "ledger.entries",
        codec: topicCodec("ledger.entries"),
        read: (body) => body as WalletMessage,
        source: ledgerEntriesTopic,
      },
    ],
    context: () => undefined,
    ...(answers === undefined ? {} : { answers }),
  });
}
