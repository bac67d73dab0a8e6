/**
 * Trying parked messages again: those that a caller names, and those that somebody in another process asked for.
 *
 * The invariant: a record stays until its message is recorded or known as without effect; one that parks anew is no longer
 * asked for. Records of streams that another worker looks after are left to it.
 */
import type { ParkedRecord } from "@rerate/message-bus";
import type { Answer, DomainEvent } from "./decider.ts";
import { QUARANTINED } from "./parking.ts";
import { isRefusal } from "./rounds.ts";
import type { Intake } from "./stream-work.ts";
import type { Input, Limits, WorkerOptions } from "./worker-options.ts";

export type ParkedFilter =
  | { readonly ids: readonly string[] }
  | { readonly ns?: string; readonly account?: string; readonly reason?: string; readonly limit?: number };

export interface RetryResult {
  readonly tried: number;
  /** Gone from the parked records. */
  readonly mended: number;
  /** Ids that were left to another worker, who looks after their streams; absent when there are none. */
  readonly left?: readonly string[];
}

export interface Retries {
  retry(which: ParkedFilter): Promise<RetryResult>;
  /** Starts looking for records that others asked to retry, if the options say so. */
  watch(): void;
  stop(): void;
}

export interface RetriesHost<Message> {
  /** Decides messages on the usual path. */
  readonly decide: (intakes: readonly Intake<Message>[]) => Promise<unknown>;
  readonly owns: (stream: string) => boolean;
  /** The stream gets another chance. */
  readonly release: (stream: string) => void;
}

const RETRY_AT_ONCE = 1_000;

export function createRetries<Message extends object>(
  options: Pick<
    WorkerOptions<unknown, Message, DomainEvent, unknown>,
    "name" | "bus" | "streamOf" | "inputs" | "defer" | "log" | "watchRetries"
  >,
  limits: Limits,
  host: RetriesHost<Message>,
): Retries {
  const { name, bus, streamOf, defer, log } = options;
  const inputs = new Map(options.inputs.map((input) => [input.topic, input]));
  let stopped = false;

  async function recordsOf(which: ParkedFilter): Promise<readonly ParkedRecord[]> {
    if (!("ids" in which)) return await bus.parked.list({ limit: RETRY_AT_ONCE, ...which, service: name });
    const records: ParkedRecord[] = [];
    for (const id of which.ids) {
      const record = await bus.parked.get(id);
      if (record?.service === name) records.push(record);
    }
    return records;
  }

  /** A parked message, decoded; undefined while it still can't be. */
  function readAgain(
    input: Input<Message>,
    record: ParkedRecord,
  ): { readonly message: Message; readonly body: unknown } | undefined {
    try {
      const body = input.codec.decode(record.bytes, record.headers);
      const message = input.read(body);
      return isRefusal(message) ? undefined : { message, body };
    } catch {
      return undefined;
    }
  }

  /** What still can't be read stays, and is no longer asked for. */
  async function parkAnew({ id }: ParkedRecord): Promise<void> {
    const record = await bus.parked.get(id);
    if (record?.retryAskedAt === undefined) return;
    const { retryAskedAt: _, ...unasked } = record;
    await bus.parked.put([unasked]);
  }

  async function retryRecords(records: readonly ParkedRecord[]): Promise<RetryResult> {
    const intakes: Intake<Message>[] = [];
    const left: string[] = [];
    let tried = 0;
    let mended = 0;
    const answered = ({ status }: Answer) => {
      if (status !== "parked" && status !== "conflict") mended += 1;
    };
    for (const record of records) {
      const input = inputs.get(record.topic);
      const read = input === undefined ? undefined : readAgain(input, record);
      if (input === undefined || read === undefined) {
        tried += 1;
        await parkAnew(record);
        continue;
      }
      const stream = streamOf(read.message);
      if (!host.owns(stream)) {
        left.push(record.id);
        continue;
      }
      tried += 1;
      if (record.reason === QUARANTINED) host.release(stream);
      const { key, id } = record;
      intakes.push({ ...read, key, input, from: "retry", awaited: false, parkedAs: id, answered });
    }
    await host.decide(intakes);
    return { tried, mended, ...(left.length === 0 ? {} : { left }) };
  }

  async function retryAsked(): Promise<void> {
    const asked = await bus.parked.list({ service: name, retryAsked: true, limit: RETRY_AT_ONCE });
    if (asked.length > 0) await retryRecords(asked);
  }

  function watchAgain(): void {
    defer(() => {
      if (stopped) return;
      retryAsked()
        .catch((error: unknown) =>
          log.warn({ service: name, err: error }, "parked messages could not be retried; they are tried again"),
        )
        .finally(watchAgain);
    }, limits.retryEveryMs);
  }

  return {
    retry: async (which) => await retryRecords(await recordsOf(which)),
    watch() {
      if (options.watchRetries === true) watchAgain();
    },
    stop() {
      stopped = true;
    },
  };
}
