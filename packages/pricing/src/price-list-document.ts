/**
 * Price-list documents: what models cost at their providers, with history.
 *
 * Owns the schema and its cross-field checks. How a model is found and which of its dated prices applies is in `price-list.ts`.
 */
import { z } from "zod";
import { countFraction, dailyWindow, key, name, parseStart, start, unit, value } from "./document-fields.ts";
import { formatPath, type Problem } from "./read-document.ts";
import { tieredPrice, tokenPrices } from "./token-rates.ts";

const pattern = z
  .string()
  .min(1)
  .max(200)
  .regex(/^[^*]+\*?$/, "`#` stands for one digit; `*` may stand at the end for anything");

/** One test of a model's name, compared without case. */
const test = z.union(
  [
    z.strictObject({ equals: value }),
    z.strictObject({ startsWith: value }),
    z.strictObject({ endsWith: value }),
    z.strictObject({ contains: value }),
    z.strictObject({ pattern: pattern.describe("`#` is one digit, `*` at the end is anything: `gpt-5-####-##-##`.") }),
  ],
  { error: "a test is one of equals, startsWith, endsWith, contains, pattern" },
);

type Test = z.infer<typeof test>;
export type ModelMatch = Test | { readonly any: readonly ModelMatch[] } | { readonly all: readonly ModelMatch[] };

const match: z.ZodType<ModelMatch> = z.lazy(() =>
  z.union([test, z.strictObject({ any: z.array(match).min(1) }), z.strictObject({ all: z.array(match).min(1) })], {
    error: "a match is equals, startsWith, endsWith, contains, pattern, or a list of them under any or all",
  }),
);

const priceSet = tokenPrices.extend({
  from: start.optional().describe("When these prices start; absent: from ever."),
  daily: dailyWindow.optional().describe("The hours of each day (UTC) in which these prices hold."),
  other: z
    .record(key, tieredPrice)
    .optional()
    .describe("Prices per million tokens, or per thousand of anything else, that token rating does not use."),
});
export type PriceSet = z.infer<typeof priceSet>;

const model = z.strictObject({
  id: value,
  title: z.string().optional(),
  match: match.optional().describe("Which model names mean this entry; its id if absent."),
  prices: z.array(priceSet).min(1).describe("The last set whose start and hours hold at the time of use applies."),
});

const provider = z.strictObject({
  id: value,
  title: z.string().optional(),
  models: z.array(model).min(1).describe("The first entry that matches a name applies."),
});

const shape = z.strictObject({
  kind: z.literal("price-list"),
  id: name,
  title: z.string().optional(),
  source: z.string().optional().describe("Where the prices come from, and when."),
  currency: unit,
  providers: z.array(provider).min(1),
});

/** A price list: dated prices of models, in major units per million tokens. */
export type PriceListDocument = z.infer<typeof shape>;

export const priceListSchema: z.ZodType<PriceListDocument> = shape
  .superRefine((document, context) => {
    for (const { path, message } of problemsIn(document)) context.addIssue({ code: "custom", path: [...path], message });
  })
  .describe("Prices of models, with history.");

/** What single fields cannot show: duplicate providers, prices out of order. */
export function priceListProblems(document: PriceListDocument): Pick<Problem, "path" | "message">[] {
  return problemsIn(document).map(({ path, message }) => ({ path: formatPath(path), message }));
}

interface Found {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

function problemsIn(document: PriceListDocument): Found[] {
  const found: Found[] = [];
  const seen = new Set<string>();
  for (const [at, provider] of document.providers.entries()) {
    const id = provider.id.toLowerCase();
    if (seen.has(id)) found.push({ path: ["providers", at, "id"], message: `provider "${provider.id}" appears twice` });
    seen.add(id);
    for (const [modelAt, model] of provider.models.entries()) {
      const path = ["providers", at, "models", modelAt, "prices"];
      for (const [setAt, set] of model.prices.entries())
        found.push(...setProblems(set, model.prices[setAt - 1], [...path, setAt]));
    }
  }
  return found;
}

function setProblems(set: PriceSet, before: PriceSet | undefined, path: readonly (string | number)[]): Found[] {
  const found: Found[] = [];
  if ((parseStart(set.from ?? "") ?? "") < (parseStart(before?.from ?? "") ?? "")) {
    found.push({ path: [...path, "from"], message: "prices stand in the order of their start: a later set wins" });
  }
  if (set.daily !== undefined && set.daily.from === set.daily.to) {
    found.push({ path: [...path, "daily"], message: "a daily window that ends where it starts holds at no time" });
  }
  const { from: _from, daily: _daily, other, ...prices } = set;
  for (const [field, price] of Object.entries(prices)) found.push(...tierProblems(price, [...path, field]));
  for (const [field, price] of Object.entries(other ?? {})) found.push(...tierProblems(price, [...path, "other", field]));
  return found;
}

function tierProblems(price: z.infer<typeof tieredPrice> | undefined, path: readonly (string | number)[]): Found[] {
  if (price === undefined || typeof price === "string") return [];
  const found: Found[] = [];
  let last = -1n;
  for (const [at, tier] of price.tiers.entries()) {
    const above = countFraction(tier.above);
    const place = [...path, "tiers", at, "above"];
    if (above.d !== 1n) found.push({ path: place, message: "tokens come in whole numbers" });
    if (above.n <= last) found.push({ path: place, message: "tiers stand in ascending order" });
    last = above.n;
  }
  return found;
}
