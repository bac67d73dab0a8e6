/**
 * Corrections on graduated tiers through the whole ledger: whatever is corrected, up or down and in any order of arrival, the entries
 * add up to the price of what holds, and what is given back returns to the credits that had paid.
 */
import type { UsageEventBody } from "@rerate/wire";
import { afterAll, beforeAll, expect, test } from "vitest";
import { expectSameAfterRebuild, expectSameWithoutCache, expectVerified } from "./audit.ts";
import { everyEntry, invoicedOf, netOf } from "./reads.ts";
import { SINCE, startLedger, type TestLedger } from "./start-ledger.ts";

/** The first 100 pages at 0.10, up to 1,000 at 0.05, all further ones at 0.01. */
const PLAN = `
kind: plan
id: pages
title: Pages by graduated tiers
currency: USD
items:
  - id: pages
    model: graduated
    quantity: pages
    tiers:
      - { upTo: 100, price: "0.10" }
      - { upTo: 1000, price: "0.05" }
      - { price: "0.01" }
`;

let ledger: TestLedger;

beforeAll(async () => {
  ledger = await startLedger();
  await ledger.client.publishDocument(PLAN, { effectiveFrom: SINCE });
});

afterAll(() => ledger.remove());

function pages(
  subject: string,
  id: string,
  count: number,
  corrects?: { readonly id: string; readonly revision: number },
): UsageEventBody {
  return {
    specversion: "1.0",
    type: "document.read",
    source: "reader",
    id,
    subject,
    time: "2026-03-02T10:00:00Z",
    data: {
      quantities: { pages: count },
      ...(corrects === undefined ? {} : { corrects: { id: corrects.id }, revision: corrects.revision }),
    },
  };
}

async function amountsOf(account: string): Promise<string[]> {
  return (await everyEntry(ledger.client, account)).map(({ amount }) => amount);
}

test("a correction downwards gives back exactly the tiers that are left", async () => {
  await ledger.open("down", "pages");
  await ledger.importFacts({ usage: [pages("down", "a", 80), pages("down", "b", 150), pages("down", "c", 900)] });
  // 80 × 0.10 · 20 × 0.10 + 130 × 0.05 · 770 × 0.05 + 130 × 0.01
  expect(await amountsOf("down")).toEqual(["8", "8.5", "39.8"]);
  expect(await netOf(ledger.client, ["down"])).toBe("56.3");

  await ledger.client.sendCorrections([pages("down", "c-1", 10, { id: "c", revision: 1 })]);
  await ledger.settled();
  // 240 pages are left: 100 × 0.10 + 140 × 0.05 = 17
  const entries = await everyEntry(ledger.client, "down");
  expect(entries.at(-1)).toMatchObject({ kind: "correction", amount: "-39.3", corrects: 3, source: "reader", id: "c-1" });
  expect(await netOf(ledger.client, ["down"])).toBe("17");
  expect((await invoicedOf(ledger.client, ["down"])).exact).toBe("17");
  const explained = await ledger.client.explain("down", entries.length);
  expect(explained.accumulator).toMatchObject({ measure: "-890", before: "1130", after: "240" });

  await ledger.client.sendCorrections([pages("down", "b-1", 0, { id: "b", revision: 1 })]);
  await ledger.settled();
  // 90 pages: 9
  expect(await netOf(ledger.client, ["down"])).toBe("9");
  await ledger.client.sendCorrections([pages("down", "c-2", 1_000, { id: "c", revision: 2 })]);
  await ledger.settled();
  // 1,080 pages: 10 + 45 + 0.80
  expect(await netOf(ledger.client, ["down"])).toBe("55.8");
  expect((await invoicedOf(ledger.client, ["down"])).exact).toBe("55.8");
});

test("corrections before their originals, and a lower revision after a higher one, come to the same", async () => {
  await ledger.open("reversed", "pages");
  await ledger.importFacts({
    corrections: [
      pages("reversed", "c-2", 1_000, { id: "c", revision: 2 }),
      pages("reversed", "c-1", 10, { id: "c", revision: 1 }),
      pages("reversed", "b-1", 0, { id: "b", revision: 1 }),
    ],
  });
  expect(await amountsOf("reversed")).toEqual([]);
  await ledger.importFacts({ usage: [pages("reversed", "c", 900), pages("reversed", "b", 150), pages("reversed", "a", 80)] });
  expect(await netOf(ledger.client, ["reversed"])).toBe("55.8");
});

test("what is given back returns to the grant that had paid", async () => {
  await ledger.open("prepaid", "pages");
  await ledger.client.grant("prepaid", { id: "g-1", amount: "30", unit: "USD" }, { waitSeconds: 5 });
  await ledger.importFacts({ usage: [pages("prepaid", "a", 100), pages("prepaid", "b", 500)] });
  const unit = async () => (await ledger.client.balance("prepaid")).units.find(({ unit }) => unit === "USD");
  // 10 + 25 are charged, 30 were granted.
  expect(await unit()).toMatchObject({
    charged: "35",
    net: "35",
    unpaid: "5",
    grants: [{ id: "g-1", granted: "30", remaining: "0" }],
  });
  await ledger.client.sendCorrections([pages("prepaid", "b-1", 200, { id: "b", revision: 1 })]);
  await ledger.settled();
  // 300 pages: 20. The 15 that came back pay the 5 first.
  expect(await unit()).toMatchObject({ net: "20", unpaid: "0", grants: [{ id: "g-1", remaining: "10" }] });
});

test("verify accepts the ledger, and the log alone serves the same answers", async () => {
  expect((await ledger.client.parked()).parked).toEqual([]);
  await expectVerified(ledger);
  await expectSameWithoutCache(ledger);
  await expectSameAfterRebuild(ledger);
});
