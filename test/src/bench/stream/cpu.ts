/**
 * CPU of processes, as the kernel counts it: user and system time with all threads, in steps of 10 ms.
 */
import { readdirSync, readFileSync } from "node:fs";

const MICROS_PER_TICK = 10_000;

/** Microseconds so far. Throws when there is no such process. */
export function cpuMicrosOf(pid: number): number {
  const fields = statFields(pid);
  return (Number(fields[11]) + Number(fields[12])) * MICROS_PER_TICK;
}

/** The processes that it has started. */
export function childrenOf(pid: number): readonly number[] {
  return readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      return Number(statFields(Number(name))[1]) === pid ? [Number(name)] : [];
    } catch {
      // It ended while we looked.
      return [];
    }
  });
}

/** What follows the command's name in parentheses: state, parent, … utime and stime are the 12th and 13th. */
function statFields(pid: number): readonly string[] {
  return readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.split(" ") ?? [];
}

/** Named groups of processes. */
export type ProcessGroups = ReadonlyMap<string, readonly number[]>;

/** Counts from now on; the microseconds of each group when called. */
export function startCounting(groups: ProcessGroups): () => ReadonlyMap<string, number> {
  const read = () => new Map([...groups].map(([name, pids]) => [name, pids.reduce((sum, pid) => sum + cpuMicrosOf(pid), 0)]));
  const before = read();
  return () => new Map([...read()].map(([name, micros]) => [name, micros - (before.get(name) ?? 0)]));
}
