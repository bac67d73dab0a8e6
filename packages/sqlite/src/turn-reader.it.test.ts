import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as turnOver } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";
import { openDatabase, openReadOnly, openTurnReader } from "./database.ts";

const directory = mkdtempSync(join(tmpdir(), "rerate-turn-"));
const path = join(directory, "numbers.db");

afterEach(() => rmSync(directory, { recursive: true, force: true }));

test("what a turn reader reads in one turn is of one moment, and the next turn sees what was written since", async () => {
  const writer = openDatabase(path, { synchronous: "NORMAL" });
  writer.exec("CREATE TABLE numbers (n INTEGER PRIMARY KEY)");
  const add = (n: number) => writer.prepare("INSERT INTO numbers VALUES (?)").run(n);
  const reader = openTurnReader(path);
  const plain = openReadOnly(path);
  const countIn = (database: typeof reader) =>
    database.prepare<{ readonly count: number }>("SELECT count(*) AS count FROM numbers").get()?.count;

  add(1);
  expect([countIn(reader), countIn(plain)]).toEqual([1, 1]);
  add(2);
  expect([countIn(reader), reader.prepare("SELECT n FROM numbers").all().length, countIn(plain)]).toEqual([1, 1, 2]);
  await turnOver();
  await turnOver();
  expect([...reader.prepare("SELECT n FROM numbers").iterate()].length).toBe(2);
  await turnOver();
  await turnOver();
  expect(reader.inTransaction).toBe(false);
  expect(() => reader.exec("DELETE FROM numbers")).toThrow(/readonly/);

  // Closing in the middle of a turn is no failure when the turn ends.
  countIn(reader);
  for (const database of [reader, plain, writer]) database.close();
  await turnOver();
});
