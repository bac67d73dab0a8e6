/**
 * `node infra/stack/src/first-key.ts`: makes the first API key, prints it, and ends. For places where every server is reachable
 * from other machines: such servers refuse to start without keys, so a catalog on loopback makes the first one.
 *
 * Takes its environment from where it runs. Does nothing where there is a key already: others are made with that one.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Child, startChild } from "./child.ts";

const CATALOG = join(import.meta.dirname, "../../../services/catalog/src/main.ts");
const NEEDS_KEY = 401;

const folder = mkdtempSync(join(tmpdir(), "rerate-first-key-"));
let catalog: Child | undefined;
try {
  catalog = await startChild({
    name: "catalog",
    script: CATALOG,
    environment: { RERATE_HOST: "127.0.0.1", RERATE_PORT: "0", RERATE_DATA: folder },
    logFile: join(folder, "catalog.log"),
  });
  const answer = await fetch(`${String(catalog.said["url"])}/v1/keys`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ role: "operate", label: "first key" }),
  });
  if (answer.status === NEEDS_KEY) {
    process.stderr.write("There is a key already: make others with it, by `rerate keys create`.\n");
  } else if (answer.ok) {
    const { key } = (await answer.json()) as { readonly key: string };
    process.stderr.write("The first API key, with the role operate. It is shown this once; the ledger keeps its hash.\n");
    process.stdout.write(`${key}\n`);
  } else throw new Error(`catalog answered ${answer.status}: ${await answer.text()}`);
} finally {
  await catalog?.stop();
  rmSync(folder, { recursive: true, force: true });
}
