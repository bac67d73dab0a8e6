/**
 * How a reader runs the documents' commands: in a folder of their own, against something that runs, and what is compared then.
 *
 * What differs from run to run is left out of the comparison: times, months, hashes, counts of events. A line `…` in a
 * document stands for any lines.
 */
import { createClient, RefusedError } from "@rerate/client";
import { sleep } from "@rerate/runtime";
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { REPOSITORY } from "../source-files.ts";
import { allCodeBlocks, type CodeBlock } from "./markdown.ts";
import { packageOfBlock, printedBy, run, runCode, type Ran } from "./package-code.ts";

/** The guide that has a session of its own, on Kafka and EventStoreDB. */
export const STREAM_GUIDE = "docs/guides/kafka-and-eventstoredb.md";

export type Command = CodeBlock & { readonly name: string; readonly exitCode: number };

const blocks = allCodeBlocks();
const UNAVAILABLE = 503;

/** The blocks that are run, in order, of some of the documents. */
export function commandsIn(isIn: (path: string) => boolean): readonly Command[] {
  return blocks.flatMap((block) => (block.mark?.kind === "test" && isIn(block.path) ? [{ ...block, ...block.mark }] : []));
}

export function outputOf(name: string): string | undefined {
  return blocks.find(({ mark }) => mark?.kind === "output" && mark.name === name)?.text;
}

/** What a document says that a block prints; undefined where it says nothing. */
export function shownBy(block: Command): string | undefined {
  return block.language === "ts" ? printedBy(block.text) : outputOf(block.name);
}

/** A folder of the reader's: commands write there, and read the examples of the checkout. */
export function readersFolder(): { readonly folder: string; remove(): void } {
  const folder = mkdtempSync(join(tmpdir(), "rerate-readme-"));
  symlinkSync(join(REPOSITORY, "examples"), join(folder, "examples"));
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/**
 * A reader takes a moment between two blocks; here, as long as the ledger takes to go on with what it has been told: until every
 * topic has been read to its end, several times over, since what is read makes services publish. Between processes there is always
 * a mark under way somewhere, so ends count that were reached one after the other. Right after a start, or after a process was
 * killed, there may be no answer yet.
 */
export async function untilStill(url: string, rounds: number): Promise<void> {
  const client = createClient({ url });
  for (let round = 0; round < rounds; round++) {
    let waiting: ReadonlySet<string> | undefined;
    while (waiting === undefined || waiting.size > 0) {
      const status = await client.status().catch((error: unknown) => {
        if (error instanceof RefusedError && error.status === UNAVAILABLE) return undefined;
        throw error;
      });
      if (status?.ready === true) {
        const behind = status.lag
          .filter(({ lag }) => lag > 0)
          .map(({ group, topic, partition }) => [group, topic, partition].join());
        waiting = new Set(behind.filter((one) => waiting?.has(one) !== false));
      }
      await sleep(50);
    }
  }
}

/** Runs a block against the server at `url`, with further variables of the reader's shell. */
export async function runBlock(
  block: CodeBlock,
  {
    folder,
    url,
    environment,
  }: { readonly folder: string; readonly url: string; readonly environment: Readonly<Record<string, string>> },
): Promise<Ran> {
  const at = packageOfBlock(block);
  if (block.language === "ts" && at !== undefined) return runCode(block.text.replaceAll("http://127.0.0.1:7373", url), at);
  const rerate = join(REPOSITORY, "node_modules/.bin/rerate");
  const script = block.text.replaceAll(/^npx rerate /gm, `'${rerate}' `);
  const env = { PATH: process.env["PATH"], RERATE_URL: url, NO_COLOR: "1", ...environment };
  return run("sh", ["-euc", script], { cwd: folder, env });
}

/** What is shown, ready to be compared; where lines are left out, the ones that were really printed stand in for them. */
export function asShown(shown: string, out: string): string {
  const [first = "", ...others] = withoutWhatVaries(shown).split(/^…\n/m);
  const really = withoutWhatVaries(out);
  let text = first;
  for (const part of others) {
    const next = part === "" ? really.length : really.indexOf(part, text.length);
    text += `${next < 0 ? "…\n" : really.slice(text.length, next)}${part}`;
  }
  return text;
}

export function withoutWhatVaries(text: string): string {
  return text
    .replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z/g, "TIME")
    .replaceAll(/\b\d{4}-\d\d\b/g, "MONTH")
    .replaceAll(/\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/g, "UUID")
    .replaceAll(/\b[0-9a-f]{64}\b|(?<![\w-])[\w-]{43}(?![\w-])/g, "HASH")
    .replaceAll(/\d+(?= (?:events|streams|decided again|ledger entries)\b)/g, "COUNT");
}
