/**
 * Finds the events in a reported message: Avro in single-object encoding, CloudEvents as JSON (one, an array, or with the
 * attributes in headers), or a signal or cost as HTTP takes it.
 *
 * Owns the framing only; what an event may say is checked by the same functions as over HTTP. The work is bounded by the
 * length of the bytes.
 */
import { isUtf8 } from "node:buffer";
import { UndecodableError } from "../avro/guard.ts";
import type { CostReported, Reference, SignalReported, UsageReported } from "../generated/topics.ts";
import { isRecord } from "../http/usage-event.ts";
import { MAX_MESSAGE_BYTES, topicCodec } from "../topics.ts";
import type { Reported, ReportedTopic } from "./reported.ts";

/** Why there are no events. `reason` is for programs, `detail` for people; neither repeats what the message says. */
export interface NoEvents {
  readonly reason: "malformed" | "unknown-format" | "too-large";
  readonly detail: string;
}

/** The events of a message as JSON values that nobody has looked into yet. */
export type EventsFound = { readonly events: readonly unknown[]; readonly batch: boolean } | NoEvents;

/** More events in one message are refused: send several messages. */
export const MAX_EVENTS = 1_000;

export function eventsOf(topic: ReportedTopic, { bytes, headers }: Reported): EventsFound {
  if (bytes.length > MAX_MESSAGE_BYTES)
    return { reason: "too-large", detail: `the message takes ${bytes.length} bytes, more than ${MAX_MESSAGE_BYTES}` };
  if (bytes[0] === 0xc3 && bytes[1] === 0x01) return fromAvro(topic, bytes);
  if (bytes[0] === 0)
    return unknownFormat(
      "the bytes begin with 00, as those of a schema registry's clients do: send Avro in single-object encoding",
    );
  const media = headers["content-type"]?.split(";", 1)[0]?.trim().toLowerCase();
  if (media?.startsWith("application/cloudevents") === true) {
    return CLOUDEVENTS.has(media) ? fromJson(bytes) : unknownFormat("of CloudEvents formats only JSON is read");
  }
  const attributes = Object.entries(headers).flatMap(([name, value]) =>
    name.startsWith("ce_") ? [[name.slice(3), value] as const] : [],
  );
  if (attributes.length === 0) return fromJson(bytes);
  if (media !== undefined && media !== "application/json" && !media.endsWith("+json"))
    return unknownFormat("the data of a CloudEvent in binary mode is read as JSON: send content-type application/json");
  const data = bytes.length === 0 ? { value: null } : parsed(bytes);
  if (!("value" in data)) return data;
  return { events: [{ specversion: undefined, ...Object.fromEntries(attributes), data: data.value }], batch: false };
}

const CLOUDEVENTS = new Set(["application/cloudevents+json", "application/cloudevents-batch+json"]);

function fromJson(bytes: Uint8Array): EventsFound {
  const json = parsed(bytes);
  if (!("value" in json)) return json;
  if (!Array.isArray(json.value)) return { events: [json.value], batch: false };
  if (json.value.length === 0) return { reason: "malformed", detail: "an array without events" };
  if (json.value.length > MAX_EVENTS)
    return { reason: "malformed", detail: `${json.value.length} events in one message, more than ${MAX_EVENTS}` };
  return { events: json.value, batch: true };
}

/** The engine's own message is not used: it may quote the bytes. */
function parsed(bytes: Uint8Array): { readonly value: unknown } | NoEvents {
  if (bytes.length === 0) return { reason: "malformed", detail: "the message is empty" };
  if (!isUtf8(bytes)) return unknownFormat("neither Avro in single-object encoding (C3 01) nor UTF-8");
  try {
    return { value: JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8")) as unknown };
  } catch {
    return { reason: "malformed", detail: "the text is no JSON" };
  }
}

function unknownFormat(detail: string): NoEvents {
  return { reason: "unknown-format", detail };
}

function fromAvro(topic: ReportedTopic, bytes: Uint8Array): EventsFound {
  try {
    return { events: [eventOf(topicCodec(topic).decode(bytes))], batch: false };
  } catch (error) {
    if (error instanceof UndecodableError) return { reason: "malformed", detail: error.message };
    throw error;
  }
}

/** The JSON that says the same, so that the same content has the same hash however it came. */
function eventOf(body: UsageReported | CostReported | SignalReported): unknown {
  const { ns } = body;
  switch (body.kind) {
    case "usage": {
      const { source, id, account, type, occurredAt, kind: _kind, ns: _ns, ...data } = body;
      return present({ specversion: "1.0", source, id, subject: account, type, time: occurredAt, ns, data });
    }
    case "cost": {
      const { occurredAt, kind: _kind, corrects, ...fields } = body;
      return present({ ...fields, time: occurredAt, corrects });
    }
    case "signal": {
      const { occurredAt, kind: _kind, outcome, ...fields } = body;
      return present({ ...fields, time: occurredAt, outcome: referenceOf(outcome) });
    }
  }
}

/** A reference without a source is a plain text over HTTP. */
function referenceOf({ source, id }: Reference): string | { readonly source: string; readonly id: string } {
  return source === undefined ? id : { source, id };
}

function present(fields: object): object {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

export function isCloudEvent(event: unknown): event is Readonly<Record<string, unknown>> {
  return isRecord(event) && "specversion" in event;
}
