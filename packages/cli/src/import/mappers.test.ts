import { instant } from "@rerate/money";
import { costSchema, signalSchema, usageEventSchema } from "@rerate/wire";
import { describe, expect, test } from "vitest";
import { oneAccount, zipfAccounts } from "./account-rule.ts";
import { agentTaskFacts } from "./agent-tasks.ts";
import type { CsvRow } from "./csv.ts";
import { mappedUsage, traceUsage } from "./usage-rows.ts";

const account = oneAccount("acme");

const row = (fields: Readonly<Record<string, string>>): CsvRow => ({ line: 2, fields });

describe("account rule", () => {
  test("is the same for everybody, and gives account 1 of two about two thirds", () => {
    const rule = zipfAccounts(2);
    expect(rule.names).toEqual(["account-01", "account-02"]);
    const first = Array.from({ length: 3000 }, (_, n) => rule(`row-${n}`)).filter((name) => name === "account-01").length;
    expect(first).toBeGreaterThan(1900);
    expect(first).toBeLessThan(2100);
    expect(zipfAccounts(50)("azconv-000001")).toBe(zipfAccounts(50)("azconv-000001"));
  });

  test("uses every account, with names of equal length", () => {
    const rule = zipfAccounts(120);
    expect(rule.names.at(-1)).toBe("account-120");
    const used = new Set(Array.from({ length: 20_000 }, (_, n) => rule(`row-${n}`)));
    expect(used.size).toBe(120);
  });

  test("refuses no accounts at all", () => {
    expect(() => zipfAccounts(0)).toThrow(RangeError);
  });
});

describe("traces", () => {
  test("an Azure row keeps its time to the last digit", () => {
    const fields = {
      event_id: "azconv-000001",
      ts_utc: "2023-11-16T18:15:46.6805900Z",
      offset_ms: "",
      service: "conversation",
      input_tokens: "374",
      cached_input_tokens: "",
      output_tokens: "44",
    };
    const event = traceUsage("azure", { account, source: "azure-trace", model: "gpt-4-turbo" })(row(fields));
    expect(event).toEqual({
      specversion: "1.0",
      type: "llm.completion",
      source: "azure-trace",
      id: "azconv-000001",
      subject: "acme",
      time: "2023-11-16T18:15:46.680590000Z",
      data: { model: "gpt-4-turbo", input_tokens: "374", output_tokens: "44", dimensions: { service: "conversation" } },
    });
    expect(usageEventSchema.safeParse(event).success).toBe(true);
    const moved = traceUsage("azure", { account, source: "s", model: "m", at: instant("2026-01-01T00:00:00Z") });
    expect(moved(row({ ...fields, ts_utc: "2023-11-16T18:15:50.9951690Z" })).time).toBe("2026-01-01T00:00:04.314579000Z");
  });

  test("a Mooncake row is placed by its offset; no cached tokens known is not zero", () => {
    const fields = {
      event_id: "mcconv-000002",
      ts_utc: "",
      offset_ms: "1800500",
      service: "",
      input_tokens: "7322",
      cached_input_tokens: "512",
      output_tokens: "490",
    };
    const map = traceUsage("mooncake", {
      account,
      source: "t",
      model: "o3",
      provider: "openai",
      at: instant("2025-06-09T23:30:00Z"),
    });
    expect(map(row(fields))).toMatchObject({
      time: "2025-06-10T00:00:00.500000000Z",
      data: { provider: "openai", model: "o3", input_tokens: "7322", cached_input_tokens: "512", output_tokens: "490" },
    });
    expect(map(row({ ...fields, cached_input_tokens: "" })).data).not.toHaveProperty("cached_input_tokens");
  });

  test("say what is missing", () => {
    expect(() => traceUsage("mooncake", { account, source: "t", model: "o3" })).toThrow(/--at/);
    const map = traceUsage("azure", { account, source: "t", model: "m" });
    expect(() => map(row({ event_id: "x", ts_utc: "yesterday", input_tokens: "1", output_tokens: "1" }))).toThrow(
      /line 2: ts_utc "yesterday"/,
    );
    expect(() => map(row({ event_id: "x", ts_utc: "2023-11-16T18:15:46Z", input_tokens: "", output_tokens: "1" }))).toThrow(
      "line 2: input_tokens is missing",
    );
  });
});

describe("mapped columns", () => {
  const options = {
    columns: { id: "request", "dim.feature": "where", "quantity.images": "n" },
    fixed: { model: "gpt-4o" },
    source: "import",
  };

  test("fill fields; columns named like a field need no map", () => {
    const event = mappedUsage(options)(
      row({ request: "r1", account: "acme", where: "chat", n: "2", input_tokens: "10", output_tokens: "", attempt: "2" }),
    );
    expect(event).toEqual({
      specversion: "1.0",
      type: "llm.completion",
      source: "import",
      id: "r1",
      subject: "acme",
      data: { input_tokens: "10", model: "gpt-4o", attempt: 2, quantities: { images: "2" }, dimensions: { feature: "chat" } },
    });
    expect(usageEventSchema.safeParse(event).success).toBe(true);
  });

  test("refuse unknown fields, unknown columns, and rows without identity or account", () => {
    expect(() => mappedUsage({ ...options, columns: { prompt: "text" } })).toThrow(/"prompt" is no field/);
    expect(() => mappedUsage(options)(row({ request: "r1", account: "a", where: "x" }))).toThrow(/no column "n"/);
    expect(() => mappedUsage(options)(row({ request: "", account: "a", where: "x", n: "1" }))).toThrow(/no id/);
    expect(() => mappedUsage(options)(row({ request: "r1", where: "x", n: "1" }))).toThrow(/no account/);
  });
});

describe("agent tasks", () => {
  const at = instant("2026-06-18T23:14:29Z");
  const facts = agentTaskFacts({ account, at });
  const task = {
    harness: "openhands",
    model: "GPT-5.5",
    benchmark: "gaia",
    task_id: "t1",
    resolved: "true",
    cost_usd_published: "0.5",
    cost_usd_restated: "0.75",
  };

  test("a resolved task is a usage, a signal, a cost and its correction", () => {
    const { usage, signal, published, restated } = facts(row(task));
    expect(usage).toMatchObject({
      type: "agent.task",
      source: "agent-tasks",
      id: "GPT-5.5|gaia|t1",
      subject: "acme",
      data: { model: "GPT-5.5", dimensions: { benchmark: "gaia" } },
    });
    expect(signal).toMatchObject({ signal: "resolved", outcome: { source: "agent-tasks", id: "GPT-5.5|gaia|t1" } });
    expect(published).toMatchObject({
      id: "GPT-5.5|gaia|t1|cost",
      amount: "0.5",
      currency: "USD",
      about: { id: "GPT-5.5|gaia|t1" },
    });
    expect(restated).toMatchObject({
      corrects: { id: "GPT-5.5|gaia|t1|cost" },
      revision: 1,
      amount: "0.75",
      time: published?.time,
    });
    expect(usageEventSchema.safeParse(usage).success).toBe(true);
    expect(signalSchema.safeParse(signal).success).toBe(true);
    expect(costSchema.safeParse(published).success).toBe(true);
    expect(costSchema.safeParse(restated).success).toBe(true);
  });

  test("nobody's judgement is no signal; the same cost again is no correction; a first cost is none either", () => {
    expect(facts(row({ ...task, resolved: "" })).signal).toBeUndefined();
    expect(facts(row({ ...task, resolved: "false" })).signal?.signal).toBe("unresolved");
    expect(facts(row({ ...task, cost_usd_restated: "0.5" })).restated).toBeUndefined();
    const late = facts(row({ ...task, cost_usd_published: "" }));
    expect(late.published).toBeUndefined();
    expect(late.restated).toMatchObject({ id: "GPT-5.5|gaia|t1|cost", amount: "0.75" });
    expect(late.restated).not.toHaveProperty("corrects");
    expect(() => facts(row({ ...task, resolved: "maybe" }))).toThrow(/line 2: resolved is "maybe"/);
  });
});
