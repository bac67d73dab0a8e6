/**
 * From a producer's message to its entry on `ledger.entries`, in an open loop: messages are sent at random times of a fixed rate
 * whatever becomes of the earlier ones, and each is timed from when it should have been sent.
 */
import { busCodec } from "@rerate/wire";
import { setTimeout as sleep } from "node:timers/promises";
import type { LoadEvent } from "../ingest/load.ts";
import { toMessage, type KafkaClient } from "./kafka-client.ts";

export interface LatencyOptions {
  readonly kafka: KafkaClient;
  readonly events: readonly LoadEvent[];
  readonly perSecond: number;
}

/** In milliseconds. */
export interface Latencies {
  readonly p50: number;
  readonly p99: number;
  readonly most: number;
}

/** What a producer gathers before it sends. Counts as latency. */
const TICK_MS = 5;
const WAIT_MS = 60_000;

export async function measureLatency({ kafka, events, perSecond }: LatencyOptions): Promise<Latencies> {
  const codec = busCodec("ledger.entries");
  const open = new Map<string, number>();
  const waits: number[] = [];
  const follower = await kafka.follow("ledger.entries", (value) => {
    // Marks travel in the topic, too.
    if (value === null || open.size === 0) return;
    const time = occurredAt(codec, value);
    const due = time === undefined ? undefined : open.get(time);
    if (time === undefined || due === undefined) return;
    open.delete(time);
    waits.push(performance.now() - due);
  });
  const dues = poisson(events.length, perSecond, performance.now() + 500);
  events.forEach(({ time }, index) => open.set(time, dues[index] ?? 0));
  const sending: Promise<unknown>[] = [];
  for (let next = 0; next < events.length;) {
    const now = performance.now();
    const from = next;
    while (next < events.length && (dues[next] ?? 0) <= now) next += 1;
    if (next > from) {
      const messages = events.slice(from, next).map(toMessage);
      sending.push(kafka.producer.send({ topic: "usage.reported", acks: -1, messages }));
    }
    await sleep(TICK_MS);
  }
  await Promise.all(sending);
  for (const until = performance.now() + WAIT_MS; open.size > 0 && performance.now() < until;) await sleep(20);
  await follower.stop();
  if (open.size > 0) throw new Error(`${open.size} of ${events.length} entries did not come within ${WAIT_MS} ms`);
  const sorted = waits.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
  return { p50: at(0.5), p99: at(0.99), most: at(1) };
}

function occurredAt(codec: ReturnType<typeof busCodec>, value: Buffer): string | undefined {
  try {
    return (codec.decode(value) as { readonly occurredAt: string }).occurredAt;
  } catch {
    return undefined;
  }
}

/** Times of random arrivals at a rate, from `start` on, in order. */
function poisson(count: number, perSecond: number, start: number): readonly number[] {
  let at = start;
  return Array.from({ length: count }, () => (at += (-Math.log(1 - Math.random()) / perSecond) * 1_000));
}
