/**
 * The gRPC server that speaks EventStoreDB's public protocol over any local event store.
 *
 * Owns the transport and applies the faults; `appending.ts` and `reading.ts` know what the server does. Loopback only.
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
import { createFaults, type Faults, type FaultSettings } from "./faults.ts";
import { createOutbox } from "./outbox.ts";
import { answerRead, answerSubscription, type Sink } from "./reading.ts";
import type { Proposed } from "./record.ts";
import {
  type AppendFrame,
  type BatchFrame,
  parseAppendFrame,
  parseBatchFrame,
  parseReadRequest,
  type ReadRequest,
} from "./requests.ts";

export interface FrontOptions {
  /** Whose positions are the numbers of the events in the log, as the local engines' are. The front does not close it. */
  readonly eventStore: EventStore;
  /** Default 0: the system chooses. */
  readonly port?: number;
  readonly faults?: Partial<FaultSettings>;
}

export interface Front {
  readonly port: number;
  /** For `EventStoreDBClient.connectionString`. */
  readonly connectionString: string;
  readonly faults: Faults;
  /** Ends every open stream of appends and every subscription as if all was well. */
  endStreams(): void;
  /** Breaks every connection and listens again on the same port, with the same log. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

const STREAMS = "event_store.client.streams.Streams";
const HOST = "127.0.0.1";
/** As EventStoreDB: one frame of an append, and what the client can read. */
const MAX_MESSAGE_BYTES = 17 * 1024 * 1024;
const REBIND_MS = 20;

export async function startFront(options: FrontOptions): Promise<Front> {
  const faults = createFaults(options.faults);
  const state = { server: new Server(), port: options.port ?? 0, stopped: false };
  const endable = new Set<() => void>();
  const calls = createCalls(options.eventStore, { faults, endable, restart, port: () => state.port });

  async function listen(): Promise<void> {
    const server = new Server({ "grpc.max_receive_message_length": MAX_MESSAGE_BYTES });
    for (const [service, implementation] of calls) server.addService(service, implementation);
    state.server = server;
    state.port = await new Promise<number>((resolve, reject) => {
      server.bindAsync(`${HOST}:${state.port}`, ServerCredentials.createInsecure(), (error, bound) => {
        if (error === null) resolve(bound);
        else reject(error);
      });
    });
  }

  async function restart(): Promise<void> {
    state.server.forceShutdown();
    endable.clear();
    for (;;) {
      await new Promise((resolve) => setTimeout(resolve, REBIND_MS));
      if (state.stopped) return;
      try {
        return await listen();
      } catch (error) {
        // The old socket may take a moment to go.
        if (!String(error).includes("EADDRINUSE")) throw error;
      }
    }
  }

  await listen();
  return {
    port: state.port,
    connectionString: `esdb://${HOST}:${state.port}?tls=false`,
    faults,
    endStreams() {
      for (const end of endable) end();
    },
    restart,
    async stop() {
      state.stopped = true;
      state.server.forceShutdown();
    },
  };
}

interface Surroundings {
  readonly faults: Faults;
  /** How to end the streams of appends and the subscriptions that are open. */
  readonly endable: Set<() => void>;
  readonly restart: () => Promise<void>;
  readonly port: () => number;
}

type Implementation = Parameters<Server["addService"]>[1];

/** The services and what they do; the same for every server that a restart makes. */
function createCalls(
  eventStore: EventStore,
  { faults, endable, restart, port }: Surroundings,
): readonly (readonly [ServiceDefinition, Implementation])[] {
  const append = createAppending(eventStore);
  const outbox = createOutbox();
  const ids = { subscription: 0 };
  let restarting: Promise<void> | undefined;

  const batchAppend: handleBidiStreamingCall<BatchFrame, Buffer> = (call) => {
    const unfinished = new Map<string, { readonly stream: string; readonly expected: Expected; readonly events: Proposed[] }>();
    const open = { is: true, running: 0, ended: false };
    const close = (error?: object) => {
      if (!open.is) return;
      open.is = false;
      endable.delete(end);
      if (error === undefined) call.end();
      else call.emit("error", error);
    };
    const end = () => close();
    endable.add(end);

    async function take(
      { correlationId }: BatchFrame,
      command: { stream: string; expected: Expected; events: Proposed[] },
    ): Promise<void> {
      const fate = faults.fateOfAppend();
      if (fate === "hang") return;
      if (fate === "unavailable") return close(unavailable());
      const outcome = await append(command);
      open.running -= 1;
      const write = () => {
        if (open.is) call.write(batchAnswer(correlationId, command.stream, command.expected, outcome));
        if (open.ended && open.running === 0) close();
      };
      switch (fate) {
        case "none":
          return outbox.send(write, faults.left().delayMs);
        case "reorderAnswers":
          return outbox.hold(write);
        case "swallow":
          return;
        case "dropAfterCommit":
          return close(unavailable());
        case "endStream":
          return close();
        case "restart":
          restarting ??= restart().finally(() => {
            restarting = undefined;
          });
      }
    }

    call.on("data", (frame: BatchFrame) => {
      const target = unfinished.get(frame.correlationId) ?? (frame.target && { ...frame.target, events: [] });
      if (target === undefined) return close(malformed("an append begins with its options"));
      target.events.push(...frame.events);
      if (!frame.isFinal) return void unfinished.set(frame.correlationId, target);
      unfinished.delete(frame.correlationId);
      open.running += 1;
      take(frame, target).catch((error: unknown) => close(failed(error)));
    });
    call.on("end", () => {
      open.ended = true;
      if (open.running === 0) close();
    });
    for (const event of ["cancelled", "error"]) {
      call.on(event, () => {
        open.is = false;
        endable.delete(end);
      });
    }
  };

  const appendOnce: handleClientStreamingCall<AppendFrame, Buffer> = (call, answer) => {
    let target: { readonly stream: string; readonly expected: Expected } | undefined;
    const events: Proposed[] = [];

    async function take(): Promise<void> {
      if (target === undefined) return answer(malformed("an append begins with its options"));
      const { stream, expected } = target;
      const fate = faults.fateOfAppend();
      if (fate === "hang") return;
      if (fate === "unavailable") return answer(unavailable());
      const outcome = await append({ stream, expected, events });
      if (fate === "swallow") return;
      if (fate === "dropAfterCommit" || fate === "endStream") return answer(unavailable());
      outbox.send(() => {
        if (outcome.kind === "success" || outcome.kind === "wrong-expected-version")
          answer(null, appendAnswer(expected, outcome));
        else answer(trailers(outcome));
      }, faults.left().delayMs);
    }

    call.on("data", (frame: AppendFrame) => {
      if (frame.kind === "target") target = frame;
      else events.push(frame.event);
    });
    call.on("end", () => void take().catch((error: unknown) => answer(failed(error))));
  };

  const read: handleServerStreamingCall<ReadRequest, Buffer> = (call) => {
    const fate = faults.fateOfRead();
    if (fate === "hang") return;
    if (fate === "unavailable") return void call.emit("error", unavailable());
    const { request } = call;
    const closed = new Promise<void>((resolve) => {
      for (const event of ["cancelled", "close", "error"]) call.on(event, () => resolve());
    });
    const sink: Sink = {
      write: (answer) => (call.cancelled || call.write(answer) ? undefined : Promise.race([drained(call), closed])),
      isClosed: () => call.cancelled || call.destroyed,
      closed,
    };

    async function answer(): Promise<void> {
      const { delayMs } = faults.left();
      if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs));
      if (!request.subscription) return await answerRead(eventStore, request, sink);
      ids.subscription += 1;
      const ended = Promise.withResolvers<void>();
      endable.add(ended.resolve);
      await answerSubscription(eventStore, request, String(ids.subscription), sink, ended.promise).finally(() =>
        endable.delete(ended.resolve),
      );
    }

    answer().then(
      () => call.end(),
      (error: unknown) => call.emit("error", failed(error)),
    );
  };

  const supported: handleUnaryCall<unknown, Buffer> = (_call, answer) => {
    const service = STREAMS.toLowerCase();
    answer(null, supportedMethodsAnswer(["append", "batchappend", "read"].map((name) => ({ service, method: name }))));
  };
  const cluster: handleUnaryCall<unknown, Buffer> = (_call, answer) => answer(null, clusterAnswer(HOST, port()));

  // A request without a value would be taken for none.
  const none = { parse: () => ({}), requestStream: false, responseStream: false };
  return [
    [
      {
        ...method(STREAMS, "BatchAppend", { parse: parseBatchFrame, requestStream: true, responseStream: true }),
        ...method(STREAMS, "Append", { parse: parseAppendFrame, requestStream: true, responseStream: false }),
        ...method(STREAMS, "Read", { parse: parseReadRequest, requestStream: false, responseStream: true }),
      },
      { BatchAppend: batchAppend, Append: appendOnce, Read: read },
    ],
    [
      method("event_store.client.server_features.ServerFeatures", "GetSupportedMethods", none),
      { GetSupportedMethods: supported },
    ],
    [method("event_store.client.gossip.Gossip", "Read", none), { Read: cluster }],
  ];
}

interface MethodOptions {
  readonly parse: (bytes: Buffer) => unknown;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
}

/** A method whose answers are bytes already. */
function method(service: string, name: string, { parse, ...streaming }: MethodOptions): ServiceDefinition {
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

interface Failure {
  readonly code: number;
  readonly details: string;
  readonly metadata?: Metadata;
}

function unavailable(): Failure {
  return { code: status.UNAVAILABLE, details: "the server is unavailable, as it was told" };
}

function malformed(details: string): Failure {
  return { code: status.INVALID_ARGUMENT, details };
}

function failed(error: unknown): Failure {
  return { code: status.UNKNOWN, details: error instanceof Error ? error.message : String(error) };
}

/** How an append call, which has no message for them, tells other errors. */
function trailers(outcome: Exclude<AppendOutcome, { kind: "success" | "wrong-expected-version" }>): Failure {
  if (outcome.kind === "refused") return { code: status.UNKNOWN, details: outcome.reason };
  const metadata = new Metadata();
  metadata.set("exception", "maximum-append-size-exceeded");
  metadata.set("maximum-append-size", String(outcome.maxBytes));
  return { code: status.INVALID_ARGUMENT, details: "the append is too large", metadata };
}

function drained(call: { once(event: "drain", listener: () => void): unknown }): Promise<void> {
  return new Promise((resolve) => void call.once("drain", resolve));
}
