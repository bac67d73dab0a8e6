/** Starts the ledger that the end-to-end tests run on: standalone, or with RERATE_TEST_ON=stack every service as a process of its own. */
import type { TestLedger } from "./test-ledger.ts";

export { SINCE, type Facts, type TestLedger } from "./test-ledger.ts";

export async function startLedger(): Promise<TestLedger> {
  if (process.env["RERATE_TEST_ON"] === "stack") {
    const { startStackLedger } = await import("./stack-harness.ts");
    return (await startStackLedger()).ledger;
  }
  const { startStandaloneLedger } = await import("./standalone-harness.ts");
  return startStandaloneLedger();
}
