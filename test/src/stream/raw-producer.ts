/**
 * Producers that send anything: any bytes under any key into any partition, packed in any way that a broker takes.
 *
 * A process that works with kafkajs would not send most of this; a broken or hostile one does.
 */
import kafkajs, { type Message, type Producer } from "kafkajs";
import { zstdCompressSync } from "node:zlib";

const { CompressionCodecs, CompressionTypes, Kafka, logLevel, Partitioners } = kafkajs;

export interface RawProducer {
  /** One record batch. Rejects with what the broker says. */
  send(
    topic: string,
    partition: number,
    messages: readonly Pick<Message, "key" | "value" | "headers">[],
    packed?: "gzip" | "zstd" | "snappy",
  ): Promise<void>;
  end(): Promise<void>;
}

const COMPRESSION = { gzip: CompressionTypes.GZIP, zstd: CompressionTypes.ZSTD, snappy: CompressionTypes.Snappy } as const;

export async function startRawProducer(brokers: string): Promise<RawProducer> {
  const never = async (): Promise<Buffer> => await Promise.reject(new Error("nothing is read here"));
  CompressionCodecs[CompressionTypes.ZSTD] = () => ({
    compress: async ({ buffer }: { readonly buffer: Buffer }) => zstdCompressSync(buffer),
    decompress: never,
  });
  CompressionCodecs[CompressionTypes.Snappy] = () => ({
    compress: async ({ buffer }: { readonly buffer: Buffer }) => snappy(buffer),
    decompress: never,
  });
  const kafka = new Kafka({ brokers: brokers.split(","), logLevel: logLevel.NOTHING });
  const producer: Producer = kafka.producer({
    createPartitioner: Partitioners.DefaultPartitioner,
    retry: { retries: 8 },
  });
  await producer.connect();
  return {
    async send(topic, partition, messages, packed) {
      const compression = packed === undefined ? CompressionTypes.None : COMPRESSION[packed];
      await producer.send({ topic, compression, messages: messages.map((message) => ({ ...message, partition })) });
    },
    end: () => producer.disconnect(),
  };
}

/** Packs as snappy does, in the framing of its Java library, without making anything smaller. At most 64 KiB. */
function snappy(bytes: Buffer): Buffer {
  if (bytes.length > 65_536) throw new RangeError("only one literal is packed here");
  const length: number[] = [];
  for (let rest = bytes.length; ; rest >>>= 7) {
    if (rest < 128) {
      length.push(rest);
      break;
    }
    length.push((rest & 0x7f) | 0x80);
  }
  const last = bytes.length - 1;
  const literal = Buffer.concat([Buffer.from([...length, 61 << 2, last & 0xff, last >>> 8]), bytes]);
  const frame = Buffer.alloc(20);
  frame.set([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00]);
  frame.writeInt32BE(1, 8);
  frame.writeInt32BE(1, 12);
  frame.writeInt32BE(literal.length, 16);
  return Buffer.concat([frame, literal]);
}
