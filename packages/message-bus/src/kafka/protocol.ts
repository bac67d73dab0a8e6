/**
 * The two requests of the Kafka protocol that carry messages, as bytes: Fetch (version 11) and Produce (version 7).
 *
 * Record sets stay bytes here: `record-batch.ts` reads and writes them. Versions: the newest that kafkajs speaks, too; brokers
 * from 2.3 to 4.x accept them.
 */

/** A request and how to read its answer. */
export interface Exchange<Answer> {
  readonly api: number;
  readonly version: number;
  readonly name: string;
  readonly body: Buffer;
  readonly decode: (answer: Buffer) => Answer;
  /** How long the broker may take, beyond the connection's own limit where that is longer. */
  readonly timeoutMs?: number;
}

export interface FetchRequest {
  readonly maxWaitMs: number;
  readonly maxBytes: number;
  readonly maxBytesPerPartition: number;
  readonly topics: readonly {
    readonly topic: string;
    readonly partitions: readonly { readonly partition: number; readonly offset: number }[];
  }[];
}

export interface FetchedPartition {
  readonly topic: string;
  readonly partition: number;
  readonly error: number;
  /** The offset after the last message that consumers may see, open transactions aside. */
  readonly highWatermark: number;
  readonly aborted: readonly { readonly producerId: bigint; readonly firstOffset: number }[];
  readonly records: Buffer;
}

/** Answers as soon as there is anything, at the latest after `maxWaitMs`. Sees only what committed transactions wrote. */
export function fetchExchange({
  maxWaitMs,
  maxBytes,
  maxBytesPerPartition,
  topics,
}: FetchRequest): Exchange<readonly FetchedPartition[]> {
  const out = new Writer();
  out.int32(-1).int32(maxWaitMs).int32(1).int32(maxBytes);
  out.int8(1); // read committed
  out.int32(0).int32(-1); // no fetch session
  out.array(topics, ({ topic, partitions }) => {
    out.string(topic);
    out.array(partitions, ({ partition, offset }) => {
      out.int32(partition).int32(-1).int64(BigInt(offset)).int64(-1n).int32(maxBytesPerPartition);
    });
  });
  out.int32(0).string("");
  return { api: 1, version: 11, name: "Fetch", body: out.bytes(), decode: decodeFetch, timeoutMs: maxWaitMs + 10_000 };
}

function decodeFetch(answer: Buffer): readonly FetchedPartition[] {
  const input = new Reader(answer);
  input.skip(4); // throttling
  const error = input.int16();
  if (error !== 0) throw new Error(`a fetch was answered with error ${error}`);
  input.skip(4);
  const found: FetchedPartition[] = [];
  for (let topics = input.int32(); topics > 0; topics--) {
    const topic = input.string();
    for (let partitions = input.int32(); partitions > 0; partitions--) {
      const partition = input.int32();
      const partitionError = input.int16();
      const highWatermark = Number(input.int64());
      input.skip(16); // last stable and first offset
      const aborted: { producerId: bigint; firstOffset: number }[] = [];
      for (let count = input.int32(); count > 0; count--)
        aborted.push({ producerId: input.int64(), firstOffset: Number(input.int64()) });
      input.skip(4); // preferred replica
      const records = input.take(Math.max(0, input.int32()));
      found.push({ topic, partition, error: partitionError, highWatermark, aborted, records });
    }
  }
  return found;
}

export interface ProduceRequest {
  readonly timeoutMs: number;
  readonly topic: string;
  /** One record batch per partition. */
  readonly batches: readonly { readonly partition: number; readonly batch: Buffer }[];
}

export interface ProducedPartition {
  readonly partition: number;
  readonly error: number;
  /** The offset of the first message. */
  readonly baseOffset: number;
}

/** Answers when all replicas in sync have the messages. */
export function produceExchange({ timeoutMs, topic, batches }: ProduceRequest): Exchange<readonly ProducedPartition[]> {
  const size = batches.reduce((sum, { batch }) => sum + batch.length + 8, 64 + topic.length * 3);
  const out = new Writer(size);
  out.int16(-1).int16(-1).int32(timeoutMs);
  out.array([topic], () => {
    out.string(topic);
    out.array(batches, ({ partition, batch }) => {
      out.int32(partition).int32(batch.length).raw(batch);
    });
  });
  return { api: 0, version: 7, name: "Produce", body: out.bytes(), decode: decodeProduce, timeoutMs: timeoutMs + 1_000 };
}

function decodeProduce(answer: Buffer): readonly ProducedPartition[] {
  const input = new Reader(answer);
  const found: ProducedPartition[] = [];
  for (let topics = input.int32(); topics > 0; topics--) {
    input.string();
    for (let partitions = input.int32(); partitions > 0; partitions--) {
      found.push({ partition: input.int32(), error: input.int16(), baseOffset: Number(input.int64()) });
      input.skip(16); // append time and first offset
    }
  }
  return found;
}

/** Writes big-endian into a buffer that grows. */
class Writer {
  #buffer: Buffer;
  #at = 0;

  constructor(size = 1_024) {
    this.#buffer = Buffer.allocUnsafe(size);
  }

  int8(value: number): this {
    this.#at = this.#room(1).writeInt8(value, this.#at);
    return this;
  }

  int16(value: number): this {
    this.#at = this.#room(2).writeInt16BE(value, this.#at);
    return this;
  }

  int32(value: number): this {
    this.#at = this.#room(4).writeInt32BE(value, this.#at);
    return this;
  }

  int64(value: bigint): this {
    this.#at = this.#room(8).writeBigInt64BE(value, this.#at);
    return this;
  }

  string(value: string): this {
    this.int16(Buffer.byteLength(value));
    this.#at += this.#room(value.length * 3).write(value, this.#at);
    return this;
  }

  raw(bytes: Buffer): this {
    this.#at += bytes.copy(this.#room(bytes.length), this.#at);
    return this;
  }

  array<Item>(items: readonly Item[], write: (item: Item) => void): this {
    this.int32(items.length);
    for (const item of items) write(item);
    return this;
  }

  bytes(): Buffer {
    return this.#buffer.subarray(0, this.#at);
  }

  #room(size: number): Buffer {
    if (this.#at + size > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#at + size));
      this.#buffer.copy(larger, 0, 0, this.#at);
      this.#buffer = larger;
    }
    return this.#buffer;
  }
}

/** Reads big-endian; throws a RangeError past the end. */
class Reader {
  readonly #buffer: Buffer;
  #at = 0;

  constructor(buffer: Buffer) {
    this.#buffer = buffer;
  }

  skip(count: number): void {
    this.#at += count;
  }

  int16(): number {
    this.#at += 2;
    return this.#buffer.readInt16BE(this.#at - 2);
  }

  int32(): number {
    this.#at += 4;
    return this.#buffer.readInt32BE(this.#at - 4);
  }

  int64(): bigint {
    this.#at += 8;
    return this.#buffer.readBigInt64BE(this.#at - 8);
  }

  string(): string {
    return this.take(Math.max(0, this.int16())).toString();
  }

  take(count: number): Buffer {
    const part = this.#buffer.subarray(this.#at, this.#at + count);
    if (part.length < count) throw new RangeError("an answer of the broker is cut off");
    this.#at += count;
    return part;
  }
}
