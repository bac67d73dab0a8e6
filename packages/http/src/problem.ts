/**
 * Errors as RFC 9457 problem details (`application/problem+json`).
 *
 * Owns the list of problems and their status codes; each `type` leads to `/problems`, where all are explained. Messages never
 * repeat secrets or texts that a caller sent.
 */

/** One thing to mend: in the body (a JSON pointer) or in a parameter of path, query or header. */
export interface ProblemError {
  readonly pointer?: string;
  readonly parameter?: string;
  readonly detail: string;
}

export interface ProblemKind {
  readonly status: number;
  readonly title: string;
  readonly help: string;
}

export const PROBLEMS = {
  "malformed-json": { status: 400, title: "The body is not JSON", help: "The body could not be parsed. Send UTF-8 JSON." },
  "bad-request": {
    status: 400,
    title: "The request is malformed",
    help: "The request breaks HTTP itself, for example a bad header.",
  },
  "unknown-host": {
    status: 421,
    title: "The Host header is not accepted here",
    help: "A server on loopback answers only to its own names, so that web pages cannot reach it through a foreign name.",
  },
  unauthorized: {
    status: 401,
    title: "A valid API key is needed",
    help: "Send `Authorization: Bearer rk_<id>_<secret>`. Revoked keys are refused.",
  },
  forbidden: {
    status: 403,
    title: "The key's role does not allow this",
    help: "Use a key whose role is listed at the route in /docs.",
  },
  "not-found": { status: 404, title: "Not found", help: "Unknown, or not yours: a foreign id is answered like an unknown one." },
  conflict: {
    status: 409,
    title: "It exists already with other content",
    help: "An identity never changes its content. Send a correction, or a new identity.",
  },
  "too-large": { status: 413, title: "The body is too large", help: "Send smaller batches." },
  "unsupported-media-type": {
    status: 415,
    title: "The media type is not accepted here",
    help: "Use a media type that /docs lists at the route.",
  },
  invalid: {
    status: 422,
    title: "The input is not valid",
    help: "`errors` lists everything that has to be mended. Nothing was accepted unless the answer says so.",
  },
  unavailable: {
    status: 503,
    title: "Not available now",
    help: "Something the request needs is down or still catching up. Try again; retries never bill twice.",
  },
  internal: { status: 500, title: "An unexpected error", help: "The server's log has the details under the `traceId`." },
} as const satisfies Record<string, ProblemKind>;

export type ProblemName = keyof typeof PROBLEMS;

/** A refusal on its way to the caller. The only error that routes throw on purpose. */
export class HttpProblem extends Error {
  readonly problem: ProblemName;
  readonly errors: readonly ProblemError[];
  readonly extra: Readonly<Record<string, unknown>>;

  constructor(
    problem: ProblemName,
    detail: string,
    errors: readonly ProblemError[] = [],
    extra: Readonly<Record<string, unknown>> = {},
  ) {
    super(detail);
    this.name = "HttpProblem";
    this.problem = problem;
    this.errors = errors;
    this.extra = extra;
  }

  get status(): number {
    return PROBLEMS[this.problem].status;
  }
}

export function notFound(what: string): HttpProblem {
  return new HttpProblem("not-found", `${what} is not known`);
}

export function conflict(detail: string): HttpProblem {
  return new HttpProblem("conflict", detail);
}

export function invalid(errors: readonly ProblemError[], extra: Readonly<Record<string, unknown>> = {}): HttpProblem {
  const count = errors.length === 1 ? "1 problem" : `${errors.length} problems`;
  return new HttpProblem("invalid", count, errors, extra);
}

export function unavailable(detail: string): HttpProblem {
  return new HttpProblem("unavailable", detail);
}

/** The body of a problem answer. */
export function problemBody(problem: HttpProblem, instance: string, traceId: string): Record<string, unknown> {
  return {
    type: `/problems#${problem.problem}`,
    title: PROBLEMS[problem.problem].title,
    status: problem.status,
    detail: problem.message,
    instance,
    ...(problem.errors.length === 0 ? {} : { errors: problem.errors }),
    ...problem.extra,
    traceId,
  };
}

/** The page behind every `type`. */
export function problemsPage(): string {
  const entries = Object.entries(PROBLEMS).map(
    ([name, { status, title, help }]) => `${name} (${status}): ${title}.\n  ${help}\n`,
  );
  return `Problems that this server answers with (RFC 9457).\n\n${entries.join("\n")}`;
}
