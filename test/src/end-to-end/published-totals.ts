/**
 * The published totals of the bundled data, computed by others with exact arithmetic. Every expectation on real data comes from here.
 */
import { readFileSync } from "node:fs";

const DATA = new URL("../../../examples/data/", import.meta.url);

interface Exact {
  readonly exact_usd: string;
}

interface Switch {
  readonly events_before: number;
  readonly events_from: number;
  readonly cost_before_usd: string;
  readonly cost_from_usd: string;
  readonly cost_total_usd: string;
}

export interface TaskTotals {
  readonly rows: number;
  readonly resolved: number;
  readonly unresolved: number;
  readonly unknown: number;
  readonly cost_published_nano_sum: number;
  readonly cost_restated_nano_sum: number;
  readonly "outcome_revenue_usd_at_0.99": string;
}

interface Published {
  readonly "usage_azure_conversation_2023.csv.gz": {
    readonly rows: number;
    readonly input_tokens: number;
    readonly output_tokens: number;
    readonly "cost openai/gpt-4-turbo": Exact;
    readonly "cost openai/gpt-3.5-turbo-1106": Exact;
    readonly "cost openai/gpt-4o-mini": Exact;
    readonly "per_10_minutes_gpt-4-turbo": Readonly<
      Record<
        string,
        { readonly events: number; readonly input_tokens: number; readonly output_tokens: number; readonly cost_usd: string }
      >
    >;
    readonly price_switch: Switch;
  };
  readonly "usage_mooncake_conversation.csv.gz": {
    readonly rows: number;
    readonly "cost openai/gpt-4o with cache": Exact;
    readonly "cost openai/gpt-4o-mini with cache": Exact;
    readonly "o3 price cut": Switch;
    readonly "deepseek-chat time of day": {
      readonly events_peak: number;
      readonly events_off_peak: number;
      readonly cost_peak_usd: string;
      readonly cost_off_peak_usd: string;
      readonly cost_total_usd: string;
    };
  };
  readonly "usage_provider_responses.jsonl.gz": {
    readonly simple_rule: {
      readonly pairs: number;
      readonly total_usd: string;
      readonly by_provider_and_flavor: Readonly<Record<string, { readonly pairs: number; readonly total_usd: string }>>;
    };
  };
  readonly "outcomes_agent_tasks.csv.gz": {
    readonly rows: number;
    readonly rows_restated: number;
    readonly cost_missing_published: number;
    readonly cost_missing_restated: number;
    readonly total: TaskTotals;
    readonly by_benchmark: Readonly<Record<string, TaskTotals>>;
  };
}

/** The totals of one file. */
export function publishedTotals<File extends keyof Published>(file: File): Published[File] {
  const { totals } = JSON.parse(readFileSync(new URL("expected_totals.json", DATA), "utf8")) as { readonly totals: Published };
  return totals[file];
}

/** Where a bundled file lies. */
export function bundled(file: string): URL {
  return new URL(file, DATA);
}
