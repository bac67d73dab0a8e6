/**
 * Usage as producers send it: a CloudEvents 1.0 event whose `subject` is the account and whose `data` says what was consumed.
 *
 * Owns the schema (for documentation and for complete lists of problems). `usage-fact.ts` reads events fast; both give the same
 * verdict. No event may carry prompts or completions: opaque ids and quantities only.
 */
import { canonicalQuantity, parseInstant } from "@rerate/money";
import { z } from "zod";
import { pointerTo, problemsOfIssues, timeProblem, type Door, type InputProblem } from "./door.ts";
import { isText, TEXT_RULE, textField, timeField } from "./fields.ts";

/** Quantities that may stand directly in `data`. */
export const KNOWN_QUANTITIES = [
  "input_tokens",
  "cached_input_tokens",
  "cache_write_tokens",
  "output_tokens",
  "reasoning_tokens",
  "requests",
] as const;

/** Fields of `data` with a meaning of their own; any other text there is a dimension. */
export const KNOWN_FIELDS = [
  "model",
  "provider",
  "outcome",
  "parent",
  "attempt",
  "corrects",
  "revision",
  "quantities",
  "dimensions",
] as const;

/** At most so many quantities, dimensions, fields of data, and event attributes. */
export const MAX_KEYS = 32;
export const MAX_DATA_KEYS = 64;
export const MAX_ATTEMPT = 1_000_000;

const CONTENT_KEYS = new Set(
  (
    "prompt prompts prompt_text messages message completion completions completion_text input inputs output outputs response responses " +
    "content contents text body system system_prompt instructions transcript answer question conversation " +
    "gen_ai.input.messages gen_ai.output.messages gen_ai.system_instructions"
  ).split(" "),
);

/** True for keys that name what was said to or by a model. Such texts never enter the ledger. */
export function isContentKey(key: string): boolean {
  return CONTENT_KEYS.has(key.toLowerCase());
}

const NAME = /^[A-Za-z][A-Za-z0-9_.-]{0,63}$/;
const INHERITED = new Set(Object.getOwnPropertyNames(Object.prototype).concat("prototype"));

/** True for what quantities and dimensions may be called. Nothing that every object inherits, such as `constructor`. */
export function isName(key: string): boolean {
  return NAME.test(key) && !INHERITED.has(key);
}

/** Token and request counts are whole numbers; other quantities may have decimals. */
export function isCount(name: string): boolean {
  return name === "requests" || name.endsWith("_tokens");
}

/** The canonical text of a quantity under its name, or undefined when it may not stand there. */
export function readQuantity(name: string, value: unknown): string | undefined {
  if (typeof value !== "number" && typeof value !== "string") return undefined;
  const canonical = canonicalQuantity(value);
  return canonical !== undefined && isCount(name) && canonical.includes(".") ? undefined : canonical;
}

const QUANTITY_RULE = "must be a decimal that is not negative, with at most 15 digits before and 9 after the point";
const COUNT_RULE = "must be a whole number that is not negative, with at most 15 digits";
const CONTENT_RULE = "looks like text of a prompt or a completion: such texts are not accepted, send ids and quantities only";
const NAME_RULE = "must start with a letter, then at most 63 letters, digits, _, . or -";

const quantityValue = z
  .union([z.number(), z.string()], { error: QUANTITY_RULE })
  .refine((value) => canonicalQuantity(value) !== undefined, { error: QUANTITY_RULE });

const countValue = z
  .union([z.number(), z.string()], { error: COUNT_RULE })
  .refine((value) => readQuantity("requests", value) !== undefined, { error: COUNT_RULE })
  .meta({ examples: [812] });

const attemptValue = z.int().min(1).max(MAX_ATTEMPT);

export const correctsSchema = z
  .strictObject({ source: textField.nullish().describe("Default: the event's own source."), id: textField })
  .describe("The fact that this one replaces. The correction has an identity of its own and states the full new content.");

export const usageDataSchema = z.looseObject({
  model: textField.nullish().meta({ examples: ["gpt-4o"] }),
  provider: textField.nullish().meta({ examples: ["openai"] }),
  input_tokens: countValue.nullish().describe("All input tokens, cached and cache-write tokens included."),
  cached_input_tokens: countValue.nullish(),
  cache_write_tokens: countValue.nullish(),
  output_tokens: countValue.nullish().describe("All output tokens, reasoning included."),
  reasoning_tokens: countValue.nullish(),
  requests: countValue.nullish(),
  quantities: z
    .record(z.string(), quantityValue)
    .nullish()
    .describe("Any other quantities by name, as numbers or decimal strings."),
  dimensions: z
    .record(z.string(), textField)
    .nullish()
    .describe("What prices and reports may tell apart: feature, key, user, tier. Other texts in data are dimensions too.")
    .meta({ examples: [{ feature: "chat" }] }),
  outcome: textField.nullish().describe("Outcome that the request belongs to; by default the request is an outcome of its own."),
  attempt: attemptValue.nullish().describe("1 for the first attempt."),
  parent: textField.nullish().describe("Id of the request that caused this one."),
  corrects: correctsSchema.nullish(),
  revision: attemptValue.nullish().describe("Counts the corrections of one fact from 1. The highest holds."),
});

export const usageEventSchema = z
  .looseObject({
    specversion: z.literal("1.0"),
    id: textField,
    source: textField.describe("Where the event comes from. Identity is (source, id) within the account."),
    type: textField.meta({ examples: ["llm.completion"] }),
    subject: textField.describe("The customer account."),
    time: timeField.nullish().describe("When it happened. Default: when the door accepts it."),
    datacontenttype: z.string().max(256).nullish(),
    data: usageDataSchema.nullish(),
  })
  .meta({
    id: "UsageEvent",
    description: "CloudEvents 1.0 event: what one request consumed. Extension attributes are accepted and not stored.",
    examples: [
      {
        specversion: "1.0",
        type: "llm.completion",
        source: "api",
        id: "req-1",
        subject: "acme",
        time: "2026-03-01T09:30:00Z",
        data: { model: "gpt-4o", provider: "openai", input_tokens: 812, output_tokens: 204, feature: "chat" },
      },
    ],
  });

/** An event as producers write it. */
export type UsageEventBody = z.input<typeof usageEventSchema>;
export type UsageDataBody = z.input<typeof usageDataSchema>;

/** Everything that has to be mended before the event is accepted; empty for an acceptable one. */
export function usageEventProblems(event: unknown, door: Door, options: { readonly correction?: boolean } = {}): InputProblem[] {
  const parsed = usageEventSchema.safeParse(event);
  const problems = parsed.success ? [] : problemsOfIssues(parsed.error.issues);
  if (!isRecord(event)) return problems;
  problems.push(...attributeProblems(event), ...occurredAtProblems(event, door));
  const data = event["data"];
  if (isRecord(data)) problems.push(...dataProblems(data), ...correctionProblems(event, data));
  if (options.correction === true && (!isRecord(data) || (data["corrects"] ?? null) === null)) {
    problems.push({ pointer: "/data/corrects", detail: "names the fact that is corrected" });
  }
  return problems;
}

const ATTRIBUTES = new Set(["specversion", "id", "source", "type", "subject", "time", "datacontenttype", "data"]);

function attributeProblems(event: Readonly<Record<string, unknown>>): InputProblem[] {
  const keys = Object.keys(event);
  const problems = keys.filter((key) => !ATTRIBUTES.has(key)).flatMap((key) => extensionProblems(key, event[key]));
  if (keys.length > MAX_KEYS) problems.push({ pointer: "", detail: `has more than ${MAX_KEYS} attributes` });
  return problems;
}

/** An attribute that CloudEvents does not define: accepted and ignored where it is short and plain. */
export function extensionProblem(key: string, value: unknown): string | undefined {
  if (isContentKey(key)) return CONTENT_RULE;
  if (key === "data_base64") return "is not accepted: send `data` as JSON";
  if (!isName(key)) return NAME_RULE;
  if (value === null || typeof value === "boolean" || typeof value === "number") return undefined;
  return typeof value === "string" && value.length <= 256 ? undefined : "must be a short text, a number or a boolean";
}

function extensionProblems(key: string, value: unknown): InputProblem[] {
  const detail = extensionProblem(key, value);
  return detail === undefined ? [] : [{ pointer: pointerTo([key]), detail }];
}

function occurredAtProblems(event: Readonly<Record<string, unknown>>, door: Door): InputProblem[] {
  const time = event["time"];
  const occurredAt = typeof time === "string" && time.length <= 64 ? parseInstant(time) : undefined;
  const detail = occurredAt === undefined ? undefined : timeProblem(occurredAt, door);
  return detail === undefined ? [] : [{ pointer: "/time", detail }];
}

const FLAT: ReadonlySet<string> = new Set([...KNOWN_QUANTITIES, ...KNOWN_FIELDS]);

function dataProblems(data: Readonly<Record<string, unknown>>): InputProblem[] {
  const problems: InputProblem[] = [];
  const add = (path: readonly string[], detail: string) => void problems.push({ pointer: pointerTo(["data", ...path]), detail });
  const quantities = isRecord(data["quantities"]) ? data["quantities"] : {};
  const dimensions = isRecord(data["dimensions"]) ? data["dimensions"] : {};
  const flatQuantities = KNOWN_QUANTITIES.filter((name) => (data[name] ?? null) !== null);
  const flatDimensions = Object.keys(data).filter((key) => !FLAT.has(key) && data[key] !== null);

  for (const key of flatDimensions) {
    if (isContentKey(key)) add([key], CONTENT_RULE);
    else if (!isName(key)) add([key], NAME_RULE);
    else if (typeof data[key] === "number") add([key], "is not a quantity that may stand here: put it under `quantities`");
    else if (!isText(data[key])) add([key], `must be ${TEXT_RULE}`);
    if (Object.hasOwn(dimensions, key)) add([key], "stands under `dimensions` too");
  }
  for (const key of Object.keys(quantities)) {
    if (!isName(key)) add(["quantities", key], NAME_RULE);
    else if (isCount(key) && readQuantity(key, quantities[key]) === undefined) add(["quantities", key], COUNT_RULE);
    if ((flatQuantities as string[]).includes(key)) add(["quantities", key], "stands directly in `data` too");
  }
  for (const key of Object.keys(dimensions)) {
    if (isContentKey(key)) add(["dimensions", key], CONTENT_RULE);
    else if (!isName(key)) add(["dimensions", key], NAME_RULE);
  }
  if (Object.keys(data).length > MAX_DATA_KEYS) add([], `has more than ${MAX_DATA_KEYS} fields`);
  if (Object.keys(quantities).length + flatQuantities.length > MAX_KEYS)
    add(["quantities"], `has more than ${MAX_KEYS} quantities`);
  if (Object.keys(dimensions).length + flatDimensions.length > MAX_KEYS)
    add(["dimensions"], `has more than ${MAX_KEYS} dimensions`);
  if (partsExceedInput((name) => data[name] ?? quantities[name])) add(["input_tokens"], PARTS_RULE);
  return problems;
}

const PARTS_RULE = "is less than cached_input_tokens and cache_write_tokens together, which are parts of it";

function partsExceedInput(value: (name: string) => unknown): boolean {
  const count = (name: string) => Number(readQuantity(name, value(name)) ?? "0");
  return count("cached_input_tokens") + count("cache_write_tokens") > count("input_tokens");
}

function correctionProblems(event: Readonly<Record<string, unknown>>, data: Readonly<Record<string, unknown>>): InputProblem[] {
  const corrects = data["corrects"] ?? null;
  const revision = data["revision"] ?? null;
  const problems: InputProblem[] = [];
  if (corrects !== null && revision === null)
    problems.push({ pointer: "/data/revision", detail: "counts the corrections of a fact from 1" });
  if (corrects === null && revision !== null)
    problems.push({ pointer: "/data/revision", detail: "belongs to a correction: `corrects` is missing" });
  if (isRecord(corrects) && corrects["id"] === event["id"] && (corrects["source"] ?? event["source"]) === event["source"]) {
    problems.push({ pointer: "/data/corrects", detail: "is the event itself: a correction has an identity of its own" });
  }
  return problems;
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
