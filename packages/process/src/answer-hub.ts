/**
 * Brings a decision's answer to the request that waits for it, within one process. A hint without guarantees: whoever does not
 * hear in time is told "pending", never something wrong.
 */
import type { Answer } from "@rerate/ledger";
import type { AwaitAnswer, AwaitedMessage, DoorAnswer } from "@rerate/http";

export interface AnswerHub {
  readonly awaitAnswer: AwaitAnswer;
  /** Called for every decided message; costs a look-up when nobody waits. */
  answered(topic: string, message: unknown, answer: Answer): void;
  /** The same for an answer that another process gave. */
  heard(topic: string, about: AwaitedMessage, answer: DoorAnswer): void;
}

type Waiter = (answer: DoorAnswer | undefined) => void;

export function createAnswerHub(defer: (task: () => void, delayMs: number) => void): AnswerHub {
  const waiters = new Map<string, Set<Waiter>>();
  return {
    awaitAnswer(topic, message, milliseconds) {
      const key = keyOf(topic, message);
      const { promise, resolve } = Promise.withResolvers<DoorAnswer | undefined>();
      const waiting = waiters.get(key) ?? new Set();
      waiters.set(key, waiting.add(resolve));
      defer(() => {
        waiting.delete(resolve);
        if (waiting.size === 0 && waiters.get(key) === waiting) waiters.delete(key);
        resolve(undefined);
      }, milliseconds);
      return promise;
    },
    answered(topic, message, answer) {
      if (waiters.size === 0) return;
      const about = awaitedOf(message);
      if (about !== undefined) tell(keyOf(topic, about), answer);
    },
    heard(topic, about, answer) {
      if (waiters.size > 0) tell(keyOf(topic, about), answer);
    },
  };

  function tell(key: string, answer: DoorAnswer): void {
    for (const resolve of waiters.get(key) ?? []) resolve(answer);
    waiters.delete(key);
  }
}

/** With the content: of two contents of one identity, one is recorded and the other is a conflict. */
function keyOf(topic: string, { ns, name, source, id, contentHash }: AwaitedMessage): string {
  return JSON.stringify([topic, ns, name, source, id, contentHash]);
}

/** What an answer to this message is about; undefined for messages that nobody can wait for. */
export function awaitedOf(message: unknown): AwaitedMessage | undefined {
  if (typeof message !== "object" || message === null) return undefined;
  const { ns, account, wallet, source, id, contentHash } = message as Readonly<Record<string, unknown>>;
  const name = account ?? wallet;
  if (typeof ns !== "string" || typeof name !== "string" || typeof id !== "string" || typeof contentHash !== "string")
    return undefined;
  // What a grant calls its source says where its credits come from; a command's identity is its id alone.
  const from = account === undefined || typeof source !== "string" ? "" : source;
  return { ns, name, source: from, id, contentHash };
}
