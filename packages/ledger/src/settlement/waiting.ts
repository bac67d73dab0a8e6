/**
 * Corrections that come before the fact they correct: recorded, and in force from the moment the fact comes.
 */
import type { Instant } from "@rerate/money";
import type { AccountEvent, CorrectionWaiting } from "../account-events.ts";
import type { Decision, History } from "../decider.ts";
import type { Identity } from "../messages.ts";
import type { Draft } from "./draft.ts";
import { identityKey } from "./keys.ts";
import { park } from "./park.ts";

/** Records a correction without its original. Two contents of one revision are a conflict, here as everywhere. */
export function waitForOriginal(
  draft: Draft,
  message: Identity & { readonly occurredAt: Instant; readonly contentHash: string },
  correction: Pick<CorrectionWaiting, "corrects" | "revision" | "body">,
  history: History<AccountEvent>,
): Decision<AccountEvent> {
  const { corrects, revision } = correction;
  const waiting = draft.state.waitingCorrections.get(identityKey(corrects)) ?? [];
  if (waiting.some((other) => other.revision === revision)) {
    const detail = `revision ${revision} of ${corrects.id} already waits with other content`;
    return park(draft.state, message, history, "revision-conflict", detail);
  }
  const { source, id, occurredAt, contentHash } = message;
  draft.add({ type: "CorrectionWaiting", data: { source, id, occurredAt, contentHash, ...correction } });
  return { kind: "record", events: draft.events, answer: { status: "recorded", detail: "waits for the fact that it corrects" } };
}

/**
 * The highest waiting correction of a fact that now comes. One that gives another time than the fact stays without effect: a
 * correction may not change the time.
 */
export function highestWaiting<Kind extends CorrectionWaiting["body"]["kind"]>(
  draft: Draft,
  fact: Identity & { readonly occurredAt: Instant },
  kind: Kind,
):
  | { readonly revision: number; readonly by: Identity; readonly body: Extract<CorrectionWaiting["body"], { kind: Kind }> }
  | undefined {
  let highest: ReturnType<typeof highestWaiting<Kind>>;
  for (const { source, id, occurredAt, revision, body } of draft.state.waitingCorrections.get(identityKey(fact)) ?? []) {
    if (occurredAt !== fact.occurredAt || !isOfKind(body, kind) || revision <= (highest?.revision ?? 0)) continue;
    highest = { revision, by: { source, id }, body };
  }
  return highest;
}

function isOfKind<Kind extends CorrectionWaiting["body"]["kind"]>(
  body: CorrectionWaiting["body"],
  kind: Kind,
): body is Extract<CorrectionWaiting["body"], { kind: Kind }> {
  return body.kind === kind;
}
