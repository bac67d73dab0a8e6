export * from "./decider-harness.ts";
