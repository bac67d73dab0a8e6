/**
 * `pnpm bench idle`: what all processes cost while nothing happens, in percent of one core, from /proc.
 *
 * Counts the services; broker and front are shown, too, but are others' programs (or stand in for one). It begins a while after
 * the start, when everything has settled.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { startCounting, type ProcessGroups } from "../stream/cpu.ts";
import { groupsOf, startStackUnderLoad } from "../stream/stack-under-load.ts";

const HELP = `pnpm bench idle [options]
  --seconds 60      how long is measured
  --settle 20       seconds between the start and that
  --directory DIR   where the data goes (default: the system's temporary directory)
`;

export interface Idle {
  readonly seconds: number;
  /** Percent of a core, by process. */
  readonly percent: ReadonlyMap<string, number>;
  /** All services together. */
  readonly services: number;
}

export async function benchIdle(arguments_: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...arguments_],
    options: {
      help: { type: "boolean", short: "h", default: false },
      seconds: { type: "string", default: "60" },
      settle: { type: "string", default: "20" },
      directory: { type: "string", default: tmpdir() },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return;
  }
  const root = mkdtempSync(join(values.directory, "rerate-bench-idle-"));
  const stack = await startStackUnderLoad(root);
  try {
    await sleep(Number(values.settle) * 1_000);
    process.stdout.write(idleText(await measureIdle(groupsOf(stack), Number(values.seconds) * 1_000)));
  } finally {
    await stack.stop();
    rmSync(root, { recursive: true, force: true });
  }
}

export async function measureIdle(groups: ProcessGroups, forMs: number): Promise<Idle> {
  const counted = startCounting(groups);
  const started = performance.now();
  await sleep(forMs);
  const micros = counted();
  const milliseconds = performance.now() - started;
  const percent = new Map([...micros].map(([name, sum]) => [name, sum / 10 / milliseconds]));
  const services = [...percent].reduce((sum, [name, part]) => sum + (OTHERS.has(name) ? 0 : part), 0);
  return { seconds: milliseconds / 1_000, percent, services };
}

const OTHERS = new Set(["front", "broker"]);

export function idleText({ seconds, percent, services }: Idle): string {
  const parts = [...percent].map(([name, part]) => `${name} ${part.toFixed(2)} %`).join(", ");
  return (
    `Idle for ${seconds.toFixed(0)} s (load average ${loadavg()[0]?.toFixed(1)}): all services together ` +
    `${services.toFixed(2)} % of a core (${parts}).\n`
  );
}
