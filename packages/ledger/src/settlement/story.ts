/**
 * The story of one outcome within an account's stream: its requests with their corrections, what they were charged, the
 * verdict in force and what it moved. Folded from the events that link to each other, read back from the log when needed.
 *
 * So a verdict or a correction of any age starts from what is recorded, and the account's state stays small.
 */
import { add, parseFraction, ZERO, type Fraction, type Instant } from "@rerate/money";
import type { AccountEvent, Entry, UsageContent } from "../account-events.ts";
import type { History } from "../decider.ts";
import type { Identity, Verdict } from "../messages.ts";
import { accumulatorKey, placeOf, type AccumulatorPlace } from "./accumulator.ts";
import { factKey, headKey, identityKey } from "./keys.ts";

/** One request of an outcome, with the content in force. */
export interface StoryFact {
  readonly identity: Identity;
  readonly occurredAt: Instant;
  readonly content: UsageContent;
  /** Revision of the content in force: 0 for the original. */
  readonly revision: number;
  /** Revision of the binding whose rules priced it: what settles and corrects it too. */
  readonly bound: number;
  /** The original's entries: what a correction names. */
  readonly entries: readonly Entry[];
}

export interface BookedMeasure {
  readonly place: AccumulatorPlace;
  readonly model: string;
  readonly measure: Fraction;
  readonly atoms: bigint;
  readonly firstEntry: number;
}

export interface Story {
  /** Revision of its last event; what the next one links to. */
  readonly head: number | undefined;
  readonly facts: readonly StoryFact[];
  /** Net measure and atoms of the requests' own charges, by accumulator. */
  readonly charges: ReadonlyMap<string, BookedMeasure>;
  /** Net measure that verdicts have counted, by accumulator of the outcome item. */
  readonly counted: ReadonlyMap<string, BookedMeasure>;
  /** Atoms given back and given as bonus by the quality policy (both ≥ 0), by unit. */
  readonly quality: ReadonlyMap<string, { readonly refund: bigint; readonly bonus: bigint }>;
  /** Under an average policy: this outcome's part of W, by accumulator. */
  readonly averages: ReadonlyMap<string, Fraction>;
  readonly verdict: StoryVerdict | undefined;
}

export interface StoryVerdict {
  readonly verdict: Verdict;
  readonly score: string;
  readonly verdictRevision: number;
  readonly decidedAt: Instant;
}

export const NEW_STORY: Story = {
  head: undefined,
  facts: [],
  charges: new Map(),
  counted: new Map(),
  quality: new Map(),
  averages: new Map(),
  verdict: undefined,
};

/** The measure unit of outcome items: tells what verdicts count from what requests measure. */
export const OUTCOMES = "outcomes";

/** The recorded story of an outcome; a new one when there is none. */
export function storyOf(outcome: Identity, history: History<AccountEvent>): Story {
  const head = headOf(outcome, history);
  if (head === undefined) return NEW_STORY;
  const events: [number, AccountEvent][] = [];
  for (let revision: number | undefined = head; revision !== undefined;) {
    const event = history.at(revision);
    events.push([revision, event]);
    revision = linkOf(event);
  }
  return events.reduceRight((story, [revision, event]) => foldStory(story, event, revision), NEW_STORY);
}

/** Keys to load before `storyOf`. */
export function storyKeys(outcome: Identity): string[] {
  return [headKey(outcome), factKey(outcome)];
}

/** A story's head is under its own key, or it is the single usage whose identity the outcome bears. */
function headOf(outcome: Identity, history: History<AccountEvent>): number | undefined {
  const head = history.find(headKey(outcome));
  if (head !== undefined) return head.revision;
  const usage = history.find(factKey(outcome));
  if (usage === undefined) return undefined;
  const event = history.at(usage.revision);
  return event.type === "UsageRecorded" && event.data.outcome === undefined ? usage.revision : undefined;
}

export function linkOf(event: AccountEvent): number | undefined {
  switch (event.type) {
    case "UsageRecorded":
    case "UsageCorrected":
    case "VerdictApplied":
    case "CostRecorded":
    case "CostCorrected":
      return event.data.link;
    case "RulesBound":
    case "RulesRefused":
    case "CorrectionWaiting":
    case "VerdictWaiting":
    case "PeriodOpened":
    case "PeriodClosed":
    case "ImportStarted":
    case "ImportEnded":
    case "FactParked":
      return undefined;
  }
}

/** Folds one more event into a story; events of other kinds do not belong in one. */
export function foldStory(story: Story, event: AccountEvent, revision: number): Story {
  switch (event.type) {
    case "UsageRecorded": {
      const { data } = event;
      const fact: StoryFact = {
        identity: { source: data.source, id: data.id },
        occurredAt: data.occurredAt,
        content: data.corrected?.content ?? data.content,
        revision: data.corrected?.revision ?? 0,
        bound: data.rules.bound,
        entries: data.entries,
      };
      return { ...withEntries(story, data.entries), head: revision, facts: [...story.facts, fact] };
    }
    case "UsageCorrected": {
      const { data } = event;
      const corrected = identityKey(data.corrects);
      const facts = story.facts.map((fact) =>
        data.holds && identityKey(fact.identity) === corrected
          ? { ...fact, content: data.content, revision: data.revision }
          : fact,
      );
      return { ...withEntries(story, data.entries), head: revision, facts };
    }
    case "VerdictApplied": {
      const { verdict, score, verdictRevision, decidedAt } = event.data;
      const holds = verdictRevision > (story.verdict?.verdictRevision ?? 0);
      return {
        ...withEntries(story, event.data.entries),
        head: revision,
        verdict: holds ? { verdict, score, verdictRevision, decidedAt } : story.verdict,
      };
    }
    case "RulesBound":
    case "RulesRefused":
    case "CorrectionWaiting":
    case "VerdictWaiting":
    case "PeriodOpened":
    case "PeriodClosed":
    case "ImportStarted":
    case "ImportEnded":
    case "FactParked":
    case "CostRecorded":
    case "CostCorrected":
      throw new Error(`${event.type} at revision ${revision} is no part of an outcome's story`);
  }
}

/** The request that binds definition, price and period: the earliest by (occurredAt, id), whenever it arrived. */
export function bindingFact(story: Story): StoryFact | undefined {
  let earliest: StoryFact | undefined;
  for (const fact of story.facts) {
    if (earliest === undefined || isBefore(fact, earliest)) earliest = fact;
  }
  return earliest;
}

function isBefore(a: StoryFact, b: StoryFact): boolean {
  return a.occurredAt === b.occurredAt ? a.identity.id < b.identity.id : a.occurredAt < b.occurredAt;
}

/** A story with these entries added to what it has moved so far. */
export function withEntries(story: Story, entries: readonly Entry[]): Story {
  if (entries.length === 0) return story;
  const charges = new Map(story.charges);
  const counted = new Map(story.counted);
  const quality = new Map(story.quality);
  const averages = new Map(story.averages);
  for (const entry of entries) {
    if (entry.role === "measured") addMeasure(entry.measureUnit === OUTCOMES ? counted : charges, entry);
    if (entry.role !== "quality") continue;
    if (entry.average !== undefined) {
      const share = parseFraction(entry.average.refundedMeasure);
      averages.set(entry.average.accumulator, add(averages.get(entry.average.accumulator) ?? ZERO, share));
      continue;
    }
    const posted = quality.get(entry.unit) ?? { refund: 0n, bonus: 0n };
    const atoms = BigInt(entry.atoms);
    quality.set(
      entry.unit,
      entry.kind === "bonus" ? { ...posted, bonus: posted.bonus - atoms } : { ...posted, refund: posted.refund - atoms },
    );
  }
  return { ...story, charges, counted, quality, averages };
}

function addMeasure(into: Map<string, BookedMeasure>, entry: Entry): void {
  const place = placeOf(entry);
  const key = accumulatorKey(place);
  const known = into.get(key);
  into.set(key, {
    place,
    model: entry.model,
    measure: add(known?.measure ?? ZERO, parseFraction(entry.measure)),
    atoms: (known?.atoms ?? 0n) + BigInt(entry.atoms),
    firstEntry: known?.firstEntry ?? entry.n,
  });
}
