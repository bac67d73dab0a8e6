/**
 * The emitter itself, over any way of sending: takes facts at once, keeps a bounded number of them, and never throws.
 */
import type { UsageEventBody } from "@rerate/wire";
import type { Emitter, EmitterCounts, EmittingOptions, Fact, Trouble, Undelivered } from "./facts.ts";
import { callSafely, createLane, type Delivered, type LaneEvents } from "./lane.ts";

/** Sends a batch of facts of one kind. Rejecting means that it is tried again. */
export type Deliver = (batch: readonly Fact[]) => Promise<Delivered>;

export function createFactEmitter(options: EmittingOptions, deliver: Readonly<Record<Fact["kind"], Deliver>>): Emitter {
  const counts = { sent: 0, refused: 0, dropped: 0 };
  const trouble = (one: Trouble) => callSafely(() => options.onTrouble?.(one), undefined);
  const giveUp = (facts: readonly Fact[], reason: Undelivered["reason"]) => {
    if (facts.length > 0) callSafely(() => options.onUndelivered?.({ facts, reason }), undefined);
  };
  const events: LaneEvents = {
    settled(batch, refused, detail) {
      counts.sent += batch.length - refused.length;
      counts.refused += refused.length;
      if (refused.length === 0) return;
      trouble({ kind: "refused", facts: refused.length, detail });
      giveUp(refused, "refused");
    },
    retrying: (attempt, cause) => trouble({ kind: "retrying", attempt, cause }),
  };
  const lanes = {
    usage: createLane(deliver.usage, options, events),
    signal: createLane(deliver.signal, options, events),
    cost: createLane(deliver.cost, options, events),
  };
  const all = Object.values(lanes);
  const waiting = () => all.reduce((sum, lane) => sum + lane.waiting(), 0);
  let closed = false;

  const emit = (fact: Fact): boolean => {
    if (closed || waiting() >= (options.maxQueue ?? 100_000)) {
      counts.dropped += 1;
      trouble({ kind: "queue-full", dropped: counts.dropped });
      giveUp([fact], closed ? "closed" : "queue-full");
      return false;
    }
    lanes[fact.kind].push(fact);
    return true;
  };
  const time = (given: string | undefined) => {
    const at = given ?? callSafely(() => options.now?.(), undefined);
    return at === undefined ? {} : { time: at };
  };
  const { source } = options;
  const read = (): EmitterCounts => ({ waiting: waiting(), ...counts });
  const emitter: Emitter = {
    usage({ id, account, type = "llm.completion", time: at, data }) {
      const body: UsageEventBody = { specversion: "1.0", type, source, id, subject: account, ...time(at), data };
      return emit({ kind: "usage", body });
    },
    signal: (signal) => emit({ kind: "signal", body: { ...signal, source, ...time(signal.time) } }),
    cost: (cost) => emit({ kind: "cost", body: { ...cost, source, ...time(cost.time) } }),
    emit,
    async flush(timeoutMs = 10_000) {
      const timer = Promise.withResolvers<void>();
      const handle = setTimeout(timer.resolve, timeoutMs);
      await Promise.race([Promise.all(all.map(async (lane) => lane.drained())), timer.promise]);
      clearTimeout(handle);
      return read();
    },
    async close(timeoutMs) {
      const wasClosed = closed;
      closed = true;
      const left = await emitter.flush(timeoutMs);
      const facts = all.flatMap((lane) => lane.stop());
      if (!wasClosed) giveUp(facts, "closed");
      return left;
    },
    counts: read,
  };
  return emitter;
}
