/**
 * What the events of `wallet-…` streams change: grants, what they paid, what is unpaid.
 *
 * A draw names an entry by number; which invoice it belongs to is the entry's posting period, which the store looks up
 * when it writes (`draws.ts`), so here it waits under its entry.
 */
import { creditLot, DEFAULT_PRIORITY, type AppliedEntry, type WalletEvent } from "@rerate/ledger";
import { exact, minus, plus } from "./exact.ts";
import type { Place } from "./fold.ts";
import type { Deltas } from "./tables.ts";

/** `recordedAt` is asked only where credit is made. */
export function foldWalletEvent(deltas: Deltas, place: Place, event: WalletEvent, recordedAt: () => string): void {
  const { ns, name: wallet, revision } = place;
  switch (event.type) {
    case "CreditsGranted": {
      const { id, unit, atoms, paidAtoms, source, priority, effectiveAt, expiresAt } = event.data;
      const grant = deltas.grants.at(ns, wallet, id);
      Object.assign(grant, { unit, source, priority, effectiveAt, expiresAt });
      grant.granted = plus(grant.granted, exact(atoms));
      grant.paid = plus(grant.paid, exact(paidAtoms));
      deltas.wallets.at(ns, wallet, unit).revision = revision;
      deltas.counters.at(ns).grants += 1;
      return;
    }
    case "GrantVoided": {
      const grant = deltas.grants.at(ns, wallet, event.data.grant);
      grant.voided = plus(grant.voided, exact(event.data.atoms));
      return;
    }
    case "GrantExpired": {
      const grant = deltas.grants.at(ns, wallet, event.data.grant);
      grant.expired = plus(grant.expired, exact(event.data.atoms));
      return;
    }
    case "GrantTookEffect": {
      const grant = deltas.grants.at(ns, wallet, event.data.grant);
      grant.paid = plus(grant.paid, exact(event.data.paidAtoms));
      return;
    }
    case "CommandParked":
      deltas.counters.at(ns).parked += 1;
      return;
    case "EntriesApplied":
      for (const line of event.data.lines) foldLine(deltas, place, event.data.account, line, recordedAt);
      return;
  }
}

function foldLine(
  deltas: Deltas,
  { ns, name: wallet, revision }: Place,
  account: string,
  line: AppliedEntry,
  recordedAt: () => string,
): void {
  const row = deltas.wallets.at(ns, wallet, line.unit);
  row.revision = revision;
  if (line.unpaid !== undefined) row.unpaid = plus(row.unpaid, exact(line.unpaid));
  if (line.draws === undefined) return;
  for (const [grantId, text] of line.draws) {
    const atoms = exact(text);
    const grant = deltas.grants.at(ns, wallet, grantId);
    if (grantId === creditLot(line.unit) && text.startsWith("-")) {
      // Bonuses, and refunds that have no grant to return to: the wallet makes one grant of them, which nobody commanded.
      grant.unit = line.unit;
      grant.source = "adjustment";
      grant.priority = DEFAULT_PRIORITY;
      grant.effectiveAt ??= recordedAt();
      grant.granted = plus(grant.granted, minus(atoms));
    } else grant.drawn = plus(grant.drawn, atoms);
    row.drawn = plus(row.drawn, atoms);
    const waiting = deltas.waitingDraws.at(ns, account, line.entry, line.unit, wallet, grantId);
    waiting.drawn = plus(waiting.drawn, atoms);
  }
}
