#!/usr/bin/env node
// `rerate`: hands the process's words to the command line. Plain JavaScript, so that an old Node gets a sentence, not a stack.
const NEEDED = 24;
const major = Number(process.versions.node.split(".")[0]);

if (major < NEEDED) {
  console.error(`rerate needs Node ${NEEDED} or later, and this is ${process.version}.`);
  console.error("Inside the repository `npx rerate …` uses the Node that came along with `npx -y pnpm@12 install`.");
  process.exitCode = 2;
} else {
  const { start } = await import("./src/start.ts");
  process.exitCode = await start(process.argv.slice(2));
}
