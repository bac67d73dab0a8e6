export { createSignalIntake, type SignalIntakeOptions } from "./intake.ts";
export { routes, type SignalDoorDeps } from "./routes.ts";
export { createOutcomeSignalService, outcomeSignalTopics, type OutcomeSignalOptions } from "./service.ts";
