/** Emits a usage and a signal through a Kafka producer of your own: `KAFKA_BROKERS=127.0.0.1:9092 node examples/emit/kafka.ts` */
import { randomUUID } from "node:crypto";
import { createKafkaEmitter } from "@rerate/client";
import { Kafka, Partitioners } from "kafkajs";

const kafka = new Kafka({ brokers: (process.env["KAFKA_BROKERS"] ?? "127.0.0.1:9092").split(",") });
const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner });
await producer.connect();
const now = () => new Date().toISOString();
const billing = createKafkaEmitter({ send: (batch) => producer.send(batch), source: "my-api", now, spread: Math.random });

const id = process.argv[2] ?? randomUUID();
billing.usage({ id, account: "demo", data: { model: "gpt-4o", input_tokens: 812, output_tokens: 204, feature: "chat" } });
billing.signal({ id: `${id}-accepted`, account: "demo", outcome: id, signal: "explicit_accept" });
console.log(await billing.close());
await producer.disconnect();
