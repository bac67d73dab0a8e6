/**
 * Several processes of settlement and of wallet at once, one more of each added and one of each killed for good in the middle: the
 * same totals as one process, entry for entry.
 */
import { sleep } from "@rerate/runtime";
import type { ServiceName, Stack } from "@rerate/stack";
import { expect, test } from "vitest";
import { membersOf } from "./chaos.ts";
import { runDisturbed } from "./disturbed-run.ts";
import { reconcile } from "./disturbed-table.ts";

const SCALED: readonly ServiceName[] = ["settlement", "wallet"];

test("processes that come and go in the middle of a history change nothing", async () => {
  const report = await runDisturbed({
    seed: "scaling",
    processes: { settlement: 2, wallet: 2 },
    accountsPerPlan: 3,
    requests: 40,
    sendForMs: 20_000,
    kills: 0,
    brokerKills: 0,
    frontKills: 0,
    freezes: 0,
    everyMs: 0,
    say: (text) => void process.stderr.write(`[scaling] ${text}\n`),
    async happening(stack, phase) {
      if (phase !== "sending") return;
      for (const service of SCALED) await expectMembers(stack, service, [1, 2]);
      await sleep(4_000);
      await Promise.all(SCALED.map((service) => stack.add(service)));
      for (const service of SCALED) await expectMembers(stack, service, [1, 2, 3]);
      await sleep(4_000);
      for (const service of SCALED) await killForGood(stack, service);
      for (const service of SCALED) await expectMembers(stack, service, [2, 3]);
    },
  });
  const { lost, doubled, unapplied, table } = reconcile(report);
  process.stderr.write(`${table}\n`);
  expect({ lost, doubled, unapplied, parked: report.counts.parked }).toEqual({ lost: [], doubled: [], unapplied: [], parked: 0 });
  expect(new Set(report.counts.accepted)).toEqual(new Set(report.sent));
  expect(report.actual).toEqual(report.expected);
});

/** The group's partitions are shared by these processes, and nobody else. */
async function expectMembers(stack: Stack, service: ServiceName, numbers: readonly number[]): Promise<void> {
  const instances = numbers.map((number) => `${service}-${number}`);
  await expect
    .poll(() => membersOf(stack.brokers, service), { timeout: 90_000, interval: 500 })
    .toEqual({ state: "Stable", instances });
}

async function killForGood(stack: Stack, service: ServiceName): Promise<void> {
  const first = stack.processesOf(service).find(({ name }) => name === `${service}-1`);
  if (first?.child === undefined) throw new Error(`${service}-1 does not run`);
  first.child.signal("SIGKILL");
  await first.stop();
}
