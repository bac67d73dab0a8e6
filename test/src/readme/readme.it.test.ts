/**
 * Runs the documents' commands as a reader would: starts the main job, then runs every marked block of the README, the guides and
 * the packages' READMEs against it, in order, and compares what is printed with what is shown.
 */
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startProcess, type StartedProcess } from "../edges/started-process.ts";
import {
  asShown,
  commandsIn,
  outputOf,
  readersFolder,
  runBlock,
  shownBy,
  STREAM_GUIDE,
  untilStill,
  withoutWhatVaries,
} from "./session.ts";

const reader = readersFolder();
const data = join(reader.folder, "data");
let server: StartedProcess;
let url: string;

beforeAll(async () => {
  server = startProcess([], { RERATE_DATA: data, RERATE_PORT: "0" });
  await server.says("Ctrl-C stops");
  url = /Rerate serves (\S+)/.exec(server.out())?.[1] ?? "";
});

afterAll(async () => {
  server.signal("SIGTERM");
  await server.finished;
  reader.remove();
});

test("the main job prints the totals that the README shows", () => {
  expect(server.out()).toContain(outputOf("start"));
});

test.each(commandsIn((path) => path !== STREAM_GUIDE))("$path:$line prints what the document shows ($name)", async (block) => {
  const shown = shownBy(block);
  await untilStill(url, 3);
  const { exitCode, out, err } = await runBlock(block, { folder: reader.folder, url, environment: { RERATE_DATA: data } });
  expect({ exitCode, err }).toEqual({ exitCode: block.exitCode, err: "" });
  if (shown !== undefined) expect(withoutWhatVaries(out)).toEqual(asShown(shown, out));
});
