/** The suite of every message bus, on a real Kafka broker. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { describeMessageBus } from "../conformance.ts";
import { createRoom, type KafkaProvider, startKafka } from "./testing/kafka-provider.ts";

let kafka: KafkaProvider;

beforeAll(async () => {
  kafka = await startKafka("message bus conformance");
});

afterAll(async () => {
  await kafka.end();
});

describeMessageBus({ describe, it, expect }, "the Kafka bus", async (now) => {
  const room = await createRoom(kafka.brokers, { now });
  let bus = await room.open();
  return {
    bus,
    async reopen() {
      await bus.close();
      bus = await room.open();
      return bus;
    },
    close: () => room.close(),
  };
});
