/**
 * Nothing lost, nothing twice: processes are killed and frozen while every fact comes several times and in any order.
 *
 * Some kills of each kind; `node test/src/stream/kills.ts --kills 50` is the long form of the same.
 */
import { expect, test } from "vitest";
import { runDisturbed } from "./disturbed-run.ts";
import { reconcile } from "./disturbed-table.ts";

const KILLS = 12;

test(`${KILLS} kills of services, kills of broker and front, and zombies change nothing`, async () => {
  const report = await runDisturbed({
    seed: "ci",
    kills: KILLS,
    brokerKills: 2,
    frontKills: 2,
    freezes: 2,
    everyMs: 2_000,
    sendForMs: 25_000,
    accountsPerPlan: 2,
    requests: 30,
    say: (text) => void process.stderr.write(`[kills] ${text}\n`),
  });
  const { lost, doubled, unapplied, table } = reconcile(report);
  process.stderr.write(`${table}\n`);
  expect({ lost, doubled, unapplied }).toEqual({ lost: [], doubled: [], unapplied: [] });
  expect(report.counts.parked).toBe(0);
  expect(new Set(report.counts.accepted)).toEqual(new Set(report.sent));
  expect(report.actual).toEqual(report.expected);
  expect(report.chaos.closedPorts).toBe(KILLS + 4);
});
