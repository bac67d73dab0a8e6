/**
 * The topics that are published from logs, each as a pure function of one stored event.
 *
 * Embedded engines serve them as views of the log, others are fed by flow's relay, and a consumer that misses a number reads
 * the source stream through the same function. So what a topic says never differs from what the log holds.
 */
import type { AccountEvent } from "./account-events.ts";
import { decodeEvent, type StoredText } from "./codec.ts";
import { outcomeDecidedMessages } from "./outcome.ts";
import { ledgerEntriesOf, usageRecordedOf } from "./settlement-messages.ts";
import { parseStreamName, partitionKey, shardOf, unescapePart } from "./stream-name.ts";

/** A message with the key that keeps its order and the shard that places it. */
export interface KeyedMessage {
  readonly key: string;
  readonly shard: number;
  readonly body: unknown;
}

export interface StoredPlace extends StoredText {
  readonly revision: number;
  readonly metadata: string;
}

export interface LogTopicDefinition {
  readonly topic: string;
  readonly streamPrefix: string;
  readonly messagesOf: (stored: StoredPlace) => readonly KeyedMessage[];
  /** True where a message has the shard of the stream it is published from. */
  readonly keepsShard?: boolean;
}

const NO_MESSAGES: readonly KeyedMessage[] = [];

/** The last account event that was decoded: two topics are published from each, one right after the other. */
let last: { readonly stored: StoredPlace; readonly event: AccountEvent } | undefined;

function accountEventOf(stored: StoredPlace): AccountEvent {
  if (last?.stored !== stored) last = { stored, event: decodeEvent("account", stored) };
  return last.event;
}

/** Usage facts that open or join an outcome, from settlement to outcome-signal. */
export const usageRecordedTopic: LogTopicDefinition = {
  topic: "usage.recorded",
  streamPrefix: "account-",
  keepsShard: true,
  messagesOf(stored) {
    const message = usageRecordedOf(accountEventOf(stored), stored);
    return message === undefined ? NO_MESSAGES : [keyed(message.ns, message.account, message)];
  },
};

/** The entries of each settlement event, towards the wallets that pay them. */
export const ledgerEntriesTopic: LogTopicDefinition = {
  topic: "ledger.entries",
  streamPrefix: "account-",
  messagesOf: (stored) =>
    ledgerEntriesOf(accountEventOf(stored), stored).map((message) => keyed(message.ns, message.wallet, message)),
};

/** Verdicts, from outcome-signal to settlement. */
export const outcomeDecidedTopic: LogTopicDefinition = {
  topic: "outcome.decided",
  streamPrefix: "outcome-",
  keepsShard: true,
  messagesOf: (stored) => outcomeDecidedMessages(decodeEvent("outcome", stored), stored),
};

/** A hint that an account's contract stream has grown. */
export const contractChangedTopic: LogTopicDefinition = {
  topic: "contract.changed",
  streamPrefix: "contract-",
  keepsShard: true,
  messagesOf(stored) {
    const { ns, name } = parseStreamName(stored.stream);
    return [keyed(ns, name, { ns, account: name, sourceRevision: stored.revision })];
  },
};

/** Every topic that is published from a log. */
export const LOG_TOPICS: readonly LogTopicDefinition[] = [
  usageRecordedTopic,
  ledgerEntriesTopic,
  outcomeDecidedTopic,
  contractChangedTopic,
];

/**
 * Namespace and account of a message's key. What comes under a key that no service made is nobody's: it is filed in the default
 * namespace, where an operator sees it.
 */
export function ownerOfKey(key: string): { readonly ns: string; readonly account: string } {
  const [ns = "", account = ""] = key.split(".").map(unescapePart);
  return ns !== "" && account !== "" && key === partitionKey(ns, account) ? { ns, account } : NOBODY;
}

const NOBODY = { ns: "default", account: "" };

function keyed(ns: string, name: string, body: object): KeyedMessage {
  return { key: partitionKey(ns, name), shard: shardOf(ns, name), body };
}
