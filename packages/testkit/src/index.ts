/** What the tests of all rooms share. Imports no workspace package, so that every package may use it. */
export * from "./decider-harness.ts";
export * from "./seeded-random.ts";
export * from "./virtual-scheduler.ts";
