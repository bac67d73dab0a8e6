import { instant } from "@rerate/money";
import { expect, test } from "vitest";
import { createCatalogue, type Catalogue } from "./catalogue.ts";
import type { DocumentKind } from "./contract-events.ts";
import { streamName } from "./stream-name.ts";

const AT = instant("2026-01-01T00:00:00Z");

function plan(id: string, price: string, more: object = {}): object {
  return { kind: "plan", id, title: id, currency: "USD", items: [{ id: "calls", model: "per-request", price }], ...more };
}

function publish(catalogue: Catalogue, ns: string, hash: string, document: object, from: string): void {
  const { kind, id } = document as { kind: DocumentKind; id: string };
  const data = { kind, id, hash, effectiveFrom: instant(from), document };
  catalogue.apply(streamName("document", ns, `${kind}:${id}`), 0, AT, { type: "DocumentPublished", data });
}

function open(catalogue: Catalogue, ns: string, account: string): void {
  const data = { account, timeZone: "UTC", currency: "USD", wallet: account };
  catalogue.apply(streamName("contract", ns, account), 0, AT, { type: "AccountOpened", data });
}

function assign(catalogue: Catalogue, account: string, revision: number, planId: string, from: string, planHash?: string): void {
  const data = { planId, from: instant(from), ...(planHash === undefined ? {} : { planHash }) };
  catalogue.apply(streamName("contract", "default", account), revision, AT, { type: "PlanAssigned", data });
}

function rules(catalogue: Catalogue, account: string): (readonly [string, string])[] {
  return (catalogue.timeline("default", account) ?? []).map(({ from, plan }) => [from.slice(0, 10), plan] as const);
}

test("an account without a pinned version follows its plan's versions by their effective dates", () => {
  const catalogue = createCatalogue();
  publish(catalogue, "default", "v2", plan("chat", "0.02"), "2026-03-01T00:00:00Z");
  publish(catalogue, "default", "v1", plan("chat", "0.01"), "2025-01-01T00:00:00Z");
  open(catalogue, "default", "a");
  assign(catalogue, "a", 1, "chat", "2026-02-01T00:00:00Z");
  expect(rules(catalogue, "a")).toEqual([
    ["2026-02-01", "v1"],
    ["2026-03-01", "v2"],
  ]);
  open(catalogue, "default", "b");
  assign(catalogue, "b", 1, "chat", "2026-02-01T00:00:00Z", "v1");
  expect(rules(catalogue, "b")).toEqual([["2026-02-01", "v1"]]);
});

test("a later assignment replaces what was planned for its start and after it", () => {
  const catalogue = createCatalogue();
  for (const id of ["one", "two", "three"]) publish(catalogue, "default", id, plan(id, "0.01"), "2020-01-01T00:00:00Z");
  open(catalogue, "default", "a");
  assign(catalogue, "a", 1, "one", "2026-01-01T00:00:00Z");
  assign(catalogue, "a", 2, "two", "2026-05-01T00:00:00Z");
  assign(catalogue, "a", 3, "three", "2026-03-01T00:00:00Z");
  expect(rules(catalogue, "a")).toEqual([
    ["2026-01-01", "one"],
    ["2026-03-01", "three"],
  ]);
});

test("a new version of a price list or an outcome definition begins a new segment; the same array comes back while nothing changes", () => {
  const catalogue = createCatalogue();
  const listed = {
    items: [{ id: "tokens", model: "tokens", priceList: "models" }],
    outcome: { id: "o", definition: "judge", price: "1" },
  };
  publish(catalogue, "default", "p", plan("chat", "0", listed), "2020-01-01T00:00:00Z");
  const list = (price: string) => ({
    kind: "price-list",
    id: "models",
    title: "Models",
    currency: "USD",
    providers: [{ id: "x", models: [{ id: "m", match: { equals: "m" }, prices: [{ input: price, output: price }] }] }],
  });
  const judge = (weight: string) => ({
    kind: "outcome-definition",
    id: "judge",
    title: "Judge",
    signals: { yes: { weight, explicit: true } },
    thresholds: { success: "0.7", partial: "0.3" },
  });
  publish(catalogue, "default", "l1", list("1"), "2020-01-01T00:00:00Z");
  publish(catalogue, "default", "d1", judge("1"), "2020-01-01T00:00:00Z");
  open(catalogue, "default", "a");
  assign(catalogue, "a", 1, "chat", "2026-01-01T00:00:00Z");
  publish(catalogue, "default", "l2", list("2"), "2026-02-01T00:00:00Z");
  publish(catalogue, "default", "d2", judge("0.9"), "2026-03-01T00:00:00Z");
  const timeline = catalogue.timeline("default", "a");
  expect(
    timeline?.map(({ from, priceLists, outcomeDefinition }) => [from.slice(0, 7), priceLists["models"], outcomeDefinition]),
  ).toEqual([
    ["2026-01", "l1", "d1"],
    ["2026-02", "l2", "d1"],
    ["2026-03", "l2", "d2"],
  ]);
  expect(catalogue.timeline("default", "a")).toBe(timeline);
  expect(catalogue.plan("p", { models: "l1" })?.items).toHaveLength(1);
  expect(catalogue.plan("p", { models: "unknown" })).toBeUndefined();
});

test("namespaces keep their documents apart, also when both publish the same content", () => {
  const catalogue = createCatalogue();
  publish(catalogue, "default", "h", plan("chat", "0.01"), "2020-01-01T00:00:00Z");
  publish(catalogue, "other", "h", plan("chat", "0.01"), "2020-01-01T00:00:00Z");
  expect(catalogue.documents("default")).toHaveLength(1);
  expect(catalogue.documents("other")).toHaveLength(1);
  expect(catalogue.documents("third")).toEqual([]);
  open(catalogue, "third", "a");
  expect(catalogue.timeline("third", "a")).toEqual([]);
  expect(catalogue.timeline("default", "a")).toBeUndefined();
});
