/**
 * `node infra/local-kafka/src/main.ts --data DIR [--port N] [--cache DIR]`: runs a real Kafka broker on loopback until told to stop.
 *
 * Prints one line of JSON when the broker answers. SIGTERM and SIGINT stop the broker, then this process; when the broker ends by
 * itself, so does this process, with exit code 1.
 */
import { parseArgs } from "node:util";
import { startBroker } from "./start-broker.ts";

const { values } = parseArgs({
  options: { data: { type: "string" }, port: { type: "string" }, cache: { type: "string" } },
});
if (values.data === undefined) {
  console.error("usage: main.ts --data DIR [--port N] [--cache DIR]");
  process.exit(2);
}
try {
  const broker = await startBroker({
    dataDirectory: values.data,
    ...(values.port === undefined ? {} : { port: Number(values.port) }),
    ...(values.cache === undefined ? {} : { cacheDirectory: values.cache }),
  });
  let stopping = false;
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.on(signal, () => {
      stopping = true;
      void broker.stop();
    });
  }
  console.log(JSON.stringify({ brokers: broker.brokers, pid: broker.pid, data: values.data }));
  await broker.ended;
  process.exitCode = stopping ? 0 : 1;
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
