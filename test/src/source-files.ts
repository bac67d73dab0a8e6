/**
 * The workspace as `tidy.test.ts` sees it: its rooms, their source files, and each file's text with comments and literals
 * blanked out, so that a rule about code never trips over prose.
 *
 * Reads files, judges nothing. Line numbers stay as they are in the file.
 */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join, relative } from "node:path";

export interface SourceFile {
  /** Relative to the repository. */
  readonly path: string;
  readonly text: string;
  /** Without comments. */
  readonly code: string;
  /** Without comments and without the insides of string, template and regular-expression literals. */
  readonly bare: string;
  readonly imports: readonly Import[];
  /** Tests and what only tests use. */
  readonly isTest: boolean;
}

export interface Import {
  readonly specifier: string;
  readonly line: number;
  /** `import type`, erased at run time. */
  readonly typeOnly: boolean;
}

export interface Room {
  /** For example `packages/money`. */
  readonly path: string;
  /** For example `@rerate/money`. */
  readonly name: string;
  readonly files: readonly SourceFile[];
  readonly dependencies: ReadonlySet<string>;
  readonly devDependencies: ReadonlySet<string>;
  readonly hasReadme: boolean;
}

export const REPOSITORY = join(import.meta.dirname, "../..");

const LEFT_OUT = new Set(["node_modules", ".git", ".turbo", "coverage", ".rerate", "generated", "data"]);

/** Every file under a folder of the repository, with its path relative to the repository. */
export function filesUnder(folder: string): string[] {
  const at = join(REPOSITORY, folder);
  if (!existsSync(at)) return [];
  return readdirSync(at, { withFileTypes: true }).flatMap((entry) => {
    if (LEFT_OUT.has(entry.name)) return [];
    const path = join(folder, entry.name);
    return entry.isDirectory() ? filesUnder(path) : [path];
  });
}

/** All workspace packages that have something in them. */
export function readRooms(): readonly Room[] {
  const folders = ["packages", "services", "infra"].flatMap((parent) =>
    existsSync(join(REPOSITORY, parent))
      ? readdirSync(join(REPOSITORY, parent))
          .map((name) => join(parent, name))
          .filter((path) => statSync(join(REPOSITORY, path)).isDirectory() && existsSync(join(REPOSITORY, path, "package.json")))
      : [],
  );
  return [...folders, "test"].map(readRoom);
}

function readRoom(path: string): Room {
  const manifest = JSON.parse(readFileSync(join(REPOSITORY, path, "package.json"), "utf8")) as {
    readonly name: string;
    readonly dependencies?: Readonly<Record<string, string>>;
    readonly devDependencies?: Readonly<Record<string, string>>;
  };
  return {
    path,
    name: manifest.name,
    files: filesUnder(path)
      .filter((file) => file.endsWith(".ts"))
      .map(readSource),
    dependencies: new Set(Object.keys(manifest.dependencies ?? {})),
    devDependencies: new Set(Object.keys(manifest.devDependencies ?? {})),
    hasReadme: existsSync(join(REPOSITORY, path, "README.md")),
  };
}

export function readSource(path: string): SourceFile {
  const text = readFileSync(join(REPOSITORY, path), "utf8");
  const { code, bare } = strip(text);
  return {
    path: relative(REPOSITORY, join(REPOSITORY, path)),
    text,
    code,
    bare,
    imports: importsIn(code),
    isTest: /\.test\.ts$|\/testing\/|^packages\/[^/]+\/test\/|conformance\.ts$|^test\/|^packages\/testkit\//.test(path),
  };
}

export function lineOf(text: string, index: number): number {
  let line = 1;
  for (let at = text.indexOf("\n"); at >= 0 && at < index; at = text.indexOf("\n", at + 1)) line += 1;
  return line;
}

const IMPORT =
  /(?:^|[;\n}])\s*(import|export)\s+(type\s+)?(?:[\w*{][^;"']*?\sfrom\s*)?["']([^"'\n]+)["']|\bimport\(\s*["']([^"'\n]+)["']/g;

function importsIn(code: string): Import[] {
  return [...code.matchAll(IMPORT)].map((match) => ({
    specifier: match[3] ?? match[4] ?? "",
    line: lineOf(code, match.index + match[0].length - 1),
    typeOnly: match[2] !== undefined,
  }));
}

/** Blanks out comments, and in `bare` also what stands inside literals. Everything else keeps its place. */
export function strip(text: string): { readonly code: string; readonly bare: string } {
  const code = text.split("");
  const bare = [...code];
  const blank = (from: number, to: number, lists: readonly string[][]): void => {
    for (let i = from; i < to; i++) if (text[i] !== "\n") for (const list of lists) list[i] = " ";
  };
  /** Depth of braces inside each template literal that the scan is in. */
  const templates: number[] = [];
  let before = "";
  for (let i = 0; i < text.length;) {
    const two = text.slice(i, i + 2);
    const char = text[i] ?? "";
    let end = i + 1;
    if (two === "//" || (i === 0 && two === "#!")) {
      end = indexOrEnd(text, "\n", i);
      blank(i, end, [code, bare]);
    } else if (two === "/*") {
      end = Math.min(text.length, indexOrEnd(text, "*/", i + 2) + 2);
      blank(i, end, [code, bare]);
    } else if (char === '"' || char === "'") {
      end = endOfQuoted(text, i, char);
      blank(i + 1, end - 1, [bare]);
      before = char;
    } else if (char === "`" || (char === "}" && templates.at(-1) === 0)) {
      if (char === "}") templates.pop();
      const { end: stop, open } = endOfTemplate(text, i + 1);
      if (open) templates.push(0);
      blank(i + 1, stop - (open ? 2 : 1), [bare]);
      end = stop;
      before = open ? "{" : "`";
    } else if (char === "/" && startsRegex(before)) {
      end = endOfRegex(text, i);
      blank(i + 1, end - 1, [bare]);
      before = "/";
    } else {
      const depth = templates.length - 1;
      if (char === "{" && depth >= 0) templates[depth] = (templates[depth] ?? 0) + 1;
      if (char === "}" && depth >= 0) templates[depth] = (templates[depth] ?? 0) - 1;
      if (/[\w$]/.test(char)) {
        while (end < text.length && /[\w$]/.test(text[end] ?? "")) end += 1;
        before = text.slice(i, end);
      } else if (!/\s/.test(char)) before = char;
    }
    i = end;
  }
  return { code: code.join(""), bare: bare.join("") };
}

function startsRegex(before: string): boolean {
  return (
    before === "" || /^[(,=:[!&|?{};+\-*%<>~^]$/.test(before) || ["return", "case", "typeof", "in", "of", "=>"].includes(before)
  );
}

function indexOrEnd(text: string, what: string, from: number): number {
  const at = text.indexOf(what, from);
  return at < 0 ? text.length : at;
}

function endOfQuoted(text: string, start: number, quote: string): number {
  for (let i = start + 1; i < text.length; i++) {
    if (text[i] === "\\") i += 1;
    else if (text[i] === quote) return i + 1;
  }
  return text.length;
}

function endOfTemplate(text: string, start: number): { readonly end: number; readonly open: boolean } {
  for (let i = start; i < text.length; i++) {
    if (text[i] === "\\") i += 1;
    else if (text[i] === "`") return { end: i + 1, open: false };
    else if (text[i] === "$" && text[i + 1] === "{") return { end: i + 2, open: true };
  }
  return { end: text.length, open: false };
}

function endOfRegex(text: string, start: number): number {
  let inClass = false;
  for (let i = start + 1; i < text.length; i++) {
    const char = text[i];
    if (char === "\\") i += 1;
    else if (char === "[") inClass = true;
    else if (char === "]") inClass = false;
    else if (char === "/" && !inClass) return i + 1;
    else if (char === "\n") return start + 1;
  }
  return text.length;
}
