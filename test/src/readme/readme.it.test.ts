/**
 * Runs the documents' commands as a reader would: starts the main job, then runs every marked block of the README, the guides and
 * the packages' READMEs against it, in order, and compares what is printed with what is shown.
 *
 * What differs from run to run is left out of the comparison: times, months, hashes, counts of events. A line `…` in a document stands
 * for any lines.
 */
import { createClient } from "@rerate/client";
import { sleep } from "@rerate/runtime";
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startProcess, type StartedProcess } from "../edges/started-process.ts";
import { REPOSITORY } from "../source-files.ts";
import { allCodeBlocks, type CodeBlock } from "./markdown.ts";
import { packageOfBlock, printedBy, run, runCode } from "./package-code.ts";

const blocks = allCodeBlocks();
const commands = blocks.flatMap((block) => (block.mark?.kind === "test" ? [{ ...block, ...block.mark }] : []));
/** A folder of the reader's: commands write there, and read the examples of the checkout. */
const folder = mkdtempSync(join(tmpdir(), "rerate-readme-"));
const data = join(folder, "data");
let server: StartedProcess;
let url: string;

beforeAll(async () => {
  symlinkSync(join(REPOSITORY, "examples"), join(folder, "examples"));
  server = startProcess([], { RERATE_DATA: data, RERATE_PORT: "0" });
  await server.says("Ctrl-C stops");
  url = /Rerate serves (\S+)/.exec(server.out())?.[1] ?? "";
});

afterAll(async () => {
  server.signal("SIGTERM");
  await server.finished;
  rmSync(folder, { recursive: true, force: true });
});

test("the main job prints the totals that the README shows", () => {
  expect(server.out()).toContain(outputOf("start"));
});

test.each(commands)("$path:$line prints what the document shows ($name)", async (block) => {
  const shown = block.language === "ts" ? printedBy(block.text) : outputOf(block.name);
  await untilStill();
  const { exitCode, out, err } = await runBlock(block);
  expect({ exitCode, err }).toEqual({ exitCode: block.exitCode, err: "" });
  if (shown !== undefined) expect(withoutWhatVaries(out)).toEqual(asShown(shown, out));
});

/** A reader takes a moment between two blocks; here, as long as the ledger takes to go on with what it has been told. */
async function untilStill(): Promise<void> {
  const client = createClient({ url });
  for (let [looks, before] = [0, ""]; looks < 3;) {
    const { lag, parked } = await client.status();
    const now = JSON.stringify({ lag, parked });
    looks = now === before && lag.every((one) => one.lag === 0) ? looks + 1 : 0;
    before = now;
    await sleep(100);
  }
}

async function runBlock(block: CodeBlock): ReturnType<typeof run> {
  const at = packageOfBlock(block);
  if (block.language === "ts" && at !== undefined) return runCode(block.text.replaceAll("http://127.0.0.1:7373", url), at);
  const rerate = join(REPOSITORY, "node_modules/.bin/rerate");
  const script = block.text.replaceAll(/^npx rerate /gm, `'${rerate}' `);
  const env = { PATH: process.env["PATH"], RERATE_URL: url, RERATE_DATA: data, NO_COLOR: "1" };
  return run("sh", ["-euc", script], { cwd: folder, env });
}

function outputOf(name: string): string | undefined {
  return blocks.find(({ mark }) => mark?.kind === "output" && mark.name === name)?.text;
}

/** What is shown, ready to be compared; where lines are left out, the ones that were really printed stand in for them. */
function asShown(shown: string, out: string): string {
  const [first = "", ...others] = withoutWhatVaries(shown).split(/^…\n/m);
  const really = withoutWhatVaries(out);
  let text = first;
  for (const part of others) {
    const next = part === "" ? really.length : really.indexOf(part, text.length);
    text += `${next < 0 ? "…\n" : really.slice(text.length, next)}${part}`;
  }
  return text;
}

function withoutWhatVaries(text: string): string {
  return text
    .replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z/g, "TIME")
    .replaceAll(/\b\d{4}-\d\d\b/g, "MONTH")
    .replaceAll(/\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/g, "UUID")
    .replaceAll(/\b[0-9a-f]{64}\b|(?<![\w-])[\w-]{43}(?![\w-])/g, "HASH")
    .replaceAll(/\d+(?= (?:events|streams|decided again|ledger entries)\b)/g, "COUNT");
}
