import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { buildContext, readStages } from "./testing/containerfile.ts";

const REPOSITORY = join(import.meta.dirname, "../../..");
const read = (path: string): string => readFileSync(join(REPOSITORY, path), "utf8");
const stages = readStages(read("infra/images/Containerfile"));
const last = stages.at(-1) ?? [];
const context = buildContext(REPOSITORY, read(".dockerignore"));

test("every stage starts from the Node that the workspace runs on, pinned", () => {
  const { nodeVersion } = parse(read("pnpm-workspace.yaml")) as { readonly nodeVersion: string };
  const bases = stages.map(([from]) => from?.rest.split(" ")[0]);
  expect(new Set(bases)).toEqual(new Set([`node:${nodeVersion}-bookworm-slim`]));
});

test("dependencies are installed by the workspace's own pnpm, for production, from the lockfile, without scripts", () => {
  const { packageManager } = JSON.parse(read("package.json")) as { readonly packageManager: string };
  const [install = ""] = stages[0]?.flatMap(({ name, rest }) => (name === "RUN" ? [rest] : [])) ?? [];
  expect(install).toContain(`npx -y ${packageManager} install `);
  for (const flag of ["--prod", "--frozen-lockfile", "--ignore-scripts"]) expect(install).toContain(flag);
});

test("the image runs as somebody else than root, and nothing changes it after that", () => {
  const users = last.flatMap(({ name, rest }, at) => (name === "USER" ? [{ rest, at }] : []));
  expect(users.map(({ rest }) => rest)).toEqual(["1000:1000"]);
  expect(last.slice(users[0]?.at).filter(({ name }) => name === "RUN" || name === "COPY")).toEqual([]);
});

test("the image installs nothing itself, fetches nothing, and takes its commands as lists", () => {
  expect(last.filter(({ name, rest }) => name === "ADD" || /\b(?:apt|apt-get|curl|wget|npm|npx)\b/.test(rest))).toEqual([]);
  for (const name of ["ENTRYPOINT", "CMD"]) {
    const found = last.filter((one) => one.name === name);
    expect(found).toHaveLength(1);
    expect(Array.isArray(JSON.parse(found[0]?.rest ?? ""))).toBe(true);
  }
});

test("what is copied exists, and what is started is copied", () => {
  const copied = stages.flat().flatMap(({ name, rest }) => (name === "COPY" && !rest.includes("--from=") ? [rest] : []));
  for (const rest of copied)
    for (const path of rest.split(" ").slice(0, -1)) expect(existsSync(join(REPOSITORY, path))).toBe(true);
  const [script] = JSON.parse(last.find(({ name }) => name === "CMD")?.rest ?? "[]") as readonly string[];
  expect(context).toContain(script);
});

test("the build sees sources and manifests, and neither tests nor data nor anybody's settings", () => {
  for (const path of ["package.json", "pnpm-lock.yaml", "services/ingest/src/main.ts", "infra/images/healthcheck.mjs"]) {
    expect(context).toContain(path);
  }
  expect(context.filter((path) => /\.test\.ts$|^test\/|^docs\/|^examples\/data|(?:^|\/)\.(?!gitkeep)/.test(path))).toEqual([]);
});

test("a file of instructions is read with its comments and continued lines", () => {
  const text = "# x\nFROM a AS b\nRUN one \\\n  two\n# y\nFROM c\nuser 1\n";
  expect(readStages(text)).toEqual([
    [
      { name: "FROM", rest: "a AS b" },
      { name: "RUN", rest: "one two" },
    ],
    [
      { name: "FROM", rest: "c" },
      { name: "USER", rest: "1" },
    ],
  ]);
});
