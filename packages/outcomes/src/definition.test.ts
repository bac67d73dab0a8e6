import { describe, expect, test } from "vitest";
import { outcomeDefinitionSchema } from "./definition.ts";

const good = {
  kind: "outcome-definition",
  id: "answer",
  title: "The user answers",
  signals: { accept: { weight: "1", explicit: true }, quality: { score: true, scale: "100" } },
  timeout: "PT24H",
  onTimeout: { use: "fixed", score: "0.5" },
  thresholds: { success: "0.7", partial: "0.3" },
};

function problems(change: Record<string, unknown>): string[] {
  const result = outcomeDefinitionSchema.safeParse({ ...good, ...change });
  return result.success ? [] : result.error.issues.map(({ path }) => path.join("."));
}

describe("an outcome definition", () => {
  test("is read as it stands, without additions", () => {
    expect(outcomeDefinitionSchema.parse(good)).toEqual(good);
  });

  test.each<[string, Record<string, unknown>, string]>([
    ["an unknown field", { colour: "red" }, ""],
    ["a weight that is a number", { signals: { accept: { weight: 1, explicit: true } } }, "signals.accept.weight"],
    ["a weight that is no decimal", { signals: { accept: { weight: "1e3", explicit: true } } }, "signals.accept.weight"],
    ["a signal with neither weight nor score", { signals: { accept: { explicit: true } } }, "signals.accept.weight"],
    ["a score without a scale", { signals: { quality: { score: true } } }, "signals.quality.scale"],
    ["a scale of zero", { signals: { quality: { score: true, scale: "0.0" } } }, "signals.quality.scale"],
    ["a score with a weight", { signals: { quality: { score: true, scale: "1", weight: "1" } } }, "signals.quality.weight"],
    ["a scale without a score", { signals: { accept: { weight: "1", explicit: true, scale: "5" } } }, "signals.accept.scale"],
    ["a timeout without its meaning", { onTimeout: undefined }, "timeout"],
    ["a meaning without a timeout", { timeout: undefined }, "onTimeout"],
    ["a duration of months", { timeout: "P1M" }, "timeout"],
    ["a duration beyond ten years", { reversalWindow: "P9999D" }, "reversalWindow"],
    ["partial above success", { thresholds: { success: "0.3", partial: "0.7" } }, "thresholds.partial"],
    ["a threshold above one", { thresholds: { success: "1.1", partial: "0.7" } }, "thresholds.success"],
    ["a reversal kind that is no signal", { reversal: ["reopened"] }, "reversal.0"],
    ["a disclosed kind that is no signal", { disclosed: ["accept", "shrug"] }, "disclosed.1"],
    ["a validator's unknown signal", { validators: [{ id: "v", kind: "schema", signal: "valid" }] }, "validators.0.signal"],
    ["a minimum of scores", { signals: { quality: { score: true, scale: "1" } }, minimumSignals: 2 }, "minimumSignals"],
    [
      "a definition under which nothing settles",
      { signals: { edit: { weight: "1" } }, timeout: undefined, onTimeout: undefined },
      "signals",
    ],
  ])("refuses %s", (_, change, path) => {
    expect(problems(change)).toContain(path);
  });
});
