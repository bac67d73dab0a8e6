/**
 * What clients ask, as plain data. The only file here that names the client's generated stubs, which parse the requests.
 */
import type shared from "@eventstore/db-client/generated/shared_pb.js";
import streams from "@eventstore/db-client/generated/streams_pb.js";
import type { Expected } from "./appending.ts";
import type { Proposed } from "./record.ts";

/** A place in the log of all streams: clients send both numbers back as they got them. */
export type From = "start" | "end" | bigint;

export interface ReadRequest {
  /** Of one stream from a revision, or of all streams from a position. */
  readonly stream: string | undefined;
  readonly from: From;
  readonly backwards: boolean;
  /** Inclusive reads end; subscriptions are exclusive and go on. */
  readonly subscription: boolean;
  readonly maxCount: number;
  readonly filter: Filter | undefined;
}

export interface Filter {
  readonly on: "stream" | "type";
  readonly prefixes: readonly string[];
  /** Empty when there are prefixes. */
  readonly regex: string;
}

/** One frame of a batch append; several frames with one correlation id make one append. */
export interface BatchFrame {
  readonly correlationId: string;
  /** In the first frame of an append. */
  readonly target: { readonly stream: string; readonly expected: Expected } | undefined;
  readonly events: readonly Proposed[];
  readonly isFinal: boolean;
}

/** One frame of an append call: first where to, then the events. */
export type AppendFrame =
  | { readonly kind: "target"; readonly stream: string; readonly expected: Expected }
  | { readonly kind: "event"; readonly event: Proposed };

export function parseReadRequest(bytes: Buffer): ReadRequest {
  const options = must(streams.ReadReq.deserializeBinary(bytes).getOptions());
  const ofStream = options.getStream();
  const ofAll = options.getAll();
  const filter = options.getFilter();
  return {
    stream: ofStream && nameOf(ofStream.getStreamIdentifier()),
    from: ofStream ? fromRevision(ofStream) : fromPosition(must(ofAll)),
    backwards: options.getReadDirection() === streams.ReadReq.Options.ReadDirection.BACKWARDS,
    subscription: options.hasSubscription(),
    maxCount: options.hasSubscription() ? Infinity : Number(options.getCount()),
    filter: filter && filterOf(filter),
  };
}

export function parseBatchFrame(bytes: Buffer): BatchFrame {
  const request = streams.BatchAppendReq.deserializeBinary(bytes);
  const options = request.getOptions();
  return {
    correlationId: uuidOf(request.getCorrelationId()),
    target: options && {
      stream: nameOf(options.getStreamIdentifier()),
      expected: options.hasNoStream()
        ? -1
        : options.hasAny()
          ? "any"
          : options.hasStreamExists()
            ? "stream-exists"
            : Number(options.getStreamPosition()),
    },
    events: request.getProposedMessagesList().map(proposed),
    isFinal: request.getIsFinal(),
  };
}

export function parseAppendFrame(bytes: Buffer): AppendFrame {
  const request = streams.AppendReq.deserializeBinary(bytes);
  const options = request.getOptions();
  if (options === undefined) return { kind: "event", event: proposed(must(request.getProposedMessage())) };
  return {
    kind: "target",
    stream: nameOf(options.getStreamIdentifier()),
    expected: options.hasNoStream()
      ? -1
      : options.hasAny()
        ? "any"
        : options.hasStreamExists()
          ? "stream-exists"
          : Number(options.getRevision()),
  };
}

function proposed(message: streams.BatchAppendReq.ProposedMessage | streams.AppendReq.ProposedMessage): Proposed {
  const metadata = message.getMetadataMap();
  return {
    id: uuidOf(message.getId()),
    type: metadata.get("type") ?? "",
    isJson: metadata.get("content-type") === "application/json",
    data: message.getData_asU8(),
    metadata: message.getCustomMetadata_asU8(),
  };
}

function fromRevision(options: streams.ReadReq.Options.StreamOptions): From {
  return options.hasStart() ? "start" : options.hasEnd() ? "end" : BigInt(options.getRevision());
}

function fromPosition(options: streams.ReadReq.Options.AllOptions): From {
  return options.hasStart() ? "start" : options.hasEnd() ? "end" : BigInt(must(options.getPosition()).getCommitPosition());
}

function filterOf(filter: streams.ReadReq.Options.FilterOptions): Filter {
  const onStream = filter.getStreamIdentifier();
  const expression = must(onStream ?? filter.getEventType());
  return { on: onStream ? "stream" : "type", prefixes: expression.getPrefixList(), regex: expression.getRegex() };
}

function nameOf(identifier: shared.StreamIdentifier | undefined): string {
  return Buffer.from(must(identifier).getStreamName_asU8()).toString("utf8");
}

/** Text as it is, or the two signed halves that some clients send. */
function uuidOf(uuid: shared.UUID | undefined): string {
  const halves = must(uuid).getStructured();
  if (halves === undefined) return must(uuid).getString().toLowerCase();
  const hex = [halves.getMostSignificantBits(), halves.getLeastSignificantBits()]
    .map((half) => BigInt.asUintN(64, BigInt(half)).toString(16).padStart(16, "0"))
    .join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

function must<Value>(value: Value | undefined): Value {
  if (value === undefined) throw new Error("the request lacks a part that the protocol demands");
  return value;
}
