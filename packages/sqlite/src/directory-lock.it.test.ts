import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openDatabase, openReadOnly } from "./database.ts";
import { lockDirectory } from "./directory-lock.ts";

let directory = "";
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "rerate-sqlite-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

describe("the lock of a data directory", () => {
  it("has one holder, who says who it is", () => {
    const first = lockDirectory(directory, { url: "starting" });
    if (first.kind !== "locked") throw new Error("the directory was free");
    first.lock.update({ url: "http://127.0.0.1:8080" });
    expect(lockDirectory(directory, {})).toEqual({
      kind: "held",
      holder: { pid: process.pid, info: { url: "http://127.0.0.1:8080" } },
    });
    first.lock.release();
    expect(lockDirectory(directory, {}).kind).toBe("locked");
  });

  it("ends with the process that held it, even when that is killed", async () => {
    const source = `
      import { lockDirectory } from ${JSON.stringify(new URL("directory-lock.ts", import.meta.url).href)};
      console.log(lockDirectory(process.argv[1], { url: "theirs" }).kind);
      setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ["--input-type=module", "--eval", source, directory], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [said] = await once(child.stdout, "data");
    expect(String(said).trim()).toBe("locked");
    expect(lockDirectory(directory, {})).toEqual({ kind: "held", holder: { pid: child.pid, info: { url: "theirs" } } });
    child.kill("SIGKILL");
    await once(child, "exit");
    expect(lockDirectory(directory, {}).kind).toBe("locked");
  });
});

describe("a database file", () => {
  it("can be read beside its writer, and only read", () => {
    const path = join(directory, "test.db");
    const writer = openDatabase(path, { synchronous: "FULL" });
    writer.defineSchema("things", 1, "CREATE TABLE things (id INTEGER PRIMARY KEY)");
    const reader = openReadOnly(path);
    writer.prepare("INSERT INTO things (id) VALUES (7)").run();
    expect(reader.prepare("SELECT id FROM things").all()).toEqual([expect.objectContaining({ id: 7 })]);
    expect(() => reader.exec("DELETE FROM things")).toThrow("readonly");
    expect(() => reader.defineSchema("others", 1, "CREATE TABLE others (id INTEGER PRIMARY KEY)")).toThrow('holds no "others"');
    reader.close();
    writer.close();
    expect(openDatabase(path, { synchronous: "FULL" }).prepare("PRAGMA page_size").get()).toEqual(
      expect.objectContaining({ page_size: 8192 }),
    );
  });
});
