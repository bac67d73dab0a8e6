import { describe, expect, it } from "vitest";
import { type Database, openDatabase } from "./database.ts";
import { createGroupCommit } from "./group-commit.ts";

function openTable(): Database {
  const database = openDatabase(":memory:", { synchronous: "FULL" });
  database.exec("CREATE TABLE numbers (value INTEGER NOT NULL UNIQUE)");
  return database;
}

function insert(database: Database, value: number): number {
  return database.prepare("INSERT INTO numbers (value) VALUES (?)").run(value).changes;
}

function stored(database: Database): number[] {
  return database
    .prepare<{ readonly value: number }>("SELECT value FROM numbers ORDER BY value")
    .all()
    .map(({ value }) => value);
}

async function rejection(promise: Promise<unknown>): Promise<Error> {
  const error: unknown = await promise.then(
    () => undefined,
    (caught: unknown) => caught,
  );
  if (!(error instanceof Error)) throw new Error("it was expected to reject with an error");
  return error;
}

describe("a group commit", () => {
  it("runs everything queued in one turn in one transaction, in order", async () => {
    const database = openTable();
    const order: string[] = [];
    let turns = 0;
    const commit = createGroupCommit(database, {
      schedule(task) {
        turns += 1;
        setImmediate(task);
      },
    });
    const first = commit.write(
      () => {
        order.push(`work 1 in transaction ${database.inTransaction}`);
        return insert(database, 1);
      },
      () => order.push(`committed 1 in transaction ${database.inTransaction}`),
    );
    await Promise.resolve();
    const second = commit.write(
      () => order.push("work 2"),
      () => order.push("committed 2"),
    );
    await first.then((changes) => order.push(`resolved 1 with ${changes}`));
    await second;
    expect(turns).toBe(1);
    expect(order).toEqual([
      "work 1 in transaction true",
      "work 2",
      "committed 1 in transaction false",
      "committed 2",
      "resolved 1 with 1",
    ]);
    expect(stored(database)).toEqual([1]);
  });

  it("rolls back only the work that throws", async () => {
    const database = openTable();
    const commit = createGroupCommit(database);
    const shown: string[] = [];
    const writes = [
      commit.write(() => insert(database, 1)),
      commit.write(
        () => {
          insert(database, 2);
          throw new Error("changed my mind");
        },
        () => shown.push("never"),
      ),
      commit.write(() => {
        insert(database, 3);
        insert(database, 1);
      }),
      commit.write(() => insert(database, 4)),
    ];
    const results = await Promise.allSettled(writes);
    expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "rejected", "fulfilled"]);
    expect((await rejection(writes[1] ?? Promise.resolve())).message).toBe("changed my mind");
    expect(stored(database)).toEqual([1, 4]);
    expect(shown).toEqual([]);
    expect(commit.failure).toBeUndefined();
  });

  it("refuses everybody, for good, once a commit has failed", async () => {
    const real = openTable();
    const broken = new Error("the disk is on fire");
    const database: Database = {
      ...real,
      get inTransaction() {
        return real.inTransaction;
      },
      prepare<Row>(sql: string) {
        const statement = real.prepare<Row>(sql);
        if (sql !== "COMMIT") return statement;
        return {
          ...statement,
          run() {
            throw broken;
          },
        };
      },
    };
    const failures: unknown[] = [];
    const commit = createGroupCommit(database, { onFailure: (error) => failures.push(error) });
    const shown: string[] = [];
    const [first, second] = [
      commit.write(
        () => insert(real, 1),
        () => shown.push("1"),
      ),
      commit.write(() => insert(real, 2)),
    ];
    expect((await rejection(first)).cause).toBe(broken);
    expect((await rejection(second)).cause).toBe(broken);
    expect((await rejection(commit.write(() => insert(real, 3)))).cause).toBe(broken);
    expect(failures).toEqual([broken]);
    expect(commit.failure).toBe(broken);
    expect(shown).toEqual([]);
    expect(real.inTransaction).toBe(false);
    expect(stored(real)).toEqual([]);
  });

  it("gives up when a writer's memory cannot follow the disk", async () => {
    const database = openTable();
    const commit = createGroupCommit(database);
    const confused = new Error("my maps are broken");
    const write = commit.write(
      () => insert(database, 1),
      () => {
        throw confused;
      },
    );
    expect(await rejection(write)).toBe(confused);
    expect(commit.failure).toBe(confused);
  });

  it("commits what is queued when it is closed, then refuses", async () => {
    const database = openTable();
    const commit = createGroupCommit(database);
    const last = commit.write(() => insert(database, 1));
    commit.close();
    expect(stored(database)).toEqual([1]);
    expect(await last).toBe(1);
    expect((await rejection(commit.write(() => insert(database, 2)))).message).toContain("has ended");
  });
});

describe("a schema", () => {
  it("is created once and refuses another version of itself", () => {
    const database = openTable();
    database.defineSchema("things", 1, "CREATE TABLE things (id INTEGER PRIMARY KEY)");
    database.defineSchema("things", 1, "CREATE TABLE things (id INTEGER PRIMARY KEY)");
    expect(database.prepare("SELECT * FROM things").all()).toEqual([]);
    expect(() => database.defineSchema("things", 2, "DROP TABLE things")).toThrow('holds version 1 of "things"');
  });
});

describe("a transaction", () => {
  it("is rolled back when its work throws", () => {
    const database = openTable();
    expect(() =>
      database.transaction(() => {
        insert(database, 1);
        throw new Error("no");
      }),
    ).toThrow("no");
    expect(database.transaction(() => insert(database, 2))).toBe(1);
    expect(stored(database)).toEqual([2]);
  });
});
