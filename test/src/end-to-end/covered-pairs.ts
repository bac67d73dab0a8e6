/**
 * The pairs of a provider's response and a third party's price that the published rule covers, chosen from the files alone.
 *
 * Uses nothing of the code under test: the catalogue is read as it was published.
 */
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { bundled } from "./published-totals.ts";

export interface CoveredPair {
  readonly id: string;
  readonly provider: string;
  readonly flavor: string;
  readonly model: string;
  readonly usage: Readonly<Record<string, number>>;
  /** USD, decimal texts, perhaps with an exponent. */
  readonly inputPrice: string;
  readonly outputPrice: string;
}

interface CatalogueModel {
  readonly match: Match;
  readonly prices: object | readonly { readonly constraint?: unknown }[];
}

type Match = Readonly<Record<string, unknown>>;

interface Response {
  readonly response_id: string;
  readonly model: string | null;
  readonly priced: readonly {
    readonly provider_id: string;
    readonly api_flavor: string;
    readonly usage: Readonly<Record<string, number>>;
    readonly input_price: string;
    readonly output_price: string;
  }[];
}

/** Units that the rule prices, and details of them. */
const TEXT = new Set([
  "input_tokens",
  "cache_read_tokens",
  "cache_write_tokens",
  "output_tokens",
  "output_reasoning_tokens",
  "input_text_tokens",
  "output_text_tokens",
]);

/** A model with a single undated price, a usage without audio, images, searches or other units. */
export function coveredPairs(): CoveredPair[] {
  const providers = JSON.parse(readFileSync(bundled("prices_catalog_2026-08-21.json"), "utf8")) as readonly {
    readonly id: string;
    readonly models: readonly CatalogueModel[];
  }[];
  const modelsOf = new Map(providers.map(({ id, models }) => [id, models]));
  const pairs: CoveredPair[] = [];
  const lines = gunzipSync(readFileSync(bundled("usage_provider_responses.jsonl.gz")))
    .toString("utf8")
    .trimEnd()
    .split("\n");
  for (const line of lines) {
    const { response_id, model, priced } = JSON.parse(line) as Response;
    if (model === null) continue;
    for (const { provider_id, api_flavor, usage, input_price, output_price } of priced) {
      const found = modelsOf.get(provider_id)?.find(({ match }) => accepts(match, model.toLowerCase()));
      if (found === undefined || Array.isArray(found.prices) || Object.keys(usage).some((unit) => !TEXT.has(unit))) continue;
      pairs.push({
        id: `${response_id}/${provider_id}/${api_flavor}`,
        provider: provider_id,
        flavor: api_flavor,
        model,
        usage,
        inputPrice: input_price,
        outputPrice: output_price,
      });
    }
  }
  return pairs;
}

function accepts(match: Match, name: string): boolean {
  return Object.entries(match).every(([test, operand]) => {
    if (Array.isArray(operand)) {
      const parts = operand as readonly Match[];
      return test === "or" ? parts.some((part) => accepts(part, name)) : parts.every((part) => accepts(part, name));
    }
    const text = String(operand).toLowerCase();
    if (test === "equals") return name === text;
    if (test === "starts_with") return name.startsWith(text);
    if (test === "ends_with") return name.endsWith(text);
    if (test === "contains") return name.includes(text);
    if (test === "regex") return new RegExp(String(operand), "i").test(name);
    throw new Error(`the catalogue has a test "${test}"`);
  });
}
