/**
 * Which usage an event is about, where the event itself does not say: verdicts and corrections carry a link to the event
 * before them in the same story, and the usage is found by following it.
 *
 * The log is the truth: what is found is a function of the stream alone. Recent facts under an outcome policy are kept in
 * memory because their verdicts usually follow soon; the memory is bounded and only saves time.
 */
import { decodeEvent, type AccountEvent, type Identity, type UsageContent, type UsageRecorded } from "@rerate/ledger";
import type { LedgerLog } from "./ledger-log.ts";

/** A usage as it stood before an event: what it was, when, and the content that held. */
export interface Subject {
  readonly usage: Identity;
  readonly occurredAt: string;
  readonly content: UsageContent;
  /** Whether it opened an outcome. */
  readonly hasOutcome: boolean;
}

export interface Subjects {
  /** Keeps an event that others will probably link to. */
  remember(stream: string, revision: number, event: AccountEvent): void;
  /**
   * The subject of an event of the stream: undefined at once for events that have none, and a promise of undefined where the
   * story names no usage.
   */
  of(stream: string, event: AccountEvent): Promise<Subject | undefined> | undefined;
}

export function createSubjects(log: LedgerLog, most = 20_000): Subjects {
  const recent = new Map<string, AccountEvent>();

  async function at(stream: string, revision: number): Promise<AccountEvent | undefined> {
    const known = recent.get(`${stream}@${revision}`);
    if (known !== undefined) return known;
    const [stored] = await log.eventStore.readForward(stream, { from: revision, maxCount: 1 });
    return stored === undefined ? undefined : decodeEvent("account", stored);
  }

  /** Follows the links back to a usage, to the one asked for if one is, and notes the newest correction that holds on the way. */
  async function follow(stream: string, link: number | undefined, wanted: Identity | undefined): Promise<Subject | undefined> {
    let next = link;
    const corrected = new Map<string, UsageContent>();
    while (next !== undefined) {
      const event = await at(stream, next);
      if (event === undefined) return undefined;
      if (event.type === "UsageRecorded" && (wanted === undefined || sameIdentity(event.data, wanted))) {
        return subjectOf(event.data, corrected.get(identityText(event.data)));
      }
      if (event.type === "UsageCorrected" && event.data.holds) {
        const key = identityText(event.data.corrects);
        if (!corrected.has(key)) corrected.set(key, event.data.content);
      }
      next = "link" in event.data ? event.data.link : undefined;
    }
    return undefined;
  }

  return {
    remember(stream, revision, event) {
      if (!isLinkedTo(event)) return;
      recent.set(`${stream}@${revision}`, event);
      if (recent.size <= most) return;
      // A map keeps its keys in the order they came: the first is the oldest.
      const oldest = recent.keys().next().value;
      if (oldest !== undefined) recent.delete(oldest);
    },
    of(stream, event) {
      switch (event.type) {
        case "VerdictApplied":
          return event.data.entries.length === 0 ? undefined : follow(stream, event.data.link, undefined);
        case "UsageCorrected":
          return event.data.holds ? follow(stream, event.data.link, event.data.corrects) : undefined;
        case "UsageRecorded":
        case "CostRecorded":
        case "CostCorrected":
        case "CorrectionWaiting":
        case "VerdictWaiting":
        case "RulesBound":
        case "RulesRefused":
        case "PeriodOpened":
        case "PeriodClosed":
        case "ImportStarted":
        case "ImportEnded":
        case "FactParked":
          return undefined;
      }
    },
  };
}

/** What may be linked to soon. Plain token billing opens no outcomes, so it costs nothing here. */
function isLinkedTo(event: AccountEvent): boolean {
  switch (event.type) {
    case "UsageRecorded":
      return event.data.published !== undefined;
    case "UsageCorrected":
    case "VerdictApplied":
      return true;
    case "CostRecorded":
    case "CostCorrected":
    case "CorrectionWaiting":
    case "VerdictWaiting":
    case "RulesBound":
    case "RulesRefused":
    case "PeriodOpened":
    case "PeriodClosed":
    case "ImportStarted":
    case "ImportEnded":
    case "FactParked":
      return false;
  }
}

function subjectOf(data: UsageRecorded, corrected: UsageContent | undefined): Subject {
  return {
    usage: { source: data.source, id: data.id },
    occurredAt: data.occurredAt,
    content: corrected ?? data.corrected?.content ?? data.content,
    hasOutcome: data.published !== undefined,
  };
}

function sameIdentity(a: Identity, b: Identity): boolean {
  return a.id === b.id && a.source === b.source;
}

function identityText({ source, id }: Identity): string {
  return `${source.length}:${source}${id}`;
}
