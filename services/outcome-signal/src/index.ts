export { createOutcomeSignalService, outcomeSignalTopics, type OutcomeSignalOptions } from "./service.ts";
