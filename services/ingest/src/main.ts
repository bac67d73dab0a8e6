/** Ingest as a process of its own: the doors for usage, over HTTP and from Kafka. */
import { runService } from "@rerate/process";
import { createUsageIntake } from "./intake.ts";
import { routes } from "./routes.ts";

await runService("ingest", async (process) => {
  const { intakeNamespaces, futureLimitMs } = process.config;
  const { bus, eventStore, clock, defer, log, metrics } = await process.surroundings("ingest");
  const mark = bus.mark.bind(bus);
  const namespaces = new Set(intakeNamespaces);
  const intake = createUsageIntake({ bus, eventStore, clock, defer, log, metrics, mark, namespaces, futureLimitMs });
  return { plugins: [routes(process.door())], workers: [intake] };
});
