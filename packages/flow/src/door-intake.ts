/**
 * A front door that consumes: what producers put on an intake topic becomes messages on the topic that an owner consumes.
 *
 * Decides nothing and knows no formats (`readerAt` does). The invariant: a message's offset moves only after everything that it
 * says is durable on the other topic, or after its bytes and headers are parked with the reason. What is published twice
 * because a process died in between, the owner knows by its identity.
 */
import { hash } from "node:crypto";
import type { Chunk, Consumer, Message, MessageHeaders, ParkedRecord, ReceivedMessage } from "@rerate/message-bus";
import { createNotes, fitted, parkedId } from "./parking.ts";
import type { WorkerStatus } from "./worker.ts";
import type { WorkerOptions } from "./worker-options.ts";

/** Bytes and headers as a producer sent them: the bodies of an intake topic. */
export interface ReportedBytes {
  readonly bytes: Uint8Array;
  readonly headers: MessageHeaders;
}

/** Why a message is not taken, and whose it is as far as could be read. */
export interface NotTaken {
  readonly reason: string;
  readonly detail: string;
  readonly ns: string;
  readonly account: string;
}

export interface DoorIntakeOptions extends Pick<
  WorkerOptions<never, never, never, never>,
  "bus" | "eventStore" | "clock" | "defer" | "log" | "metrics" | "parkedNote"
> {
  /** Parked records carry it. Also the bus group. */
  readonly name: string;
  /** The intake topic. */
  readonly topic: string;
  /** Where what it says is published to. */
  readonly publishTo: string;
  /**
   * Makes the reader of some messages. `firstSeenAt`: when this intake first saw them; a retry passes the time of then. The
   * reader must not throw, whatever the bytes.
   */
  readonly readerAt: (firstSeenAt: string) => (reported: ReportedBytes) => { readonly publish: readonly Message[] } | NotTaken;
  /** The namespace that what can't be read at all is filed under. */
  readonly ns: string;
  /**
   * Told up to when everything reported has been published, and for which partitions of the intake topic this process says so.
   * Whoever waits for an owner's inputs must wait for this too: what is still on the intake topic is input.
   */
  readonly mark?: (topic: string, readUpTo: string, sources: readonly number[]) => void;
  /** How often asked retries are looked for, and marks are said. Default 2 s. */
  readonly everyMs?: number;
}

/** Runs like a worker, so that its process treats it like one. */
export interface DoorIntake {
  readonly name: string;
  start(): Promise<void>;
  /** Finishes what is running. */
  stop(): Promise<void>;
  /** Settles when consuming has ended; rejected with what ended it. */
  readonly done: Promise<void>;
  /** `waiting`: partitions whose messages could not be passed on and come again, with the reason. */
  status(): WorkerStatus;
  /** Reads again what somebody asked to retry. This also happens by itself, every `everyMs`. */
  retryAsked(): Promise<{ readonly tried: number; readonly mended: number }>;
}

const DEFAULT_EVERY_MS = 2_000;
const RETRY_AT_ONCE = 1_000;
/** A message may hold many facts; they are published so many at a time. */
const PUBLISH_AT_ONCE = 1_000;

export function createDoorIntake(options: DoorIntakeOptions): DoorIntake {
  const { name, topic, bus, clock, defer, log, metrics } = options;
  const everyMs = options.everyMs ?? DEFAULT_EVERY_MS;
  const notes = createNotes(options.eventStore, clock);
  const finished = Promise.withResolvers<void>();
  finished.promise.catch(() => undefined);
  const partitions = new Set<number>();
  const waiting = new Map<string, string>();
  let consumer: Consumer | undefined;
  let state: WorkerStatus["state"] = "new";
  let marked = "";
  let retrying: Promise<unknown> = Promise.resolve();

  async function onChunk({ messages }: Chunk): Promise<void> {
    const now = clock.now();
    const readReported = options.readerAt(now);
    metrics.count("messages", messages.length, { topic });
    let ready: Message[] = [];
    for (const received of messages) {
      const { content } = received;
      const read = content.kind === "poison" ? unreadable(content.error) : readReported(content.body as ReportedBytes);
      if (!("publish" in read)) {
        await park(received, read, now);
        continue;
      }
      ready.push(...read.publish);
      if (ready.length < PUBLISH_AT_ONCE) continue;
      await bus.publish(options.publishTo, ready);
      ready = [];
    }
    if (ready.length > 0) await bus.publish(options.publishTo, ready);
  }

  function unreadable(detail: string): NotTaken {
    return { reason: "malformed", detail, ns: options.ns, account: "" };
  }

  /** Keeps a message, and notes it once, under an id that is the same however often it is delivered. */
  async function park({ content, key }: ReceivedMessage, { reason, detail, ns, account }: NotTaken, at: string): Promise<void> {
    const { bytes, headers = {} } = content.kind === "poison" ? content : (content.body as ReportedBytes);
    const id = parkedId(topic, identityOf(bytes, headers));
    if ((await bus.parked.get(id)) !== undefined) return;
    const bare: ParkedRecord = { id, service: name, ns, account, topic, reason, detail, parkedAt: at, key, bytes };
    const record = fitted(Object.keys(headers).length === 0 ? bare : { ...bare, headers });
    // Noted first: a crash in between notes it twice under one id, which a reader can see; the other way round never.
    if (options.parkedNote !== undefined) await notes.append(options.parkedNote(record));
    await bus.parked.put([record]);
    metrics.count("parked", 1, { reason });
  }

  async function retryAsked(): Promise<{ readonly tried: number; readonly mended: number }> {
    const asked = await bus.parked.list({ service: name, retryAsked: true, limit: RETRY_AT_ONCE });
    let tried = 0;
    let mended = 0;
    for (const { id } of asked) {
      // Looked at again: an operator may have erased it meanwhile.
      const record = await bus.parked.get(id);
      if (record?.retryAskedAt === undefined || record.topic !== topic) continue;
      tried += 1;
      if (await readAgain(record)) mended += 1;
    }
    return { tried, mended };
  }

  /** True when the record is gone. */
  async function readAgain(record: ParkedRecord): Promise<boolean> {
    const { retryAskedAt: _, ...unasked } = record;
    const read = options.readerAt(record.parkedAt)({ bytes: record.bytes, headers: record.headers ?? {} });
    if ("publish" in read) {
      await bus.publish(options.publishTo, read.publish);
      await bus.parked.erase(record.id);
      return true;
    }
    await bus.parked.put([fitted({ ...unasked, ...read })]);
    return false;
  }

  function everyNowAndThen(): void {
    defer(() => {
      if (state !== "running") return;
      retrying = attend()
        .catch((error: unknown) => log.warn({ service: name, err: error }, "a mark or a retry failed; it is tried again"))
        .finally(everyNowAndThen);
    }, everyMs);
  }

  async function attend(): Promise<void> {
    sayMark();
    await retryAsked();
  }

  function sayMark(): void {
    const upTo = options.mark === undefined ? undefined : consumer?.readUpTo(topic);
    if (upTo === undefined || upTo <= marked || partitions.size === 0) return;
    marked = upTo;
    options.mark?.(options.publishTo, upTo, [...partitions]);
  }

  /** A rejected chunk comes again after a pause, from the bus. */
  async function passOn(chunk: Chunk): Promise<void> {
    const place = `${topic}/${chunk.partition}`;
    try {
      await onChunk(chunk);
      waiting.delete(place);
    } catch (error) {
      waiting.set(place, String(error));
      metrics.count("outages", 1);
      log.warn({ service: name, place, err: error }, "reported messages could not be passed on; they come again");
      throw error;
    }
  }

  return {
    name,
    done: finished.promise,
    async start() {
      if (state !== "new") throw new Error(`${name} is ${state}`);
      state = "running";
      consumer = bus.consume({
        group: name,
        topics: [topic],
        onChunk: passOn,
        onAssigned(added) {
          for (const partition of added) partitions.add(partition);
          // What was said for fewer partitions is not said for these.
          marked = "";
        },
        onRevoked(lost) {
          for (const partition of lost) {
            partitions.delete(partition);
            waiting.delete(`${topic}/${partition}`);
          }
        },
      });
      consumer.done.then(finished.resolve, finished.reject);
      everyNowAndThen();
    },
    async stop() {
      state = "stopped";
      await consumer?.stop();
      await retrying;
      finished.resolve();
    },
    status: () => ({ state, quarantined: [], waiting, cachedStreams: 0, openDeadlines: 0 }),
    retryAsked,
  };
}

/** Two messages with the same bytes are two where their headers differ: a CloudEvent's identity may stand in them. */
function identityOf(bytes: Uint8Array, headers: MessageHeaders): string {
  const pairs = Object.entries(headers).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return hash("sha256", `${hash("sha256", bytes, "base64url")}${pairs.length === 0 ? "" : JSON.stringify(pairs)}`, "base64url");
}
