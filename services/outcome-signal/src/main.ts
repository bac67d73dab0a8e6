/** Outcome-signal as a process of its own: its worker and the doors for signals, over HTTP and from Kafka. */
import { runService } from "@rerate/process";
import { createSignalIntake } from "./intake.ts";
import { routes } from "./routes.ts";
import { createOutcomeSignalService, outcomeSignalTopics } from "./service.ts";

await runService("outcome-signal", async (process) => {
  const { intakeNamespaces, futureLimitMs } = process.config;
  const surroundings = await process.surroundings("outcome-signal", outcomeSignalTopics);
  const worker = createOutcomeSignalService({
    ...surroundings,
    catalogue: process.views.catalogue,
    answers: process.answersTo("signal.accepted"),
  });
  const { bus, eventStore, clock, defer, log, metrics } = surroundings;
  const mark = bus.mark.bind(bus);
  const namespaces = new Set(intakeNamespaces);
  const intake = createSignalIntake({ bus, eventStore, clock, defer, log, metrics, mark, namespaces, futureLimitMs });
  return { plugins: [routes(process.door())], workers: [{ ...worker, name: "outcome-signal" }, intake] };
});
