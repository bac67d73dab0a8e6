/**
 * The jars of the broker: copied by Maven once, then taken from a cache directory.
 *
 * The cache is keyed by the content of pom.xml and appears whole or not at all, so that an interrupted download is started anew.
 */
import { spawn } from "node:child_process";
import { createHash, randomUUID } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

const POM = join(import.meta.dirname, "..", "pom.xml");

/** Where the jars are kept unless the caller says otherwise. */
export function defaultCacheDirectory(): string {
  return join(homedir(), ".cache", "rerate", "kafka");
}

/** A program that the broker needs and that is not there, or does not work; the message says what to install. */
export class MissingProgramError extends Error {
  override readonly name = "MissingProgramError";
}

/** The directory with the broker's jars. Downloads them from Maven Central on the first call, which takes some seconds. */
export async function brokerJars(cacheDirectory: string): Promise<string> {
  const version = createHash("sha256").update(readFileSync(POM)).digest("hex").slice(0, 16);
  const jars = join(cacheDirectory, version);
  if (existsSync(jars)) return jars;
  mkdirSync(cacheDirectory, { recursive: true });
  const unfinished = join(cacheDirectory, `unfinished-${randomUUID()}`);
  try {
    const goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", `-DoutputDirectory=${unfinished}`];
    await run("mvn", ["-q", "-B", "-f", POM, ...goal], "Maven downloads the broker's jars");
    renameSync(unfinished, jars);
  } catch (error) {
    // Somebody else may have finished first.
    if (!existsSync(jars)) throw error;
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
  }
  return jars;
}

/** Runs a program to its end. Rejects with what it printed when it fails, and with a `MissingProgramError` when it is not there. */
export async function run(program: "mvn" | "java", parameters: readonly string[], purpose: string): Promise<string> {
  const child = spawn(program, parameters, { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data: Buffer) => (output += data.toString()));
  const code = await new Promise<number | string>((resolve, reject) => {
    child.on("error", (error) => reject(missing(program, purpose, error)));
    child.on("close", (exitCode, signal) => resolve(exitCode ?? signal ?? "unknown"));
  });
  if (code !== 0) throw new Error(`${program} ended with ${code} (${purpose}):\n${output.trim()}`);
  return output;
}

export function missing(program: string, purpose: string, cause: Error): Error {
  if (!("code" in cause) || cause.code !== "ENOENT") return cause;
  const install = program === "mvn" ? "maven" : "openjdk-17-jre-headless (any Java from 17 on)";
  return new MissingProgramError(`${program} is not installed (${purpose}): install ${install}`, { cause });
}
