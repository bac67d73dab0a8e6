/**
 * One history told to a ledger in one process and to a ledger in many: entry for entry the same.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { expectVerified } from "../end-to-end/audit.ts";
import { startStackLedger } from "../end-to-end/stack-harness.ts";
import { startStandaloneLedger } from "../end-to-end/standalone-harness.ts";
import type { TestLedger } from "../end-to-end/test-ledger.ts";
import { makeFeed, prepare, TIERED_PLAN } from "./feed.ts";
import { stateOf, type LedgerState } from "./ledger-state.ts";

const feed = makeFeed({ seed: "same", accountsPerPlan: 3, requests: 40 });

let alone: TestLedger | undefined;
let stack: TestLedger | undefined;
let expected: LedgerState;

beforeAll(async () => {
  alone = await startStandaloneLedger();
  expected = await told(alone);
  stack = (await startStackLedger()).ledger;
});

afterAll(async () => {
  await alone?.remove();
  await stack?.remove();
});

/** One kind after the other, each settled before the next: then nothing in the order of arrival is left to chance. */
async function told(ledger: TestLedger): Promise<LedgerState> {
  await prepare(ledger, feed);
  const { usage, corrections, signals, costs } = feed.facts;
  await ledger.importFacts({ usage, corrections, costs });
  await ledger.importFacts({ signals });
  return await stateOf(ledger.client);
}

test("many processes come to the same entries, invoices, balances, wallets and verdicts as one", async () => {
  if (stack === undefined) throw new Error("the stack has not started");
  // The comparison is worth something only with some of everything in it.
  const kinds = JSON.stringify(expected);
  for (const part of [TIERED_PLAN, '"correction"', '"refund"', '"bonus"', '"timeout"', '"explicit-signal"', '"remaining"']) {
    expect(kinds).toContain(part);
  }
  expect(await told(stack)).toEqual(expected);
});

test("verify accepts both", async () => {
  for (const ledger of [alone, stack]) if (ledger !== undefined) await expectVerified(ledger);
});
