/** The `cloudevents` package as it is, in both of its modes: `KAFKA_BROKERS=127.0.0.1:9092 node examples/emit/cloudevents.ts` */
import { randomUUID } from "node:crypto";
import { CloudEvent, Kafka as Binding } from "cloudevents";
import { Kafka, Partitioners } from "kafkajs";

const kafka = new Kafka({ brokers: (process.env["KAFKA_BROKERS"] ?? "127.0.0.1:9092").split(",") });
const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner });
const id = process.argv[2] ?? randomUUID();
const data = { model: "gpt-4o", input_tokens: 812, output_tokens: 204, feature: "chat" };
const head = { type: "llm.completion", source: "my-api", subject: "demo", partitionkey: "default.demo" };
const structured = Binding.structured(new CloudEvent({ ...head, id: `${id}-structured`, data }));
const binary = Binding.binary(new CloudEvent({ ...head, id: `${id}-binary`, datacontenttype: "application/json", data }));

await producer.connect();
const messages = [structured, binary].map(({ key, value, headers }) => {
  const set = Object.entries(headers).flatMap(([name, text]) => (text === undefined ? [] : [[name, String(text)]]));
  return { key: String(key), value: typeof value === "string" ? value : JSON.stringify(value), headers: Object.fromEntries(set) };
});
await producer.send({ topic: "usage.reported", messages });
await producer.disconnect();
