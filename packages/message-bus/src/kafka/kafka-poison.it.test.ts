/** Whatever foreign producers put into a partition, it goes on: poison on a real broker. */
import { gzipSync, zstdCompressSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { watch } from "../conformance.ts";
import type { ReceivedMessage } from "../port.ts";
import { withAdmin } from "./connection.ts";
import type { NewRecord } from "./record-batch.ts";
import { foreignBatch, snappy } from "./testing/foreign-batch.ts";
import { createRoom, type KafkaProvider, produceRaw, startKafka, testLog, type TestRoom } from "./testing/kafka-provider.ts";

let kafka: KafkaProvider;
let room: TestRoom;

beforeAll(async () => {
  kafka = await startKafka("Kafka poison");
});
afterAll(() => kafka.end());

const record = (value: string | null): NewRecord => ({
  key: Buffer.from("k"),
  value: value === null ? null : Buffer.from(value),
});
const plain = (...values: readonly (string | null)[]) => foreignBatch(values.map(record), { codec: 0 });
const shown = ({ content }: ReceivedMessage) => (content.kind === "body" ? content.body : content.error);

/** What one consumer gets of the batches that the broker took. */
async function consumed(topic: string, batches: readonly Buffer[], count: number): Promise<readonly ReceivedMessage[]> {
  const errors = await produceRaw(kafka.brokers, `${room.prefix}${topic}`, 2, batches);
  expect(errors).toEqual(batches.map(() => 0));
  const { chunks, consumer, reached } = watch(await room.open(), "group", { topics: [topic] });
  await reached(count);
  await consumer.stop();
  expect((await (await room.open()).lag("group")).every(({ lag }) => lag === 0)).toBe(true);
  return chunks.flatMap(({ messages }) => messages);
}

async function inRoom(body: () => Promise<void>): Promise<void> {
  room = await createRoom(kafka.brokers);
  try {
    await body();
  } finally {
    await room.close();
  }
}

test("garbage, null values, wrong and missing keys: each is one message, and the partition goes on", () =>
  inRoom(async () => {
    const noKey: NewRecord = { key: null, value: Buffer.from('"no key"') };
    const strange: NewRecord = { key: Buffer.from([0xff, 0xfe]), value: Buffer.from('"strange key"') };
    const bytes: NewRecord = { key: Buffer.from("k"), value: Buffer.from([0xc3, 0x01, 0xff]) };
    const messages = await consumed(
      "orders",
      [plain('"a"', null, "!bad"), foreignBatch([noKey, strange, bytes], { codec: 0 }), plain('"z"')],
      7,
    );
    expect(messages.map(shown)).toEqual([
      "a",
      expect.stringContaining("no value"),
      expect.stringContaining("this is no message"),
      "no key",
      "strange key",
      expect.stringContaining("SyntaxError"),
      "z",
    ]);
    expect(messages.map(({ key }) => key)).toEqual(["k", "k", "k", "", "\ufffd\ufffd", "k", "k"]);
  }));

test("gzip and zstd are read; bombs of both, snappy and whatever else the broker takes are parked whole", () =>
  inRoom(async () => {
    const bomb = record("0".repeat(40_000_000));
    const batches = [
      plain('"first"'),
      foreignBatch([record('"gzip"')], { codec: 1, pack: (packed) => gzipSync(packed) }),
      foreignBatch([bomb], { codec: 1, pack: (packed) => gzipSync(packed) }),
      foreignBatch([record('"zstd"')], { codec: 4, pack: (packed) => zstdCompressSync(packed) }),
      foreignBatch([bomb], { codec: 4, pack: (packed) => zstdCompressSync(packed) }),
      foreignBatch([record("x")], { codec: 2, pack: snappy }),
    ];
    // A broker looks into most of what it is sent and refuses what is damaged; what it takes must do no harm.
    const damaged = [1, 2, 3, 4, 5].map((codec) => foreignBatch([record("damaged")], { codec }));
    const errors = await produceRaw(kafka.brokers, `${room.prefix}orders`, 2, damaged);
    const taken = errors.filter((error) => error === 0).length;
    const messages = await consumed("orders", [...batches, plain('"last"')], taken + 7);
    expect(messages.slice(taken).map(shown)).toEqual([
      "first",
      "gzip",
      expect.stringContaining("unpacks to more than 32000000 bytes"),
      "zstd",
      expect.stringContaining("unpacks to more than 32000000 bytes"),
      expect.stringContaining("snappy, which is not supported"),
      "last",
    ]);
    for (const { content } of messages.slice(0, taken)) expect(content.kind).toBe("poison");
  }));

test("a record count that lies never gets past the bound", () =>
  inRoom(async () => {
    const batch = plain('"a"');
    batch.writeInt32BE(1_000_000_000, 57);
    const lying = foreignBatch([record('"a"')], { codec: 0 });
    const errors = await produceRaw(kafka.brokers, `${room.prefix}orders`, 2, [batch]);
    expect(errors).not.toEqual([0]);
    expect((await consumed("orders", [lying], 1)).map(shown)).toEqual(["a"]);
  }));

test("messages of ten megabytes come through where the topic allows them, beside small ones", () =>
  inRoom(async () => {
    const topic = `${room.prefix}large`;
    await withAdmin({ brokers: kafka.brokers, clientId: "test", log: testLog, requestTimeoutMs: 10_000 }, (admin) =>
      admin.create([{ topic, partitions: 4, replication: 1, settings: { "max.message.bytes": "12000000" } }]),
    );
    const large = JSON.stringify("x".repeat(10_000_000));
    const bomb = foreignBatch([record(large), record("x".repeat(30_000_000))], { codec: 1, pack: (packed) => gzipSync(packed) });
    const errors = await produceRaw(kafka.brokers, topic, 2, [plain('"a"'), plain(large), bomb, plain('"z"')]);
    expect(errors).toEqual([0, 0, 0, 0]);
    const bus = await room.open({
      topics: [{ name: "large", codec: room.options.topics[0]?.codec ?? room.options.parked.codec }],
    });
    const { chunks, reached, consumer } = watch(bus, "group", { topics: ["large"] });
    await reached(4);
    const messages = chunks.flatMap((chunk) => chunk.messages);
    expect(messages.map((message) => String(shown(message)).length)).toEqual([1, 10_000_000, expect.any(Number), 1]);
    const poison = messages[2]?.content;
    if (poison?.kind !== "poison") throw new Error("the third is poison");
    expect(poison.error).toContain("unpacks to more than");
    expect(Buffer.from(poison.bytes).subarray(61).equals(bomb.subarray(61))).toBe(true);
    // Parked as it came, and read back.
    const parked = {
      id: "p",
      service: "s",
      ns: "n",
      account: "a",
      topic: "large",
      reason: "undecodable",
      detail: poison.error,
      parkedAt: "2026-01-01T00:00:00.000000000Z",
      key: "",
      bytes: poison.bytes,
    };
    await bus.parked.put([parked]);
    const again = await room.open();
    expect((await again.parked.get("p"))?.bytes.length).toBe(poison.bytes.length);
    await consumer.stop();
    await withAdmin({ brokers: kafka.brokers, clientId: "test", log: testLog, requestTimeoutMs: 10_000 }, (admin) =>
      admin.delete([topic]),
    );
  }));
