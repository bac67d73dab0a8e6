import { readdirSync, readFileSync } from "node:fs";
import { formatFraction, HOUR, instant, plus } from "@rerate/money";
import { judge, outcomeDefinitionSchema, type OutcomeDefinition, type Signal } from "@rerate/outcomes";
import { readDocument } from "@rerate/pricing";
import { expect, test } from "vitest";

const FOLDER = new URL("../../../examples/outcomes/", import.meta.url);
const files = readdirSync(FOLDER).filter((file) => file.endsWith(".yaml"));

test("the examples show the outcome definitions of the five systems and of the real data", () => {
  expect(files.toSorted()).toEqual([
    "agent-task-resolved.yaml",
    "chat-feedback.yaml",
    "quality-score.yaml",
    "retry-series.yaml",
    "user-answer.yaml",
    "weighted-signals.yaml",
  ]);
});

test.each(files)("examples/outcomes/%s is a valid definition named after its file", (file) => {
  const read = readDocument(readFileSync(new URL(file, FOLDER), "utf8"), outcomeDefinitionSchema);
  expect(read.ok ? `${read.value.id}.yaml` : read.problems).toBe(file);
});

const REQUEST = instant("2026-03-01T12:00:00Z");
const UNKNOWN_YET = undefined;

function example(file: string): OutcomeDefinition {
  const read = readDocument(readFileSync(new URL(`${file}.yaml`, FOLDER), "utf8"), outcomeDefinitionSchema);
  if (!read.ok) throw new Error(JSON.stringify(read.problems));
  return read.value;
}

/** Signals one hour apart after the request, each `kind`, `kind×confidence`, `kind=value` or `kind@hours`. */
function signals(text: string): Signal[] {
  const words = text.split(" ").filter((word) => word !== "");
  return words.map((word, index): Signal => {
    const [, kind = "", confidence, value, hours] = /^(\w+)(?:×([\d.]+))?(?:=([\d.]+))?(?:@(\d+))?$/.exec(word) ?? [];
    const occurredAt = plus(REQUEST, BigInt(hours ?? index + 1) * HOUR);
    return { source: "app", id: String(index), signal: kind, occurredAt, confidence, value };
  });
}

function verdict(file: string, text: string, passedHours: number | undefined): string {
  const upTo = passedHours === undefined ? UNKNOWN_YET : plus(REQUEST, BigInt(passedHours) * HOUR);
  const judgement = judge(example(file), REQUEST, signals(text), upTo);
  return judgement === undefined ? "pending" : `${formatFraction(judgement.score)} ${judgement.verdict}`;
}

test.each<[file: string, signals: string, passedHours: number | undefined, expected: string]>([
  ["user-answer", "accept", undefined, "1 success"],
  ["user-answer", "reject", undefined, "0 failure"],
  ["user-answer", "", 24, "pending"],
  ["user-answer", "", 25, "1/2 partial"],
  ["user-answer", "accept@30", 31, "1 success"],
  ["user-answer", "reject@743", 750, "0 failure"],
  ["user-answer", "reject@745", 750, "1/2 partial"],
  ["retry-series", "quality=60@0 quality=70@0 quality=85@0", undefined, "17/20 success"],
  ["retry-series", "quality=60@0 quality=70@0", undefined, "pending"],
  ["retry-series", "quality=60@0 quality=70@0 series_ended@0", undefined, "0 failure"],
  ["retry-series", "quality=60@0", 2, "0 failure"],
  ["weighted-signals", "explicit_accept", undefined, "1 success"],
  ["weighted-signals", "explicit_reject", undefined, "0 failure"],
  ["weighted-signals", "edit", 49, "4/5 success"],
  ["weighted-signals", "regenerate", 49, "1/4 failure"],
  ["weighted-signals", "", 48, "pending"],
  ["weighted-signals", "", 49, "3/10 partial"],
  ["weighted-signals", "implicit_use×0.5 regenerate edit", undefined, "7/12 partial"],
  ["weighted-signals", "implicit_use share edit", undefined, "53/60 success"],
  ["weighted-signals", "regenerate explicit_accept", undefined, "5/8 partial"],
  ["weighted-signals", "implicit_use@1 edit@2 regenerate@4", undefined, "13/20 partial"],
  ["weighted-signals", "implicit_use@1 edit@2 regenerate@4 share@3", undefined, "53/60 success"],
  ["quality-score", "quality=39", undefined, "39/100 failure"],
  ["quality-score", "quality=40", undefined, "2/5 success"],
  ["quality-score", "quality=20 quality=95", undefined, "19/20 success"],
  ["agent-task-resolved", "resolved", undefined, "1 success"],
  ["agent-task-resolved", "unresolved", undefined, "0 failure"],
  ["agent-task-resolved", "", 25, "0 failure"],
  ["agent-task-resolved", "resolved@1 reopened@200", undefined, "0 failure"],
  ["agent-task-resolved", "resolved@1 reopened@200 resolved@300", undefined, "1 success"],
  ["agent-task-resolved", "resolved@1 reopened@722", undefined, "1 success"],
  ["chat-feedback", "copy", 25, "9/10 success"],
  ["chat-feedback", "", 25, "3/10 partial"],
  ["chat-feedback", "copy thumbs_down", undefined, "0 failure"],
])("%s: [%s] with %s hours passed is %s", (file, text, passedHours, expected) => {
  expect(verdict(file, text, passedHours)).toBe(expected);
});
