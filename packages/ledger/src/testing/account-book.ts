/**
 * An account's book in memory for settlement's tests: plans by name, segments by date, and what the entries come to.
 */
import { formatAmount, instant } from "@rerate/money";
import { compilePlan, planSchema } from "@rerate/pricing";
import { harness } from "@rerate/testkit";
import type { AccountEvent, Entry } from "../account-events.ts";
import type { RulesSegment } from "../catalogue.ts";
import type { UsageAccepted } from "../messages.ts";
import { settlement } from "../settlement.ts";
import { streamName } from "../stream-name.ts";

export const NOW = instant("2026-03-10T12:00:00Z");

export function book(plans: Record<string, unknown>, segments: readonly [from: string, plan: string][]) {
  const compiled = new Map(
    Object.entries(plans).map(([hash, document]) => [
      hash,
      compilePlan({ document: planSchema.parse(document), hash, priceLists: new Map() }),
    ]),
  );
  let timeline: readonly RulesSegment[] = segments.map(([from, plan]) => segment(from, plan));
  const context = {
    timeline: () => timeline,
    contractRevision: () => 1,
    plan: (hash: string) => compiled.get(hash),
  };
  const stream = streamName("account", "default", "acme");
  return {
    ...harness(settlement, stream, context, NOW),
    reassign(next: readonly [from: string, plan: string][]) {
      timeline = next.map(([from, plan]) => segment(from, plan));
    },
  };
}

export function segment(from: string, plan: string): RulesSegment {
  return {
    from: instant(from),
    plan,
    planId: plan,
    priceLists: {},
    outcomeDefinition: "definition",
    timeZone: "UTC",
    currency: "USD",
    wallet: "acme",
    contractRevision: 1,
  };
}

export function usage(id: string, fields: Partial<UsageAccepted> = {}): UsageAccepted {
  return {
    kind: "usage",
    ns: "default",
    account: "acme",
    source: "app",
    id,
    type: "llm.completion",
    occurredAt: instant("2026-03-01T00:00:00Z"),
    receivedAt: NOW,
    contentHash: `1:${id}:${JSON.stringify(fields)}`.padEnd(30, "_").slice(0, 60),
    quantities: { requests: "1" },
    dimensions: {},
    ...fields,
  };
}

export function entriesOf(events: readonly AccountEvent[]): Entry[] {
  return events.flatMap((event) => ("entries" in event.data ? [...event.data.entries] : []));
}

export function total(events: readonly AccountEvent[]): string {
  return formatAmount(entriesOf(events).reduce((sum, entry) => sum + BigInt(entry.atoms), 0n));
}

export const PER_TOKEN = {
  kind: "plan",
  id: "tokens",
  title: "Tokens",
  currency: "USD",
  items: [{ id: "chat", model: "tokens", when: { types: ["llm.completion"] }, prices: { input: "3", output: "15" } }],
};

export const GRADUATED = {
  kind: "plan",
  id: "graduated",
  title: "Graduated",
  currency: "USD",
  items: [
    {
      id: "calls",
      model: "graduated",
      when: { types: ["llm.completion"] },
      quantity: "requests",
      tiers: [{ upTo: "10", price: "1" }, { price: "0.10" }],
    },
  ],
};
