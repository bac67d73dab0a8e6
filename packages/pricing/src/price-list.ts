/**
 * Finds a model's price: which entry of a list a name means, and which of its dated prices holds at a time.
 *
 * Owns matching and dates; the arithmetic is in `token-rates.ts`. Invariant: the first entry whose match accepts the name wins,
 * the last set of prices whose start and hours hold wins, and nothing found is never a price of zero.
 */
import type { Fraction, Instant } from "@rerate/money";
import { parseStart } from "./document-fields.ts";
import type { ModelMatch, PriceListDocument, PriceSet } from "./price-list-document.ts";
import { termsHash } from "./terms-hash.ts";
import { compileTokenRates, type TokenRates } from "./token-rates.ts";

/** A document with the hash it is published under. */
export interface PriceList {
  readonly hash: string;
  readonly document: PriceListDocument;
}

/** Prices that hold from a time on, perhaps only in some hours of the day. */
export interface DatedRates {
  /** A short hash of the prices, then `@` and their start, then `/` and their hours. */
  readonly version: string;
  readonly rates: TokenRates;
  readonly from: Instant | undefined;
  readonly hours: { readonly from: string; readonly to: string } | undefined;
  /** Token quantities that the provider prices apart and that rating would miss. */
  readonly unrated: readonly string[];
}

/** All dated prices of a name at a provider; undefined when no entry accepts it. */
export function findRates(
  list: PriceListDocument,
  providerId: string,
  modelName: string,
  terms: { readonly version: string; readonly multiplier: Fraction },
): readonly DatedRates[] | undefined {
  const provider = list.providers.find((candidate) => candidate.id.toLowerCase() === providerId.toLowerCase());
  const lowered = modelName.toLowerCase();
  const entry = provider?.models.find((model) => matches(model.match ?? { equals: model.id }, lowered));
  return entry?.prices.map((set) => datedRates(set, list.currency, terms));
}

/** The prices that hold at a time: the last of them whose start and hours do. */
export function ratesAt(dated: readonly DatedRates[], at: Instant): DatedRates | undefined {
  for (let index = dated.length - 1; index >= 0; index -= 1) {
    const candidate = dated[index];
    if (candidate !== undefined && holdsAt(candidate, at)) return candidate;
  }
  return undefined;
}

/** Whether a match accepts a name that is already in lower case. */
export function matches(match: ModelMatch, lowered: string): boolean {
  if ("equals" in match) return lowered === match.equals.toLowerCase();
  if ("startsWith" in match) return lowered.startsWith(match.startsWith.toLowerCase());
  if ("endsWith" in match) return lowered.endsWith(match.endsWith.toLowerCase());
  if ("contains" in match) return lowered.includes(match.contains.toLowerCase());
  if ("pattern" in match) return matchesPattern(match.pattern.toLowerCase(), lowered);
  return "any" in match ? match.any.some((part) => matches(part, lowered)) : match.all.every((part) => matches(part, lowered));
}

/** Whether a time of day lies in a window; one that ends before it starts goes over midnight. */
export function inHours(hours: { readonly from: string; readonly to: string }, at: Instant): boolean {
  const time = at.slice(11, 29);
  return hours.from < hours.to ? time >= hours.from && time < hours.to : time >= hours.from || time < hours.to;
}

/** A time of day as an instant's text has it, so that comparing texts compares times. */
export function hoursOf(daily: { readonly from: string; readonly to: string }): { readonly from: string; readonly to: string } {
  return { from: clock(daily.from), to: clock(daily.to) };
}

function datedRates(
  set: PriceSet,
  currency: string,
  terms: { readonly version: string; readonly multiplier: Fraction },
): DatedRates {
  const { from, daily, other, ...prices } = set;
  const version = termsHash({ terms: terms.version, currency, prices, other });
  return {
    version: `${version}${from === undefined ? "" : `@${from}`}${daily === undefined ? "" : `/${daily.from}-${daily.to}`}`,
    rates: compileTokenRates(prices, currency, terms.multiplier),
    from: from === undefined ? undefined : parseStart(from),
    hours: daily === undefined ? undefined : hoursOf(daily),
    unrated: Object.keys(other ?? {}).filter((quantity) => quantity.endsWith("_tokens")),
  };
}

function holdsAt(dated: DatedRates, at: Instant): boolean {
  if (dated.from !== undefined && at < dated.from) return false;
  return dated.hours === undefined || inHours(dated.hours, at);
}

function matchesPattern(pattern: string, text: string): boolean {
  const open = pattern.endsWith("*");
  const length = open ? pattern.length - 1 : pattern.length;
  if (open ? text.length < length : text.length !== length) return false;
  for (let index = 0; index < length; index += 1) {
    const expected = pattern[index];
    const actual = text[index] ?? "";
    if (expected === "#" ? actual < "0" || actual > "9" : actual !== expected) return false;
  }
  return true;
}

function clock(text: string): string {
  const [hours = "00", minutes = "00", seconds = "00"] = text.replace("Z", "").split(":");
  return `${hours}:${minutes}:${seconds}.000000000`;
}
