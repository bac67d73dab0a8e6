/**
 * The TypeScript blocks of packages' and services' READMEs: each is a program that runs as it stands, in its package's folder, where
 * its imports resolve. What it prints is what its comments say it prints.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { dirname, join } from "node:path";
import { text } from "node:stream/consumers";
import { REPOSITORY } from "../source-files.ts";
import type { CodeBlock } from "./markdown.ts";

export interface Ran {
  readonly exitCode: number | null;
  readonly out: string;
  readonly err: string;
}

/** The folder of the package whose README holds the block; undefined for other documents. */
export function packageOfBlock({ path }: CodeBlock): string | undefined {
  return /^(?:packages|services)\/[^/]+\/README\.md$/.test(path) ? dirname(path) : undefined;
}

/** What a block says it prints: the comment behind each `console.log` at the beginning of a line, and the comments right under it. */
export function printedBy(code: string): string {
  const lines = code.split("\n");
  const said = lines.flatMap((line, at) => {
    if (!line.startsWith("console.log(")) return [];
    const behind = /\); \/\/ (.*)$/.exec(line)?.[1];
    const under = lines.slice(at + 1);
    const end = under.findIndex((next) => !next.startsWith("// "));
    return [
      ...(behind === undefined ? [] : [behind]),
      ...under.slice(0, end < 0 ? under.length : end).map((next) => next.slice(3)),
    ];
  });
  return said.map((line) => `${line}\n`).join("");
}

/** Runs TypeScript in a package's folder. */
export async function runCode(code: string, folder: string): Promise<Ran> {
  return run(process.execPath, ["--input-type=module-typescript", "--eval", code], { cwd: join(REPOSITORY, folder), env: {} });
}

export async function run(
  command: string,
  options: readonly string[],
  place: { readonly cwd: string; readonly env: Readonly<Record<string, string | undefined>> },
): Promise<Ran> {
  const child = spawn(command, options, { ...place, stdio: ["ignore", "pipe", "pipe"] });
  const [out, err, [exitCode]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  return { exitCode: typeof exitCode === "number" ? exitCode : null, out, err };
}
