import { openDatabase } from "@rerate/sqlite";
import { expect, test } from "vitest";
import { readAccount, readBalance } from "./queries/accounts.ts";
import { createHistory } from "./random-history.ts";
import { foldLog } from "./rebuild.ts";
import { openProjectionStore } from "./store.ts";

const ACME = { ns: "default", account: "acme" };

test("a bonus stands among the grants as credit of the wallet's own, and counts for the standing", async () => {
  const history = createHistory();
  const open = { account: "acme", timeZone: "UTC", currency: "USD", wallet: "acme" };
  await history.append("contract", "acme", { type: "AccountOpened", data: open });
  const apply = (entry: number, atoms: string) =>
    history.append("wallet", "acme", {
      type: "EntriesApplied",
      data: {
        account: "acme",
        source: { stream: "a", revision: entry, number: entry },
        firstNumber: entry,
        lines: [{ entry, unit: "credits", atoms, draws: [["credit:credits", atoms]] }],
        unpaid: { credits: "0" },
      },
    });
  await apply(1, "-2000000000");
  await apply(2, "-1000000000");
  await apply(3, "500000000");
  const store = openProjectionStore(openDatabase(":memory:", { synchronous: "NORMAL" }));
  await foldLog(store, history);
  const reader = { ...history, store };
  const credits = readBalance(reader, ACME)?.units.find(({ unit }) => unit === "credits");
  expect(credits?.grants).toMatchObject([
    { id: "credit:credits", unit: "credits", source: "adjustment", granted: "3", remaining: "2.5", priority: 100 },
  ]);
  expect(credits?.grants[0]?.effectiveAt).toMatch(/^20/);
  expect(readAccount(reader, ACME, "2026-02-01T00:00:00.000000000Z")?.standing).toMatchObject({
    unit: "credits",
    balance: "2.5",
  });
});
