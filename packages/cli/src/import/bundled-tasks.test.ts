import { instant, parseAmountRounded } from "@rerate/money";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { oneAccount } from "./account-rule.ts";
import { agentTaskFacts } from "./agent-tasks.ts";
import { readRows } from "./read-file.ts";

const FILE = fileURLToPath(new URL("../../../../examples/data/outcomes_agent_tasks.csv.gz", import.meta.url));

test("the bundled task results give the facts and the costs that their publisher's figures say", async () => {
  const facts = agentTaskFacts({ account: oneAccount("acme"), at: instant("2026-06-18T23:14:29Z") });
  const counts = { tasks: 0, resolved: 0, unresolved: 0, corrections: 0, firstCosts: 0 };
  let published = 0n;
  let restated = 0n;
  for await (const row of readRows(FILE)) {
    const { signal, published: before, restated: after } = facts(row);
    counts.tasks += 1;
    if (signal?.signal === "resolved") counts.resolved += 1;
    if (signal?.signal === "unresolved") counts.unresolved += 1;
    if (after?.corrects !== undefined) counts.corrections += 1;
    else if (after !== undefined) counts.firstCosts += 1;
    const was = before === undefined ? 0n : parseAmountRounded(before.amount);
    published += was;
    restated += after === undefined ? was : parseAmountRounded(after.amount);
  }
  expect(counts).toEqual({ tasks: 31_116, resolved: 19_018, unresolved: 11_627, corrections: 5_752, firstCosts: 158 });
  expect(published).toBe(22_366_619_350_710n);
  expect(restated).toBe(27_342_340_734_248n);
});
