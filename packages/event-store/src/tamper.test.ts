import { createGroupCommit, openDatabase, openReadOnly } from "@rerate/sqlite";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createEmbeddedEventStore } from "./embedded.ts";
import { alterStoredText, copyLog } from "./tamper.ts";

test("a copy of a log can be changed behind its back, and only there", async () => {
  const directory = mkdtempSync(join(tmpdir(), "rerate-tamper-"));
  const database = openDatabase(join(directory, "ledger.db"), { synchronous: "FULL" });
  try {
    const store = createEmbeddedEventStore({ database, commit: createGroupCommit(database) });
    const events = ["1", "2", "3"].map((n) => ({ type: "Counted", data: `{"n":${n}}`, metadata: "{}" }));
    await store.append([{ stream: "count-1", expectedRevision: -1, events }]);
    const copy = join(directory, "copy.db");
    copyLog(join(directory, "ledger.db"), copy);

    const altered = alterStoredText(copy, ({ data }) => (data.includes("2") ? data.replace("2", "9") : undefined));
    expect(altered).toEqual({ stream: "count-1", revision: 1, before: '{"n":2}', after: '{"n":9}' });
    expect(alterStoredText(copy, () => undefined)).toBeUndefined();

    const reader = openReadOnly(copy);
    const copied = await createEmbeddedEventStore({ database: reader }).readForward("count-1", { maxCount: 10 });
    reader.close();
    expect(copied.map(({ data }) => data)).toEqual(['{"n":1}', '{"n":9}', '{"n":3}']);
    expect((await store.readForward("count-1", { maxCount: 10 }))[1]?.data).toBe('{"n":2}');
  } finally {
    database.close();
    rmSync(directory, { recursive: true });
  }
});
