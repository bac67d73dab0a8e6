import { defineConfig } from "vitest/config";

// "fast" is pure and in-memory; "it" needs real processes, files or a browser; "stack" runs
// end-to-end tests on Kafka and EventStoreDB, with every service as a process of its own.
const STACK = { env: { RERATE_TEST_ON: "stack" }, testTimeout: 600_000, hookTimeout: 600_000, fileParallelism: false };
const LONG = [
  ...["agent-tasks", "azure-conversation", "mooncake-conversation", "provider-responses", "tier-corrections"].map(
    (name) => `test/src/end-to-end/${name}.it.test.ts`,
  ),
  "test/src/stream/azure-trace.it.test.ts",
];

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "fast",
          include: ["{packages,services,infra,test,schemas}/**/*.test.ts"],
          exclude: ["**/node_modules/**", "**/*.it.test.ts"],
          testTimeout: 20_000,
        },
      },
      {
        test: {
          name: "it",
          include: ["{packages,services,infra,test}/**/*.it.test.ts"],
          exclude: ["**/node_modules/**", "test/src/stream/**"],
          testTimeout: 180_000,
          hookTimeout: 180_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: "stack",
          include: ["test/src/end-to-end/*.it.test.ts", "test/src/stream/**/*.it.test.ts"],
          // These take too long for every change: `--project stack-long` runs them.
          exclude: ["**/node_modules/**", ...LONG],
          ...STACK,
        },
      },
      { test: { name: "stack-long", include: LONG, exclude: ["**/node_modules/**"], ...STACK } },
    ],
  },
});
