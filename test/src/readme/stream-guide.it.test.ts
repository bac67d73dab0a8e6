/**
 * Runs the guide "Run it on Kafka and EventStoreDB" as a reader would: starts the stack by its command, then runs every block of
 * the guide against it, in order.
 */
import { sleep } from "@rerate/runtime";
import { startChild, type Child } from "@rerate/stack";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { REPOSITORY } from "../source-files.ts";
import {
  asShown,
  type Command,
  commandsIn,
  readersFolder,
  runBlock,
  shownBy,
  STREAM_GUIDE,
  untilStill,
  withoutWhatVaries,
} from "./session.ts";

/** Blocks of nothing but commands that change nothing. */
const ONLY_LOOKS = /^(?:npx rerate (?:topics check|status|entries|verify)\b.*\n)+$/;
const MOST_LOOKS = 60;
const PAUSE_MS = 1_000;

const reader = readersFolder();
const logFile = join(reader.folder, "stack.log");
let stack: Child | undefined;

beforeAll(async () => {
  stack = await startChild({
    name: "stack",
    script: join(REPOSITORY, "infra/stack/src/main.ts"),
    arguments: ["--port", "0", "--data", join(reader.folder, "data")],
    logFile,
    readyWithinMs: 170_000,
  });
  console.log(`The guide runs on Kafka at ${said("brokers")} and ${said("eventStoreUrl")}.`);
});

afterAll(async () => {
  await stack?.stop(60_000);
  reader.remove();
});

test.each(commandsIn((path) => path === STREAM_GUIDE))("$path:$line prints what the guide shows ($name)", async (block) => {
  // What only looks can be looked at again, as a reader would; for what changes something, all before must have arrived.
  if (!ONLY_LOOKS.test(block.text)) await untilStill(said("url"), 1);
  let seen = await look(block);
  for (let looks = 1; looks < MOST_LOOKS && ONLY_LOOKS.test(block.text) && seen.printed !== seen.shown; looks++) {
    await sleep(PAUSE_MS);
    seen = await look(block);
  }
  expect(seen.printed).toBe(seen.shown);
});

/** What a block printed, and what it should have, both with how it ended. */
async function look(block: Command): Promise<{ readonly printed: string; readonly shown: string }> {
  const { exitCode, out, err } = await runBlock(block, { folder: reader.folder, url: said("url"), environment: environment() });
  const end = (code: number | null, errors: string): string => `\nexit code ${String(code)} ${errors}`;
  return {
    printed: withoutWhatVaries(out) + end(exitCode, err),
    shown: asShown(shownBy(block) ?? "", out) + end(block.exitCode, ""),
  };
}

function said(field: string): string {
  return String(stack?.said[field]);
}

/** What the guide has the reader export. */
function environment(): Readonly<Record<string, string>> {
  const settlement = [...readFileSync(logFile, "utf8").matchAll(/^settlement-1 is ready \(process (\d+)\)$/gm)].at(-1)?.[1] ?? "";
  return { KAFKA_BROKERS: said("brokers"), EVENTSTOREDB_URL: said("eventStoreUrl"), SETTLEMENT: settlement };
}
