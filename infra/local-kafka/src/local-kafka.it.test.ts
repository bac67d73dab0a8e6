/** The broker as a program of its own, and what it says when something is missing. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { MissingProgramError, startBroker } from "./index.ts";

let directory: string;
const children: ChildProcess[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "rerate-local-kafka-"));
});
afterEach(() => {
  vi.unstubAllEnvs();
  for (const child of children.splice(0)) child.kill("SIGKILL");
  rmSync(directory, { recursive: true, force: true });
});

/** Starts the program and waits for its first line. */
async function start(): Promise<{
  readonly brokers: string;
  readonly pid: number;
  readonly ended: Promise<unknown>;
  stop(): void;
}> {
  const child = spawn(process.execPath, [join(import.meta.dirname, "main.ts"), "--data", directory], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  children.push(child);
  const ended = new Promise((resolve) => child.once("exit", (code, signal) => resolve(code ?? signal)));
  const line = await new Promise<string>((resolve) => child.stdout.once("data", (data: Buffer) => resolve(data.toString())));
  return { ...(JSON.parse(line) as { brokers: string; pid: number }), ended, stop: () => child.kill("SIGTERM") };
}

function answers(brokers: string): Promise<boolean> {
  const [host = "", port = ""] = brokers.split(":");
  return new Promise((resolve) => {
    const socket = connect(Number(port), host);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

test("the program starts a broker on loopback, ends it with itself, and comes back at the same place after a kill -9", async () => {
  const first = await start();
  expect(first.brokers).toMatch(/^127\.0\.0\.1:\d+$/);
  expect(await answers(first.brokers)).toBe(true);
  const settings = readFileSync(join(directory, "kraft.properties"), "utf8");
  expect(settings).toContain("auto.create.topics.enable=false");
  process.kill(first.pid, "SIGKILL");
  expect(await first.ended).toBe(1);
  const second = await start();
  expect(second.brokers).toBe(first.brokers);
  expect(await answers(second.brokers)).toBe(true);
  second.stop();
  expect(await second.ended).toBe(0);
  expect(await answers(second.brokers)).toBe(false);
  expect(existsSync(`/proc/${second.pid}/stat`)).toBe(false);
});

test("a machine without Maven is told what to install, and no half a cache is left", async () => {
  vi.stubEnv("PATH", join(directory, "nothing-here"));
  const cacheDirectory = join(directory, "cache");
  const started = startBroker({ dataDirectory: join(directory, "data"), cacheDirectory });
  await expect(started).rejects.toThrow(MissingProgramError);
  await expect(started).rejects.toThrow("mvn is not installed (Maven downloads the broker's jars): install maven");
});

test("a machine without Java is told what to install", async () => {
  vi.stubEnv("PATH", join(directory, "nothing-here"));
  await expect(startBroker({ dataDirectory: join(directory, "data") })).rejects.toThrow(/^(java|mvn) is not installed/);
});
