import { describe, expect, test } from "vitest";
import type { z } from "zod";
import { topicCodec } from "../topics.ts";
import { assignPlanSchema, createKeySchema, openAccountSchema } from "./catalog.ts";
import { toCostFact } from "./cost.ts";
import { doorAt } from "./door.ts";
import { importSchema, toImportCommand } from "./import-command.ts";
import { httpBodyJsonSchemas } from "./json-schema.ts";
import { signalSchema, toSignal } from "./signal.ts";
import { grantBodySchema, toGrantCommand, toVoidCommand } from "./wallet-command.ts";

const door = doorAt("default", Date.parse("2026-03-01T12:00:00Z"));

function factOf<Fact>(result: { readonly fact: Fact } | { readonly problems: unknown }): Fact {
  if ("problems" in result) throw new Error(JSON.stringify(result.problems));
  return result.fact;
}

const cost = { source: "bill", id: "c-1", account: "acme", amount: "1.2e-7", currency: "USD" };

describe("a cost", () => {
  test("keeps its text and is booked half-even to atoms", () => {
    const fact = factOf(toCostFact(cost, door));
    expect(fact).toMatchObject({ kind: "cost", atoms: "120", text: "1.2e-7", unit: "USD", occurredAt: door.now });
    expect(factOf(toCostFact({ ...cost, amount: "0.0000000005" }, door)).atoms).toBe("0");
    expect(topicCodec("usage.accepted").decode(topicCodec("usage.accepted").encode(fact))).toEqual(fact);
  });

  test("has one content however its amount is written, and another for another amount", () => {
    const hash = (amount: string) => factOf(toCostFact({ ...cost, amount }, door)).contentHash;
    expect(hash("1.50")).toBe(hash("1.5"));
    expect(hash("1.51")).not.toBe(hash("1.5"));
    expect(hash("0.0000000001")).not.toBe(hash("0.0000000002"));
  });

  test.each([
    [{ ...cost, amount: 0.1 }, "/amount"],
    [{ ...cost, amount: "1e99" }, "/amount"],
    [{ ...cost, amount: "1,5" }, "/amount"],
    [{ ...cost, amount: "9".repeat(30) }, "/amount"],
    [{ ...cost, time: "2036-01-01T00:00:00Z" }, "/time"],
    [{ ...cost, revision: 1 }, "/revision"],
    [{ ...cost, corrects: { id: "c-1" }, revision: 1 }, "/corrects"],
    [{ ...cost, prompt: "x" }, "/prompt"],
    ["cost", ""],
  ])("like %j is refused at %s", (body, pointer) => {
    const result = toCostFact(body, door);
    expect("problems" in result && result.problems.map((problem) => problem.pointer)).toContain(pointer);
  });
});

const signal = { source: "api", id: "s-1", account: "acme", outcome: "req-1", signal: "quality" };

describe("a signal", () => {
  test("names its outcome by id under its own source, or in full", () => {
    expect(factOf(toSignal(signal, door)).outcome).toEqual({ source: "api", id: "req-1" });
    const full = factOf(
      toSignal({ ...signal, outcome: { source: "other", id: "req-1" }, confidence: 0.5, value: "87.50" }, door),
    );
    expect(full).toMatchObject({ outcome: { source: "other", id: "req-1" }, confidence: "0.5", value: "87.5" });
    expect(topicCodec("signal.accepted").decode(topicCodec("signal.accepted").encode(full))).toEqual(full);
  });

  test("keeps a time that the door filled in out of its content", () => {
    const later = doorAt("default", Date.parse("2026-03-01T13:00:00Z"));
    expect(factOf(toSignal(signal, door)).contentHash).toBe(factOf(toSignal(signal, later)).contentHash);
    expect(factOf(toSignal({ ...signal, time: "2026-03-01T12:00:00Z" }, door)).contentHash).not.toBe(
      factOf(toSignal(signal, door)).contentHash,
    );
  });

  test.each([
    [{ confidence: 1.01 }, "/confidence"],
    [{ confidence: "1.000000001" }, "/confidence"],
    [{ value: -1 }, "/value"],
    [{ signal: "two words" }, "/signal"],
    [{ outcome: 5 }, "/outcome"],
    [{ comment: "the answer was bad" }, "/comment"],
  ])("with %j is refused at %s", (change, pointer) => {
    const result = toSignal({ ...signal, ...change }, door);
    expect("problems" in result && result.problems.map((problem) => problem.pointer)).toContain(pointer);
  });
});

describe("commands", () => {
  test("a grant has defaults that are not part of its content", () => {
    const body = grantBodySchema.parse({ id: "g-1", amount: "100.50", unit: "USD" });
    const grant = toGrantCommand("acme", body, door);
    expect(grant).toMatchObject({
      kind: "grant",
      atoms: "100500000000",
      source: "purchase",
      priority: 100,
      effectiveAt: door.now,
    });
    expect(toGrantCommand("acme", { ...body, priority: 100 }, door).contentHash).not.toBe(grant.contentHash);
    const codec = topicCodec("wallet.requested");
    expect(codec.decode(codec.encode(grant))).toEqual(grant);
    const voided = toVoidCommand("acme", "g-1", undefined, door);
    expect(codec.decode(codec.encode(voided))).toMatchObject({ kind: "void-grant", id: "void:g-1", grant: "g-1" });
  });

  test.each([
    { amount: "0" },
    { amount: "-1" },
    { amount: 5 },
    { amount: "0.0000000001" },
    { expiresAt: "2026-01-01T00:00:00Z", effectiveAt: "2026-01-01T00:00:00Z" },
  ])("a grant with %j is refused", (change) =>
    expect(grantBodySchema.safeParse({ id: "g", amount: "1", unit: "USD", ...change }).success).toBe(false),
  );

  test("an import expires by itself", () => {
    const command = toImportCommand(importSchema.parse({ account: "a", source: "i", id: "1", phase: "started" }), door);
    expect(command.expiresAt).toBe("2026-03-02T12:00:00.000000000Z");
  });

  test("accounts, assignments and keys are checked", () => {
    expect(openAccountSchema.safeParse({ account: "a", currency: "USD", timeZone: "Mars/Olympus" }).success).toBe(false);
    expect(openAccountSchema.safeParse({ account: "a", currency: "USD", timeZone: "Europe/Berlin" }).success).toBe(true);
    expect(assignPlanSchema.safeParse({ planId: "p", from: "tomorrow" }).success).toBe(false);
    expect(createKeySchema.safeParse({ role: "read-account", label: "x" }).success).toBe(false);
    expect(createKeySchema.safeParse({ role: "emit", account: "a", label: "x" }).success).toBe(false);
  });
});

test("every example in the schemas is valid", () => {
  const { $defs } = httpBodyJsonSchemas() as { $defs: Record<string, { examples?: unknown[] }> };
  const schemas: Record<string, z.ZodType> = {
    Signal: signalSchema,
    Grant: grantBodySchema,
    OpenAccount: openAccountSchema,
    AssignPlan: assignPlanSchema,
  };
  for (const [name, schema] of Object.entries(schemas))
    for (const example of $defs[name]?.examples ?? []) expect(schema.safeParse(example).success).toBe(true);
  expect(Object.values($defs).every(({ examples }) => (examples?.length ?? 0) > 0)).toBe(true);
});
