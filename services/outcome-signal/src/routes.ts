/**
 * The front door for outcome signals. Decides no verdict: a signal for an outcome that is not known yet is accepted and waits.
 */
import { EMITTERS, route, throughDoor, type AwaitAnswer, type PublishMessages, type RoutePlugin } from "@rerate/http";
import { partitionKey, shardOf } from "@rerate/ledger";
import { doorAt, oneOrMany, partialQuery, receiptSchema, signalSchema, toSignal, type PartialQuery } from "@rerate/wire";

export interface SignalDoorDeps {
  readonly publish: PublishMessages;
  readonly nowMs: () => number;
  readonly futureLimitMs?: number;
  readonly awaitAnswer?: AwaitAnswer;
  /** Counts signals refused as malformed, by door. */
  readonly onRefused?: (door: string, count: number) => void;
}

const SIGNAL_TOPIC = "signal.accepted";

export function routes(deps: SignalDoorDeps): RoutePlugin {
  const { awaitAnswer, onRefused } = deps;
  const signals = route<unknown, PartialQuery>({
    method: "POST",
    path: "/v1/signals",
    roles: EMITTERS,
    tag: "outcomes",
    summary: "Send outcome signals",
    description:
      "One signal or an array. Answers 202 once they are durable; sending one again has no further effect. A batch with a malformed " +
      "signal is refused as a whole unless `?partial=true`. With `Prefer: wait=5` the answer says what was decided about each.",
    query: partialQuery,
    body: oneOrMany(signalSchema),
    checksBody: true,
    replies: { 200: receiptSchema, 202: receiptSchema },
    handle: async ({ body, query, caller, waitSeconds }) => {
      const door = doorAt(caller.ns, deps.nowMs(), deps.futureLimitMs);
      return throughDoor({
        items: Array.isArray(body) ? body : [body],
        batch: Array.isArray(body),
        partial: query.partial === "true",
        read: (item) => toSignal(item, door),
        publish: async (facts, awaited) =>
          deps.publish(
            SIGNAL_TOPIC,
            facts.map((fact) => ({
              key: partitionKey(fact.ns, fact.account),
              shard: shardOf(fact.ns, fact.account),
              body: fact,
              awaited,
            })),
          ),
        waitSeconds,
        awaitAnswer:
          awaitAnswer === undefined
            ? undefined
            : async ({ ns, account, source, id, contentHash }, ms) =>
                awaitAnswer(SIGNAL_TOPIC, { ns, name: account, source, id, contentHash }, ms),
        onRefused: onRefused === undefined ? undefined : (count) => onRefused("signals", count),
      });
    },
  });
  return { name: "outcome-signal", routes: [signals] };
}
