/**
 * Builds what the image holds, without containers: copies what the build would see, runs the build's own commands there, and starts
 * every command of the compose file far enough to see that nothing is missing.
 */
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { buildContext, readStages } from "./testing/containerfile.ts";
import { readCompose } from "./testing/compose.ts";

const REPOSITORY = join(import.meta.dirname, "../../..");
const image = mkdtempSync(join(tmpdir(), "rerate-image-"));

beforeAll(() => {
  for (const path of buildContext(REPOSITORY, readFileSync(join(REPOSITORY, ".dockerignore"), "utf8"))) {
    cpSync(join(REPOSITORY, path), join(image, path));
  }
  const [build = []] = readStages(readFileSync(join(REPOSITORY, "infra/images/Containerfile"), "utf8"));
  for (const { name, rest } of build) if (name === "RUN") execFileSync("sh", ["-euc", rest], { cwd: image, stdio: "pipe" });
});

afterAll(() => rmSync(image, { recursive: true, force: true }));

/** Runs one of its commands, in an environment that names no engine. */
function runIn(command: readonly string[]): { readonly code: number | null; readonly said: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, command, {
    cwd: image,
    env: { HOME: image, RERATE_HOST: "0.0.0.0" },
    timeout: 30_000,
    encoding: "utf8",
  });
  return { code: status, said: `${stdout}${stderr}` };
}

const commands = Object.entries(readCompose().services).flatMap(([name, { image: of = "", command }]) =>
  of.startsWith("rerate:") && command !== undefined ? [{ name, command }] : [],
);

test.each(commands)("$name finds everything that it imports, and says what it needs", ({ command }) => {
  const { code, said } = runIn(command.filter((word) => !word.startsWith("--upstream")));
  expect(said).not.toMatch(/ERR_MODULE_NOT_FOUND|SyntaxError/);
  expect(said).toMatch(/KAFKA_BROKERS: needed|--upstream is missing/);
  expect(code).not.toBe(0);
});

test("the drivers of Kafka and EventStoreDB are there", () => {
  const drivers = ["message-bus/src/kafka", "event-store/src/eventstoredb"].map((at) => `import("./packages/${at}/index.ts")`);
  expect(runIn(["--input-type=module", "-e", `await Promise.all([${drivers.join()}])`])).toMatchObject({ code: 0 });
});

test("production gets no tools and no tests", () => {
  const { said } = runIn(["-e", "console.log(require('node:fs').readdirSync('node_modules/.pnpm').join('\\n'))"]);
  expect(said).toContain("kafkajs@");
  expect(said).not.toMatch(/^(?:typescript|vitest|oxlint|turbo|playwright-core)@/m);
});

test("the health check ends with 0 only where the answer is good", async () => {
  const server = createServer((request, response) => response.writeHead(request.url === "/readyz" ? 200 : 503).end("not ready"));
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as AddressInfo;
  const check = async (url: string): Promise<number> => {
    const child = spawn(process.execPath, ["infra/images/healthcheck.mjs", url], { cwd: image, stdio: "ignore" });
    return new Promise((resolve) => {
      child.once("close", (code) => resolve(code ?? -1));
    });
  };
  expect(await check(`http://127.0.0.1:${port}/readyz`)).toBe(0);
  expect(await check(`http://127.0.0.1:${port}/other`)).toBe(1);
  server.close();
  expect(await check("http://127.0.0.1:1/readyz")).toBe(1);
});
