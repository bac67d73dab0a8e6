/**
 * The answers that doors wait for, between processes: owners publish what they decided about awaited messages, and every process
 * with a door hears it. Hints without guarantees: an answer that is lost leaves its request at "pending".
 */
import type { Defer, Log } from "@rerate/flow";
import type { AwaitAnswer } from "@rerate/http";
import { partitionKey, shardOf, type Answer } from "@rerate/ledger";
import type { Listener, MessageBus } from "@rerate/message-bus";
import type { TopicBodies } from "@rerate/wire";
import { awaitedOf, createAnswerHub } from "./answer-hub.ts";

const ANSWER_TOPIC = "door.answered";

type DoorAnswered = TopicBodies[typeof ANSWER_TOPIC];

/** For a worker: publishes the answer to every message that somebody waits for. */
export function publishAnswers(
  bus: MessageBus,
  log: Log,
  topic: string,
): (message: unknown, answer: Answer, awaited: boolean) => void {
  return (message, answer, awaited) => {
    const about = awaited ? awaitedOf(message) : undefined;
    if (about === undefined) return;
    const { ns, name, source, id, contentHash } = about;
    const { status, detail, revision } = answer;
    const body: DoorAnswered = { topic, ns, name, source, id, contentHash, status, detail, revision };
    bus.publish(ANSWER_TOPIC, [{ key: partitionKey(ns, name), shard: shardOf(ns, name), body }]).catch((error: unknown) => {
      log.warn({ topic, err: error }, "an answer could not be published; its request is answered as pending");
    });
  };
}

/** For a process with doors: hears the answers of all owners. */
export function hearAnswers(bus: MessageBus, defer: Defer): { readonly awaitAnswer: AwaitAnswer; readonly listener: Listener } {
  const hub = createAnswerHub(defer);
  const listener = bus.listen(ANSWER_TOPIC, (body) => {
    const { topic, ns, name, source, id, contentHash, status, detail, revision } = body as DoorAnswered;
    hub.heard(topic, { ns, name, source, id, contentHash: contentHash ?? "" }, { status, detail, revision });
  });
  return { awaitAnswer: hub.awaitAnswer, listener };
}
