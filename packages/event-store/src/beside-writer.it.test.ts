import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createGroupCommit, openDatabase, openReadOnly, type Database, type Statement } from "@rerate/sqlite";
import { expect, it } from "vitest";
import { createEmbeddedEventStore } from "./embedded.ts";

/** As `database`, but `between` runs after every statement that reads one row: there another process may commit. */
function interrupted(database: Database, between: () => void): Database {
  return {
    ...database,
    prepare<Row>(sql: string): Statement<Row> {
      const statement = database.prepare<Row>(sql);
      return {
        ...statement,
        get(...parameters) {
          const row = statement.get(...parameters);
          between();
          return row;
        },
      };
    },
  };
}

it("shows a subscriber beside the writer every event once and in order, whenever the writer commits", async () => {
  const directory = mkdtempSync(join(tmpdir(), "rerate-beside-"));
  const path = join(directory, "ledger.db");
  const writing = openDatabase(path, { synchronous: "NORMAL" });
  const commit = createGroupCommit(writing, { schedule: (task) => task() });
  const writer = createEmbeddedEventStore({ database: writing, commit });
  const event = { type: "X", data: "1", metadata: "{}" };
  const callbacks: (() => void)[] = [];
  let commits = 0;
  const appendAll = (): void => {
    if (commits >= 100) return;
    void writer.append(
      ["a-1", "b-1", "c-1"].map((stream) => ({ stream, expectedRevision: 2 * commits - 1, events: [event, event] })),
    );
    commits += 1;
    for (const callback of callbacks) callback();
  };
  appendAll();
  const reading = openReadOnly(path);
  const store = createEmbeddedEventStore({
    database: interrupted(reading, appendAll),
    onCommitted: (callback) => callbacks.push(callback),
  });
  try {
    const watch = (prefixes?: readonly string[]) => {
      const seen: number[] = [];
      const { promise, resolve } = Promise.withResolvers<readonly number[]>();
      store.subscribeAll({
        ...(prefixes === undefined ? {} : { prefixes }),
        onEvents({ events }) {
          seen.push(...events.map(({ position }) => Number(position)));
          if ((seen.at(-1) ?? 0) >= 600) resolve(seen);
        },
      });
      return promise;
    };
    const numbers = Array.from({ length: 600 }, (_, index) => index + 1);
    const [all, some] = await Promise.all([watch(), watch(["a-", "c-"])]);
    expect(all).toEqual(numbers);
    expect(some).toEqual(numbers.filter((number) => ![3, 4].includes(((number - 1) % 6) + 1)));
  } finally {
    await store.close();
    await writer.close();
    for (const database of [reading, writing]) database.close();
    rmSync(directory, { recursive: true, force: true });
  }
});
