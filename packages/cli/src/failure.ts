/**
 * How a command ends: exit codes that scripts can rely on, and errors that say what to do.
 */
import { RefusedError, UnreachableError } from "@rerate/client";

/** Part of the interface: never renumbered. */
export const EXIT = {
  ok: 0,
  /** A check failed, or a difference was found. */
  difference: 1,
  /** Bad arguments or bad input. */
  usage: 2,
  unreachable: 3,
  notFound: 4,
  /** The server refused: not allowed, in conflict, held by somebody else. */
  refused: 5,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** An end with a message for people. */
export class Failure extends Error {
  override readonly name = "Failure";
  readonly exit: ExitCode;
  constructor(exit: ExitCode, message: string) {
    super(message);
    this.exit = exit;
  }
}

/** What went wrong, its exit code, and what to do about it. */
export function failureOf(error: unknown, url: string): Failure {
  if (error instanceof Failure) return error;
  if (error instanceof UnreachableError)
    return new Failure(
      EXIT.unreachable,
      `${error.message}. Start a server with \`pnpm start\`, or name another one with --url (now ${url}).`,
    );
  if (error instanceof RefusedError) return refusal(error);
  if (error instanceof Error) return byName(error);
  return new Failure(EXIT.usage, String(error));
}

function refusal(error: RefusedError): Failure {
  const { status, message } = error;
  if (status === 404)
    return new Failure(
      EXIT.notFound,
      `${message}\nCheck the spelling; \`rerate account list\` and \`rerate document list\` show what there is.`,
    );
  if (status === 401)
    return new Failure(
      EXIT.refused,
      `${message}\nGive an API key with --key or in RERATE_KEY; \`rerate keys create\` makes one.`,
    );
  if (status === 403) return new Failure(EXIT.refused, `${message}\nUse a key whose role allows it.`);
  if (status === 400 || status === 422 || status === 413) return new Failure(EXIT.usage, message);
  return new Failure(EXIT.refused, message);
}

function byName(error: Error): Failure {
  const code = "code" in error ? error.code : undefined;
  if (code === "ENOENT" || code === "EISDIR" || code === "EACCES")
    return new Failure(EXIT.usage, `${error.message}. Check the path.`);
  if (error.name === "DirectoryHeldError")
    return new Failure(EXIT.refused, `${error.message}. Stop the server that runs on it first.`);
  if (error.name === "NoEventStoreError")
    return new Failure(EXIT.unreachable, `${error.message}. Check the address after --log and that the server runs.`);
  if (error.name === "NoLedgerError")
    return new Failure(
      EXIT.notFound,
      `${error.message}. Name the data directory with --log file:DIR or in RERATE_DATA, or run \`pnpm start\` once.`,
    );
  return new Failure(EXIT.usage, error.message);
}
