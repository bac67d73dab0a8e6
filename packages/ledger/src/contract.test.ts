import { instant } from "@rerate/money";
import { describe, expect, test } from "vitest";
import { contract, type AssignPlan, type OpenAccount } from "./contract.ts";
import { documentName, documents, type PublishDocument } from "./documents.ts";
import { apiKeys, KEYS, type CreateKey } from "./api-keys.ts";
import { streamName } from "./stream-name.ts";
import { recordedStream } from "./testing/recorded-stream.ts";

const NOW = instant("2026-03-01T00:00:00Z");
const MAY = instant("2026-05-01T00:00:00Z");
const JUNE = instant("2026-06-01T00:00:00Z");

function newContract() {
  const planExists = (id: string, hash: string | undefined): boolean => id.startsWith("plan") && hash !== "unknown";
  return recordedStream(contract, streamName("contract", "default", "acme"), { planExists });
}

function openAccount(more: Partial<OpenAccount> = {}): OpenAccount {
  return { kind: "open-account", account: "acme", timeZone: "Europe/Berlin", currency: "USD", ...more };
}

function assignPlan(planId: string, from = NOW, planHash?: string): AssignPlan {
  return { kind: "assign-plan", planId, from, planHash };
}

describe("an account", () => {
  test("is opened with a wallet of its own name, once", () => {
    const stream = newContract();
    expect(stream.deliver(openAccount(), NOW)).toEqual({
      kind: "record",
      events: [{ type: "AccountOpened", data: { account: "acme", timeZone: "Europe/Berlin", currency: "USD", wallet: "acme" } }],
      answer: { status: "recorded" },
    });
    expect(stream.deliver(openAccount({ wallet: "acme" }), NOW)).toMatchObject({ kind: "skip", answer: { status: "duplicate" } });
    expect(stream.deliver(openAccount({ currency: "EUR" }), NOW)).toMatchObject({ kind: "park", reason: "conflict", events: [] });
    expect(stream.events.length).toBe(1);
  });

  test.each<[string, Partial<OpenAccount>]>([
    ["an unknown time zone", { timeZone: "Mars/Olympus" }],
    ["no time zone", { timeZone: "" }],
    ["a currency that is no name", { currency: "US Dollar" }],
    ["no currency", { currency: "" }],
    ["no name", { account: "" }],
  ])("is refused with %s", (_, change) => {
    expect(newContract().deliver(openAccount(change), NOW)).toMatchObject({
      kind: "park",
      reason: "invalid-command",
      events: [],
    });
  });

  test("may be kept in a credit unit", () => {
    expect(newContract().deliver(openAccount({ currency: "credits" }), NOW).kind).toBe("record");
  });

  test("is put on published plans from given times; a later decision replaces what was planned from then on", () => {
    const stream = newContract();
    expect(stream.deliver(assignPlan("plan-a"), NOW)).toMatchObject({ kind: "park", reason: "unknown-account" });
    stream.deliver(openAccount(), NOW);
    stream.deliver(assignPlan("plan-a"), NOW);
    stream.deliver(assignPlan("plan-b", JUNE, "h1"), NOW);
    expect(stream.deliver(assignPlan("plan-a"), NOW)).toMatchObject({ kind: "skip", answer: { status: "duplicate" } });
    expect(stream.deliver(assignPlan("other", MAY), NOW)).toMatchObject({ kind: "park", reason: "unknown-document" });
    expect(stream.deliver(assignPlan("plan-a", MAY, "unknown"), NOW)).toMatchObject({ kind: "park", reason: "unknown-document" });
    stream.restart();
    stream.deliver(assignPlan("plan-c", MAY), NOW);
    expect(stream.state().assignments).toEqual([
      { planId: "plan-a", from: NOW },
      { planId: "plan-c", from: MAY },
    ]);
    expect(stream.deliver(assignPlan("plan-b", JUNE, "h1"), NOW).kind).toBe("record");
  });
});

describe("a document", () => {
  const plan = (hash: string, effectiveFrom = NOW): PublishDocument => ({
    kind: "publish-document",
    documentKind: "plan",
    id: "basic",
    hash,
    effectiveFrom,
    document: { kind: "plan", id: "basic", note: hash },
  });

  test("has immutable versions, each published once", () => {
    const stream = recordedStream(documents, streamName("document", "default", documentName("plan", "basic")), undefined);
    expect(stream.deliver(plan("h1"), NOW)).toMatchObject({
      events: [
        {
          type: "DocumentPublished",
          data: { kind: "plan", id: "basic", hash: "h1", effectiveFrom: NOW, document: { note: "h1" } },
        },
      ],
    });
    stream.restart();
    expect(stream.deliver(plan("h1"), NOW)).toEqual({ kind: "skip", answer: { status: "duplicate" } });
    expect(stream.deliver(plan("h1", MAY), NOW)).toMatchObject({ kind: "park", reason: "conflict", events: [] });
    expect(stream.deliver(plan("h2", MAY), NOW).kind).toBe("record");
  });
});

describe("an API key", () => {
  const emit: CreateKey = { kind: "create-key", id: "k1", secretHash: "s1", ns: "default", role: "emit", label: "producer" };

  test("is created once and revoked for good", () => {
    const stream = recordedStream(apiKeys, streamName("key", "default", KEYS), undefined);
    expect(stream.deliver(emit, NOW)).toMatchObject({
      events: [{ type: "KeyCreated", data: { id: "k1", secretHash: "s1", ns: "default", role: "emit", label: "producer" } }],
    });
    expect(stream.deliver(emit, NOW)).toMatchObject({ kind: "skip", answer: { status: "duplicate" } });
    expect(stream.deliver({ ...emit, role: "operate" }, NOW)).toMatchObject({ kind: "park", reason: "conflict" });
    expect(stream.deliver({ ...emit, id: "k2" }, NOW)).toMatchObject({ kind: "park", reason: "conflict" });
    stream.restart();
    expect(stream.deliver({ kind: "revoke-key", id: "k1" }, NOW)).toMatchObject({
      events: [{ type: "KeyRevoked", data: { id: "k1" } }],
    });
    expect(stream.deliver({ kind: "revoke-key", id: "k1" }, NOW)).toMatchObject({
      kind: "skip",
      answer: { status: "duplicate" },
    });
    expect(stream.deliver(emit, NOW)).toMatchObject({ kind: "skip" });
    expect(stream.state().keys.get("k1")?.revoked).toBe(true);
    expect(stream.deliver({ kind: "revoke-key", id: "k9" }, NOW)).toMatchObject({ kind: "park", reason: "invalid-command" });
  });

  test("names an account exactly when it may read only that one", () => {
    const stream = recordedStream(apiKeys, streamName("key", "default", KEYS), undefined);
    expect(stream.deliver({ ...emit, role: "read-account" }, NOW)).toMatchObject({ kind: "park", reason: "invalid-command" });
    expect(stream.deliver({ ...emit, account: "acme" }, NOW)).toMatchObject({ kind: "park", reason: "invalid-command" });
    expect(stream.deliver({ ...emit, role: "read-account", account: "acme" }, NOW)).toMatchObject({
      events: [{ data: { role: "read-account", account: "acme" } }],
    });
  });
});
