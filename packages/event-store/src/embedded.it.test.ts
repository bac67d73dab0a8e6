import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { createGroupCommit, openDatabase } from "@rerate/sqlite";
import { expect, it } from "vitest";
import { createEmbeddedEventStore } from "./embedded.ts";

it("keeps every append that it has acknowledged, and no half of one, when its process is killed", async () => {
  const directory = mkdtempSync(join(tmpdir(), "rerate-log-"));
  try {
    const path = join(directory, "ledger.db");
    const writer = `
      import { createGroupCommit, openDatabase } from "@rerate/sqlite";
      import { createEmbeddedEventStore } from ${JSON.stringify(new URL("embedded.ts", import.meta.url).href)};
      const database = openDatabase(${JSON.stringify(path)}, { synchronous: "FULL" });
      const store = createEmbeddedEventStore({ database, commit: createGroupCommit(database) });
      for (let revision = -1; ; revision += 10) {
        const events = Array.from({ length: 10 }, (_, n) => ({ type: "X", data: String(revision + 1 + n), metadata: "{}" }));
        const [result] = await store.append([{ stream: "a-1", expectedRevision: revision, events }]);
        process.stdout.write(result.lastRevision + "\\n");
      }`;
    const child = spawn(process.execPath, ["--input-type=module", "--eval", writer], {
      cwd: import.meta.dirname,
      stdio: ["ignore", "pipe", "inherit"],
    });
    let acknowledged = -1;
    const lines = createInterface({ input: child.stdout });
    lines.on("line", (line) => {
      acknowledged = Number(line);
      if (acknowledged > 2_000) child.kill("SIGKILL");
    });
    await once(lines, "close");
    expect(acknowledged).toBeGreaterThan(2_000);

    const database = openDatabase(path, { synchronous: "FULL" });
    const store = createEmbeddedEventStore({ database, commit: createGroupCommit(database) });
    const events = await store.readForward("a-1", { maxCount: 100_000 });
    expect(events.length).toBeGreaterThan(acknowledged);
    expect(events.length % 10).toBe(0);
    expect(events.every(({ data, revision }, index) => revision === index && data === String(index))).toBe(true);
    await store.close();
    database.close();
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
