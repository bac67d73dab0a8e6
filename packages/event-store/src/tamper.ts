/**
 * Changes a stored event behind the log's back, with plain SQL: what somebody with access to the disk could do.
 *
 * For the demonstration and the tests of `verify`, on a copy. Nothing in the running system may ever call this.
 */
import { openDatabase, openReadOnly } from "@rerate/sqlite";
import { type BlockRow, blockText, parseBlock } from "./block.ts";
import type { StoredEvent } from "./port.ts";

/** One changed event, with its data before and after. */
export interface Alteration {
  readonly stream: string;
  readonly revision: number;
  readonly before: string;
  readonly after: string;
}

/** Writes a copy of a log, also beside its writer. The target must not exist. */
export function copyLog(fromPath: string, toPath: string): void {
  const database = openReadOnly(fromPath);
  try {
    database.prepare("VACUUM INTO ?").run(toPath);
  } finally {
    database.close();
  }
}

/**
 * Asks `alter` about the events of the log at `path`, in log order, and replaces the data of the first for which it gives other
 * text. Undefined when it gives none. Leaves every link of the hash chain as it was.
 */
export function alterStoredText(path: string, alter: (event: StoredEvent) => string | undefined): Alteration | undefined {
  const database = openDatabase(path, { synchronous: "FULL" });
  try {
    const rows = database.prepare<BlockRow>(
      "SELECT b.position, s.name AS stream, b.revision, b.count, b.body FROM blocks b JOIN streams s ON s.id = b.stream ORDER BY b.position",
    );
    for (const row of rows.iterate()) {
      const { events } = parseBlock(row);
      for (const event of events) {
        const after = alter(event);
        if (after === undefined || after === event.data) continue;
        const body = blockText(events.map((other) => (other === event ? { ...event, data: after } : other)));
        database.prepare("UPDATE blocks SET body = ? WHERE position = ?").run(body, row.position);
        return { stream: event.stream, revision: event.revision, before: event.data, after };
      }
    }
    return undefined;
  } finally {
    database.close();
  }
}
