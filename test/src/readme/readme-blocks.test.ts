/**
 * What documents promise and a look at the files can check: every code block is run by a test or marked as text, YAML is valid,
 * links lead somewhere, the configuration's table is today's, and the commands for setting up are the ones that are tested.
 */
import { outcomeDefinitionSchema } from "@rerate/outcomes";
import { planSchema, priceListSchema, readDocument } from "@rerate/pricing";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { REPOSITORY } from "../source-files.ts";
import { CONFIGURATION_GUIDE, withConfigTable } from "./config-table.ts";
import { allCodeBlocks, codeBlocks, markdownFiles, readMarkdown, relativeLinks, type CodeBlock } from "./markdown.ts";
import { packageOfBlock, printedBy } from "./package-code.ts";

const DOCUMENTS = { plan: planSchema, "price-list": priceListSchema, "outcome-definition": outcomeDefinitionSchema };
/** Prints of the main job itself, which the session starts. */
const MAIN_JOB = "start";

const blocks = allCodeBlocks();

test("every code block of every document is run by a test, or marked as text", () => {
  const unknown = blocks
    .filter((block) => !isRun(block))
    .map(
      ({ path, line, language }) =>
        `${path}:${line} has a block of ${language === "" ? "no language" : language} that no test runs`,
    );
  expect(unknown).toEqual([]);
});

test("every block that is run has a name of its own, and every output that is shown belongs to one", () => {
  const names = (kind: "test" | "output"): string[] => blocks.flatMap(({ mark }) => (mark?.kind === kind ? [mark.name] : []));
  expect(names("test")).toEqual([...new Set(names("test"))]);
  expect(names("output")).toEqual([...new Set(names("output"))]);
  expect(names("output").filter((name) => name !== MAIN_JOB && !names("test").includes(name))).toEqual([]);
});

test("every mark stands directly before a block", () => {
  const lost = markdownFiles().filter((path) => {
    const text = readMarkdown(path);
    const marks = text.split("\n").filter((line) => line.trim().startsWith("<!-- readme-")).length;
    return marks !== codeBlocks(path, text).filter(({ mark }) => mark !== undefined).length;
  });
  expect(lost).toEqual([]);
});

test("every document in a guide is valid", () => {
  const wrong = blocks
    .filter(({ language }) => language === "yaml")
    .flatMap((block) => problemsOf(block).map((problem) => `${block.path}:${block.line} ${problem}`));
  expect(wrong).toEqual([]);
});

test("every relative link leads to a file", () => {
  const broken = markdownFiles()
    .flatMap((path) => relativeLinks(path, readMarkdown(path)))
    .filter(({ path, target }) => !existsSync(join(REPOSITORY, dirname(path), target)))
    .map(({ path, line, target }) => `${path}:${line} links to ${target}`);
  expect(broken).toEqual([]);
});

test("the guide's table of environment variables is today's: otherwise run node test/src/readme/config-table.ts", () => {
  const guide = readMarkdown(CONFIGURATION_GUIDE);
  expect(guide).toBe(withConfigTable(guide));
});

test("the README sets up with exactly the two commands that a fresh machine runs", () => {
  const commands = (text: string): ReadonlySet<string> => new Set(text.match(/npx -y pnpm@12 [\w:-]+/g));
  expect(commands(readMarkdown("README.md"))).toEqual(new Set(["npx -y pnpm@12 start", "npx -y pnpm@12 test"]));
  const fresh = commands(readFileSync(join(REPOSITORY, ".ci/run"), "utf8"));
  expect([...commands(readMarkdown("README.md"))].filter((command) => !fresh.has(command))).toEqual([]);
});

test("every pnpm script that a document names exists", () => {
  const { scripts } = JSON.parse(readFileSync(join(REPOSITORY, "package.json"), "utf8")) as { readonly scripts: object };
  const known = new Set([...Object.keys(scripts), "install", "vitest"]);
  const wrong = markdownFiles().flatMap((path) =>
    [...readMarkdown(path).matchAll(/(?:`|^)(?:npx -y )?pnpm(?:@12)? ([\w:-]+)/gm)]
      .filter(([, name = ""]) => !known.has(name))
      .map(([command]) => `${path} says ${command}`),
  );
  expect(wrong).toEqual([]);
});

test("a mark belongs to the block right after it, and a fence ends only with its own kind", () => {
  const text = [
    "<!-- readme-test: first, exit 1 -->",
    "",
    "```sh",
    "echo 'a",
    "~~~'",
    "```",
    "<!-- readme-output: first -->",
    "Words between.",
    "```text",
    "a",
    "```",
  ].join("\n");
  expect(codeBlocks("x.md", text)).toEqual([
    { path: "x.md", line: 3, language: "sh", text: "echo 'a\n~~~'\n", mark: { kind: "test", name: "first", exitCode: 1 } },
    { path: "x.md", line: 9, language: "text", text: "a\n", mark: undefined },
  ]);
});

test("links are found beside code, in code they are none", () => {
  const text =
    "See [`a.ts`](src/a.ts) and [b](b.md#part), `x[0](y)`.\n```text\n[c](c.md)\n```\n[web](https://x.org) [here](#part)";
  expect(relativeLinks("x.md", text).map(({ target }) => target)).toEqual(["src/a.ts", "b.md"]);
});

test("what a block prints stands behind its print, or in the comments under it", () => {
  const code = 'const a = 1; // not printed\nconsole.log(a); // 1\nconsole.log("x\\ny");\n// x\n// y\n\n// A remark.\n';
  expect(printedBy(code)).toBe("1\nx\ny\n");
});

function isRun(block: CodeBlock): boolean {
  switch (block.language) {
    case "text":
      return block.mark?.kind !== "test";
    case "yaml":
      return true;
    case "sh":
      return block.mark?.kind === "test";
    case "ts":
      return packageOfBlock(block) !== undefined && block.mark?.kind !== "output";
    default:
      return false;
  }
}

function problemsOf({ text }: CodeBlock): readonly string[] {
  const kind = /^kind: (\S+)$/m.exec(text)?.[1] ?? "";
  const schema = Object.entries(DOCUMENTS).find(([name]) => name === kind)?.[1];
  if (schema === undefined) return [`is of no known kind: "${kind}"`];
  const read = readDocument<unknown>(text, schema);
  return read.ok ? [] : read.problems.map(({ line, path, message }) => `line ${line}: ${path}: ${message}`);
}
