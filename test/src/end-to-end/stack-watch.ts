/**
 * When nothing moves any more in a ledger of many processes, seen from outside: by the log, the relays' checkpoints, the groups'
 * offsets and the marks.
 *
 * The argument: if everything in the log has been published, everything published has been decided, and the log has not grown
 * meanwhile, then there is nothing left to do but deadlines. Marks say that those which were due have fired.
 */
import { contractChangedTopic } from "@rerate/ledger";
import type { LogTopic } from "@rerate/message-bus";
import { isAfter, partitionOf } from "@rerate/flow";
import { GROUPS } from "@rerate/process";
import { outcomeSignalTopics } from "@rerate/service-outcome-signal";
import { settlementTopics } from "@rerate/service-settlement";
import { elapsedMs, sleep, systemClock, type StreamEngines } from "@rerate/runtime";
import { randomUUID } from "node:crypto";

export interface StackWatch {
  /** Rejects with what still moves when that takes too long. */
  settled(): Promise<void>;
  quiet(): Promise<void>;
  stop(): Promise<void>;
}

export interface WatchOptions {
  readonly partitions: number;
  /** How far the read models have folded the log. */
  readonly readModelsAt: () => string | undefined;
}

const RELAYS: readonly { readonly worker: string; readonly topics: readonly Pick<LogTopic, "streamPrefix">[] }[] = [
  { worker: "settlement", topics: settlementTopics },
  { worker: "outcome-signal", topics: outcomeSignalTopics },
  { worker: "catalog", topics: [contractChangedTopic] },
];
/** Topics whose marks say that the deadlines of those who publish them have fired. */
const MARKED = ["outcome.decided", "ledger.entries"];
/** Everything that services and doors consume. */
const CONSUMED = [
  "usage.reported",
  "signal.reported",
  "usage.accepted",
  "signal.accepted",
  "wallet.requested",
  "usage.recorded",
  "contract.changed",
  ...MARKED,
];
const LOOK_EVERY_MS = 100;
const PAGE = 2_000;
/** Longer than a worker without outputs waits between two looks at its deadlines. */
const FIRES_WITHIN_MS = 1_500;
const GIVE_UP_AFTER_MS = 180_000;

/** `engines` need codecs for nothing: bodies are not looked at. */
export function watchStack(
  engines: Pick<StreamEngines, "eventStore" | "bus" | "relayPositions">,
  { partitions, readModelsAt }: WatchOptions,
): StackWatch {
  const { eventStore, bus } = engines;
  /** Place of the last event of every partition of every kind of stream. */
  const last = new Map<string, string>();
  let end: string | undefined;
  /** Offset of the last message of every partition of every topic; what comes after it are marks. */
  const lastMessage = new Map<string, number>();
  const group = `watch-${randomUUID()}`;
  const reader = bus.consume({
    group,
    topics: CONSUMED,
    async onChunk({ topic, partition, messages }) {
      lastMessage.set(`${topic}/${partition}`, messages.at(-1)?.offset ?? -1);
    },
  });
  reader.done.catch(() => undefined);

  /** Reads the log to its end, which is the result. */
  async function readOn(): Promise<string | undefined> {
    for (;;) {
      const page = await eventStore.readAll({ after: end, maxCount: PAGE });
      for (const { stream, position } of page.events) {
        last.set(`${stream.slice(0, stream.indexOf("-") + 1)}/${partitionOf(stream, partitions)}`, position);
        end = position;
      }
      if (page.end) return end;
    }
  }

  /** What still moves; undefined when nothing does. */
  async function moving(): Promise<string | undefined> {
    const before = await readOn();
    const unpublished = unpublishedPart();
    if (unpublished !== undefined) return unpublished;
    for (const name of GROUPS) {
      const behind = await undecidedPart(name);
      if (behind !== undefined) return behind;
    }
    const folded = readModelsAt();
    if (before !== undefined && (folded === undefined || isAfter(before, folded)))
      return `the read models stand at ${folded ?? "the beginning"}`;
    return (await readOn()) === before ? undefined : `the log grows beyond ${before ?? "its beginning"}`;
  }

  /** Groups pass marks all the time: what counts is whether they have passed the last message. */
  async function undecidedPart(name: string): Promise<string | undefined> {
    const lags = new Map((await bus.lag(name)).map(({ topic, partition, lag }) => [`${topic}/${partition}`, lag]));
    if (lags.size === 0) return `${name} has not joined yet`;
    const lanes = bus.status().get(group) ?? [];
    const seen = new Map(lanes.map(({ topic, partition, position }) => [`${topic}/${partition}`, position]));
    for (const { topic, partition, offset } of await bus.committed(name)) {
      const place = `${topic}/${partition}`;
      // The offset may be younger than the lag: then this is beyond the end, and the next look will tell.
      if ((seen.get(place) ?? 0) < offset + (lags.get(place) ?? 0)) return `${place} has not been looked at to its end`;
      if (offset <= (lastMessage.get(place) ?? -1)) return `${name} stands at ${offset} of ${place}`;
    }
    return undefined;
  }

  function unpublishedPart(): string | undefined {
    const places = new Map(engines.relayPositions().map(({ name, partition, position }) => [`${name}/${partition}`, position]));
    for (const { worker, topics } of RELAYS) {
      for (const prefix of new Set(topics.map(({ streamPrefix }) => streamPrefix))) {
        for (let partition = 0; partition < partitions; partition++) {
          const needed = last.get(`${prefix}/${partition}`);
          const place = places.get(`relay of ${worker}/${partition}`);
          if (needed !== undefined && (place === undefined || isAfter(needed, place)))
            return `the relay of ${worker} stands at ${place ?? "the beginning"} of partition ${partition}, before ${needed}`;
        }
      }
    }
    return undefined;
  }

  async function settled(): Promise<void> {
    let since = elapsedMs();
    let before: string | undefined;
    for (let still = 0; still < 2;) {
      // While servers are down this process sees nothing either.
      const reason = await moving().catch((error: unknown) => `unreachable: ${String(error)}`);
      still = reason === undefined ? still + 1 : 0;
      if (reason !== before) since = elapsedMs();
      if (elapsedMs() - since > GIVE_UP_AFTER_MS) throw new Error(`nothing moves and nothing is settled: ${reason ?? ""}`);
      before = reason;
      await sleep(LOOK_EVERY_MS);
    }
  }

  async function marksPass(time: string): Promise<void> {
    const since = elapsedMs();
    for (;;) {
      const behind = MARKED.find((topic) => (reader.readUpTo(topic) ?? "") < time);
      if (behind === undefined) return;
      if (elapsedMs() - since > GIVE_UP_AFTER_MS)
        throw new Error(`the marks of ${behind} stand at ${reader.readUpTo(behind) ?? "nothing"} and do not pass ${time}`);
      await sleep(LOOK_EVERY_MS);
    }
  }

  return {
    settled,
    async quiet() {
      for (let before: string | undefined; ;) {
        await settled();
        if (before !== undefined && before === end) return;
        before = end ?? "";
        await marksPass(systemClock.now());
        await sleep(FIRES_WITHIN_MS);
      }
    },
    // It may have ended before: a topic that a test creates anew ends who reads it.
    stop: () => reader.stop().catch(() => undefined),
  };
}
