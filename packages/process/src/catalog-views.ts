/**
 * The views of contracts, documents and keys that a process keeps, by following the log. Decides nothing.
 */
import type { EventStore } from "@rerate/event-store";
import { followLog, readSeal, type Defer, type Follower, type Log } from "@rerate/flow";
import { createCatalogue, decodeEvent, type Catalogue } from "@rerate/ledger";
import { instant, type Instant } from "@rerate/money";
import { createKeyRing, type KeyRing } from "./key-ring.ts";

export interface CatalogViews {
  readonly catalogue: Catalogue;
  readonly keys: KeyRing;
  readonly follower: Follower;
}

/** Resolves when the views hold everything that is in the log. */
export async function followCatalog(options: {
  readonly eventStore: EventStore;
  readonly defer: Defer;
  readonly log: Log;
}): Promise<CatalogViews> {
  const catalogue = createCatalogue();
  const keys = createKeyRing();
  const follower = await followLog({
    ...options,
    name: "catalogue",
    prefixes: ["contract-", "document-", "key-"],
    onEvents({ events }) {
      for (const stored of events) {
        const at = recordedAt(stored);
        if (stored.stream.startsWith("key-")) keys.apply(stored.stream, at, decodeEvent("key", stored));
        else if (stored.stream.startsWith("document-")) {
          catalogue.apply(stored.stream, stored.revision, at, decodeEvent("document", stored));
        } else catalogue.apply(stored.stream, stored.revision, at, decodeEvent("contract", stored));
      }
    },
  });
  await follower.caughtUp();
  return { catalogue, keys, follower };
}

/** When an event was recorded, from its metadata. */
export function recordedAt(stored: { readonly metadata: string }): Instant {
  return instant(readSeal(stored.metadata).recordedAt);
}
