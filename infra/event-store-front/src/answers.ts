/**
 * The front's answers as bytes of the protocol.
 *
 * Written by hand from the field numbers of the client's stubs, because a read sends one per event. Tests read them with the
 * unmodified client, so both sides never share a mistake.
 */
import type { StoredEvent } from "@rerate/event-store";
import type { AppendOutcome, Expected } from "./appending.ts";
import { createMessageWriter, type MessageWriter } from "@rerate/event-store/eventstoredb";
import { fromStored } from "./record.ts";

/** Room for the fields beside names and contents. */
const SMALL = 256;

/** Encoded events, as long as the store keeps the event object in memory. */
const encoded = new WeakMap<StoredEvent, Buffer>();

/** `ReadResp.event`. Positions are the number of the event in the log, as commit and as prepare position. */
export function eventAnswer(event: StoredEvent): Buffer {
  const known = encoded.get(event);
  if (known !== undefined) return known;
  const { id, type, isJson, data, metadata } = fromStored(event);
  const position = Number(event.position);
  const writer = createMessageWriter(SMALL + data.length + metadata.length + (type.length + event.stream.length) * 3);
  writer.uint64(3, position);
  const recorded = writer.mark();
  writer.bytes(8, data);
  writer.bytes(7, metadata);
  metadataEntry(writer, "created", "0");
  metadataEntry(writer, "content-type", isJson ? "application/json" : "application/octet-stream");
  metadataEntry(writer, "type", type);
  writer.uint64(5, position);
  writer.uint64(4, position);
  writer.uint64(3, event.revision);
  streamIdentifier(writer, 2, event.stream);
  const uuid = writer.mark();
  writer.text(2, id);
  writer.message(1, uuid);
  writer.message(1, recorded);
  writer.message(1, 0);
  const bytes = writer.finish();
  encoded.set(event, bytes);
  return bytes;
}

/** `ReadResp.confirmation`: the first answer of a subscription. */
export function confirmationAnswer(subscriptionId: string): Buffer {
  const writer = createMessageWriter(SMALL);
  writer.text(1, subscriptionId);
  writer.message(2, 0);
  return writer.finish();
}

/** `ReadResp.checkpoint`: a filtered subscription has come so far. */
export function checkpointAnswer(position: number): Buffer {
  const writer = createMessageWriter(SMALL);
  writer.uint64(2, position);
  writer.uint64(1, position);
  writer.message(3, 0);
  return writer.finish();
}

export function streamNotFoundAnswer(stream: string): Buffer {
  const writer = createMessageWriter(SMALL + stream.length * 3);
  streamIdentifier(writer, 1, stream);
  writer.message(4, 0);
  return writer.finish();
}

export function caughtUpAnswer(): Buffer {
  const writer = createMessageWriter(SMALL);
  writer.message(8, 0);
  return writer.finish();
}

/** `BatchAppendResp`: the answer to one append of a batch stream. */
export function batchAnswer(correlationId: string, stream: string, expected: Expected, outcome: AppendOutcome): Buffer {
  const writer = createMessageWriter(
    SMALL * 2 + stream.length * 3 + (outcome.kind === "refused" ? outcome.reason.length * 3 : 0),
  );
  expectedVersion(writer, expected, { revision: 5, noStream: 6, any: 7, streamExists: 8 });
  streamIdentifier(writer, 4, stream);
  const mark = writer.mark();
  if (outcome.kind === "success") {
    success(writer, outcome.lastRevision);
    writer.message(3, mark);
  } else {
    const details = writer.mark();
    const { name, code } = errorDetails(writer, expected, outcome);
    writer.message(2, details);
    writer.text(1, `type.googleapis.com/event_store.client.${name}`);
    writer.message(3, details);
    writer.text(2, outcome.kind === "refused" ? outcome.reason : outcome.kind);
    writer.uint64(1, code);
    writer.message(2, mark);
  }
  const uuid = writer.mark();
  writer.text(2, correlationId);
  writer.message(1, uuid);
  return writer.finish();
}

/** `AppendResp` of a success or a wrong expected version. */
export function appendAnswer(
  expected: Expected,
  outcome: AppendOutcome & { readonly kind: "success" | "wrong-expected-version" },
): Buffer {
  const writer = createMessageWriter(SMALL);
  if (outcome.kind === "success") {
    success(writer, outcome.lastRevision);
    writer.message(1, 0);
  } else {
    expectedVersion(writer, expected, { noStream: 11, streamExists: 10, any: 9, revision: 8 });
    currentVersion(writer, outcome.actualRevision, { revision: 6, noStream: 7 });
    writer.message(2, 0);
  }
  return writer.finish();
}

/** `SupportedMethods`: what makes the client use batch appends. */
export function supportedMethodsAnswer(methods: readonly { readonly service: string; readonly method: string }[]): Buffer {
  const writer = createMessageWriter(SMALL + methods.length * 100);
  writer.text(2, "24.2.0");
  for (const { service, method } of methods) {
    const mark = writer.mark();
    writer.text(2, service);
    writer.text(1, method);
    writer.message(1, mark);
  }
  return writer.finish();
}

/** `ClusterInfo` of one leader: for clients that discover. */
export function clusterAnswer(address: string, port: number): Buffer {
  const writer = createMessageWriter(SMALL + address.length);
  writer.uint64(2, port);
  writer.text(1, address);
  writer.message(5, 0);
  writer.uint64(4, 1);
  writer.uint64(3, LEADER);
  writer.message(1, 0);
  return writer.finish();
}

const LEADER = 8;
const UNKNOWN_CODE = 2;
const FAILED_PRECONDITION = 9;

function success(writer: MessageWriter, lastRevision: number): void {
  const position = writer.mark();
  writer.message(4, position);
  writer.uint64(1, lastRevision);
}

/** Writes the message that the error's details carry; says its name and the status code. */
function errorDetails(
  writer: MessageWriter,
  expected: Expected,
  outcome: Exclude<AppendOutcome, { kind: "success" }>,
): { readonly name: string; readonly code: number } {
  switch (outcome.kind) {
    case "wrong-expected-version":
      expectedVersion(writer, expected, { noStream: 6, streamExists: 5, any: 4, revision: 3 });
      currentVersion(writer, outcome.actualRevision, { revision: 1, noStream: 2 });
      return { name: "WrongExpectedVersion", code: FAILED_PRECONDITION };
    case "too-large":
      writer.uint64(1, outcome.maxBytes);
      return { name: "MaximumAppendSizeExceeded", code: FAILED_PRECONDITION };
    case "refused":
      return { name: "Unknown", code: UNKNOWN_CODE };
  }
}

interface VersionFields {
  readonly revision: number;
  readonly noStream: number;
}

function currentVersion(writer: MessageWriter, revision: number, fields: VersionFields): void {
  if (revision >= 0) writer.uint64(fields.revision, revision);
  else writer.message(fields.noStream, writer.mark());
}

function expectedVersion(
  writer: MessageWriter,
  expected: Expected,
  fields: VersionFields & { readonly any: number; readonly streamExists: number },
): void {
  if (expected === "any") writer.message(fields.any, writer.mark());
  else if (expected === "stream-exists") writer.message(fields.streamExists, writer.mark());
  else currentVersion(writer, expected, fields);
}

function streamIdentifier(writer: MessageWriter, field: number, stream: string): void {
  const mark = writer.mark();
  writer.text(3, stream);
  writer.message(field, mark);
}

function metadataEntry(writer: MessageWriter, key: string, value: string): void {
  const mark = writer.mark();
  writer.text(2, value);
  writer.text(1, key);
  writer.message(6, mark);
}
