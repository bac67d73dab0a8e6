/**
 * Facts as HTTP takes them, written in Avro for the intake topics: what `read-reported.ts` reads as the same fact.
 */
import { canonicalQuantity } from "@rerate/money";
import type { CostReported, SignalReported, UsageReported } from "../generated/topics.ts";
import { toCostFact, type CostBody } from "../http/cost.ts";
import { EARLIEST, type Door, type InputProblem } from "../http/door.ts";
import { toSignal, type SignalBody } from "../http/signal.ts";
import { usageEventProblems, type UsageEventBody } from "../http/usage-event.ts";
import { toUsageFact } from "../http/usage-fact.ts";
import { topicCodec } from "../topics.ts";
import type { ReportedTopic } from "./reported.ts";

export type ReportedBody =
  | { readonly kind: "usage"; readonly body: UsageEventBody }
  | { readonly kind: "cost"; readonly body: CostBody }
  | { readonly kind: "signal"; readonly body: SignalBody };

/** The topic that a kind of fact is reported on. */
export function reportedTopicOf(kind: ReportedBody["kind"]): ReportedTopic {
  return kind === "signal" ? "signal.reported" : "usage.reported";
}

/** Single-object Avro. Throws a TypeError that lists what is wrong with a fact that no door would take. */
export function encodeReported(fact: ReportedBody): Uint8Array {
  return topicCodec(reportedTopicOf(fact.kind)).encode(reportedOf(fact));
}

function reportedOf(fact: ReportedBody): UsageReported | CostReported | SignalReported {
  switch (fact.kind) {
    case "usage":
      return usageReported(fact.body);
    case "cost": {
      const read = toCostFact(fact.body, ANY_TIME);
      if ("problems" in read) throw notAcceptable(read.problems);
      const { time, corrects, ...fields } = fact.body;
      return { kind: "cost", ...fields, occurredAt: time, corrects: referenceOf(corrects) };
    }
    case "signal": {
      const read = toSignal(fact.body, ANY_TIME);
      if ("problems" in read) throw notAcceptable(read.problems);
      const { time, outcome, confidence, value, ...fields } = fact.body;
      return {
        kind: "signal",
        ...fields,
        occurredAt: time,
        outcome: typeof outcome === "string" ? { id: outcome } : outcome,
        confidence: decimalOf(confidence),
        value: decimalOf(value),
      };
    }
  }
}

function usageReported(event: UsageEventBody): UsageReported {
  const fact = toUsageFact(event, ANY_TIME);
  if (fact === undefined) throw notAcceptable(usageEventProblems(event, ANY_TIME));
  const { source, id, account, type, provider, model, quantities, dimensions, outcome, attempt, parent, revision } = fact;
  const occurredAt = event.time ?? undefined;
  // The reference as it was sent: one without a source is another content than one that names its own.
  const corrects = referenceOf(event.data?.corrects ?? undefined);
  const named = { provider, model, outcome, attempt, parent, corrects, revision };
  return { kind: "usage", source, id, account, type, occurredAt, quantities, dimensions, ...named };
}

function referenceOf(
  corrects: { readonly source?: string | null | undefined; readonly id: string } | undefined,
): { readonly source?: string | undefined; readonly id: string } | undefined {
  return corrects === undefined ? undefined : { source: corrects.source ?? undefined, id: corrects.id };
}

function decimalOf(value: number | string | undefined): string | undefined {
  return value === undefined ? undefined : canonicalQuantity(value);
}

/** Whether a time is acceptable is for the intake to say: its clock counts. */
const ANY_TIME: Door = { ns: "", now: EARLIEST, latest: "9999-12-31T23:59:59.999999999Z" as Door["latest"] };

function notAcceptable(problems: readonly InputProblem[]): TypeError {
  return new TypeError(problems.map(({ pointer, detail }) => `${pointer} ${detail}`).join("; "));
}
