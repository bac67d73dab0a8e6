/**
 * What the events of `outcome-…` streams change: the state of each outcome. Its money comes from the account's stream.
 */
import type { Identity, OutcomeEvent, VerdictGiven } from "@rerate/ledger";
import type { Place } from "./fold.ts";
import type { Deltas, RowOf, TABLES } from "./tables.ts";

export function foldOutcomeEvent(deltas: Deltas, place: Place, event: OutcomeEvent): void {
  switch (event.type) {
    case "OutcomeOpened": {
      const { outcome, occurredAt, definition, dueAt, decided } = event.data;
      const row = rowOf(deltas, place, outcome);
      row.requests += 1;
      Object.assign(row, { occurredAt, definition, dueAt });
      foldVerdict(deltas, place, row, decided);
      return;
    }
    case "RequestAdded": {
      const { outcome, rebinds, dueAt, decided } = event.data;
      const row = rowOf(deltas, place, outcome);
      row.requests += 1;
      if (rebinds !== undefined) Object.assign(row, rebinds);
      row.dueAt = dueAt ?? row.dueAt;
      foldVerdict(deltas, place, row, decided);
      return;
    }
    case "SignalRecorded": {
      const row = rowOf(deltas, place, event.data.outcome);
      row.signals += 1;
      deltas.counters.at(place.ns).signals += 1;
      foldVerdict(deltas, place, row, event.data.decided);
      return;
    }
    case "TimeoutPassed":
      foldVerdict(deltas, place, rowOf(deltas, place, event.data.outcome), event.data.decided);
      return;
    case "FactParked": {
      const { source, id, contentHash, reason } = event.data;
      deltas.counters.at(place.ns).parked += 1;
      Object.assign(deltas.parked.at(place.ns, place.name, source, id, contentHash), { reason, revision: place.revision });
      return;
    }
    case "ImportStarted":
    case "ImportEnded":
      return;
  }
}

type OutcomeRow = RowOf<(typeof TABLES)["outcomes"]["fields"]>;

function rowOf(deltas: Deltas, { ns, name, revision }: Place, outcome: Identity): OutcomeRow {
  const row = deltas.outcomes.at(ns, name, outcome.source, outcome.id);
  row.head = revision;
  return row;
}

function foldVerdict(deltas: Deltas, place: Place, row: OutcomeRow, given: VerdictGiven | undefined): void {
  if (given === undefined) return;
  const { verdict, score, reason, revision, definition, decidedAt } = given;
  Object.assign(row, { verdict, score, reason, verdictRevision: revision, definition, decidedAt });
  deltas.counters.at(place.ns).verdicts += 1;
}
