/**
 * The house rules of the architecture, as tests: who may import whom, where drivers, clock and environment live, what the core
 * may not do. Each failure names the file and the line.
 *
 * Add a rule when you find one worth keeping. A rule that is in the way is discussed, not skipped.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { filesUnder, lineOf, readRooms, REPOSITORY, strip, type Room, type SourceFile } from "./source-files.ts";

/** Which workspace packages a room may import. Dependencies point inward only; its tests may also use its devDependencies. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  "packages/money": [],
  "packages/pricing": ["money"],
  "packages/outcomes": ["money"],
  "packages/ledger": ["money", "pricing", "outcomes"],
  "packages/wire": ["money"],
  "packages/sqlite": [],
  "packages/event-store": ["sqlite"],
  "packages/message-bus": ["sqlite"],
  "packages/flow": ["event-store", "message-bus", "sqlite"],
  "packages/projections": ["money", "ledger", "event-store", "sqlite"],
  "packages/replay": ["money", "pricing", "outcomes", "ledger", "event-store", "projections"],
  "packages/runtime": ["money", "sqlite", "event-store", "message-bus", "flow"],
  "packages/http": ["wire"],
  "packages/process": ["money", "ledger", "wire", "event-store", "message-bus", "flow", "runtime", "http"],
  "packages/client": ["wire"],
  "packages/cli": ["money", "pricing", "outcomes", "wire", "client", "replay", "runtime"],
  "packages/testkit": [],
  "infra/event-store-front": ["event-store", "sqlite"],
  "infra/deploy": [],
  "infra/local-kafka": [],
  "infra/stack": [],
};

/** Parts of packages that are imported by a name of their own, so that whoever does not need them never loads their drivers. */
const SUBPATHS = new Set(["@rerate/event-store/conformance", "@rerate/event-store/eventstoredb", "@rerate/message-bus/kafka"]);

/** What every service may import; books also folds, and catalog also reads documents. Standalone and tests may import everything. */
const SERVICE_MAY_IMPORT = ["money", "pricing", "outcomes", "ledger", "wire", "http", "flow", "process"];
const MAY_IMPORT_MORE: Readonly<Record<string, readonly string[]>> = {
  "services/books": ["projections", "event-store", "message-bus"],
  "services/catalog": ["event-store", "message-bus"],
  "services/ingest": ["event-store", "message-bus"],
  "services/outcome-signal": ["event-store", "message-bus"],
  "services/settlement": ["event-store", "message-bus"],
  "services/wallet": ["event-store", "message-bus"],
};

/** Driver libraries: the rooms they belong to, and whether only one source file of a room may name them. */
const DRIVERS: Readonly<Record<string, { readonly room: string; readonly also?: string; readonly oneFile: boolean }>> = {
  "node:sqlite": { room: "packages/sqlite", oneFile: true },
  kafkajs: { room: "packages/message-bus", oneFile: true },
  // The front parses requests with the stubs that the client ships.
  "@eventstore/db-client": { room: "packages/event-store", also: "infra/event-store-front", oneFile: true },
  "@grpc/grpc-js": { room: "infra/event-store-front", oneFile: true },
  avsc: { room: "packages/wire", oneFile: true },
  // The gateway passes requests on and has no routes of its own.
  fastify: { room: "packages/http", also: "infra/stack", oneFile: false },
  "@fastify/swagger": { room: "packages/http", oneFile: true },
  "@fastify/swagger-ui": { room: "packages/http", oneFile: true },
  commander: { room: "packages/cli", oneFile: false },
  pino: { room: "packages/runtime", oneFile: true },
  "prom-client": { room: "packages/runtime", oneFile: true },
  "temporal-polyfill": { room: "packages/pricing", oneFile: true },
};

const CORE = ["packages/money", "packages/pricing", "packages/outcomes", "packages/ledger"];
/** What the core may import besides the workspace: pure libraries only. */
const CORE_LIBRARIES = new Set(["zod", "yaml", "temporal-polyfill", "uuid", "node:crypto"]);

const rooms = readRooms();
const allFiles = rooms.flatMap(({ files }) => files);
const sources = allFiles.filter(({ isTest }) => !isTest);

test("the reader of sources blanks out comments and literals and nothing else", () => {
  const { code, bare } = strip('const a = `x${"y"}//z`; // Date.now()\nconst b = /["/]/.test(a); /* async */ f("any");');
  expect(code).toContain('`x${"y"}//z`');
  expect(code).not.toContain("Date.now");
  expect(code).not.toContain("async");
  expect(bare).not.toContain("any");
  expect(bare).toContain("test(a);");
  expect(bare.split("\n")).toHaveLength(2);
});

test("there are rooms and files to look at", () => {
  expect(rooms.length).toBeGreaterThan(15);
  expect(sources.length).toBeGreaterThan(100);
});

test("dependencies between rooms point inward only", () => {
  const wrong = rooms.flatMap((room) => {
    const allowed = allowedFor(room);
    return room.files.flatMap((file) =>
      file.imports
        .filter(({ specifier }) => specifier.startsWith("@rerate/"))
        .filter(({ specifier }) => !allowed(specifier, file))
        .map(({ specifier, line }) => `${file.path}:${line} imports ${specifier}`),
    );
  });
  expect(wrong).toEqual([]);
});

test("services never import each other; standalone composes them", () => {
  const wrong = sources
    .filter(({ path }) => path.startsWith("services/") && !path.startsWith("services/standalone/"))
    .flatMap((file) => importing(file, (specifier) => /^@rerate\/(service-|standalone)/.test(specifier)));
  expect(wrong).toEqual([]);
});

test("packages are imported by name, never by a path into another room or into their files", () => {
  const wrong = rooms.flatMap((room) =>
    room.files.flatMap((file) =>
      file.imports
        .filter(
          ({ specifier }) =>
            (/^@rerate\/[^/]+\/./.test(specifier) && !SUBPATHS.has(specifier)) || leavesRoom(room, file, specifier),
        )
        .map(({ specifier, line }) => `${file.path}:${line} imports ${specifier}`),
    ),
  );
  expect(wrong).toEqual([]);
});

test("what a room imports is declared in its package.json, for tests or for all", () => {
  const wrong = rooms.flatMap((room) =>
    room.files.flatMap((file) =>
      file.imports
        .filter(({ specifier }) => !specifier.startsWith(".") && !specifier.startsWith("node:") && specifier !== room.name)
        .filter(({ specifier }) => !isDeclared(room, file, packageOf(specifier)))
        .map(
          ({ specifier, line }) => `${file.path}:${line} imports ${specifier}, which ${room.path}/package.json does not declare`,
        ),
    ),
  );
  expect(wrong).toEqual([]);
});

test("what a package.json declares is imported somewhere in the room", () => {
  const wrong = rooms
    .filter(({ files }) => files.length > 0)
    .flatMap((room) => {
      const used = new Set(room.files.flatMap(({ imports }) => imports.map(({ specifier }) => packageOf(specifier))));
      return [...room.dependencies, ...room.devDependencies]
        .filter((name) => !used.has(name))
        .map((name) => `${room.path}/package.json declares ${name}, which nothing there imports`);
    });
  expect(wrong).toEqual([]);
});

test("each driver library is imported by its own room, and where it can be by one source file", () => {
  const wrong = Object.entries(DRIVERS).flatMap(([driver, { room, also, oneFile }]) => {
    const importers = sources
      .filter(({ imports }) => imports.some(({ specifier }) => packageOf(specifier) === driver))
      .map(({ path }) => path);
    const inside = [room, ...(also === undefined ? [] : [also])].map((at) =>
      importers.filter((path) => path.startsWith(`${at}/`)),
    );
    const outside = importers.filter((path) => !inside.flat().includes(path)).map((path) => `${path} imports ${driver}`);
    const several = inside
      .filter((paths) => oneFile && paths.length > 1)
      .map((paths) => `${driver} is imported by ${paths.join(", ")}`);
    return [...outside, ...several];
  });
  expect(wrong).toEqual([]);
});

test("process.env is read in one file of runtime", () => {
  // What only starts processes hands its own environment on to them.
  const readers = sources
    .filter(({ bare, path }) => /\bprocess\s*\.\s*env\b/.test(bare) && !path.startsWith("infra/stack/"))
    .map(({ path }) => path);
  expect(readers.filter((path) => !path.startsWith("packages/runtime/"))).toEqual([]);
  expect(readers.length).toBeLessThanOrEqual(1);
});

test("the clock is read in one file of runtime", () => {
  const clock =
    /\bDate\s*\.\s*now\b|\bnew\s+Date\s*\(\s*\)|\bnew\s+Date\b(?!\s*\()|\bperformance\s*\.\s*now\b|\bhrtime\b|\bTemporal\s*\.\s*Now\b/g;
  const uses = sources.flatMap((file) => matches(file, file.bare, clock));
  expect(uses.filter((use) => !use.startsWith("packages/runtime/"))).toEqual([]);
  expect(new Set(uses.map((use) => use.split(":")[0])).size).toBeLessThanOrEqual(1);
});

test("the core has no promises, no I/O, no randomness, no timers and no console", () => {
  const forbidden =
    /\basync\b|\bawait\b|\bPromise\b|\bMath\s*\.\s*random\b|\brandomUUID\b|\brandomBytes\b|\bconsole\b|\bprocess\b|\bsetTimeout\b|\bsetInterval\b|\bsetImmediate\b|\bqueueMicrotask\b|\bfetch\s*\(/g;
  const wrong = core().flatMap((file) => [
    ...matches(file, file.bare, forbidden),
    ...importing(
      file,
      (specifier) => !specifier.startsWith(".") && !specifier.startsWith("@rerate/") && !CORE_LIBRARIES.has(packageOf(specifier)),
    ),
  ]);
  expect(wrong).toEqual([]);
});

test("of node:crypto the core uses hashes only", () => {
  const wrong = core().flatMap((file) =>
    [...file.code.matchAll(/import\s*(?:type\s*)?\{([^}]*)\}\s*from\s*["']node:crypto["']/g)]
      .filter((match) => (match[1] ?? "").split(",").some((name) => !["hash", "createHash", ""].includes(name.trim())))
      .map((match) => `${file.path}:${lineOf(file.code, match.index)} imports ${match[1]?.trim()}`),
  );
  expect(wrong).toEqual([]);
});

test("no amount is ever a floating-point number in the core", () => {
  const floating =
    /\bparseFloat\b|\btoFixed\b|\btoPrecision\b|\bMath\s*\.\s*(?:round|pow|exp|log|sqrt)\b|\bNumber\s*\([^()]*(?:atoms|amount|price|money|exact|measure)\b/gi;
  expect(core().flatMap((file) => matches(file, file.bare, floating))).toEqual([]);
});

test("nothing exports a default, says any, or declares an enum or a namespace", () => {
  const forbidden =
    /\bexport\s+default\b|(?::|<|\bas|\bextends|\|)\s*any\b|\bany\s*\[\]|^\s*(?:export\s+)?(?:declare\s+)?(?:const\s+)?enum\s+\w|^\s*(?:export\s+)?namespace\s+\w/gm;
  const wrong = allFiles.flatMap((file) =>
    matches(file, file.bare, forbidden).filter((match) => !isExcused(file, Number(match.split(":")[1]?.split(" ")[0]))),
  );
  expect(wrong).toEqual([]);
});

test("nothing is left to do later, and no test is skipped, alone or planned", () => {
  const marks = /\b(?:TO[D]O|FIX[M]E|X[X]X)\b/g;
  const skips = /\b(?:test|it|describe)(?:\.\w+)*\.(?:skip|only|todo|skipIf|runIf|fails)\b/g;
  const wrong = allFiles.flatMap((file) => [...matches(file, file.text, marks), ...matches(file, file.bare, skips)]);
  expect(wrong).toEqual([]);
});

test("compiler and linter are not talked out of their findings without a word why", () => {
  const silenced = /@ts-(?:ignore|nocheck|expect-error)(?!\s*:?\s+\w)|(?:oxlint|eslint)-disable(?![^\n]*--\s*\w)/g;
  expect(allFiles.flatMap((file) => matches(file, file.text, silenced))).toEqual([]);
});

test("nothing throws a string", () => {
  expect(allFiles.flatMap((file) => matches(file, file.code, /\bthrow\s+["'`]/g))).toEqual([]);
});

test("a source file has at most 500 lines", () => {
  const long = allFiles
    .map(({ path, text }) => ({ path, lines: text.split("\n").length - 1 }))
    .filter(({ path, lines }) => lines > 500 && !path.includes("/generated/"))
    .map(({ path, lines }) => `${path} has ${lines} lines`);
  expect(long).toEqual([]);
});

test("a source file begins by saying what it owns", () => {
  const bare = sources
    .filter(
      ({ path, text }) => !path.includes("/generated/") && !path.endsWith("/index.ts") && !/^(?:#!.*\n)?\s*\/\*\*/.test(text),
    )
    .map(({ path }) => `${path} has no header`);
  expect(bare).toEqual([]);
});

test("files are named after what they hold, in kebab-case", () => {
  const names = allFiles.map(({ path }) => path.split("/").at(-1) ?? "");
  expect(names.filter((name) => !/^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z]+)*\.ts$/.test(name))).toEqual([]);
  const empty = allFiles.filter(({ path }) => /(?:^|\/)(?:utils?|helpers?|common|base|misc|shared)(?:\.\w+)*(?:\/|$)/.test(path));
  expect(empty.map(({ path }) => path)).toEqual([]);
});

test("every package has a README", () => {
  const wrong = rooms
    .filter(({ files, hasReadme }) => files.length > 0 && !hasReadme)
    .map(({ path }) => `${path}/README.md is missing`);
  expect(wrong).toEqual([]);
});

test("HTTP status codes appear in routes and in the http package only", () => {
  const codes = /\.(?:code|status)\s*\(\s*[1-5]\d\d\b|\bstatusCode\s*(?::|===|=)\s*[1-5]\d\d\b/g;
  const wrong = sources
    .filter(
      ({ path }) =>
        !path.startsWith("packages/http/") &&
        !path.startsWith("packages/client/") &&
        path !== "infra/stack/src/gateway.ts" &&
        !/routes?\.ts$|\/routes\//.test(path),
    )
    .flatMap((file) => matches(file, file.bare, codes));
  expect(wrong).toEqual([]);
});

test("no file names a place on somebody's machine", () => {
  // Written so that this line does not match itself.
  const places = /[/]work\/|[/]home\/[a-z]|[/]Users\/[A-Za-z]|[/]tmp\/briefs/g;
  const texts = ["docs", "examples", "schemas", "packages", "services", "infra", "test", ".ci"].flatMap(filesUnder);
  const wrong = texts
    .filter((path) => /\.(?:ts|mjs|md|json|ya?ml|avsc|sh)$|\.ci\/run$/.test(path))
    .flatMap((path) => {
      const file = readFileSync(join(REPOSITORY, path), "utf8");
      return [...file.matchAll(places)].map((match) => `${path}:${lineOf(file, match.index)} says ${match[0]}`);
    });
  expect(wrong).toEqual([]);
});

/** The line before tells the linter to let this one pass, and says why. */
function isExcused(file: SourceFile, line: number): boolean {
  return /(?:ox|es)lint-disable-next-line[^\n]*-- \w/.test(file.text.split("\n")[line - 2] ?? "");
}

function core(): readonly SourceFile[] {
  return sources.filter(({ path }) => CORE.some((room) => path.startsWith(`${room}/`)));
}

function allowedFor(room: Room): (specifier: string, file: SourceFile) => boolean {
  if (room.path === "test" || room.path === "services/standalone") return () => true;
  const names = room.path.startsWith("services/")
    ? [...SERVICE_MAY_IMPORT, ...(MAY_IMPORT_MORE[room.path] ?? [])]
    : MAY_IMPORT[room.path];
  if (names === undefined) throw new Error(`tidy.test.ts does not know the room ${room.path}: add it to MAY_IMPORT`);
  const allowed = new Set(names.map((name) => `@rerate/${name}`));
  return (specifier, file) =>
    allowed.has(packageOf(specifier)) || specifier === room.name || (file.isTest && room.devDependencies.has(specifier));
}

function isDeclared(room: Room, file: SourceFile, name: string): boolean {
  // vitest and fast-check come from the root: every room's tests use them.
  if (file.isTest && (name === "vitest" || name === "fast-check")) return true;
  return room.dependencies.has(name) || (file.isTest && room.devDependencies.has(name));
}

function packageOf(specifier: string): string {
  return specifier.startsWith("node:")
    ? specifier
    : specifier
        .split("/")
        .slice(0, specifier.startsWith("@") ? 2 : 1)
        .join("/");
}

function leavesRoom(room: Room, file: SourceFile, specifier: string): boolean {
  if (!specifier.startsWith(".")) return false;
  const target = new URL(specifier, `file:///${file.path}`).pathname.slice(1);
  return !target.startsWith(`${room.path}/`);
}

function importing(file: SourceFile, isWrong: (specifier: string) => boolean): string[] {
  return file.imports
    .filter(({ specifier }) => isWrong(specifier))
    .map(({ specifier, line }) => `${file.path}:${line} imports ${specifier}`);
}

function matches(file: SourceFile, text: string, pattern: RegExp): string[] {
  return [...text.matchAll(pattern)].map((match) => `${file.path}:${lineOf(text, match.index)} says ${match[0].trim()}`);
}
