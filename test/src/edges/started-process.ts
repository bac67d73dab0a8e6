/**
 * The start command as a process of its own, as people run it: `node start.mjs`, with nothing from this process's environment.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../../../", import.meta.url));

export interface Finished {
  /** Undefined where a signal ended it. */
  readonly code: number | undefined;
  readonly out: string;
  readonly err: string;
}

export interface StartedProcess {
  readonly child: ChildProcess;
  readonly out: () => string;
  readonly err: () => string;
  /** Resolves when standard output holds the text; rejects when the process ends before. */
  says(text: string): Promise<void>;
  signal(name: "SIGINT" | "SIGTERM" | "SIGKILL"): void;
  readonly finished: Promise<Finished>;
}

export function startProcess(options: readonly string[], environment: Readonly<Record<string, string>>): StartedProcess {
  return runScript("start.mjs", options, environment);
}

function runScript(script: string, options: readonly string[], environment: Readonly<Record<string, string>>): StartedProcess {
  const child = spawn(process.execPath, [script, ...options], {
    cwd: ROOT,
    env: { ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let out = "";
  let err = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (out += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (err += text));
  const finished = once(child, "close").then(([code]: unknown[]) => ({
    code: typeof code === "number" ? code : undefined,
    out,
    err,
  }));
  return {
    child,
    out: () => out,
    err: () => err,
    async says(text) {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const look = (): void => {
        if (out.includes(text)) resolve();
      };
      child.stdout.on("data", look);
      child.once("close", (code, by) =>
        reject(new Error(`the process ended (${String(code ?? by)}) without saying "${text}":\n${out}${err}`)),
      );
      look();
      await promise;
    },
    signal: (name) => void child.kill(name),
    finished,
  };
}

/** Runs the start command to its end. */
export async function runStart(options: readonly string[], environment: Readonly<Record<string, string>>): Promise<Finished> {
  return startProcess(options, environment).finished;
}

/** Runs a line that people are told to copy, such as `npx rerate invoice demo`, with an empty environment. */
export async function runRerate(line: string): Promise<Finished> {
  const words = line
    .trim()
    .replace(/^npx rerate /, "")
    .split(/\s+/);
  return runScript("packages/cli/rerate.mjs", words, {}).finished;
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  return typeof address === "object" && address !== null ? address.port : 0;
}
