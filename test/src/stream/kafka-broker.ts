/**
 * A Kafka broker for tests of whole processes: the one that `KAFKA_BROKERS` names, else a real one started on this machine.
 *
 * Nothing is skipped: without either the tests fail, saying what is missing. Which one served is printed.
 */
import { startBroker } from "@rerate/local-kafka";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface TestBroker {
  /** For `KAFKA_BROKERS`. */
  readonly brokers: string;
  end(): Promise<void>;
}

export async function provideBroker(suite: string): Promise<TestBroker> {
  const given = process.env["KAFKA_BROKERS"];
  if (given !== undefined && given !== "") {
    console.info(`${suite}: served by the Kafka at ${given} (KAFKA_BROKERS)`);
    return { brokers: given, end: async () => undefined };
  }
  const directory = mkdtempSync(join(tmpdir(), "rerate-kafka-"));
  const broker = await startBroker({ dataDirectory: directory });
  console.info(`${suite}: served by a real Apache Kafka broker at ${broker.brokers}, started for this suite (Maven, Java)`);
  return {
    brokers: broker.brokers,
    async end() {
      await broker.kill();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
