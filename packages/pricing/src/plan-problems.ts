/**
 * What single fields of a plan cannot show: names used twice, currencies that do not exist, tiers out of order, policies that miss
 * a part. Runs as a check of `planSchema`, so that every problem is listed with its line.
 */
import { isCurrency } from "@rerate/money";
import type { TermsProblem } from "./charge-model.ts";
import { modelOf } from "./models/all.ts";
import type { PlanDocument } from "./plan-document.ts";
import { tierProblems } from "./price-tiers.ts";
import { formatPath, type Problem } from "./read-document.ts";

/** All cross-field problems of a plan whose fields are each well formed. */
export function planProblems(document: PlanDocument): Pick<Problem, "path" | "message">[] {
  return problemsInPlan(document).map(({ path, message }) => ({ path: formatPath(path), message }));
}

/** As `planProblems`, with paths as the schema wants them. */
export function problemsInPlan(document: PlanDocument): TermsProblem[] {
  return [
    ...nothingToDo(document),
    ...repeatedIds(document),
    ...unknownUnits(document),
    ...(document.items ?? []).flatMap((item, index) =>
      (modelOf(item)?.problems(item) ?? []).map(({ path, message }) => ({ path: ["items", index, ...path], message })),
    ),
    ...outcomeProblems(document),
    ...qualityProblems(document),
    ...recordOnlyProblems(document),
  ];
}

function nothingToDo(document: PlanDocument): TermsProblem[] {
  const empty = (document.items ?? []).length === 0 && document.outcome === undefined && document.recordOnly === undefined;
  return empty ? [{ path: [], message: "a plan has items, an outcome policy, or types that are only recorded" }] : [];
}

/** Entries and accumulators carry these ids, so one id means one thing. */
function repeatedIds(document: PlanDocument): TermsProblem[] {
  const ids = [
    ...(document.items ?? []).map(({ id }, index) => ({ id, path: ["items", index, "id"] })),
    ...parts(document).map(([part, { id }]) => ({ id, path: [part, "id"] })),
  ];
  return ids.flatMap(({ id, path }, index) =>
    ids.findIndex((other) => other.id === id) < index ? [{ path, message: `the id "${id}" is used twice` }] : [],
  );
}

function unknownUnits(document: PlanDocument): TermsProblem[] {
  const units: { readonly unit: string | undefined; readonly path: readonly PropertyKey[] }[] = [
    { unit: document.currency, path: ["currency"] },
    ...(document.items ?? []).map(({ unit }, index) => ({ unit, path: ["items", index, "unit"] })),
    ...parts(document).map(([part, value]) => ({ unit: "unit" in value ? value.unit : undefined, path: [part, "unit"] })),
  ];
  return units.flatMap(({ unit, path }) =>
    unit === undefined || !CURRENCY.test(unit) || isCurrency(unit)
      ? []
      : [{ path, message: `${unit} is no currency of ISO 4217; credit units are written in lower case` }],
  );
}

function outcomeProblems({ outcome }: PlanDocument): TermsProblem[] {
  if (outcome === undefined) return [];
  const problems = outcome.tiers === undefined ? [] : tierProblems(outcome.tiers, "tiers");
  if ((outcome.price === undefined) === (outcome.tiers === undefined)) {
    problems.push({ path: [], message: "an outcome policy has either a price or tiers" });
  }
  return problems.map(({ path, message }) => ({ path: ["outcome", ...path], message }));
}

function qualityProblems({ quality }: PlanDocument): TermsProblem[] {
  if (quality === undefined) return [];
  const problems: TermsProblem[] = [];
  if (quality.refund === undefined && quality.bonus === undefined) {
    problems.push({ path: ["quality"], message: "a quality policy has a refund or a bonus" });
  }
  if ((quality.base === "fixed") !== (quality.amount !== undefined)) {
    problems.push({ path: ["quality", "amount"], message: "a fixed base has an amount, any other base has none" });
  }
  if (quality.refund !== undefined && /^0*(\.0*)?$/.test(quality.refund.below)) {
    problems.push({ path: ["quality", "refund", "below"], message: "no score lies below 0" });
  }
  if (quality.base === "average" && quality.step !== undefined) {
    problems.push({ path: ["quality", "step"], message: "under the average base refunds are rounded to atoms, not to a step" });
  }
  if (quality.step !== undefined && /^0*(\.0*)?$/.test(quality.step)) {
    problems.push({ path: ["quality", "step"], message: "a step is more than nothing" });
  }
  return problems;
}

/** A type that is only recorded and priced as well would be read differently by different people. */
function recordOnlyProblems(document: PlanDocument): TermsProblem[] {
  const recorded = new Set(document.recordOnly);
  const priced = (document.items ?? []).flatMap(({ when }, index) =>
    (when?.types ?? []).map((type, at) => ({ type, path: ["items", index, "when", "types", at] })),
  );
  const counted = (document.outcome?.types ?? []).map((type, at) => ({ type, path: ["outcome", "types", at] }));
  return [...priced, ...counted].flatMap(({ type, path }) =>
    recorded.has(type) ? [{ path, message: `"${type}" is in recordOnly and priced as well` }] : [],
  );
}

function parts(document: PlanDocument): [string, { readonly id: string; readonly unit?: string | undefined }][] {
  const { outcome, quality, baseFee, minimum, maximum } = document;
  return Object.entries({ outcome, quality, baseFee, minimum, maximum }).flatMap(([part, value]) =>
    value === undefined ? [] : [[part, value]],
  );
}

const CURRENCY = /^[A-Z]{3}$/;
