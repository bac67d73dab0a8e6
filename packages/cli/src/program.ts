/**
 * The command line: all commands, and how a run ends. Decides nothing about money.
 */
import { Command, CommanderError } from "commander";
import { createAct, type GlobalOptions, type Surroundings } from "./command-line.ts";
import { addAccountCommands } from "./commands/accounts.ts";
import { addAuditCommands } from "./commands/audit.ts";
import { addDocumentCommands } from "./commands/documents.ts";
import { addImportCommands } from "./commands/imports.ts";
import { addKeyCommands } from "./commands/keys.ts";
import { addOperateCommands } from "./commands/operate.ts";
import { addReadCommands } from "./commands/reads.ts";
import { addSendCommands } from "./commands/send.ts";
import { addTopicCommands } from "./commands/topics.ts";
import { EXIT, failureOf, type ExitCode } from "./failure.ts";

/** Runs one command line (without the program's own name) and resolves with its exit code. Never rejects. */
export async function runCommandLine(words: readonly string[], surroundings: Surroundings): Promise<ExitCode> {
  let exit: ExitCode = EXIT.ok;
  const program = buildProgram(surroundings, (code) => {
    exit = code;
  });
  try {
    await program.parseAsync([...words], { from: "user" });
    return exit;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    const { url, json } = program.opts<GlobalOptions>();
    const failure = failureOf(error, url ?? surroundings.config.url);
    if (json === true)
      surroundings.out(`${JSON.stringify({ error: { exitCode: failure.exit, message: failure.message } }, undefined, 2)}\n`);
    else surroundings.err(`${failure.message}\n`);
    return failure.exit;
  }
}

/** All commands; `onExit` is told how the one that ran ended. */
export function buildProgram(surroundings: Surroundings, onExit: (code: ExitCode) => void): Command {
  const program = new Command("rerate")
    .description("An event-sourced billing ledger for AI products.")
    .option("--url <url>", `the server (default: RERATE_URL, now ${surroundings.config.url})`)
    .option("--key <key>", "API key (default: RERATE_KEY)")
    .option("--json", "print one JSON document")
    .addHelpText("after", EXIT_HELP)
    .exitOverride()
    .configureOutput({ writeOut: surroundings.out, writeErr: surroundings.err })
    .showHelpAfterError("Try --help.");
  const act = createAct(surroundings, onExit);
  addSendCommands(program, addReadCommands(program, act), act);
  addImportCommands(program, act);
  addDocumentCommands(program, act);
  addAccountCommands(program, act);
  addKeyCommands(program, act);
  addOperateCommands(program, act);
  addTopicCommands(program, act);
  addAuditCommands(program, act);
  return program;
}

const EXIT_HELP = `
Exit codes:
  0  done
  1  a check failed, or a difference was found
  2  bad arguments or bad input
  3  the server cannot be reached
  4  not found
  5  refused

Example:
  $ rerate usage send --account demo --model gpt-4-turbo --input 812 --output 204`;
