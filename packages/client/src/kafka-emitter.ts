/**
 * The emitter for producers that have Kafka: puts facts on the intake topics through the caller's own producer.
 *
 * Knows no Kafka client: `send` is the caller's, such as `(batch) => producer.send(batch)`. Owns keys, encoding, batches and
 * retries. The same invariants as over HTTP: it never throws, never blocks, and keeps a bounded number of facts.
 */
import type { Emitter, EmittingOptions, Fact } from "./facts.ts";
import { createFactEmitter, type Deliver } from "./fact-emitter.ts";

/** What kafkajs' `producer.send` takes, and other clients easily do. */
export interface KafkaBatch {
  readonly topic: string;
  readonly messages: KafkaMessage[];
}

export interface KafkaMessage {
  /** Namespace and account: facts of one account keep their order. */
  readonly key: string;
  readonly value: string | Buffer;
  readonly headers: Record<string, string>;
}

export interface KafkaEmitterOptions extends EmittingOptions {
  /** Resolves when the brokers have the batch (acks all). Rejecting means that the batch is sent again. */
  readonly send: (batch: KafkaBatch) => Promise<unknown>;
  /** Default `usage.reported` and `signal.reported`. */
  readonly topics?: { readonly usage?: string; readonly signal?: string };
  /** Default `default`. */
  readonly namespace?: string;
  /** `json`: CloudEvents in structured mode, readable in any tool; `avro`: half the bytes. Default `json`. */
  readonly encoding?: "json" | "avro";
  /** After so long a send counts as failed and is sent again. Default 30 s. */
  readonly timeoutMs?: number;
  /** True for an error that says that the batch was too large. Default: what kafkajs and librdkafka say. */
  readonly isTooLarge?: (error: unknown) => boolean;
}

/** Longer messages are not read by the intake. */
const MAX_VALUE_BYTES = 1_000_000;

export function createKafkaEmitter(options: KafkaEmitterOptions): Emitter {
  const { send, topics = {}, namespace = "default", encoding = "json", isTooLarge = saysTooLarge } = options;
  const headers = { ...HEADERS[encoding], ...(namespace === "default" ? {} : { "rerate-ns": namespace }) };
  const usageTopic = topics.usage ?? "usage.reported";

  const lane =
    (topic: string): Deliver =>
    async (batch) => {
      const encode = encoding === "avro" ? await avroEncoder() : structured;
      const messages: KafkaMessage[] = [];
      const refused: Fact[] = [];
      const details: string[] = [];
      for (const fact of batch) {
        try {
          messages.push({ key: keyOf(namespace, accountOf(fact)), value: short(encode(fact)), headers: { ...headers } });
        } catch (error) {
          refused.push(fact);
          details.push(error instanceof Error ? error.message : String(error));
        }
      }
      try {
        if (messages.length > 0) await withinTime(send({ topic, messages }), options.timeoutMs ?? 30_000);
      } catch (error) {
        if (isTooLarge(error)) return { kind: "too-large", detail: String(error) };
        throw error;
      }
      return { kind: "done", refused, detail: details.join("; ") };
    };
  return createFactEmitter(options, {
    usage: lane(usageTopic),
    signal: lane(topics.signal ?? "signal.reported"),
    cost: lane(usageTopic),
  });
}

const HEADERS = {
  json: { "content-type": "application/cloudevents+json; charset=UTF-8" },
  avro: { "content-type": "application/avro" },
} as const;

type Encode = (fact: Fact) => string | Buffer;

/** Loaded only where it is used: the JSON lane needs no library at all. */
async function avroEncoder(): Promise<Encode> {
  const { encodeReported } = await import("@rerate/wire");
  return (fact) => Buffer.from(encodeReported(fact));
}

/** A CloudEvent: identity, account and time as attributes, the rest as data. */
function structured(fact: Fact): string {
  if (fact.kind === "usage") return JSON.stringify(fact.body);
  const { source, id, account, time, ...data } = fact.body;
  return JSON.stringify({ specversion: "1.0", type: `rerate.${fact.kind}`, source, id, subject: account, time, data });
}

function short(value: string | Buffer): string | Buffer {
  const bytes = typeof value === "string" ? Buffer.byteLength(value) : value.length;
  if (bytes > MAX_VALUE_BYTES) throw new RangeError(`a fact of ${bytes} bytes, more than ${MAX_VALUE_BYTES}`);
  return value;
}

function accountOf(fact: Fact): string {
  return fact.kind === "usage" ? fact.body.subject : fact.body.account;
}

/** The key that all messages of an account travel under, on every topic: both parts escaped, a dot between. */
export function keyOf(namespace: string, account: string): string {
  return `${escaped(namespace)}.${escaped(account)}`;
}

const PLAIN = /^[A-Za-z0-9_]*$/;

function escaped(part: string): string {
  if (PLAIN.test(part)) return part;
  return Array.from(Buffer.from(part, "utf8"), (byte) => {
    const char = String.fromCharCode(byte);
    return PLAIN.test(char) ? char : `~${byte.toString(16).padStart(2, "0")}`;
  }).join("");
}

/** A send that never settles must not hold up the queue for ever. */
async function withinTime(sent: Promise<unknown>, timeoutMs: number): Promise<void> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`the producer has not answered in ${timeoutMs} ms`)), timeoutMs);
  timer.unref();
  try {
    await Promise.race([sent, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

function saysTooLarge(error: unknown): boolean {
  if (typeof error !== "object" || error === null) return false;
  const { type, code, cause } = error as { readonly type?: unknown; readonly code?: unknown; readonly cause?: unknown };
  return type === "MESSAGE_TOO_LARGE" || code === 10 || (cause !== undefined && saysTooLarge(cause));
}
