import { once } from "node:events";
import esdb from "@eventstore/db-client";
import { createMemoryEventStore } from "@rerate/event-store";
import { describe, expect, it, onTestFinished } from "vitest";
import { FRONT_APPEND_BYTES } from "./appending.ts";
import { startFront } from "./front.ts";

const { ANY, BACKWARDS, binaryEvent, END, EventStoreDBClient, eventTypeFilter, jsonEvent, NO_STREAM, START, STREAM_EXISTS } =
  esdb;
const { streamNameFilter, WrongExpectedVersionError, StreamNotFoundError, MaxAppendSizeExceededError } = esdb;

/** The unmodified client on a front over memory. */
async function open(scheme = "esdb") {
  const log = createMemoryEventStore({ maxAppendBytes: FRONT_APPEND_BYTES });
  const front = await startFront({ eventStore: log });
  const client = EventStoreDBClient.connectionString(front.connectionString.replace("esdb:", `${scheme}:`));
  onTestFinished(async () => {
    await client.dispose();
    await front.stop();
    await log.close();
  });
  return { client, front };
}

const events = (count: number, text = "x") =>
  Array.from({ length: count }, (_, n) => jsonEvent({ type: "Made", data: { n, text }, metadata: { n } }));

/** Both ways to append: on the shared stream of appends, and by a call of its own. */
const WAYS = [
  ["in a batch", {}],
  ["by a call", { credentials: { username: "some", password: "body" } }],
] as const;

describe.each(WAYS)("the client appends %s", (_name, way) => {
  it("with every expectation about the stream", async () => {
    const { client } = await open();
    const [first, second, third] = [events(2), events(3), events(1)];
    const append = (what: ReturnType<typeof events>, expectedRevision: bigint | "no_stream" | "any" | "stream_exists") =>
      client.appendToStream("a-1", what, { expectedRevision, ...way });
    const wrong = async (promise: Promise<unknown>) => {
      const error = await promise.then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      if (!(error instanceof WrongExpectedVersionError))
        throw new Error("that should have been a wrong version", { cause: error });
      return [error.streamName, error.actualVersion, error.expectedVersion];
    };

    expect(await wrong(append(first, STREAM_EXISTS))).toEqual(["a-1", "no_stream", "stream_exists"]);
    expect(await wrong(append(first, 4n))).toEqual(["a-1", "no_stream", 4n]);
    expect(await append(first, NO_STREAM)).toMatchObject({ success: true, nextExpectedRevision: 1n });
    expect(await append(second, 1n)).toMatchObject({ success: true, nextExpectedRevision: 4n });

    // Lower than the current revision: acknowledged where the ids are at their places, for a part of the batch as well.
    expect(await append(first, NO_STREAM)).toMatchObject({ success: true, nextExpectedRevision: 1n });
    expect(await append([...first, ...second], NO_STREAM)).toMatchObject({ success: true, nextExpectedRevision: 4n });
    expect(await append(second.slice(0, 2), 1n)).toMatchObject({ success: true, nextExpectedRevision: 3n });
    expect(await wrong(append([...second, ...third], 1n))).toEqual(["a-1", 4n, 1n]);
    expect(await wrong(append(third, 1n))).toEqual(["a-1", 4n, 1n]);
    // What the ids stand for is not compared.
    const relabelled = first.map((event) => jsonEvent({ ...event, type: "Other", data: { n: 9, text: "other" } }));
    expect(await append(relabelled, NO_STREAM)).toMatchObject({ success: true, nextExpectedRevision: 1n });
    // Higher than the current revision: never.
    expect(await wrong(append(third, 9n))).toEqual(["a-1", 4n, 9n]);

    // Equal to the current revision: a known id is stored again.
    expect(await append(first, 4n)).toMatchObject({ success: true, nextExpectedRevision: 6n });

    // Any: only what the server remembers is not stored again.
    expect(await append(third, ANY)).toMatchObject({ success: true, nextExpectedRevision: 7n });
    expect(await append(third, ANY)).toMatchObject({ success: true, nextExpectedRevision: 7n });
    expect(await append(third, STREAM_EXISTS)).toMatchObject({ success: true, nextExpectedRevision: 7n });
    expect(await wrong(append([...third, ...events(1)], ANY))).toEqual(["a-1", 7n, "any"]);
    expect(await append([...events(1), ...third], ANY)).toMatchObject({ success: true, nextExpectedRevision: 9n });
  });

  it("and is told the limit when an append is too large, with nothing written", async () => {
    const { client } = await open();
    const error = await client
      .appendToStream("a-1", events(2, "x".repeat(600_000)), { expectedRevision: NO_STREAM, ...way })
      .then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
    expect(error).toBeInstanceOf(MaxAppendSizeExceededError);
    expect(error).toMatchObject({ maxAppendSize: 1_048_576 });
    await expect(all(client.readStream("a-1"))).rejects.toBeInstanceOf(StreamNotFoundError);
  });

  it("any bytes, and reads them back with their id, type and place", async () => {
    const { client } = await open();
    const bytes = Uint8Array.from({ length: 256 }, (_, index) => index);
    const json = jsonEvent({ type: "Ünïcode", data: { text: "line\nbreak 🧾" }, metadata: { at: "now" } });
    const binary = binaryEvent({ type: "Bytes", data: bytes, metadata: bytes });
    const plain = binaryEvent({ type: "Text", data: Buffer.from("plain") });
    await client.appendToStream("a-ø", [json, binary, plain], { expectedRevision: NO_STREAM, ...way });
    const [first, second, third] = await all(client.readStream("a-ø", { fromRevision: START }));
    expect(first).toMatchObject({
      id: json.id,
      type: "Ünïcode",
      data: json.data,
      metadata: json.metadata,
      isJson: true,
      revision: 0n,
    });
    expect(first).toMatchObject({ streamId: "a-ø", position: { commit: 1n, prepare: 1n } });
    expect(second).toMatchObject({ id: binary.id, type: "Bytes", isJson: false, revision: 1n });
    expect(bytesOf(second?.data).equals(bytes)).toBe(true);
    expect(bytesOf(second?.metadata).equals(bytes)).toBe(true);
    expect(third).toMatchObject({ id: plain.id, isJson: false, metadata: undefined });
    expect(bytesOf(third?.data).toString()).toBe("plain");
  });
});

describe("the client reads", () => {
  it("a stream both ways from any place", async () => {
    const { client } = await open();
    await client.appendToStream("a-1", events(1_000), { expectedRevision: NO_STREAM });
    await client.appendToStream("a-1", events(200), { expectedRevision: 999n });
    const revisions = async (options: Parameters<typeof client.readStream>[1]) =>
      (await all(client.readStream("a-1", options))).map(({ revision }) => Number(revision));
    expect((await revisions({})).length).toBe(1_200);
    expect(await revisions({ fromRevision: 5n, maxCount: 3 })).toEqual([5, 6, 7]);
    expect(await revisions({ fromRevision: END, direction: BACKWARDS, maxCount: 2 })).toEqual([1_199, 1_198]);
    expect(await revisions({ fromRevision: 3n, direction: BACKWARDS })).toEqual([3, 2, 1, 0]);
    expect((await revisions({ fromRevision: END, direction: BACKWARDS })).length).toBe(1_200);
    expect(await revisions({ fromRevision: 1_200n })).toEqual([]);
    await expect(all(client.readStream("nobody"))).rejects.toBeInstanceOf(StreamNotFoundError);
  });

  it("all streams both ways from any place", async () => {
    const { client } = await open();
    for (const stream of ["a-1", "b-1", "a-2"]) await client.appendToStream(stream, events(3), { expectedRevision: NO_STREAM });
    const places = async (options: Parameters<typeof client.readAll>[0]) =>
      (await all(client.readAll(options))).map(({ position }) => Number(position?.commit));
    expect(await places({})).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(await places({ fromPosition: { commit: 4n, prepare: 4n }, maxCount: 2 })).toEqual([4, 5]);
    expect(await places({ fromPosition: END, direction: BACKWARDS, maxCount: 2 })).toEqual([9, 8]);
    expect(await places({ fromPosition: { commit: 2n, prepare: 2n }, direction: BACKWARDS })).toEqual([2, 1]);
  });
});

describe("the client subscribes", () => {
  it("to all streams through a filter, after a position, and hears when it has caught up", async () => {
    const { client } = await open();
    for (const stream of ["a-1", "b-1", "a-2"]) await client.appendToStream(stream, events(2), { expectedRevision: NO_STREAM });
    const heard: string[] = [];
    const note = (event: { event?: { streamId: string; revision: bigint } }) =>
      heard.push(`${event.event?.streamId} ${event.event?.revision}`);
    const positions: bigint[] = [];
    const subscription = client.subscribeToAll({
      fromPosition: { commit: 1n, prepare: 1n },
      filter: streamNameFilter({
        prefixes: ["a-"],
        checkpointInterval: 1,
        checkpointReached: async (_subscription, { commit }) => void positions.push(commit),
      }),
    });
    subscription.on("data", note).on("caughtUp", () => heard.push("caught up"));
    await expect.poll(() => heard).toEqual(["a-1 1", "a-2 0", "a-2 1", "caught up"]);
    await client.appendToStream("b-1", events(1), { expectedRevision: 1n });
    await client.appendToStream("a-3", events(1), { expectedRevision: NO_STREAM });
    await expect.poll(() => heard.at(-1)).toBe("a-3 0");
    expect(positions.at(-1)).toBe(8n);
    await subscription.unsubscribe();

    const types: string[] = [];
    const byType = client.subscribeToAll({ filter: eventTypeFilter({ regex: "^M" }) });
    byType.on("data", ({ event }) => types.push(event?.type ?? ""));
    await expect.poll(() => types.length).toBe(8);
    await byType.unsubscribe();
  });

  it("to one stream, after a revision or from the end", async () => {
    const { client } = await open();
    await client.appendToStream("a-1", events(3), { expectedRevision: NO_STREAM });
    await client.appendToStream("a-12", events(3), { expectedRevision: NO_STREAM });
    const heard: string[] = [];
    const after = client.subscribeToStream("a-1", { fromRevision: 0n });
    after.on("data", ({ event }) => heard.push(`after ${event?.revision}`));
    const fromEnd = client.subscribeToStream("a-1", { fromRevision: END });
    fromEnd.on("data", ({ event }) => heard.push(`end ${event?.revision}`));
    await once(fromEnd, "caughtUp");
    await expect.poll(() => heard).toEqual(["after 1", "after 2"]);
    await client.appendToStream("a-1", events(1), { expectedRevision: 2n });
    await expect.poll(() => heard.toSorted()).toEqual(["after 1", "after 2", "after 3", "end 3"]);
    await after.unsubscribe();
    await fromEnd.unsubscribe();
  });
});

it("a client that discovers its cluster finds the front", async () => {
  const { client } = await open("esdb+discover");
  expect(await client.appendToStream("a-1", events(1), { expectedRevision: NO_STREAM })).toMatchObject({ success: true });
});

interface Recorded {
  readonly id: string;
  readonly type: string;
  readonly revision: bigint;
  readonly data: unknown;
  readonly metadata?: unknown;
  readonly position?: { readonly commit: bigint };
}

async function all(stream: AsyncIterable<{ readonly event?: Recorded }>): Promise<Recorded[]> {
  const found: Recorded[] = [];
  for await (const { event } of stream) if (event !== undefined) found.push(event);
  return found;
}

/** The bytes that the client hands out for what is no JSON. */
function bytesOf(value: unknown): Buffer {
  if (!(value instanceof Uint8Array)) throw new Error("these are no bytes");
  return Buffer.from(value);
}
