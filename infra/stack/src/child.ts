/**
 * One child process that says in one line of JSON on its standard output when it is ready.
 *
 * Ends it by its own process id, and only that; never leaves it behind when this process ends in order.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { createWriteStream, type WriteStream } from "node:fs";
import { createInterface } from "node:readline";

export interface ChildOptions {
  readonly name: string;
  /** Path of a script for Node. */
  readonly script: string;
  readonly arguments?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** Where its standard error goes. */
  readonly logFile: string;
  readonly readyWithinMs?: number;
}

export interface Child {
  readonly name: string;
  readonly pid: number;
  /** What it said when it was ready. */
  readonly said: Readonly<Record<string, unknown>>;
  readonly exited: Promise<Exit>;
  /** False once it has ended. */
  readonly isRunning: boolean;
  signal(signal: NodeJS.Signals): void;
  /** Asks it to stop, and kills it when it does not; resolves when it has ended. */
  stop(withinMs?: number): Promise<Exit>;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

const READY_WITHIN_MS = 60_000;
const STOP_WITHIN_MS = 25_000;

/** Starts it and resolves when it is ready. Rejects, with the end of its log, when it ends or takes too long. */
export async function startChild(options: ChildOptions): Promise<Child> {
  const { name, script, arguments: given = [], environment = {}, logFile, readyWithinMs = READY_WITHIN_MS } = options;
  const log = createWriteStream(logFile, { flags: "a" });
  const child = spawn(process.execPath, [script, ...given], {
    env: { ...process.env, ...environment },
    stdio: ["ignore", "pipe", "pipe"],
    // Ctrl-C on a terminal goes to a whole group: who started it decides what stops when.
    detached: true,
  });
  const tail = keepTail(child, log);
  let running = true;
  if (RUNNING.size === 0) process.on("exit", endChildren);
  RUNNING.add(child);
  const exited = new Promise<Exit>((resolve) => {
    child.once("close", (code, signal) => {
      running = false;
      RUNNING.delete(child);
      if (RUNNING.size === 0) process.off("exit", endChildren);
      log.end();
      resolve({ code, signal });
    });
  });
  const said = await firstLine(child, exited, readyWithinMs, () => `${name} (${script}):\n${tail.join("\n")}`);
  const pid = child.pid ?? 0;
  return {
    name,
    pid,
    said,
    exited,
    get isRunning() {
      return running;
    },
    signal: (signal) => void child.kill(signal),
    async stop(withinMs = STOP_WITHIN_MS) {
      if (running) child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), withinMs);
      const exit = await exited;
      clearTimeout(timer);
      return exit;
    },
  };
}

const RUNNING = new Set<ChildProcess>();

/** Whoever exits without stopping them first, such as a failed test, leaves nothing behind. */
function endChildren(): void {
  for (const child of RUNNING) child.kill("SIGTERM");
}

const TAIL_LINES = 20;

function keepTail(child: ChildProcess, log: WriteStream): string[] {
  const tail: string[] = [];
  if (child.stderr === null) return tail;
  createInterface({ input: child.stderr }).on("line", (line) => {
    log.write(`${line}\n`);
    tail.push(line);
    if (tail.length > TAIL_LINES) tail.shift();
  });
  return tail;
}

function firstLine(
  child: ChildProcess,
  exited: Promise<Exit>,
  withinMs: number,
  describe: () => string,
): Promise<Readonly<Record<string, unknown>>> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill("SIGKILL");
      reject(new Error(`not ready within ${withinMs} ms: ${describe()}`));
    }, withinMs);
    void endsEarly();
    child.once("error", reject);
    if (child.stdout === null) return;
    createInterface({ input: child.stdout }).on("line", (line) => {
      if (!line.startsWith("{")) return;
      clearTimeout(timer);
      resolve(JSON.parse(line) as Record<string, unknown>);
    });

    async function endsEarly(): Promise<void> {
      const { code, signal } = await exited;
      clearTimeout(timer);
      reject(new Error(`ended with ${signal ?? code} before it was ready: ${describe()}`));
    }
  });
}
