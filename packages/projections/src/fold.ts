/**
 * The fold: one stored event → changes of rows. Dispatches by the kind of stream.
 *
 * Pure: what an event changes depends on the event, its place and its subject, never on rows or on other events of the
 * batch. So folding a log in one batch or in many gives the same tables.
 */
import type { StoredEvent } from "@rerate/event-store";
import { decodeEvent, parseStreamName, type AccountEvent, type ContractEvent, type StreamParts } from "@rerate/ledger";
import { accountScope, type AccountScope } from "./account-scope.ts";
import { foldAccountEvent } from "./fold-account.ts";
import { foldOutcomeEvent } from "./fold-outcome.ts";
import { foldWalletEvent } from "./fold-wallet.ts";
import type { Seals } from "./ledger-log.ts";
import type { Subject } from "./subjects.ts";
import { createDeltas, type Deltas } from "./tables.ts";

/** Where an event stands. */
export interface Place {
  readonly ns: string;
  /** The account, wallet or document that the stream is about. */
  readonly name: string;
  readonly revision: number;
}

/** What a part of the log changes, in the making. */
export interface Fold {
  readonly deltas: Deltas;
  /** By stream. */
  readonly scopes: Map<string, AccountScope>;
}

export function createFold(): Fold {
  return { deltas: createDeltas(), scopes: new Map() };
}

/** Adds one event of an account's stream to the deltas. `subject` is what `Subjects.of` found for it. */
export function foldAccount(
  { deltas, scopes }: Fold,
  { stream, revision }: StoredEvent,
  event: AccountEvent,
  subject: Subject | undefined,
): void {
  let scope = scopes.get(stream);
  if (scope === undefined) {
    const { ns, name } = streamParts(stream);
    scope = accountScope(deltas, ns, name);
    scopes.set(stream, scope);
  }
  foldAccountEvent(scope, revision, event, subject);
}

/** Adds one event of any other stream to the deltas. */
export function foldOther({ deltas }: Fold, seals: Seals, stored: StoredEvent): void {
  const parts = streamParts(stored.stream);
  const place = { ns: parts.ns, name: parts.name, revision: stored.revision };
  switch (parts.category) {
    case "outcome":
      foldOutcomeEvent(deltas, place, decodeEvent("outcome", stored));
      return;
    case "wallet":
      foldWalletEvent(deltas, place, decodeEvent("wallet", stored), () => seals.recordedAt(stored));
      return;
    case "contract":
      foldContractEvent(deltas, place, decodeEvent("contract", stored), seals.recordedAt(stored));
      return;
    case "account":
    case "document":
    case "key":
    case "parked":
      return;
  }
}

/**
 * Notes how far the rows of an account and of a namespace have come. Called once per batch with the last event of each
 * account stream: reading the time of every event would cost more than folding it.
 */
export function foldProgress({ deltas }: Fold, seals: Seals, stored: StoredEvent): void {
  const { ns, name } = streamParts(stored.stream);
  const recordedAt = seals.recordedAt(stored);
  const account = deltas.accounts.at(ns, name);
  account.revision = stored.revision;
  account.recordedAt = recordedAt;
  const counters = deltas.counters.at(ns);
  if (counters.recordedAt === undefined || recordedAt > counters.recordedAt) counters.recordedAt = recordedAt;
}

/** The parts of a stream's name, remembered: every event of a batch asks. */
export function streamParts(stream: string): StreamParts {
  let parts = PARTS.get(stream);
  if (parts === undefined) {
    parts = parseStreamName(stream);
    if (PARTS.size >= PARTS_KEPT) PARTS.clear();
    PARTS.set(stream, parts);
  }
  return parts;
}

function foldContractEvent(deltas: Deltas, { ns, name }: Place, event: ContractEvent, recordedAt: string): void {
  const account = deltas.accounts.at(ns, name);
  switch (event.type) {
    case "AccountOpened":
      account.openedAt = recordedAt;
      account.currency = event.data.currency;
      account.timeZone = event.data.timeZone;
      account.wallet = event.data.wallet;
      deltas.counters.at(ns).accounts += 1;
      return;
    case "PlanAssigned":
      account.assignments.push({ ...event.data, recordedAt });
      return;
  }
}

/** Only a cache of a pure function. */
const PARTS = new Map<string, StreamParts>();
const PARTS_KEPT = 50_000;
