/**
 * Runs every TypeScript block of a package's README that needs no server: it must end well, complain about nothing (a failing
 * `console.assert` complains and ends well), and print what it says.
 */
import { expect, test } from "vitest";
import { allCodeBlocks } from "./markdown.ts";
import { packageOfBlock, printedBy, runCode } from "./package-code.ts";

const programs = allCodeBlocks().flatMap((block) => {
  const folder = packageOfBlock(block);
  return block.language === "ts" && block.mark === undefined && folder !== undefined ? [{ ...block, folder }] : [];
});

test.each(programs)("the block at $path:$line does what it says", async ({ text, folder }) => {
  expect(await runCode(text, folder)).toEqual({ exitCode: 0, out: printedBy(text), err: "" });
});

test("a program that asserts something false, prints something else, or fails is noticed", async () => {
  expect((await runCode("console.assert(1 > 2);", "packages/money")).err).not.toBe("");
  expect((await runCode("console.log(1);", "packages/money")).out).toBe("1\n");
  expect((await runCode("throw new Error('no');", "packages/money")).exitCode).toBe(1);
});
