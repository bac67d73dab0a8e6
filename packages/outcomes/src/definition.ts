/**
 * Outcome definitions: the documents that say what counts as success.
 *
 * Owns the schema of `kind: outcome-definition`. Reads no text and knows no hash: catalog publishes a definition as an immutable
 * version and its content hash names it. The schema repairs and fills in nothing, so the value is what the text says.
 */
import { compare, parseDecimal, parseDuration } from "@rerate/money";
import { z } from "zod";

const decimal = z.string().regex(/^-?\d{1,9}(\.\d{1,9})?$/, 'expected a decimal in quotes, such as "0.7"');
const share = decimal.refine((text) => within01(text), "expected a decimal from 0 to 1");
const duration = z.string().refine((text) => {
  const nanos = parseDuration(text);
  return nanos !== undefined && nanos <= LONGEST;
}, "expected an ISO 8601 duration in weeks, days, hours, minutes or seconds of at most ten years, such as PT24H");
const name = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/, "expected letters, digits, '.', '_' or '-'");
const verdict = z.enum(["success", "partial", "failure"]);

const signalKind = z
  .strictObject({
    /** What one such signal adds to the score, times its confidence. */
    weight: decimal.optional(),
    /** Settles the outcome at once. */
    explicit: z.boolean().optional(),
    /** The signal carries a number of its own, such as a quality of 0 to 100: the latest one is the score. */
    score: z.literal(true).optional(),
    /** The number that means a score of 1. Only with `score`. */
    scale: decimal.optional(),
    /** A score settles at once (`always`, the default), or only when it reaches the success threshold. */
    settles: z.enum(["always", "success"]).optional(),
  })
  .superRefine((kind, context) => {
    const problem = (path: string, message: string): void => context.addIssue({ code: "custom", path: [path], message });
    if (kind.score === undefined) {
      if (kind.weight === undefined) problem("weight", "a signal needs a weight, or `score: true`");
      if (kind.scale !== undefined) problem("scale", "only a signal with `score: true` has a scale");
      if (kind.settles !== undefined) problem("settles", "only a signal with `score: true` says when it settles; use `explicit`");
      return;
    }
    if (kind.weight !== undefined) problem("weight", "a signal with a score of its own has no weight");
    if (kind.explicit !== undefined) problem("explicit", "a signal with a score says `settles` instead");
    if (kind.scale === undefined || !isPositive(kind.scale)) problem("scale", "a signal with a score needs a scale above 0");
  });

const timeoutRule = z.strictObject({
  /** `signals`: the score of the signals up to then, where there is one. `fixed`: the score below, whatever came. */
  use: z.enum(["signals", "fixed"]),
  /** The score without signals, or always with `fixed`. */
  score: share,
  /** The verdict that goes with it; by the thresholds when absent. */
  verdict: verdict.optional(),
});

/** A check with a result of its own kind. It runs where the result is (in the emitter), which reports its finding as `signal`. */
const validator = z.strictObject({
  id: name,
  kind: z.enum(["schema", "tests-passed", "fields-complete", "custom"]),
  signal: name,
});

export const outcomeDefinitionSchema = z
  .strictObject({
    kind: z.literal("outcome-definition"),
    id: name,
    title: z.string().min(1).max(200),
    description: z.string().max(2000).optional(),
    signals: z.record(name, signalKind),
    /** So many weighted signals settle the outcome without an explicit one. */
    minimumSignals: z.int().min(1).max(1000).optional(),
    /** Counts from the request's own time; exactly at the timeout the outcome is still pending. */
    timeout: duration.optional(),
    onTimeout: timeoutRule.optional(),
    /** Lowest score of each verdict, compared exactly; below `partial` is a failure. */
    thresholds: z.strictObject({ success: share, partial: share }),
    /** How long after a verdict signals may still revise it. Default P30D. */
    reversalWindow: duration.optional(),
    /** The kinds that revise a verdict which signals have settled. The latest one within the window decides alone. */
    reversal: z.array(name).optional(),
    /** Whether all signals up to an explicit one count in the score (default), or the explicit one alone. */
    explicitDecides: z.enum(["all", "last"]).optional(),
    /** The kinds that a customer is shown. Default: all. */
    disclosed: z.array(name).optional(),
    validators: z.array(validator).optional(),
  })
  .superRefine((definition, context) => {
    const problem = (path: (string | number)[], message: string): void => context.addIssue({ code: "custom", path, message });
    const { signals, thresholds } = definition;
    const kinds = Object.values(signals);
    if ((definition.timeout === undefined) !== (definition.onTimeout === undefined)) {
      problem([definition.timeout === undefined ? "onTimeout" : "timeout"], "`timeout` and `onTimeout` go together");
    }
    if (within01(thresholds.success) && within01(thresholds.partial) && isBelow(thresholds.success, thresholds.partial)) {
      problem(["thresholds", "partial"], "`partial` must not be above `success`");
    }
    if (definition.minimumSignals !== undefined && kinds.every((kind) => kind.score === true)) {
      problem(["minimumSignals"], "counts weighted signals, and this definition has none");
    }
    const settles = kinds.some((kind) => kind.score === true || kind.explicit === true);
    if (!settles && definition.minimumSignals === undefined && definition.timeout === undefined) {
      problem(["signals"], "nothing settles an outcome: it needs an explicit or score signal, `minimumSignals` or a `timeout`");
    }
    const known = (path: string, names: readonly string[] | undefined): void =>
      names?.forEach((signal, index) => {
        if (!Object.hasOwn(signals, signal)) problem([path, index], `"${signal}" is not one of the signals`);
      });
    known("reversal", definition.reversal);
    known("disclosed", definition.disclosed);
    definition.validators?.forEach(({ signal }, index) => {
      if (!Object.hasOwn(signals, signal)) problem(["validators", index, "signal"], `"${signal}" is not one of the signals`);
    });
  });

export type OutcomeDefinition = z.infer<typeof outcomeDefinitionSchema>;

/** JSON Schema (draft 2020-12) of outcome definitions, for editors. Checks across fields are beyond it. */
export function outcomeDefinitionJsonSchema(): Readonly<Record<string, unknown>> {
  return { title: "Rerate outcome definition", ...z.toJSONSchema(outcomeDefinitionSchema) };
}

const LONGEST = 3660n * 24n * 3600n * 1_000_000_000n;

function within01(text: string): boolean {
  return /^(0(\.\d{1,9})?|1(\.0{1,9})?)$/.test(text);
}

function isBelow(a: string, b: string): boolean {
  return compare(parseDecimal(a), parseDecimal(b)) < 0;
}

function isPositive(text: string): boolean {
  return /^\d{1,9}(\.\d{1,9})?$/.test(text) && /[1-9]/.test(text);
}
