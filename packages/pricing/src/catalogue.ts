/**
 * Imports the public price catalogue of genai-prices (`prices/new_data/v2`) as a price list.
 *
 * Owns the mapping and nothing else: prices keep their shortest decimal text, matches keep their order. What cannot be mapped without
 * a change of meaning is refused, never dropped.
 */
import { z } from "zod";
import type { ModelMatch, PriceListDocument, PriceSet } from "./price-list-document.ts";
import { priceListSchema } from "./price-list-document.ts";

const clause: z.ZodType<Clause> = z.lazy(() =>
  z.union([
    z.strictObject({ equals: z.string() }),
    z.strictObject({ starts_with: z.string() }),
    z.strictObject({ ends_with: z.string() }),
    z.strictObject({ contains: z.string() }),
    z.strictObject({ regex: z.string() }),
    z.strictObject({ or: z.array(clause) }),
    z.strictObject({ and: z.array(clause) }),
  ]),
);
type Clause =
  | { readonly equals: string }
  | { readonly starts_with: string }
  | { readonly ends_with: string }
  | { readonly contains: string }
  | { readonly regex: string }
  | { readonly or: readonly Clause[] }
  | { readonly and: readonly Clause[] };

const catalogPrice = z.union([
  z.number(),
  z.strictObject({ base: z.number(), tiers: z.array(z.strictObject({ start: z.number(), price: z.number() })) }),
]);
const catalogPrices = z.record(z.string(), catalogPrice);
const constraint = z.union([
  z.strictObject({ start_date: z.string() }),
  z.strictObject({ start_time: z.string(), end_time: z.string() }),
]);
const catalog = z.array(
  z.object({
    id: z.string(),
    name: z.string(),
    models: z.array(
      z.object({
        id: z.string(),
        name: z.string().optional(),
        match: clause,
        prices: z.union([z.array(z.strictObject({ constraint: constraint.optional(), prices: catalogPrices })), catalogPrices]),
      }),
    ),
  }),
);

export interface CatalogueSource {
  /** The id of the price list to make, for example `genai-prices-2026-08-21`. */
  readonly id: string;
  /** Where the catalogue comes from, and when. */
  readonly source?: string;
}

/** A price list with everything the catalogue says. Throws an Error for what the price list cannot express. */
export function importCatalogue(json: unknown, { id, source }: CatalogueSource = { id: "genai-prices" }): PriceListDocument {
  const providers = catalog.parse(json).map((provider) => ({
    id: provider.id,
    title: provider.name,
    models: provider.models.map((model) => ({
      id: model.id,
      ...(model.name === undefined ? {} : { title: model.name }),
      match: matchOf(model.match),
      prices: Array.isArray(model.prices) ? model.prices.map(datedSet) : [onlySet(model.id, model.prices)],
    })),
  }));
  const document = { kind: "price-list" as const, id, ...(source === undefined ? {} : { source }), currency: "USD", providers };
  return priceListSchema.parse({ ...document, providers: providers.filter(({ models }) => models.length > 0) });
}

/** The decimal text of a JSON number, without exponent: `5e-7` is `0.0000005`. */
export function plainDecimal(value: number): string {
  const text = String(value);
  const match = /^(\d)(?:\.(\d+))?e-(\d+)$/.exec(text);
  if (match === null) {
    if (!/^\d+(\.\d+)?$/.test(text)) throw new RangeError(`${text} is not a price`);
    return text;
  }
  const [, whole = "", places = "", zeros = "0"] = match;
  return `0.${"0".repeat(Number(zeros) - 1)}${whole}${places}`;
}

const TOKEN_FIELDS: Readonly<Record<string, "input" | "cachedInput" | "cacheWrite" | "output" | "reasoning" | "request">> = {
  input_mtok: "input",
  cache_read_mtok: "cachedInput",
  cache_write_mtok: "cacheWrite",
  output_mtok: "output",
  output_reasoning_mtok: "reasoning",
  requests_kcount: "request",
};

/**
 * A model without any price is free only where its id says so (`…:free`). Elsewhere the catalogue does not know the price, and
 * rating refuses instead of giving the model away.
 */
function onlySet(modelId: string, prices: z.infer<typeof catalogPrices>): PriceSet {
  return Object.keys(prices).length === 0 && modelId.endsWith(":free") ? { input: "0", output: "0" } : priceSet(prices);
}

function datedSet(entry: {
  readonly constraint?: z.infer<typeof constraint> | undefined;
  readonly prices: z.infer<typeof catalogPrices>;
}): PriceSet {
  const { constraint } = entry;
  if (constraint === undefined) return priceSet(entry.prices);
  if ("start_date" in constraint) return { from: constraint.start_date, ...priceSet(entry.prices) };
  return { daily: { from: constraint.start_time, to: constraint.end_time }, ...priceSet(entry.prices) };
}

function priceSet(prices: z.infer<typeof catalogPrices>): PriceSet {
  const set: { -readonly [Field in keyof PriceSet]: PriceSet[Field] } = {};
  const other: Record<string, ReturnType<typeof priceOf>> = {};
  for (const [field, price] of Object.entries(prices)) {
    const known = TOKEN_FIELDS[field];
    if (known === undefined) other[quantityOf(field)] = priceOf(price);
    else set[known] = priceOf(price);
  }
  return Object.keys(other).length === 0 ? set : { ...set, other };
}

function priceOf(price: z.infer<typeof catalogPrice>): string | { base: string; tiers: { above: number; price: string }[] } {
  if (typeof price === "number") return plainDecimal(price);
  const tiers = price.tiers.map((tier) => ({ above: tier.start, price: plainDecimal(tier.price) }));
  return { base: plainDecimal(price.base), tiers };
}

/** `cache_write_1h_mtok` prices the quantity `cache_write_1h_tokens`, `web_searches_kcount` prices `web_searches`. */
function quantityOf(field: string): string {
  if (field.endsWith("_mtok")) return `${field.slice(0, -"_mtok".length)}_tokens`;
  if (field.endsWith("_kcount")) return field.slice(0, -"_kcount".length);
  throw new RangeError(`"${field}" is priced per an unknown unit`);
}

function matchOf(match: Clause): ModelMatch {
  if ("equals" in match) return { equals: match.equals };
  if ("starts_with" in match) return { startsWith: match.starts_with };
  if ("ends_with" in match) return { endsWith: match.ends_with };
  if ("contains" in match) return { contains: match.contains };
  if ("regex" in match) return { pattern: patternOf(match.regex) };
  return "or" in match ? { any: match.or.map(matchOf) } : { all: match.and.map(matchOf) };
}

/** Translates an anchored regex of literals and `\d`: `^gpt-\d{4}$` is `gpt-####`. Anything else has no pattern. */
function patternOf(regex: string): string {
  if (!regex.startsWith("^")) throw new RangeError(`the regex ${regex} is not anchored at its start`);
  const open = !regex.endsWith("$");
  const body = regex.slice(1, open ? undefined : -1);
  const pattern = body
    .replaceAll(/\\d\{(\d{1,2})\}/g, (_, times: string) => "\\d".repeat(Number(times)))
    .replaceAll("\\d", "#")
    .replaceAll(/\\([.\-/])/g, "$1");
  // An unescaped dot would mean any character; every dot must have come from `\.`.
  const dots = body.replaceAll(/\\[^d]/g, "").includes(".");
  if (dots || !/^[A-Za-z0-9#./_:-]+$/.test(pattern) || body.includes("#"))
    throw new RangeError(`the regex ${regex} has no pattern`);
  return open ? `${pattern}*` : pattern;
}
