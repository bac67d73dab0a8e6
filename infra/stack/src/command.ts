/** Runs a command of Node to its end. */
import { spawn } from "node:child_process";

/** Resolves with what it printed. Rejects with that when it ends with anything but 0. */
export function runCommand(
  script: string,
  given: readonly string[],
  environment: Readonly<Record<string, string>>,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [script, ...given], {
      env: { ...process.env, ...environment },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let text = "";
    child.stdout.on("data", (chunk: Buffer) => (text += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (text += chunk.toString()));
    child.once("error", reject);
    child.once("close", (code) =>
      code === 0 ? resolve(text) : reject(new Error(`${script} ${given.join(" ")} ended with ${code ?? "a signal"}:\n${text}`)),
    );
  });
}
