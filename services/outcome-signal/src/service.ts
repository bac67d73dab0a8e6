/**
 * Outcome-signal as a service: wires the outcome decider into flow. Owns `outcome-…` streams; moves no money.
 */
import { createWorker, type ServiceSurroundings, type Worker } from "@rerate/flow";
import {
  decodeEvent,
  deliveryIdentity,
  encodeEvent,
  outcome,
  outcomeDecidedTopic,
  ownerOfKey,
  parkedNoteOf,
  streamName,
  usageRecordedTopic,
  type Answer,
  type Catalogue,
  type OutcomeContext,
  type OutcomeEvent,
  type OutcomeMessage,
  type OutcomeState,
} from "@rerate/ledger";
import { topicCodec } from "@rerate/wire";

export interface OutcomeSignalOptions extends ServiceSurroundings {
  readonly catalogue: Catalogue;
  readonly answers?: (message: OutcomeMessage, answer: Answer, awaited: boolean) => void;
}

/** The topics that outcome-signal's log publishes. */
export const outcomeSignalTopics = [outcomeDecidedTopic];

export function createOutcomeSignalService(options: OutcomeSignalOptions): Worker<OutcomeMessage> {
  const { catalogue, answers, ...surroundings } = options;
  const context: OutcomeContext = { definition: (hash) => catalogue.definition(hash) };
  return createWorker<OutcomeState, OutcomeMessage, OutcomeEvent, OutcomeContext>({
    ...surroundings,
    name: "outcome-signal",
    cache: options.cacheFor("outcome-signal"),
    decider: outcome,
    codec: { encode: encodeEvent, decode: (stored) => decodeEvent("outcome", stored) },
    prefixes: ["outcome-"],
    streamOf(message) {
      if (!("ns" in message)) throw new Error(`a ${message.kind} is decided in the stream that it fell due in`);
      return streamName("outcome", message.ns, message.account);
    },
    ownerOf: ownerOfKey,
    parkedNote: parkedNoteOf,
    inputs: [
      {
        topic: "signal.accepted",
        codec: topicCodec("signal.accepted"),
        read: (body) => body as OutcomeMessage,
        identityOf: deliveryIdentity,
      },
      {
        topic: "usage.recorded",
        codec: topicCodec("usage.recorded"),
        read: (body) => body as OutcomeMessage,
        source: usageRecordedTopic,
      },
    ],
    outputs: [{ topic: "outcome.decided", inputs: ["signal.accepted", "usage.recorded"] }],
    context: () => context,
    ...(answers === undefined ? {} : { answers }),
  });
}
