/**
 * What cannot be recorded as it is: duplicates are skipped, everything else is parked and noted in the stream, once per content.
 */
import type { AccountEvent } from "../account-events.ts";
import type { Answer, Decision, History, ParkReason } from "../decider.ts";
import { factKey, parkedKey, tagOf } from "./keys.ts";

type Outcome = Decision<AccountEvent>;

/** The same identity with the same content has no effect; with other content it is a conflict: parked, never billed, never dropped. */
export function duplicateOrConflict(
  state: { readonly anyParked: boolean },
  message: { readonly source: string; readonly id: string; readonly contentHash: string },
  history: History<AccountEvent>,
): Outcome | undefined {
  const known = history.find(factKey(message));
  if (known === undefined) return undefined;
  if (known.tag === tagOf(message.contentHash))
    return { kind: "skip", answer: { status: "duplicate", revision: known.revision } };
  return park(
    state,
    message,
    history,
    "conflict",
    `${message.source} ${message.id} was recorded with other content at revision ${known.revision}`,
  );
}

/** Parks a message and notes it in the stream, once per content. */
export function park(
  state: { readonly anyParked: boolean },
  message: { readonly source: string; readonly id: string; readonly contentHash: string },
  history: History<AccountEvent>,
  reason: ParkReason,
  detail: string,
): Outcome {
  const noted = state.anyParked && history.find(parkedKey(message, message.contentHash))?.tag === reason;
  const { source, id, contentHash } = message;
  const events: AccountEvent[] = noted ? [] : [{ type: "FactParked", data: { source, id, contentHash, reason } }];
  const answer: Answer = { status: reason === "conflict" || reason === "revision-conflict" ? "conflict" : "parked", detail };
  return { kind: "park", reason, detail, events, answer };
}
