/** The simulation's command: runs seeds and repeats what failed. */
import { runSeed } from "./run-seed.ts";
for (let seed = Number(process.argv[2] ?? 1); seed < Number(process.argv[3] ?? 2); seed++) {
  const started = performance.now();
  const r = await runSeed({
    seed,
    ...(process.argv[4] === "calm" ? { calm: true } : process.argv[4] ? { tell: console.log } : {}),
  });
  console.log(
    seed,
    r.problems.length === 0 ? "ok" : "FAILED",
    r.events,
    r.sends,
    Math.round(performance.now() - started),
    "ms",
    r.problems.slice(0, 6).join("\n   "),
  );
}
