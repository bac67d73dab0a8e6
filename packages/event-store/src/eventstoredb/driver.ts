/**
 * The connection to EventStoreDB, as calls of its protocol: the only file that names the client library.
 *
 * Connection string, security, discovery of the leader and channels are the client's. The calls are made here, with the stubs
 * that it ships, because its own appends and reads have defects that cannot be mended from outside (ADR 0016): appends
 * without a deadline, answers in a table shared by all clients of the process, events handed out parsed.
 */
import esdb from "@eventstore/db-client";
import shared from "@eventstore/db-client/generated/shared_pb.js";
import stubs from "@eventstore/db-client/generated/streams_grpc_pb.js";
import streams from "@eventstore/db-client/generated/streams_pb.js";
import { type Append, NO_STREAM, type StoredEvent } from "../port.ts";
import { type ReadAnswer, readBatchAnswer, readReadAnswer, writeBatchAppend } from "./messages.ts";
import type { LogPosition } from "./position.ts";

/** What the server says about one append. */
export type Answer =
  | { readonly kind: "written"; readonly lastRevision: number }
  | { readonly kind: "conflict"; readonly actualRevision: number }
  /** Nobody knows whether it was written; the same may be sent again. */
  | { readonly kind: "unsure"; readonly cause: Error }
  /** Nothing was written, and sending it again would not help. */
  | { readonly kind: "refused"; readonly error: Error };

export interface BatchListener {
  readonly answered: (correlation: number, answer: Answer) => void;
  /** The stream takes more again. */
  readonly drained: () => void;
  /** Called once. What was not answered by then has an unknown outcome. */
  readonly ended: (cause: Error) => void;
}

export interface BatchStream {
  /** False when the stream wants a pause until `drained`; the append is on its way all the same. */
  send(correlation: number, append: Append, ids: readonly string[]): boolean;
  cancel(): void;
}

export interface ReadRequest {
  /** One stream, or all of them. */
  readonly stream?: string;
  /** A revision of the stream, or a position. Inclusive for reads, exclusive for subscriptions. */
  readonly from: number | LogPosition | "start" | "end";
  readonly backwards?: boolean;
  /** Of stream names. */
  readonly prefixes?: readonly string[];
  /** Leaves out the server's own streams. */
  readonly oursOnly?: boolean;
}

export interface ReadListener {
  readonly event: (event: StoredEvent) => void;
  readonly caughtUp: () => void;
  /** Called once: without a cause when the server ended the call in order. Never after `cancel`. */
  readonly ended: (cause: Error | undefined) => void;
}

export interface ReadCall {
  pause(): void;
  resume(): void;
  cancel(): void;
}

export interface Driver {
  openBatch(listener: BatchListener): BatchStream;
  /** At most `maxCount` events; rejects when they are not all there after `deadlineMs`. A stream that does not exist has none. */
  readPage(request: ReadRequest, maxCount: number, deadlineMs: number): Promise<StoredEvent[]>;
  subscribe(request: ReadRequest, listener: ReadListener): ReadCall;
  /** Gives up the channel; the next call opens another. */
  reconnect(): void;
}

/** gRPC's codes of errors that another try cannot mend: permission denied, unimplemented, unauthenticated. */
const HOPELESS = new Set<unknown>([7, 12, 16]);

/** Whether trying again is no use. */
export function isHopeless(error: unknown): boolean {
  return error instanceof Error && "code" in error && HOPELESS.has(error.code);
}

const DEADLINE_EXCEEDED = 4;

/** Whether a call had no answer in time. */
export function isTimeout(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === DEADLINE_EXCEEDED;
}

export function connect(connectionString: string): Driver {
  // The client keeps these for itself in its types; they are what its own methods are made of.
  const client = esdb.EventStoreDBClient.connectionString(connectionString) as unknown as Internals;
  const state = { used: false };
  const grpc = () => {
    state.used = true;
    return client.getGRPCClient(stubs.StreamsClient, "streams");
  };

  function failed(used: stubs.StreamsClient | undefined, error: Error): void {
    // Lets the client drop a channel that is gone, or go to the leader.
    if (used !== undefined) void client.handleError(used, error).catch(() => undefined);
  }

  function startRead(
    request: ReadRequest,
    count: number | undefined,
    deadlineMs: number | undefined,
    listener: ReadListener,
  ): ReadCall {
    let call: ReturnType<typeof stubs.StreamsClient.prototype.makeServerStreamRequest<streams.ReadReq, ReadAnswer>> | undefined;
    let done = false;
    let paused = false;
    const finish = (cause: Error | undefined) => {
      if (done) return;
      done = true;
      listener.ended(cause);
    };
    const start = async () => {
      const used = await grpc();
      if (done) return;
      const options =
        deadlineMs === undefined
          ? client.callArguments(LEADER, FOREVER)
          : client.callArguments({ ...LEADER, deadline: deadlineMs });
      call = used.makeServerStreamRequest(READ, requestBytes, readReadAnswer, readRequest(request, count), ...options);
      call.on("data", ({ event, caughtUp }: ReadAnswer) => {
        if (done) return;
        if (event !== undefined) listener.event(event);
        else if (caughtUp) listener.caughtUp();
      });
      call.on("end", () => finish(undefined));
      call.on("error", (error) => {
        if (!done) failed(used, error);
        finish(error);
      });
      if (paused) call.pause();
    };
    start().catch((error: unknown) => finish(asError(error)));
    return {
      pause() {
        paused = true;
        call?.pause();
      },
      resume() {
        paused = false;
        call?.resume();
      },
      cancel() {
        done = true;
        call?.cancel();
      },
    };
  }

  return {
    openBatch(listener) {
      let call: ReturnType<typeof stubs.StreamsClient.prototype.makeBidiStreamRequest<Buffer, NumberedAnswer>> | undefined;
      const early: Buffer[] = [];
      let done = false;
      const finish = (cause: Error) => {
        if (done) return;
        done = true;
        listener.ended(cause);
      };
      const start = async () => {
        const used = await grpc();
        if (done) return;
        call = used.makeBidiStreamRequest(BATCH_APPEND, asIs, readAnswer, ...client.callArguments(LEADER, FOREVER));
        call.on("data", ({ correlation, answer }: NumberedAnswer) => {
          if (!done) listener.answered(correlation, answer);
        });
        call.on("drain", () => listener.drained());
        call.on("end", () => finish(new Error("the server ended the stream of appends")));
        call.on("error", (error) => {
          if (!done) failed(used, error);
          finish(error);
        });
        for (const request of early.splice(0)) call.write(request);
      };
      start().catch((error: unknown) => finish(asError(error)));
      return {
        send(correlation, append, ids) {
          const request = writeBatchAppend(correlation, append, ids);
          if (call !== undefined) return call.write(request);
          early.push(request);
          return true;
        },
        cancel() {
          done = true;
          call?.cancel();
        },
      };
    },

    readPage(request, maxCount, deadlineMs) {
      return new Promise((resolve, reject) => {
        const events: StoredEvent[] = [];
        startRead(request, maxCount, deadlineMs, {
          event: (event) => events.push(event),
          caughtUp: () => undefined,
          ended: (cause) => (cause === undefined ? resolve(events) : reject(cause)),
        });
      });
    },

    subscribe: (request, listener) => startRead(request, undefined, undefined, listener),

    reconnect() {
      if (!state.used) return;
      grpc().then(
        (used) => failed(used, Object.assign(new Error("the server does not answer"), { code: UNAVAILABLE, details: "" })),
        () => undefined,
      );
    },
  };
}

/** The parts of the client that its own calls are made of. */
interface Internals {
  getGRPCClient(constructor: typeof stubs.StreamsClient, name: string): Promise<stubs.StreamsClient>;
  callArguments(
    options: { readonly requiresLeader: boolean; readonly deadline?: number },
    callOptions?: { readonly deadline: number },
  ): [NonNullable<Parameters<stubs.StreamsClient["batchAppend"]>[0]>, object];
  handleError(used: stubs.StreamsClient, error: Error): Promise<void>;
}

const READ = stubs.StreamsService.read.path;
const BATCH_APPEND = stubs.StreamsService.batchAppend.path;
const UNAVAILABLE = 14;
const LEADER = { requiresLeader: true };
const FOREVER = { deadline: Infinity };

function readRequest(
  { stream, from, backwards = false, prefixes, oursOnly }: ReadRequest,
  count: number | undefined,
): streams.ReadReq {
  const { Options } = streams.ReadReq;
  const options = new Options();
  if (stream !== undefined) {
    const ofStream = new Options.StreamOptions();
    ofStream.setStreamIdentifier(identifier(stream));
    if (from === "start") ofStream.setStart(new shared.Empty());
    else if (from === "end") ofStream.setEnd(new shared.Empty());
    else if (typeof from === "number") ofStream.setRevision(String(from));
    options.setStream(ofStream);
  } else {
    const ofAll = new Options.AllOptions();
    if (from === "start") ofAll.setStart(new shared.Empty());
    else if (from === "end") ofAll.setEnd(new shared.Empty());
    else if (typeof from === "object") {
      const position = new Options.Position();
      position.setCommitPosition(String(from.commit));
      position.setPreparePosition(String(from.prepare));
      ofAll.setPosition(position);
    }
    options.setAll(ofAll);
  }
  options.setReadDirection(backwards ? Options.ReadDirection.BACKWARDS : Options.ReadDirection.FORWARDS);
  if (count === undefined) options.setSubscription(new Options.SubscriptionOptions());
  else options.setCount(String(count));
  if (prefixes === undefined && oursOnly !== true) options.setNoFilter(new shared.Empty());
  else {
    const names = new Options.FilterOptions.Expression();
    if (prefixes === undefined) names.setRegex("^[^$]");
    else names.setPrefixList([...prefixes]);
    const filter = new Options.FilterOptions();
    filter.setStreamIdentifier(names);
    filter.setMax(SEARCH_WINDOW);
    filter.setCheckpointintervalmultiplier(1_000);
    options.setFilter(filter);
  }
  const ids = new Options.UUIDOption();
  ids.setString(new shared.Empty());
  options.setUuidOption(ids);
  const request = new streams.ReadReq();
  request.setOptions(options);
  return request;
}

/** How many events the server looks at in one go when it filters. */
const SEARCH_WINDOW = 512;

interface NumberedAnswer {
  readonly correlation: number;
  readonly answer: Answer;
}

/** Errors are rare: only they are read with the stubs. */
function readAnswer(bytes: Buffer): NumberedAnswer {
  const { correlation, lastRevision } = readBatchAnswer(bytes);
  if (lastRevision !== undefined) return { correlation, answer: { kind: "written", lastRevision } };
  return { correlation, answer: errorOf(streams.BatchAppendResp.deserializeBinary(bytes)) };
}

function errorOf(answer: streams.BatchAppendResp): Answer {
  const error = answer.getError();
  const details = error?.getDetails();
  const type = details?.getTypeName() ?? "";
  const cause = new Error(`the event store answered ${type.replace(/^.*\./, "")} ${error?.getMessage() ?? ""}`.trim());
  switch (type) {
    case "event_store.client.WrongExpectedVersion": {
      const wrong = shared.WrongExpectedVersion.deserializeBinary(details?.getValue_asU8() ?? new Uint8Array());
      return {
        kind: "conflict",
        actualRevision: wrong.hasCurrentStreamRevision() ? Number(wrong.getCurrentStreamRevision()) : NO_STREAM,
      };
    }
    case "event_store.client.Timeout":
    case "event_store.client.Unknown":
      return { kind: "unsure", cause };
    default:
      return { kind: "refused", error: cause };
  }
}

function requestBytes(request: streams.ReadReq): Buffer {
  return Buffer.from(request.serializeBinary());
}

function asIs(bytes: Buffer): Buffer {
  return bytes;
}

function identifier(stream: string): shared.StreamIdentifier {
  const result = new shared.StreamIdentifier();
  result.setStreamName(Buffer.from(stream));
  return result;
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
