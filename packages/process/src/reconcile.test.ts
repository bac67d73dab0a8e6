import { createMemoryEventStore } from "@rerate/event-store";
import { parkedId } from "@rerate/flow";
import { deliveryIdentity, partitionKey, streamName } from "@rerate/ledger";
import type { ReceivedMessage } from "@rerate/message-bus";
import type { StreamEngines } from "@rerate/runtime";
import { hash } from "node:crypto";
import { expect, test } from "vitest";
import { reconcile } from "./reconcile.ts";

const TOPIC = "usage.accepted";
const fact = (id: string, ns = "default") => ({ kind: "usage", ns, account: "acme", source: "api", id, contentHash: `1:${id}` });
const POISON = Buffer.from("poison");

function delivered(bodies: readonly object[]): ReceivedMessage[] {
  return bodies.map((body, offset) => ({
    topic: TOPIC,
    partition: 0,
    offset,
    key: partitionKey("default", "acme"),
    content: body === POISON ? { kind: "poison", bytes: POISON, error: "no Avro" } : { kind: "body", body },
  }));
}

const idOf = (body: ReturnType<typeof fact>) => parkedId(TOPIC, deliveryIdentity(body));
const poisonId = parkedId(TOPIC, hash("sha256", POISON, "base64url"));

/** A stream's worth of engines: messages of the topic, of which the first `handled` were handled, the log, and what is parked. */
async function engines(messages: readonly ReceivedMessage[], handled: number, parked: readonly string[]) {
  const eventStore = createMemoryEventStore();
  const recorded = (type: string, id: string) => ({ type, data: JSON.stringify({ source: "api", id, contentHash: `1:${id}` }) });
  const account = [
    recorded("UsageRecorded", "recorded"),
    recorded("FactParked", "parked"),
    recorded("FactParked", "erased"),
    recorded("UsageRecorded", "older"),
    recorded("UsageRecorded", "twice"),
    recorded("UsageRecorded", "twice"),
    recorded("UsageRecorded", "mended"),
  ];
  const notes = [{ type: "MessageParked", data: JSON.stringify({ id: poisonId, topic: TOPIC }) }];
  for (const [stream, events] of [
    [streamName("account", "default", "acme"), account],
    [streamName("parked", "default", "settlement"), notes],
  ] as const) {
    const sealed = events.map((event) => ({ ...event, metadata: "{}", body: JSON.parse(event.data) as unknown }));
    await eventStore.append([{ stream, expectedRevision: -1, events: sealed }]);
  }
  const records = parked.map((id, offset): ReceivedMessage => {
    return { topic: "parked", partition: 0, offset, key: id, content: { kind: "body", body: { ns: "default", topic: TOPIC } } };
  });
  const gone = {
    topic: "parked",
    partition: 0,
    key: idOf(fact("erased")),
    content: { kind: "poison", bytes: Buffer.alloc(0), error: "" },
  } as const;
  const bus = {
    async scan(topic: string, onMessages: (given: readonly ReceivedMessage[]) => void) {
      const all = topic === TOPIC ? messages : topic === "parked" ? [...records, { ...gone, offset: records.length }] : [];
      for (const message of all) onMessages([message]);
      return new Map([[0, all.length]]);
    },
    committed: async () => [{ topic: TOPIC, partition: 0, offset: handled }],
  };
  return { eventStore, bus } as unknown as Pick<StreamEngines, "eventStore" | "bus">;
}

test("every accepted message is counted once, as what became of it", async () => {
  const known = ["recorded", "parked", "erased", "mended"].map((id) => fact(id));
  const messages = delivered([...known, POISON, fact("recorded"), POISON, fact("foreign", "shop"), fact("waiting")]);
  const parked = [idOf(fact("parked")), poisonId, idOf(fact("mended")), idOf(fact("erased"))];
  const { topics } = await reconcile("default", await engines(messages, messages.length - 1, parked));
  expect(topics[0]).toEqual({
    topic: TOPIC,
    deliveries: 8,
    accepted: 6,
    recorded: 2,
    parked: 2,
    erased: 1,
    waiting: 1,
    missing: 0,
    twice: 1,
    older: 2,
    mended: 1,
  });
});

test("what was handled and is nowhere is missing, what is in the log twice is doubled, and both are named", async () => {
  const messages = delivered([fact("recorded"), fact("lost"), POISON, fact("lost"), fact("twice")]);
  const { ok, topics, problems } = await reconcile("default", await engines(messages, messages.length, []));
  expect(ok).toBe(false);
  // The poison was noted, so somebody erased it.
  expect(topics[0]).toMatchObject({ accepted: 4, recorded: 2, erased: 1, missing: 1, twice: 1, waiting: 0 });
  expect(problems).toEqual([
    expect.objectContaining({ kind: "twice", topic: TOPIC, at: expect.stringContaining("revision 5") as string }),
    { kind: "missing", topic: TOPIC, identity: deliveryIdentity(fact("lost")), at: `${TOPIC}/0 at 1` },
  ]);
});

test("a group that stands outside the topic's log has handled nothing of it", async () => {
  const messages = delivered([fact("lost")]);
  const { topics } = await reconcile("default", await engines(messages, 1_000, []));
  expect(topics[0]).toMatchObject({ accepted: 1, missing: 0, waiting: 1 });
});
