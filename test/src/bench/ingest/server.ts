/**
 * The server under measurement: `start.mjs --empty` as a child process on loopback, observed from outside through /proc.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import { Agent, request } from "node:http";
import { fileURLToPath } from "node:url";

export interface Server {
  readonly url: string;
  /** CPU of the process and its threads so far, in microseconds (in steps of 10 ms). */
  cpuMicros(): number;
  /** Of that, the main thread's. */
  mainThreadMicros(): number;
  /** Largest resident memory so far, in MB. */
  peakMegabytes(): number;
  post(path: string, body: string, contentType: string): Promise<Reply>;
  send(method: string, path: string, body?: object): Promise<Reply>;
  get(path: string): Promise<unknown>;
  /** Stops like Ctrl-C does, and waits for the end. */
  stop(): Promise<void>;
}

export interface Reply {
  readonly status: number;
  readonly text: string;
}

const ROOT = new URL("../../../../", import.meta.url);
const MICROS_PER_TICK = 10_000;

/** Starts a server on a data directory; resolves when it says that it serves. */
export async function startServer(dataDirectory: string, nodeFlags: readonly string[] = []): Promise<Server> {
  const child = spawn(process.execPath, [...nodeFlags, ...startArguments(), "--empty", "--json"], {
    cwd: fileURLToPath(ROOT),
    env: { PATH: process.env["PATH"], RERATE_DATA: dataDirectory, RERATE_PORT: "0", RERATE_LOG_LEVEL: "warn" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const url = await servedAt(child);
  const agent = new Agent({ keepAlive: true, maxSockets: 64 });
  const { port } = new URL(url);

  function call(method: string, path: string, contentType: string | undefined, body: string | undefined): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const headers = body === undefined ? {} : { "content-type": contentType, "content-length": Buffer.byteLength(body) };
      const outgoing = request({ host: "127.0.0.1", port, method, path, agent, headers }, (incoming) => {
        let text = "";
        incoming.setEncoding("utf8").on("data", (part: string) => (text += part));
        incoming.on("end", () => resolve({ status: incoming.statusCode ?? 0, text })).on("error", reject);
      });
      outgoing.on("error", reject).end(body);
    });
  }

  return {
    url,
    cpuMicros: () => microsOf(`/proc/${child.pid}/stat`),
    mainThreadMicros: () => microsOf(`/proc/${child.pid}/task/${child.pid}/stat`),
    peakMegabytes() {
      const line = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"));
      return Math.round(Number(line?.[1]) / 1_000);
    },
    post: (path, body, contentType) => call("POST", path, contentType, body),
    send: (method, path, body) => call(method, path, "application/json", body === undefined ? undefined : JSON.stringify(body)),
    async get(path) {
      const { status, text } = await call("GET", path, undefined, undefined);
      if (status !== 200) throw new Error(`GET ${path} answers ${status}: ${text}`);
      return JSON.parse(text) as unknown;
    },
    async stop() {
      agent.destroy();
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGTERM");
      await ended;
    },
  };
}

function microsOf(stat: string): number {
  // After the command's name in parentheses: utime and stime are the 12th and 13th field.
  const fields = readFileSync(stat, "utf8").split(") ").at(-1)?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) * MICROS_PER_TICK;
}

/** What `pnpm start` gives to Node: the flags matter for memory. */
function startArguments(): string[] {
  const { scripts } = JSON.parse(readFileSync(new URL("package.json", ROOT), "utf8")) as {
    readonly scripts: { readonly start: string };
  };
  return scripts.start.split(" ").slice(1);
}

function servedAt(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    child.stdout?.setEncoding("utf8").on("data", (part: string) => {
      text += part;
      const end = text.indexOf("\n");
      if (end < 0) return;
      const { url } = JSON.parse(text.slice(0, end)) as { readonly url: string };
      resolve(url.replace(/\/$/, ""));
    });
    child.once("exit", (code) => reject(new Error(`the server ended with ${code} before it served`)));
  });
}
