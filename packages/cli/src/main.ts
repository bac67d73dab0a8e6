#!/usr/bin/env node
/**
 * `rerate`: hands the process's words, streams and clock to the command line.
 */
const NEEDED = 24;
const major = Number(process.versions.node.split(".")[0]);

if (major < NEEDED) {
  process.stderr.write(
    `rerate needs Node ${NEEDED} or newer; this is Node ${process.versions.node}. Run it as \`pnpm exec rerate\`, which brings its own.\n`,
  );
  process.exitCode = 2;
} else {
  // Loaded only now: an older Node could not even read the rest.
  const { start } = await import("./start.ts");
  process.exitCode = await start(process.argv.slice(2));
}
