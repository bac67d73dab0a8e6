/**
 * The repository's Markdown files as their tests see them: code blocks with their marks, and relative links.
 *
 * A mark is a comment on the line before a block. `<!-- readme-test: NAME -->` has the block run in the session of
 * `readme.it.test.ts` (`, exit N` behind the name: with that exit code); `<!-- readme-output: NAME -->` says that the block is what
 * the block of that name prints. Judges nothing.
 */
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { REPOSITORY } from "../source-files.ts";

export interface CodeBlock {
  /** The file, relative to the repository. */
  readonly path: string;
  /** Of the opening fence, from 1. */
  readonly line: number;
  /** As written behind the opening fence; empty where nothing is. */
  readonly language: string;
  /** With a line feed at its end, unless it is empty. */
  readonly text: string;
  readonly mark: Mark | undefined;
}

export type Mark =
  | { readonly kind: "test"; readonly name: string; readonly exitCode: number }
  | { readonly kind: "output"; readonly name: string };

export interface Link {
  readonly path: string;
  readonly line: number;
  /** Without an anchor. */
  readonly target: string;
}

const LEFT_OUT = new Set(["node_modules", ".git", ".turbo", "coverage", ".rerate"]);
const FENCE = /^\s*(```+|~~~+)\s*(.*?)\s*$/;
const MARK = /^<!-- readme-(?:test: (?<test>[\w-]+)(?:, exit (?<exit>\d+))?|output: (?<output>[\w-]+)) -->$/;

/** Every Markdown file, in the order in which the session runs them: the README before guides and packages. */
export function markdownFiles(): readonly string[] {
  return globSync("**/*.md", { cwd: REPOSITORY, exclude: (name) => LEFT_OUT.has(name.split("/").at(-1) ?? "") }).toSorted();
}

export function readMarkdown(path: string): string {
  return readFileSync(join(REPOSITORY, path), "utf8");
}

/** Every code block of the repository, in order. */
export function allCodeBlocks(): readonly CodeBlock[] {
  return markdownFiles().flatMap((path) => codeBlocks(path, readMarkdown(path)));
}

export function codeBlocks(path: string, text: string): readonly CodeBlock[] {
  const blocks: CodeBlock[] = [];
  const lines = text.split("\n");
  let before = "";
  for (let at = 0; at < lines.length; at++) {
    const [, fence, language] = FENCE.exec(lines[at] ?? "") ?? [];
    if (fence === undefined || language === undefined) {
      if (lines[at]?.trim() !== "") before = lines[at]?.trim() ?? "";
      continue;
    }
    const start = at + 1;
    for (at = start; at < lines.length && lines[at]?.trim() !== fence;) at += 1;
    const content = lines.slice(start, at).map((line) => `${line}\n`);
    blocks.push({ path, line: start, language, text: content.join(""), mark: markIn(before) });
    before = "";
  }
  return blocks;
}

function markIn(line: string): Mark | undefined {
  const { test, exit, output } = MARK.exec(line)?.groups ?? {};
  if (test !== undefined) return { kind: "test", name: test, exitCode: Number(exit ?? 0) };
  return output === undefined ? undefined : { kind: "output", name: output };
}

/** Links to files of the repository, outside of code blocks. */
export function relativeLinks(path: string, text: string): readonly Link[] {
  let fence: string | undefined;
  return text.split("\n").flatMap((line, at) => {
    const found = FENCE.exec(line)?.[1];
    if (found !== undefined) fence = fence === undefined ? found : found === fence ? undefined : fence;
    if (fence !== undefined) return [];
    return [...line.replaceAll(/`[^`]*`/g, "").matchAll(/\]\(([^)\s]+)\)/g)]
      .map(([, target = ""]) => target.split("#")[0] ?? "")
      .filter((target) => target !== "" && !/^[a-z][a-z+.-]*:/.test(target))
      .map((target) => ({ path, line: at + 1, target }));
  });
}
