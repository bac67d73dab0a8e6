/**
 * The gRPC server that speaks EventStoreDB's public protocol over any local event store.
 *
 * Owns the transport and the faults; `appending.ts` and `reading.ts` know what the server does. Loopback only.
 */
import {
  type handleBidiStreamingCall,
  type handleClientStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  Metadata,
  Server,
  ServerCredentials,
  type ServiceDefinition,
  status,
} from "@grpc/grpc-js";
import type { EventStore } from "@rerate/event-store";
import { type AppendOutcome, createAppending, type Expected } from "./appending.ts";
import { appendAnswer, batchAnswer, clusterAnswer, supportedMethodsAnswer } from "./answers.ts";
import { answerRead, answerSubscription, type Sink } from "./reading.ts";
import {
  type AppendFrame,
  type BatchFrame,
  parseAppendFrame,
  parseBatchFrame,
  parseReadRequest,
  type ReadRequest,
} from "./requests.ts";
import type { Proposed } from "./record.ts";

export interface FrontOptions {
  /** Whose positions are the numbers of the events in the log, as the local engines' are. The front does not close it. */
  readonly eventStore: EventStore;
  /** Default 0: the system chooses. */
  readonly port?: number;
}

export interface Front {
  readonly port: number;
  /** For `EventStoreDBClient.connectionString`. */
  readonly connectionString: string;
  stop(): Promise<void>;
}

const STREAMS = "event_store.client.streams.Streams";
const HOST = "127.0.0.1";

export async function startFront(options: FrontOptions): Promise<Front> {
  const { eventStore } = options;
  const append = createAppending(eventStore);
  const server = new Server({ "grpc.max_receive_message_length": 17 * 1024 * 1024 });
  let subscriptions = 0;

  const batchAppend: handleBidiStreamingCall<BatchFrame, Buffer> = (call) => {
    const unfinished = new Map<string, { readonly stream: string; readonly expected: Expected; readonly events: Proposed[] }>();
    let running = 0;
    let ended = false;
    const endWhenIdle = () => {
      if (ended && running === 0) call.end();
    };
    call.on("data", (frame: BatchFrame) => {
      const target = unfinished.get(frame.correlationId) ?? (frame.target && { ...frame.target, events: [] });
      if (target === undefined) return;
      target.events.push(...frame.events);
      if (!frame.isFinal) return void unfinished.set(frame.correlationId, target);
      unfinished.delete(frame.correlationId);
      running += 1;
      append(target).then(
        (outcome) => {
          running -= 1;
          if (!call.cancelled) call.write(batchAnswer(frame.correlationId, target.stream, target.expected, outcome));
          endWhenIdle();
        },
        (error: unknown) => call.destroy(asError(error)),
      );
    });
    call.on("end", () => {
      ended = true;
      endWhenIdle();
    });
    call.on("error", () => call.end());
  };

  const appendOnce: handleClientStreamingCall<AppendFrame, Buffer> = (call, answer) => {
    let target: { readonly stream: string; readonly expected: Expected } | undefined;
    const events: Proposed[] = [];
    call.on("data", (frame: AppendFrame) => {
      if (frame.kind === "target") target = frame;
      else events.push(frame.event);
    });
    call.on("end", () => {
      if (target === undefined) return answer({ code: status.INVALID_ARGUMENT, details: "no stream was named" });
      const { stream, expected } = target;
      append({ stream, expected, events }).then(
        (outcome) => {
          if (outcome.kind === "success" || outcome.kind === "wrong-expected-version")
            answer(null, appendAnswer(expected, outcome));
          else answer(failure(outcome));
        },
        (error: unknown) => answer({ code: status.UNKNOWN, details: asError(error).message }),
      );
    });
  };

  const read: handleServerStreamingCall<ReadRequest, Buffer> = (call) => {
    const closed = new Promise<void>((resolve) => {
      call.on("cancelled", resolve);
      call.on("close", resolve);
      call.on("error", () => resolve());
    });
    const sink: Sink = {
      write: (answer) => (call.cancelled || call.write(answer) ? undefined : drained(call, closed)),
      isClosed: () => call.cancelled || call.destroyed,
      closed,
    };
    const answered = call.request.subscription
      ? answerSubscription(eventStore, call.request, String(++subscriptions), sink, new Promise(() => {}))
      : answerRead(eventStore, call.request, sink);
    answered.then(
      () => call.end(),
      (error: unknown) => call.destroy(Object.assign(asError(error), { code: status.UNKNOWN })),
    );
  };

  const supported: handleUnaryCall<unknown, Buffer> = (_call, answer) =>
    answer(
      null,
      supportedMethodsAnswer(["append", "batchappend", "read"].map((method) => ({ service: STREAMS.toLowerCase(), method }))),
    );
  const port = { bound: 0 };
  const cluster: handleUnaryCall<unknown, Buffer> = (_call, answer) => answer(null, clusterAnswer(HOST, port.bound));

  server.addService(
    {
      ...method(STREAMS, "BatchAppend", { parse: parseBatchFrame, requestStream: true, responseStream: true }),
      ...method(STREAMS, "Append", { parse: parseAppendFrame, requestStream: true, responseStream: false }),
      ...method(STREAMS, "Read", { parse: parseReadRequest, requestStream: false, responseStream: true }),
    },
    { BatchAppend: batchAppend, Append: appendOnce, Read: read },
  );
  const none = { parse: () => undefined, requestStream: false, responseStream: false };
  server.addService(method("event_store.client.server_features.ServerFeatures", "GetSupportedMethods", none), {
    GetSupportedMethods: supported,
  });
  server.addService(method("event_store.client.gossip.Gossip", "Read", none), { Read: cluster });

  port.bound = await listen(server, options.port ?? 0);
  return {
    port: port.bound,
    connectionString: `esdb://${HOST}:${port.bound}?tls=false`,
    async stop() {
      server.forceShutdown();
    },
  };
}

/** A method whose answers are bytes already. */
function method<Request>(
  service: string,
  name: string,
  {
    parse,
    ...streaming
  }: { readonly parse: (bytes: Buffer) => Request; readonly requestStream: boolean; readonly responseStream: boolean },
): ServiceDefinition {
  return {
    [name]: {
      path: `/${service}/${name}`,
      ...streaming,
      requestSerialize: () => Buffer.alloc(0),
      requestDeserialize: parse,
      responseSerialize: (answer: Buffer) => answer,
      responseDeserialize: (bytes: Buffer) => bytes,
    },
  };
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(`${HOST}:${port}`, ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
}

/** How an append call, which has no message for them, tells other errors: as trailers. */
function failure(outcome: Exclude<AppendOutcome, { kind: "success" | "wrong-expected-version" }>): {
  readonly code: number;
  readonly details: string;
  readonly metadata: Metadata;
} {
  const metadata = new Metadata();
  if (outcome.kind === "refused") return { code: status.UNKNOWN, details: outcome.reason, metadata };
  metadata.set("exception", "maximum-append-size-exceeded");
  metadata.set("maximum-append-size", String(outcome.maxBytes));
  return { code: status.INVALID_ARGUMENT, details: "the append is too large", metadata };
}

function drained(call: { once(event: "drain", listener: () => void): unknown }, closed: Promise<void>): Promise<void> {
  return Promise.race([new Promise<void>((resolve) => void call.once("drain", resolve)), closed]);
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
