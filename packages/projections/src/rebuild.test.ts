import { openDatabase } from "@rerate/sqlite";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { createProjector } from "./projector.ts";
import { randomHistory, seeded } from "./random-history.ts";
import { dumpTables, foldLog, rebuildProjections, verifyProjections } from "./rebuild.ts";
import { openProjectionStore } from "./store.ts";

const memory = () => openDatabase(":memory:", { synchronous: "NORMAL" });

test("the tables do not depend on where batches end", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.nat(),
      fc.integer({ min: 1, max: 40 }),
      fc.integer({ min: 1, max: 90 }),
      async (seed, pageSize, mostPending) => {
        const history = await randomHistory(seeded(seed), 120);
        const [whole, parts] = [memory(), memory()];
        const events = await foldLog(openProjectionStore(whole), history);
        expect(await foldLog(openProjectionStore(parts), { ...history, pageSize, mostPending })).toBe(events);
        expect(dumpTables(parts)).toEqual(dumpTables(whole));
      },
    ),
    { numRuns: 40 },
  );
});

test("wallets that come by another subscription, before or after their accounts, end in the same tables", async () => {
  const history = await randomHistory(seeded(5), 400);
  const [whole, parts] = [memory(), memory()];
  await foldLog(openProjectionStore(whole), history);
  const store = openProjectionStore(parts);
  for (const prefix of ["wallet-", "outcome-", "contract-", "account-"]) {
    await foldLog(store, { ...history, subscription: prefix, prefixes: [prefix] });
  }
  expect(dumpTables(parts)).toEqual(dumpTables(whole));
});

test("every table has rows in the histories that these tests use", async () => {
  const history = await randomHistory(seeded(1), 400);
  const database = memory();
  await foldLog(openProjectionStore(database), history);
  const empty = Object.entries(dumpTables(database)).filter(([, { rows }]) => rows === 0);
  // Draws wait only where another subscription brings the account.
  expect(empty.map(([name]) => name)).toEqual(["waiting_draws"]);
});

test("a rebuild gives identical tables", async () => {
  const history = await randomHistory(seeded(2), 300);
  const database = memory();
  await foldLog(openProjectionStore(database), { ...history, pageSize: 7, mostPending: 11 });
  const before = dumpTables(database);
  database.exec(`UPDATE balances SET charged = charged + 1`);
  expect(dumpTables(database)).not.toEqual(before);
  await rebuildProjections(database, history);
  expect(dumpTables(database)).toEqual(before);
});

test("verify names the first row that differs from a fresh fold", async () => {
  const history = await randomHistory(seeded(3), 300);
  const database = memory();
  const events = await foldLog(openProjectionStore(database), history);
  expect(await verifyProjections(database, history)).toMatchObject({ kind: "equal", events });
  database.exec(`UPDATE invoice_lines SET booked = booked + 1 WHERE account = 'acct 1'`);
  const check = await verifyProjections(database, history);
  expect(check).toMatchObject({ kind: "different", table: "invoice_lines" });
  expect(JSON.stringify(check)).toContain("acct 1");
});

test("verify compares at the checkpoint, however far the log has come since", async () => {
  const history = await randomHistory(seeded(4), 200);
  const database = memory();
  const store = openProjectionStore(database);
  await foldLog(store, { ...history, pageSize: 10 }, 120);
  expect(store.checkpoint("all").events).toBe(120);
  expect(await verifyProjections(database, history)).toMatchObject({ kind: "equal", events: 120 });
});

test("a projector catches up, follows, stops and goes on from its checkpoint", async () => {
  const history = await randomHistory(seeded(6), 200);
  const database = memory();
  const first = createProjector({ ...history, database, pageSize: 16 });
  first.start();
  await first.caughtUp();
  const before = first.status().events;
  await history.append("contract", "later", {
    type: "AccountOpened",
    data: { account: "later", timeZone: "UTC", currency: "USD", wallet: "later" },
  });
  await first.caughtUp();
  expect(first.status().events).toBe(before + 1);
  await first.stop();
  await expect(async () => {
    await history.append("contract", "later", {
      type: "PlanAssigned",
      data: { planId: "pro", from: "2026-01-01T00:00:00.000000000Z" },
    });
    await first.caughtUp();
  }).rejects.toThrow("not running");
  const second = createProjector({ ...history, database });
  second.start();
  await second.caughtUp();
  expect(second.status().events).toBe(before + 2);
  await second.stop();
  expect(await verifyProjections(database, history)).toMatchObject({ kind: "equal" });
});

test("a projector rests after every write, and then writes what has come meanwhile together", async () => {
  const history = await randomHistory(seeded(9), 1_500);
  const database = memory();
  const open = (account: string) =>
    history.append("contract", account, {
      type: "AccountOpened",
      data: { account, timeZone: "UTC", currency: "USD", wallet: account },
    });
  const written: number[] = [];
  const projector = createProjector({
    ...history,
    database,
    async rest(events) {
      written.push(events);
      if (written.length > 1) return;
      await open("later");
      await open("last");
    },
  });
  projector.start();
  await projector.caughtUp();
  await projector.caughtUp();
  expect(written.slice(1)).toEqual([2]);
  expect(await verifyProjections(database, history)).toMatchObject({ kind: "equal" });
  await projector.stop();
});

test("a projector that cannot read an event stops there, says why and keeps its tables", async () => {
  const history = await randomHistory(seeded(7), 20);
  const database = memory();
  const projector = createProjector({ ...history, database });
  projector.start();
  await projector.caughtUp();
  await history.eventStore.append([
    { stream: "account-00.default.x", expectedRevision: -1, events: [{ type: "FromTheFuture", data: "{}", metadata: "{}" }] },
  ]);
  await expect(projector.caughtUp()).rejects.toThrow("FromTheFuture");
  expect(projector.status()).toMatchObject({ running: false });
  expect(String(projector.status().failure)).toContain("FromTheFuture");
});

test("tables of another make are emptied, to be folded again", async () => {
  const history = await randomHistory(seeded(8), 100);
  const database = memory();
  await foldLog(openProjectionStore(database), history);
  const before = dumpTables(database);
  database.exec("UPDATE projection_schema SET make = 'older'");
  const store = openProjectionStore(database);
  expect(store.checkpoint("all").events).toBe(0);
  await foldLog(store, history);
  expect(dumpTables(database)).toEqual(before);
});

test("tables that another version's fold made are not compared, and made anew by the next store", async () => {
  const database = openDatabase(":memory:", { synchronous: "NORMAL" });
  const history = await randomHistory(seeded(7), 40);
  expect(await verifyProjections(database, history)).toEqual({ kind: "outdated" });
  await rebuildProjections(database, history);
  expect((await verifyProjections(database, history)).kind).toBe("equal");
  database.exec("UPDATE projection_schema SET make = 'of an older version'");
  expect(await verifyProjections(database, history)).toEqual({ kind: "outdated" });
  expect(openProjectionStore(database).checkpoint("all").events).toBe(0);
});
