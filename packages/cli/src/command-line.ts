/**
 * What every command gets: the client of the chosen server, the terminal, the clock. Opened from the global options.
 */
import { createClient, type RerateClient } from "@rerate/client";
import type { Instant } from "@rerate/money";
import type { Command } from "commander";
import { EXIT, Failure, type ExitCode } from "./failure.ts";
import { createTerminal, type Streams, type Terminal } from "./terminal.ts";

/** The surroundings of a run; tests hand in their own. */
export interface Surroundings extends Streams {
  readonly config: { readonly url: string; readonly key: string | undefined; readonly dataDirectory: string };
  readonly now: () => Instant;
  readonly elapsedMs: () => number;
  readonly sleep: (delayMs: number) => Promise<void>;
  readonly newId: () => string;
  /** Default: the global `fetch`. */
  readonly fetch?: typeof fetch;
}

export interface Run {
  readonly client: RerateClient;
  readonly terminal: Terminal;
  readonly surroundings: Surroundings;
}

export interface GlobalOptions {
  readonly url?: string;
  readonly key?: string;
  readonly json?: boolean;
}

/** Runs a command's work with what its global options open. The work may return an exit code other than 0. */
export type Act = (command: Command, work: (run: Run) => Promise<ExitCode | undefined>) => Promise<void>;

export function createAct(surroundings: Surroundings, onExit: (code: ExitCode) => void): Act {
  return async (command, work) => {
    const run = openRun(surroundings, command.optsWithGlobals<GlobalOptions>());
    try {
      onExit((await work(run)) ?? EXIT.ok);
    } finally {
      run.terminal.done();
    }
  };
}

export function openRun(surroundings: Surroundings, { url, key, json }: GlobalOptions): Run {
  const { config, fetch: send } = surroundings;
  const secret = key ?? config.key;
  const client = createClient({
    url: url ?? config.url,
    ...(secret === undefined ? {} : { key: secret }),
    ...(send === undefined ? {} : { fetch: send }),
  });
  return { client, terminal: createTerminal(surroundings, json === true), surroundings };
}

/** Options as `name=value`, given any number of times. */
export function pairs(text: string, before: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  const at = text.indexOf("=");
  if (at < 1) throw new Failure(EXIT.usage, `"${text}" is not NAME=VALUE`);
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
}

/** A whole number of an option. */
export function whole(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new Failure(EXIT.usage, `"${text}" is not a whole number`);
  return Number(text);
}

/** The examples at the end of a command's help. */
export function examples(...lines: readonly string[]): string {
  return `\nExample${lines.length > 1 ? "s" : ""}:\n${lines.map((line) => `  $ rerate ${line}`).join("\n")}`;
}
