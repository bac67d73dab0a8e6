/**
 * The plans, price lists and outcome definitions that simulated accounts are on: one of each kind of rule, as data.
 *
 * Prices are chosen to be awkward: finer than an atom, tiers that one fact can cross, packages that corrections break open.
 * Item ids are unique over the pool, so that an accumulator's plan can be told from its item.
 */
import { documentHash } from "@rerate/ledger";

export interface PoolDocument {
  readonly kind: "plan" | "outcome-definition" | "price-list";
  readonly id: string;
  readonly hash: string;
  readonly document: PoolPlan | PoolDefinition | PoolPriceList;
}

export interface PoolPriceList {
  readonly kind: "price-list";
  readonly id: string;
  readonly title: string;
  readonly currency: "USD";
  readonly providers: readonly {
    readonly id: string;
    readonly models: readonly { readonly id: string; readonly prices: readonly TokenPrices[] }[];
  }[];
}

interface TokenPrices {
  readonly input: string;
  readonly cachedInput?: string;
  readonly output: string;
}

export interface PoolTier {
  readonly upTo?: number;
  readonly price: string;
  readonly fee?: string;
}

/** The parts of the plan documents that the pool uses; the oracle reads them with formulas of its own. */
export type PoolItem = { readonly id: string; readonly unit?: string } & (
  | {
      readonly model: "tokens";
      readonly provider?: string;
      readonly byModel: Readonly<Record<string, TokenPrices>>;
    }
  /** As published. The oracle is given the prices themselves. */
  | { readonly model: "tokens"; readonly provider: string; readonly priceList: string }
  | { readonly model: "per-request"; readonly price: string }
  | { readonly model: "graduated" | "volume"; readonly quantity: "pages"; readonly tiers: readonly PoolTier[] }
  | { readonly model: "package"; readonly quantity: "pages"; readonly size: number; readonly price: string }
  | { readonly model: "credits"; readonly perRequest: string }
);

export interface PoolPlan {
  readonly kind: "plan";
  readonly id: string;
  readonly title: string;
  readonly currency: "USD";
  readonly lateLimit: string;
  readonly items?: readonly PoolItem[];
  readonly baseFee?: PoolAmount;
  readonly minimum?: PoolAmount;
  readonly maximum?: PoolAmount;
  readonly outcome?: PoolOutcome;
  readonly quality?: PoolQuality;
}

interface PoolAmount {
  readonly id: string;
  readonly amount: string;
}

export interface PoolOutcome {
  readonly id: string;
  readonly definition: string;
  readonly unit?: string;
  readonly price?: string;
  readonly tiers?: readonly PoolTier[];
  readonly shares?: Readonly<Record<"success" | "partial" | "failure", string>>;
  readonly types?: readonly string[];
}

export interface PoolQuality {
  readonly id: string;
  readonly base: "marginal" | "fixed" | "average";
  readonly amount?: string;
  readonly scale: number;
  readonly refund?: { readonly below: string; readonly share: string };
  readonly bonus?: { readonly above: string; readonly share: string };
  readonly rounding?: "floor";
  readonly step?: string;
}

export interface PoolDefinition {
  readonly kind: "outcome-definition";
  readonly id: string;
  readonly title: string;
  readonly signals: Readonly<
    Record<string, { readonly weight: string; readonly explicit?: true } | { readonly score: true; readonly scale: string }>
  >;
  readonly minimumSignals?: number;
  readonly timeout?: string;
  readonly onTimeout?: { readonly use: "fixed" | "signals"; readonly score: string; readonly verdict?: "partial" };
  readonly thresholds: { readonly success: string; readonly partial: string };
  readonly reversalWindow: string;
  readonly reversal?: readonly string[];
}

/** Longer than any simulation, so that lateness never depends on when a worker got round to a fact. */
const LATE = "P365D";

const DEFINITIONS: readonly PoolDefinition[] = [
  {
    kind: "outcome-definition",
    id: "answer",
    title: "Accepted, rejected, or no answer within a day",
    signals: { accept: { weight: "1", explicit: true }, reject: { weight: "-1", explicit: true } },
    timeout: "PT24H",
    onTimeout: { use: "fixed", score: "0.5", verdict: "partial" },
    thresholds: { success: "0.7", partial: "0.3" },
    reversalWindow: "P30D",
  },
  {
    kind: "outcome-definition",
    id: "signals",
    title: "Many signals",
    signals: {
      explicit_accept: { weight: "1.0", explicit: true },
      explicit_reject: { weight: "-1.0", explicit: true },
      implicit_use: { weight: "0.8" },
      edit: { weight: "0.6" },
      share: { weight: "0.9" },
      regenerate: { weight: "-0.5" },
      reopened: { weight: "-1.0" },
    },
    minimumSignals: 3,
    timeout: "PT48H",
    onTimeout: { use: "signals", score: "0.3" },
    thresholds: { success: "0.7", partial: "0.3" },
    reversalWindow: "P10D",
    reversal: ["reopened"],
  },
  {
    kind: "outcome-definition",
    id: "quality",
    title: "A measured quality of 0 to 100",
    signals: { quality: { score: true, scale: "100" } },
    thresholds: { success: "0.4", partial: "0.4" },
    reversalWindow: "P30D",
    reversal: ["quality"],
  },
];

/** No price of its own: it binds the definition that turns signals into a score. */
const SCORED = { definition: "quality", price: "0" } as const;

const PLANS: readonly PoolPlan[] = [
  {
    kind: "plan",
    id: "tokens",
    title: "Tokens, some cheaper than an atom",
    currency: "USD",
    lateLimit: LATE,
    items: [
      {
        id: "chat-tokens",
        model: "tokens",
        byModel: {
          small: { input: "0.0000375", output: "0.00015" },
          large: { input: "2.5", cachedInput: "0.3333333", output: "10" },
        },
      },
    ],
  },
  {
    kind: "plan",
    id: "graduated",
    title: "Graduated pages with a fee per tier",
    currency: "USD",
    lateLimit: LATE,
    items: [
      {
        id: "graduated-pages",
        model: "graduated",
        quantity: "pages",
        tiers: [{ upTo: 7, price: "0.1" }, { upTo: 20, price: "0.0333333333", fee: "0.25" }, { price: "0.01" }],
      },
    ],
    minimum: { id: "graduated-minimum", amount: "1.5" },
  },
  {
    kind: "plan",
    id: "volume",
    title: "Volume prices with refunds on average",
    currency: "USD",
    lateLimit: LATE,
    items: [
      {
        id: "volume-pages",
        model: "volume",
        quantity: "pages",
        tiers: [{ upTo: 5, price: "0.3" }, { upTo: 12, price: "0.2" }, { price: "0.1111111111" }],
      },
    ],
    outcome: { id: "volume-score", ...SCORED },
    quality: { id: "volume-quality", base: "average", scale: 100, refund: { below: "40", share: "linear" } },
  },
  {
    kind: "plan",
    id: "package",
    title: "Packages, and a base fee",
    currency: "USD",
    lateLimit: LATE,
    items: [{ id: "package-pages", model: "package", quantity: "pages", size: 4, price: "1.25" }],
    baseFee: { id: "package-base", amount: "5" },
  },
  {
    kind: "plan",
    id: "pay-per-answer",
    title: "Accepted answers, with a minimum",
    currency: "USD",
    lateLimit: LATE,
    outcome: {
      id: "answered",
      definition: "answer",
      price: "0.5",
      shares: { success: "1", partial: "0.5", failure: "0" },
    },
    minimum: { id: "answer-minimum", amount: "2" },
  },
  {
    kind: "plan",
    id: "pay-per-signals",
    title: "Outcomes from signals at graduated prices, and tokens",
    currency: "USD",
    lateLimit: LATE,
    items: [
      {
        id: "signal-tokens",
        model: "tokens",
        byModel: { small: { input: "3", output: "15" }, large: { input: "6", output: "30" } },
      },
    ],
    outcome: {
      id: "signalled",
      definition: "signals",
      tiers: [{ upTo: 3, price: "1" }, { price: "0.7777777777" }],
      shares: { success: "1", partial: "0.5", failure: "0" },
      types: ["chat"],
    },
  },
  {
    kind: "plan",
    id: "credits",
    title: "Credits with refunds and bonuses",
    currency: "USD",
    lateLimit: LATE,
    items: [{ id: "credit-requests", model: "credits", unit: "credits", perRequest: "10" }],
    outcome: { id: "credit-score", unit: "credits", ...SCORED },
    quality: {
      id: "credit-quality",
      base: "marginal",
      scale: 100,
      refund: { below: "40", share: "linear" },
      bonus: { above: "90", share: "0.2" },
      rounding: "floor",
      step: "1",
    },
  },
  {
    kind: "plan",
    id: "requests",
    title: "Requests with a base fee, at most so much",
    currency: "USD",
    lateLimit: LATE,
    items: [{ id: "flat-requests", model: "per-request", price: "0.7" }],
    baseFee: { id: "request-base", amount: "1" },
    maximum: { id: "request-maximum", amount: "3" },
  },
];

/** The second version of the token plan, with other prices, published and in force later. */
const DEARER_TOKENS: PoolPlan = {
  ...(PLANS[0] as PoolPlan),
  title: "Tokens, dearer",
  items: [
    {
      id: "chat-tokens",
      model: "tokens",
      byModel: { small: { input: "0.00005", output: "0.0002" }, large: { input: "3", cachedInput: "0.5", output: "12" } },
    },
  ],
};

/** Whole atoms per token, so that it makes no difference which version of the list priced a fact. */
const LISTED_PRICES: Readonly<Record<string, TokenPrices>> = {
  small: { input: "3", cachedInput: "1", output: "15" },
  large: { input: "6", cachedInput: "2", output: "30" },
};
const ALL_PRICES = { ...LISTED_PRICES, "unheard-of": { input: "4", cachedInput: "1", output: "20" } };

/** A plan whose prices come from a list, with a policy that waits for verdicts and no fee of its own. */
const LISTED: PoolPlan = {
  kind: "plan",
  id: "listed",
  title: "Tokens at list prices",
  currency: "USD",
  lateLimit: LATE,
  items: [{ id: "listed-tokens", model: "tokens", provider: "maker", priceList: "models" }],
  outcome: { id: "listed-score", ...SCORED },
  quality: {
    id: "listed-quality",
    base: "marginal",
    scale: 100,
    refund: { below: "40", share: "linear" },
    rounding: "floor",
    step: "0.000000001",
  },
};

const priced = (byModel: Readonly<Record<string, TokenPrices>>): PoolPlan => ({
  ...LISTED,
  items: [{ id: "listed-tokens", model: "tokens", provider: "maker", byModel }],
});
/** What the listed plan comes to in the end, for the oracle: without the model that is priced late, and with it. */
export const LISTED_PLANS: { readonly id: string; readonly some: PoolPlan; readonly all: PoolPlan } = {
  id: LISTED.id,
  some: priced(LISTED_PRICES),
  all: priced(ALL_PRICES),
};

const priceList = (title: string, prices: Readonly<Record<string, TokenPrices>>): PoolDocument =>
  poolDocument({
    kind: "price-list",
    id: "models",
    title,
    currency: "USD",
    providers: [{ id: "maker", models: Object.entries(prices).map(([id, each]) => ({ id, prices: [each] })) }],
  });
export const FIRST_LIST: PoolDocument = priceList("As first published", LISTED_PRICES);
/** The same prices, for an earlier time. */
export const EARLIER_LIST: PoolDocument = priceList("For the time before", LISTED_PRICES);
/** The same prices, and one that was missing. */
export const COMPLETED_LIST: PoolDocument = priceList("With what was missing", ALL_PRICES);

/** Plans without fees: rules that fill gaps in the past open no periods there. */
export const FEELESS_PLAN_IDS: readonly string[] = ["tokens", "volume", "pay-per-signals", "credits"];

export const POOL: readonly PoolDocument[] = [...DEFINITIONS, ...PLANS, LISTED].map(poolDocument);
export const LATER_VERSION: PoolDocument = poolDocument(DEARER_TOKENS);
export const PLAN_IDS: readonly string[] = [...PLANS, LISTED].map(({ id }) => id);

export function planOf(hash: string): PoolPlan {
  const found = [...POOL, LATER_VERSION].find((document) => document.hash === hash)?.document;
  if (found?.kind !== "plan") throw new Error(`${hash} is no plan of the pool`);
  return found;
}

export function definitionOf(id: string): PoolDefinition {
  const found = DEFINITIONS.find((definition) => definition.id === id);
  if (found === undefined) throw new Error(`${id} is no definition of the pool`);
  return found;
}

function poolDocument(document: PoolPlan | PoolDefinition | PoolPriceList): PoolDocument {
  return { kind: document.kind, id: document.id, hash: documentHash(document), document };
}
