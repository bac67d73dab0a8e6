/**
 * API keys as a fold of `key-…` streams: what the server looks keys up in. Holds hashes, never secrets.
 */
import type { StoredKey } from "@rerate/http";
import { parseStreamName, type KeyEvent } from "@rerate/ledger";

export interface KeyRing {
  /** Folds one event of a key stream. */
  apply(stream: string, recordedAt: string, event: KeyEvent): void;
  lookup(id: string): StoredKey | undefined;
  list(ns: string): readonly ListedKey[];
  /** True as long as no key was ever created, in any namespace. */
  isEmpty(): boolean;
}

export interface ListedKey extends StoredKey {
  readonly label: string;
  readonly createdAt: string;
}

export function createKeyRing(): KeyRing {
  const keys = new Map<string, ListedKey>();
  return {
    apply(stream, recordedAt, event) {
      switch (event.type) {
        case "KeyCreated": {
          const { id, secretHash, role, account, label } = event.data;
          // The namespace is the stream's own: an event cannot claim another.
          const { ns } = parseStreamName(stream);
          const known = keys.get(id);
          if (known !== undefined && known.ns !== ns) return;
          keys.set(id, {
            id,
            secretHash,
            ns,
            role,
            ...(account === undefined ? {} : { account }),
            revoked: false,
            label,
            createdAt: recordedAt,
          });
          return;
        }
        case "KeyRevoked": {
          const known = keys.get(event.data.id);
          if (known !== undefined && known.ns === parseStreamName(stream).ns) keys.set(known.id, { ...known, revoked: true });
          return;
        }
      }
    },
    lookup: (id) => keys.get(id),
    isEmpty: () => keys.size === 0,
    list: (ns) => [...keys.values()].filter((key) => key.ns === ns),
  };
}
