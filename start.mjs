#!/usr/bin/env node
// The main job: starts the standalone ledger, imports the bundled data, prints totals, serves.
// Plain JavaScript, so that an old Node gets a sentence instead of a syntax error.
const [major = 0] = process.versions.node.split(".").map(Number);
if (major < 24) {
  console.error(`Rerate runs on Node 24 or later, and this is ${process.version}.`);
  console.error("`npx -y pnpm@12 start` brings the right one along; use that instead of calling start.mjs directly.");
  process.exit(2);
}
const { main } = await import("./services/standalone/src/main.ts");
await main(process.argv.slice(2));
