/**
 * Wallets in memory for the wallet's tests: messages, grants and what a wallet holds, in a word each.
 */
import { instant, plus, HOUR, type Instant } from "@rerate/money";
import type { Decision } from "../decider.ts";
import type { GrantCredits, LedgerEntriesMessage, VoidGrant, WalletEntry } from "../messages.ts";
import { streamName } from "../stream-name.ts";
import type { AppliedEntry, WalletEvent } from "../wallet-events.ts";
import { wallet, type WalletMessage, type WalletState } from "../wallet.ts";
import { recordedStream, type RecordedStream } from "./recorded-stream.ts";

export const NOON = instant("2026-03-01T12:00:00Z");
export const SOURCE = streamName("account", "default", "acme");
export const STREAM = streamName("wallet", "default", "acme");

export type Stream = RecordedStream<WalletState, WalletMessage, WalletEvent>;

export function newStream(): Stream {
  return recordedStream(wallet, STREAM, undefined);
}

export function at(hours: number): Instant {
  return plus(NOON, BigInt(hours) * HOUR);
}

export function message(
  number: number,
  entries: readonly WalletEntry[],
  more: Partial<LedgerEntriesMessage> = {},
): LedgerEntriesMessage {
  return {
    kind: "ledger-entries",
    ns: "default",
    account: "acme",
    wallet: "acme",
    sourceStream: SOURCE,
    sourceRevision: number * 10,
    number,
    occurredAt: NOON,
    entries,
    ...more,
  };
}

export function charge(entry: number, atoms: number, unit = "USD"): WalletEntry {
  return { entry, unit, atoms: String(atoms), kind: "charge" };
}

export function refund(entry: number, atoms: number, corrects?: number, unit = "USD"): WalletEntry {
  return { entry, unit, atoms: String(-atoms), kind: "refund", corrects };
}

export function grant(id: string, atoms: number, more: Partial<GrantCredits> = {}): GrantCredits {
  return {
    kind: "grant",
    ns: "default",
    wallet: "acme",
    id,
    unit: "USD",
    atoms: String(atoms),
    source: "purchase",
    priority: 100,
    effectiveAt: NOON,
    contentHash: `1:${id}-${atoms}`,
    receivedAt: NOON,
    ...more,
  };
}

export function voiding(id: string, granted: string): VoidGrant {
  return { kind: "void-grant", ns: "default", wallet: "acme", id, grant: granted, contentHash: `1:${id}`, receivedAt: NOON };
}

/** A wallet to which the messages were delivered at noon, entries numbered as they come. */
export function given(
  ...messages: readonly (GrantCredits | VoidGrant | readonly WalletEntry[])[]
): Stream & { readonly next: () => number } {
  const stream = newStream();
  let number = 0;
  const next = (): number => (number += 1);
  for (const each of messages) stream.deliver("kind" in each ? each : message(next(), each), NOON);
  return { ...stream, next };
}

export function lines(stream: Stream): AppliedEntry[] {
  return stream.events.flatMap((event) => (event.type === "EntriesApplied" ? event.data.lines : []));
}

export function holdings(stream: Stream, unit = "USD"): string {
  const held = stream.state().units.get(unit);
  const lots = (held?.lots ?? []).filter(({ left }) => left > 0n).map(({ id, left }) => `${id} ${left}`);
  return [...lots, `unpaid ${held?.unpaid ?? 0n}`].join(", ");
}

export function status(decision: Decision<WalletEvent>): string {
  return "answer" in decision ? decision.answer.status : decision.kind;
}
