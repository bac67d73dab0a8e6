/** Audit and re-rating: everything here reads the log and never writes to it. */
export {
  compare,
  type ComparedAccount,
  type ComparedFact,
  type ComparedUnit,
  type CompareOptions,
  type CompareReport,
} from "./compare.ts";
export { describeProblem, type Problem, type ProblemKind } from "./problem.ts";
export { readModelsOf, rebuildReadModels } from "./read-models.ts";
export { recordedAtOf } from "./seal.ts";
export type { BalanceLine } from "./trial-balance.ts";
export {
  verify,
  type ProjectionLog,
  type VerifyOptions,
  type VerifyPhase,
  type VerifyProgress,
  type VerifyReport,
} from "./verify.ts";
