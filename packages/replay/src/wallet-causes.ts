/**
 * What can have caused an event of a wallet's stream. Entries are taken from the accounts' own streams, never from what the
 * wallet says about them, so a wallet that applied anything else than what was charged is found.
 */
import type { EventStore } from "@rerate/event-store";
import {
  decodeEvent,
  ledgerEntriesOf,
  parseStreamName,
  wallet as walletDecider,
  type EntriesApplied,
  type LedgerEntriesMessage,
  type WalletEvent,
  type WalletMessage,
} from "@rerate/ledger";
import type { ReadEvent } from "./stream-window.ts";

export interface WalletCauses {
  causesOf(ahead: readonly ReadEvent<WalletEvent>[]): Promise<readonly WalletMessage[]> | readonly WalletMessage[] | "given";
}

/** Reads each account that pays into the wallet once, in order, a page at a time. */
export function walletCauses(eventStore: Pick<EventStore, "readForward">, stream: string): WalletCauses {
  const { ns, name } = parseStreamName(stream);
  const owner = { ns, wallet: name };
  const accounts = new Map<string, AsyncIterator<LedgerEntriesMessage>>();

  /** The messages firstNumber … number of an account, merged as the wallet merged them. */
  async function entriesFor({ source, firstNumber }: EntriesApplied): Promise<readonly WalletMessage[]> {
    let cursor = accounts.get(source.stream);
    if (cursor === undefined) {
      cursor = messagesTowards(eventStore, source.stream, name);
      accounts.set(source.stream, cursor);
    }
    let merged: WalletMessage | undefined;
    for (let number = firstNumber; number <= source.number; number++) {
      const next = await cursor.next();
      if (next.done === true)
        throw new Error(`it applies entries number ${number} of ${source.stream}, which were never charged there`);
      merged = merged === undefined ? next.value : walletDecider.merge?.(merged, next.value);
      if (merged === undefined)
        throw new Error(
          `it applies entries ${firstNumber} to ${source.number} of ${source.stream} at once, which must stay apart`,
        );
    }
    return merged === undefined ? [] : [merged];
  }

  return {
    causesOf(ahead) {
      const [head] = ahead;
      if (head === undefined) return [];
      const { event, recordedAt } = head;
      switch (event.type) {
        case "CreditsGranted": {
          const { paidAtoms: _, ...command } = event.data;
          return [grantCommand(owner, command, recordedAt)];
        }
        case "GrantVoided": {
          const { id, grant, contentHash } = event.data;
          return [{ kind: "void-grant", ...owner, id, grant, contentHash, receivedAt: recordedAt }];
        }
        case "GrantExpired":
          return [{ kind: "expire-grant", grant: event.data.grant, dueAt: event.data.dueAt }];
        case "GrantTookEffect":
          return [{ kind: "grant-takes-effect", grant: event.data.grant, dueAt: event.data.dueAt }];
        case "EntriesApplied":
          return entriesFor(event.data);
        case "CommandParked":
          return "given";
      }
    },
  };
}

type GrantMessage = Extract<WalletMessage, { readonly kind: "grant" }>;

function grantCommand(
  owner: { readonly ns: string; readonly wallet: string },
  command: Omit<GrantMessage, "kind" | "ns" | "wallet" | "source" | "receivedAt"> & { readonly source: string },
  receivedAt: GrantMessage["receivedAt"],
): GrantMessage {
  // A source that the door does not know was never accepted; the decider only copies it.
  return { kind: "grant", ...owner, ...command, source: command.source as GrantMessage["source"], receivedAt };
}

const PAGE = 500;

async function* messagesTowards(
  eventStore: Pick<EventStore, "readForward">,
  stream: string,
  wallet: string,
): AsyncGenerator<LedgerEntriesMessage, undefined> {
  let from = 0;
  for (;;) {
    const page = await eventStore.readForward(stream, { from, maxCount: PAGE });
    for (const { type, data, revision } of page) {
      const event = decodeEvent("account", { stream, type, data });
      for (const message of ledgerEntriesOf(event, { stream, revision })) if (message.wallet === wallet) yield message;
    }
    if (page.length < PAGE) return undefined;
    from = (page.at(-1)?.revision ?? from) + 1;
  }
}
