import { defineConfig } from "vitest/config";

// "fast" is pure and in-memory; "it" needs real processes, files or a browser.
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
          exclude: ["**/node_modules/**"],
          testTimeout: 180_000,
          hookTimeout: 180_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
