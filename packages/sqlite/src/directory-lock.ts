/**
 * The lock of a data directory: one process at a time writes there, and everybody else learns who it is.
 *
 * The lock itself is the operating system's, on a SQLite file held in an exclusive transaction: it ends with the process,
 * however that dies, so no stale lock can stay behind and no process id is ever trusted. Who holds it stands beside it in
 * `lock.json`, for people and for the next start; that file decides nothing.
 */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openLocked } from "./database.ts";

/** What a holder says about itself; for example the URL it serves. */
export interface LockHolder {
  readonly pid: number;
  readonly info: Readonly<Record<string, string>>;
}

export interface DirectoryLock {
  /** Replaces what this holder says about itself, for example once its URL is known. */
  update(info: Readonly<Record<string, string>>): void;
  release(): void;
}

export type LockResult =
  | { readonly kind: "locked"; readonly lock: DirectoryLock }
  /** Somebody else has it. `holder` is undefined in the moment before a new holder has said who it is. */
  | { readonly kind: "held"; readonly holder: LockHolder | undefined };

/** Takes the lock of a directory, creating that if need be. Never waits. */
export function lockDirectory(directory: string, info: Readonly<Record<string, string>>): LockResult {
  mkdirSync(directory, { recursive: true });
  const file = openLocked(join(directory, "lock.db"));
  if (file === undefined) return { kind: "held", holder: readHolder(directory) };
  held.add(file);
  writeHolder(directory, info);
  let released = false;
  return {
    kind: "locked",
    lock: {
      update(info) {
        if (!released) writeHolder(directory, info);
      },
      release() {
        if (released) return;
        released = true;
        rmSync(holderPath(directory), { force: true });
        held.delete(file);
        file.close();
      },
    },
  };
}

/** Keeps locks alive whose owner forgot the object: a collected one would be let go. */
const held = new Set<object>();

function holderPath(directory: string): string {
  return join(directory, "lock.json");
}

/** Written whole and renamed, so that a reader never sees half of it. */
function writeHolder(directory: string, info: Readonly<Record<string, string>>): void {
  const holder: LockHolder = { pid: process.pid, info };
  const draft = `${holderPath(directory)}.${process.pid}`;
  writeFileSync(draft, `${JSON.stringify(holder)}\n`);
  renameSync(draft, holderPath(directory));
}

function readHolder(directory: string): LockHolder | undefined {
  try {
    const holder: unknown = JSON.parse(readFileSync(holderPath(directory), "utf8"));
    return isHolder(holder) ? holder : undefined;
  } catch {
    // Not written yet: whoever has the lock is just about to.
    return undefined;
  }
}

function isHolder(value: unknown): value is LockHolder {
  if (typeof value !== "object" || value === null || !("pid" in value) || !("info" in value)) return false;
  const { pid, info } = value;
  if (typeof pid !== "number" || typeof info !== "object" || info === null) return false;
  return Object.values(info).every((text) => typeof text === "string");
}
