/** A Containerfile as a list of instructions, and which files its build would see. For tests. */
import { execFileSync } from "node:child_process";
import { matchesGlob } from "node:path";

export interface Instruction {
  /** In upper case. */
  readonly name: string;
  /** Continued lines joined, comments left out. */
  readonly rest: string;
}

/** The instructions of each stage. */
export function readStages(text: string): readonly (readonly Instruction[])[] {
  const stages: Instruction[][] = [];
  const logical = text.replaceAll(/^\s*#.*\n/gm, "").replaceAll(/\\\n\s*/g, "");
  for (const line of logical.split("\n").filter((one) => one.trim() !== "")) {
    const [, name = "", rest = ""] = /^\s*(\w+)\s+(.*)$/.exec(line) ?? [];
    if (name.toUpperCase() === "FROM") stages.push([]);
    stages.at(-1)?.push({ name: name.toUpperCase(), rest: rest.trim() });
  }
  return stages;
}

/** Files of the checkout, tracked or new, that the ignore file lets into a build. The last pattern that matches decides. */
export function buildContext(repository: string, ignore: string): readonly string[] {
  const patterns = ignore.split("\n").filter((line) => line.trim() !== "" && !line.startsWith("#"));
  const listed = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], { cwd: repository });
  return listed
    .toString()
    .split("\0")
    .filter((path) => path !== "" && isIn(path, patterns));
}

function isIn(path: string, patterns: readonly string[]): boolean {
  const deciding = patterns.findLast((pattern) => covers(pattern.replace(/^!/, ""), path));
  return deciding === undefined || deciding.startsWith("!");
}

/** A pattern covers what it matches, and everything below it. */
function covers(pattern: string, path: string): boolean {
  return pattern === "*" || matchesGlob(path, pattern) || matchesGlob(path, `${pattern}/**`);
}
