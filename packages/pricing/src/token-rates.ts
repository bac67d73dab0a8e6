/**
 * Token prices as exact arithmetic: what the tokens of one request cost.
 *
 * Owns the rules for parts: the input includes cached and cache-write tokens, the output includes reasoning tokens; a part without
 * a price of its own costs what the whole costs. Of a tiered price, the tier whose start is below the total input applies to all tokens
 * of the request. Invariant: no rounding; the cost is an exact fraction of atoms.
 */
import { ATOMS_PER_UNIT, formatAmount, formatDecimal, fraction, parseDecimal, type Fraction } from "@rerate/money";
import { z } from "zod";
import { count, countFraction, money } from "./document-fields.ts";
import type { PricedFact, Unpriced } from "./rate.ts";

/** A price per million tokens, or one that depends on the request's total input. */
export const tieredPrice = z.union(
  [
    money,
    z.strictObject({
      base: money,
      tiers: z
        .array(z.strictObject({ above: count.describe("Total input tokens beyond which the price applies."), price: money }))
        .min(1),
    }),
  ],
  { error: 'a price is a quoted decimal such as "0.50", or a base with tiers' },
);

/** Prices in major units per million tokens. */
export const tokenPrices = z.strictObject({
  input: tieredPrice.optional(),
  cachedInput: tieredPrice.optional().describe("Input read from a cache; the input price if absent."),
  cacheWrite: tieredPrice.optional().describe("Input written to a cache; the input price if absent."),
  output: tieredPrice.optional(),
  reasoning: tieredPrice.optional().describe("Reasoning within the output; the output price if absent."),
  request: tieredPrice.optional().describe("Per thousand requests, beside the tokens."),
});
export type TokenPrices = z.infer<typeof tokenPrices>;

type Part = keyof TokenPrices;
const PARTS: readonly Part[] = ["input", "cachedInput", "cacheWrite", "output", "reasoning", "request"];

/** One price: whole numerators over the common denominator of its rates. Undefined where there is no price. */
interface Rate {
  readonly numerator: bigint;
  /** For the steps: the price of one, such as ` × 0.00001 USD = `, and the unit after the product. */
  readonly times: string;
  readonly unit: string;
}
interface Rates extends Partial<Record<Part, Rate>> {
  readonly above: bigint;
  readonly denominator: bigint;
}

/** Compiled prices of one model: the base first, then the tiers by their start. */
export type TokenRates = readonly [Rates, ...Rates[]];

/** The exact cost of a request in atoms, with its arithmetic. */
export interface TokenCost {
  readonly kind: "cost";
  readonly atoms: Fraction;
  steps(): readonly string[];
}

/** Compiles prices once per plan. `multiplier` scales all of them (a markup or a discount on a list). */
export function compileTokenRates(prices: TokenPrices, unit: string, multiplier: Fraction): TokenRates {
  const starts = new Set<bigint>();
  for (const part of PARTS) {
    const price = prices[part];
    if (typeof price === "object") for (const tier of price.tiers) starts.add(wholeStart(tier.above));
  }
  const tiers = [...starts].toSorted((a, b) => (a < b ? -1 : 1)).map((above) => ratesAbove(prices, above, unit, multiplier));
  return [ratesAbove(prices, -1n, unit, multiplier), ...tiers];
}

/** Prices a request's tokens; a refusal when a quantity is missing, not whole, or larger than what includes it. */
export function rateTokens(tokens: TokenRates, fact: PricedFact): TokenCost | Unpriced {
  const { quantities } = fact;
  const inputText = quantities["input_tokens"];
  const outputText = quantities["output_tokens"];
  if (inputText === undefined && outputText === undefined) {
    return refuse("missing-quantity", "the fact has neither input_tokens nor output_tokens");
  }
  const input = wholeTokens(inputText);
  const cached = wholeTokens(quantities["cached_input_tokens"]);
  const write = wholeTokens(quantities["cache_write_tokens"]);
  const output = wholeTokens(outputText);
  const reasoning = wholeTokens(quantities["reasoning_tokens"]);
  if (input < 0n || cached < 0n || write < 0n || output < 0n || reasoning < 0n) {
    return refuse("bad-quantity", "tokens come in whole numbers");
  }
  if (cached + write > input) {
    return refuse("parts-exceed-total", `cached ${cached} and cache-write ${write} tokens exceed ${input} input_tokens`);
  }
  if (reasoning > output) return refuse("parts-exceed-total", `${reasoning} reasoning_tokens exceed ${output} output_tokens`);

  const rates = ratesFor(tokens, input);
  const cachedRate = rates.cachedInput ?? rates.input;
  const writeRate = rates.cacheWrite ?? rates.input;
  const reasoningRate = rates.reasoning ?? rates.output;
  const plainInput = input - cached - write;
  const plainOutput = output - reasoning;
  if (
    (plainInput > 0n && rates.input === undefined) ||
    (cached > 0n && cachedRate === undefined) ||
    (write > 0n && writeRate === undefined)
  ) {
    return refuse("missing-price", "the model has no price for input tokens");
  }
  if ((plainOutput > 0n && rates.output === undefined) || (reasoning > 0n && reasoningRate === undefined)) {
    return refuse("missing-price", "the model has no price for output tokens");
  }
  let numerator = rates.request?.numerator ?? 0n;
  if (rates.input !== undefined) numerator += plainInput * rates.input.numerator;
  if (cached !== 0n && cachedRate !== undefined) numerator += cached * cachedRate.numerator;
  if (write !== 0n && writeRate !== undefined) numerator += write * writeRate.numerator;
  if (rates.output !== undefined) numerator += plainOutput * rates.output.numerator;
  if (reasoning !== 0n && reasoningRate !== undefined) numerator += reasoning * reasoningRate.numerator;
  return {
    kind: "cost",
    atoms: over(numerator, rates.denominator),
    steps() {
      const steps: string[] = [];
      const { denominator } = rates;
      const whole = cached + write === 0n;
      if (plainInput > 0n) steps.push(step(plainInput, whole ? "input_tokens" : "other input_tokens", rates.input, denominator));
      if (cached > 0n) steps.push(step(cached, "cached_input_tokens", cachedRate, denominator));
      if (write > 0n) steps.push(step(write, "cache_write_tokens", writeRate, denominator));
      if (plainOutput > 0n) {
        steps.push(step(plainOutput, reasoning === 0n ? "output_tokens" : "other output_tokens", rates.output, denominator));
      }
      if (reasoning > 0n) steps.push(step(reasoning, "reasoning_tokens", reasoningRate, denominator));
      if (rates.request !== undefined) steps.push(step(1n, "request", rates.request, denominator));
      return steps.length === 0 ? ["0 tokens"] : steps;
    },
  };
}

function ratesFor(tokens: TokenRates, totalInput: bigint): Rates {
  let rates = tokens[0];
  for (let index = 1; index < tokens.length; index += 1) {
    const tier = tokens[index];
    if (tier === undefined || totalInput <= tier.above) break;
    rates = tier;
  }
  return rates;
}

function ratesAbove(prices: TokenPrices, above: bigint, unit: string, multiplier: Fraction): Rates {
  const exact = PARTS.map(
    (part) => [part, perOne(prices[part], above, part === "request" ? 1_000n : 1_000_000n, multiplier)] as const,
  );
  const denominator = exact.reduce((all, [, price]) => (price === undefined ? all : leastCommonMultiple(all, price.d)), 1n);
  const rates: { -readonly [Key in Part]?: Rate } = {};
  for (const [part, price] of exact) {
    if (price === undefined) continue;
    const each = formatDecimal(fraction(price.n, price.d * ATOMS_PER_UNIT), 30);
    rates[part] = { numerator: price.n * (denominator / price.d), times: ` × ${each} ${unit} = `, unit: ` ${unit}` };
  }
  return { ...rates, above, denominator };
}

/** Exact atoms of one token (or one request) in the tier that applies beyond `above`. */
function perOne(price: TokenPrices[Part], above: bigint, per: bigint, multiplier: Fraction): Fraction | undefined {
  if (price === undefined) return undefined;
  let text = typeof price === "string" ? price : price.base;
  if (typeof price === "object") {
    let highest = -1n;
    for (const tier of price.tiers) {
      const start = wholeStart(tier.above);
      if (start > above || start <= highest) continue;
      highest = start;
      text = tier.price;
    }
  }
  const major = parseDecimal(text);
  return fraction(major.n * ATOMS_PER_UNIT * multiplier.n, major.d * per * multiplier.d);
}

function wholeStart(above: string | number): bigint {
  const exact = countFraction(above);
  return exact.n / exact.d;
}

/** Absent parts are none; −1 stands for a quantity that is not whole. */
function wholeTokens(text: string | undefined): bigint {
  if (text === undefined || text === "0") return 0n;
  return text.includes(".") ? -1n : BigInt(text);
}

function over(numerator: bigint, denominator: bigint): Fraction {
  if (denominator === 1n) return { n: numerator, d: 1n };
  return numerator % denominator === 0n ? { n: numerator / denominator, d: 1n } : fraction(numerator, denominator);
}

function step(tokens: bigint, label: string, rate: Rate | undefined, denominator: bigint): string {
  if (rate === undefined) return "";
  const product = over(tokens * rate.numerator, denominator);
  const cost = product.d === 1n ? formatAmount(product.n) : formatDecimal(fraction(product.n, product.d * ATOMS_PER_UNIT), 30);
  return `${tokens} ${label}${rate.times}${cost}${rate.unit}`;
}

function leastCommonMultiple(a: bigint, b: bigint): bigint {
  if (a === b || b === 1n) return a;
  return a * fraction(b, a).n;
}

function refuse(reason: Unpriced["reason"], detail: string): Unpriced {
  return { kind: "unpriced", reason, detail };
}
