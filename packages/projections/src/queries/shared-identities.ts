/**
 * The audit of shared identities: the same (source, id) under several accounts. Each is a fact of its own and billed; the list
 * shows where two accounts were perhaps billed for one thing.
 *
 * Needs every identity ever recorded, so it is built only when somebody asks, from its own checkpoint, in sorted batches; the
 * fold of every day pays nothing for it. It lives in a cache file and can be deleted like everything there.
 */
import type { Position } from "@rerate/event-store";
import { decodeEvent, type AccountEvent, type Identity } from "@rerate/ledger";
import { streamParts } from "../fold.ts";
import { readCursor, writeCursor, type Paging, type Reader } from "./reader.ts";

export interface SharedIdentity extends Identity {
  readonly accounts: string[];
}

export interface SharedIdentities {
  /** Reads the log to its end first: the first call takes as long as reading every fact, later ones what came since. */
  list(ns: string, paging: Paging): Promise<{ identities: SharedIdentity[]; next?: string }>;
}

export function createSharedIdentities({ store, eventStore, audits }: Reader, pageSize = 5_000): SharedIdentities {
  const database = audits ?? store.database;
  let running: Promise<void> | undefined;

  async function catchUp(): Promise<void> {
    database.exec(SCHEMA);
    let after: Position | undefined = database
      .prepare<{ position: string }>("SELECT position FROM identity_checkpoint")
      .get()?.position;
    for (let end = false; !end;) {
      const page = await eventStore.readAll({ after, prefixes: ["account-"], maxCount: pageSize });
      const keys = page.events.flatMap((stored) => {
        const identity = identityOf(decodeEvent("account", stored));
        if (identity === undefined) return [];
        const { ns, name } = streamParts(stored.stream);
        return [[ns, identity.source, identity.id, name] as const];
      });
      after = page.next ?? after;
      end = page.end;
      if (after !== undefined) database.transaction(() => insert(keys, after ?? ""));
    }
  }

  function insert(keys: readonly (readonly [string, string, string, string])[], position: Position): void {
    const add = database.prepare("INSERT OR IGNORE INTO identities (ns, source, id, account) VALUES (?, ?, ?, ?)");
    const others = database.prepare("SELECT 1 FROM identities WHERE ns = ? AND source = ? AND id = ? AND account <> ? LIMIT 1");
    const share = database.prepare("INSERT OR IGNORE INTO shared_identities (ns, source, id) VALUES (?, ?, ?)");
    for (const [ns, source, id, account] of keys.toSorted(byKey)) {
      if (add.run(ns, source, id, account).changes > 0 && others.get(ns, source, id, account) !== undefined)
        share.run(ns, source, id);
    }
    database.exec("DELETE FROM identity_checkpoint");
    database.prepare("INSERT INTO identity_checkpoint (position) VALUES (?)").run(position);
  }

  return {
    async list(ns, { cursor, limit }) {
      const [source = "", id = ""] = readCursor(cursor, 2) ?? [];
      running ??= catchUp().finally(() => {
        running = undefined;
      });
      await running;
      const found = database
        .prepare<Identity>(
          "SELECT source, id FROM shared_identities WHERE ns = ? AND (source, id) > (?, ?) ORDER BY source, id LIMIT ?",
        )
        .all(ns, source, id, limit + 1);
      const accountsOf = database.prepare<{ account: string }>(
        "SELECT account FROM identities WHERE ns = ? AND source = ? AND id = ? ORDER BY account",
      );
      const identities = found.slice(0, limit).map((shared) => ({
        source: shared.source,
        id: shared.id,
        accounts: accountsOf.all(ns, shared.source, shared.id).map(({ account }) => account),
      }));
      const last = identities.at(-1);
      return { identities, ...(found.length > limit && last !== undefined ? { next: writeCursor([last.source, last.id]) } : {}) };
    },
  };
}

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS identities (ns TEXT, source TEXT, id TEXT, account TEXT, PRIMARY KEY (ns, source, id, account)) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS shared_identities (ns TEXT, source TEXT, id TEXT, PRIMARY KEY (ns, source, id)) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS identity_checkpoint (position TEXT NOT NULL) STRICT;
`;

function identityOf(event: AccountEvent): Identity | undefined {
  switch (event.type) {
    case "UsageRecorded":
    case "UsageCorrected":
    case "CorrectionWaiting":
    case "CostRecorded":
    case "CostCorrected":
      return event.data;
    case "RulesBound":
    case "RulesRefused":
    case "VerdictApplied":
    case "VerdictWaiting":
    case "PeriodOpened":
    case "PeriodClosed":
    case "ImportStarted":
    case "ImportEnded":
    case "FactParked":
      return undefined;
  }
}

function byKey(a: readonly string[], b: readonly string[]): number {
  for (let i = 0; i < a.length; i++) {
    const [left = "", right = ""] = [a[i], b[i]];
    if (left !== right) return left < right ? -1 : 1;
  }
  return 0;
}
