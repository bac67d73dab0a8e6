import { readdirSync, readFileSync } from "node:fs";
import { outcomeDefinitionSchema } from "@rerate/outcomes";
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
