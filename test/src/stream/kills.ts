/**
 * `node test/src/stream/kills.ts [--kills 50] [--seed S]`: a history under kills, zombies, duplicates and disorder; prints the table
 * of counts. Exit code 1 when anything was lost, doubled or came to another sum.
 */
import { isDeepStrictEqual, parseArgs } from "node:util";
import { runDisturbed } from "./disturbed-run.ts";
import { reconcile } from "./disturbed-table.ts";

const { values } = parseArgs({
  options: {
    kills: { type: "string", default: "50" },
    servers: { type: "string", default: "5" },
    zombies: { type: "string", default: "10" },
    every: { type: "string", default: "2000" },
    seed: { type: "string", default: "1" },
    accounts: { type: "string", default: "4" },
    requests: { type: "string", default: "50" },
  },
});

// Its processes end with this one.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => process.exit(130));
const [kills, servers, everyMs] = [Number(values.kills), Number(values.servers), Number(values.every)];
const report = await runDisturbed({
  seed: values.seed,
  kills,
  brokerKills: servers,
  frontKills: servers,
  freezes: Number(values.zombies),
  everyMs,
  // As long as most of the kills take.
  sendForMs: (kills + 2 * servers) * everyMs * 0.8,
  accountsPerPlan: Number(values.accounts),
  requests: Number(values.requests),
  say: (text) => void process.stderr.write(`${text}\n`),
});
const { lost, doubled, unapplied, table } = reconcile(report);
const isSame = isDeepStrictEqual(report.actual, report.expected);
process.stdout.write(`${table}\n`);
process.exitCode = lost.length + doubled.length + unapplied.length === 0 && isSame ? 0 : 1;
if (!isSame) {
  for (const [account, state] of Object.entries(report.expected)) {
    if (isDeepStrictEqual(report.actual[account], state)) continue;
    process.stderr.write(
      `${account}\n  expected ${JSON.stringify(state)}\n  actual   ${JSON.stringify(report.actual[account])}\n`,
    );
  }
}
