/**
 * Costs of goods as facts: what something cost us. They never move a customer's money; corrections keep both states visible.
 */
import type { AccountEvent } from "../account-events.ts";
import type { Decision, History } from "../decider.ts";
import type { CostAccepted, Identity } from "../messages.ts";
import type { Draft } from "./draft.ts";
import { duplicateOrConflict, park } from "./park.ts";
import { highestWaiting, waitForOriginal } from "./waiting.ts";
import { factKey, headKey, parkedKey, revisionKey } from "./keys.ts";
import { linkOf } from "./story.ts";

type Outcome = Decision<AccountEvent>;

export function recordCost(draft: Draft, message: CostAccepted, history: History<AccountEvent>): Outcome {
  const known = duplicateOrConflict(draft.state, message, history);
  if (known !== undefined) return known;
  if (message.corrects !== undefined) return correctCost(draft, message, message.corrects, history);
  const { source, id, occurredAt, contentHash, unit, atoms, text, about } = message;
  const waiting = highestWaiting(draft, message, "cost");
  const corrected =
    waiting === undefined
      ? undefined
      : { revision: waiting.revision, by: waiting.by, atoms: waiting.body.atoms, text: waiting.body.text };
  draft.add({
    type: "CostRecorded",
    data: {
      source,
      id,
      occurredAt,
      contentHash,
      unit,
      atoms,
      text,
      ...(about === undefined ? {} : { about }),
      ...(corrected === undefined ? {} : { corrected }),
    },
  });
  return { kind: "record", events: draft.events, answer: { status: "recorded" } };
}

function correctCost(draft: Draft, message: CostAccepted, corrects: Identity, history: History<AccountEvent>): Outcome {
  const revision = message.revision ?? 1;
  const { source, id, occurredAt, contentHash, unit, atoms, text, about } = message;
  const inForce = costInForce(corrects, history);
  if (inForce === "other")
    return park(
      draft.state,
      message,
      history,
      "invalid-command",
      `${corrects.source} ${corrects.id} is no cost that can be corrected`,
    );
  if (inForce === undefined) {
    const body = { kind: "cost", unit, atoms, text } as const;
    return waitForOriginal(draft, message, { corrects, revision, body }, history);
  }
  if (occurredAt !== inForce.occurredAt || unit !== inForce.unit) {
    return park(
      draft.state,
      message,
      history,
      "corrects-other-account-fields",
      "a correction may not change the time or the currency of a cost",
    );
  }
  if (revision === inForce.revision || history.find(revisionKey(corrects, revision)) !== undefined) {
    return park(
      draft.state,
      message,
      history,
      "revision-conflict",
      `revision ${revision} of ${corrects.id} was recorded with other content`,
    );
  }
  const holds = revision > inForce.revision;
  const changeAtoms = holds ? BigInt(atoms) - BigInt(inForce.atoms) : 0n;
  draft.add({
    type: "CostCorrected",
    data: {
      source,
      id,
      occurredAt,
      contentHash,
      corrects,
      revision,
      unit,
      atoms,
      text,
      changeAtoms: changeAtoms.toString(),
      holds,
      ...(about === undefined ? {} : { about }),
      link: inForce.head,
    },
  });
  return { kind: "record", events: draft.events, answer: { status: "recorded" } };
}

interface CostInForce {
  readonly head: number;
  readonly revision: number;
  readonly unit: string;
  readonly atoms: string;
  readonly occurredAt: string;
}

/** The amount in force of a cost, from its events; "other" when the identity is no cost. */
function costInForce(identity: Identity, history: History<AccountEvent>): CostInForce | "other" | undefined {
  const original = history.find(factKey(identity));
  if (original === undefined) return undefined;
  const head = history.find(headKey(identity))?.revision ?? original.revision;
  let highest: CostInForce | undefined;
  for (let at: number | undefined = head; at !== undefined;) {
    const event = history.at(at);
    if (event.type !== "CostRecorded" && event.type !== "CostCorrected") return "other";
    const state = stateOf(event, head);
    if (highest === undefined || state.revision > highest.revision) highest = state;
    at = linkOf(event);
  }
  return highest;
}

function stateOf(event: Extract<AccountEvent, { type: "CostRecorded" | "CostCorrected" }>, head: number): CostInForce {
  if (event.type === "CostCorrected") return { head, ...event.data };
  const { corrected, unit, atoms, occurredAt } = event.data;
  return { head, unit, occurredAt, revision: corrected?.revision ?? 0, atoms: corrected?.atoms ?? atoms };
}

export function costNeeds(state: { readonly anyParked: boolean }, message: CostAccepted): { keys: string[]; chains: string[] } {
  const keys = [factKey(message)];
  if (state.anyParked) keys.push(parkedKey(message, message.contentHash));
  const { corrects } = message;
  if (corrects === undefined) return { keys, chains: [] };
  keys.push(revisionKey(corrects, message.revision ?? 1));
  return { keys, chains: [factKey(corrects), headKey(corrects)] };
}
