/**
 * One request over `fetch`, and the two ways it can fail.
 */
import type { ProblemRead } from "@rerate/wire";

export interface ClientOptions {
  /** For example `http://127.0.0.1:4000`. */
  readonly url: string;
  /** API key `rk_…`; not needed by a server on loopback that runs without keys. */
  readonly key?: string;
  /** Default: the global `fetch`. */
  readonly fetch?: typeof fetch;
  /** Default 30 s, and longer where an answer is waited for. */
  readonly timeoutMs?: number;
}

export interface Call {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | undefined>> | undefined;
  /** Sent as JSON; a text is sent as it is under `contentType`. */
  readonly body?: unknown;
  readonly contentType?: string;
  readonly waitSeconds?: number | undefined;
}

/** The server refused: a problem (RFC 9457) with everything that has to be mended. */
export class RefusedError extends Error {
  readonly status: number;
  readonly problem: Partial<ProblemRead>;
  constructor(status: number, problem: Partial<ProblemRead>) {
    const details = (problem.errors ?? []).map(({ pointer, parameter, detail }) =>
      [pointer ?? parameter, detail].filter(Boolean).join(" "),
    );
    super([`${status} ${problem.title ?? "refused"}: ${problem.detail ?? ""}`, ...details].join("\n  "));
    this.name = "RefusedError";
    this.status = status;
    this.problem = problem;
  }
}

/** No answer: the server is down, unreachable or too slow. Whether it did what was asked is unknown; sending again is safe. */
export class UnreachableError extends Error {
  constructor(url: string, cause: unknown) {
    super(`${url} does not answer`, { cause });
    this.name = "UnreachableError";
  }
}

export type Transport = (call: Call) => Promise<unknown>;

/** Sends calls to one server. The promise is the parsed answer; it rejects with `RefusedError` or `UnreachableError`. */
export function createTransport(options: ClientOptions): Transport {
  const base = options.url.replace(/\/+$/, "");
  const send = options.fetch ?? fetch;
  return async (call) => {
    let response: Response;
    let text: string;
    try {
      response = await send(`${base}${call.path}${queryText(call.query)}`, {
        method: call.method,
        headers: headersOf(options, call),
        ...(call.body === undefined ? {} : { body: typeof call.body === "string" ? call.body : JSON.stringify(call.body) }),
        signal: AbortSignal.timeout((options.timeoutMs ?? 30_000) + 1000 * (call.waitSeconds ?? 0)),
      });
      text = await response.text();
    } catch (error) {
      throw new UnreachableError(base, error);
    }
    if (!response.ok) throw new RefusedError(response.status, problemOf(text));
    return text === "" ? undefined : (JSON.parse(text) as unknown);
  };
}

function headersOf(options: ClientOptions, call: Call): Record<string, string> {
  return {
    accept: "application/json, application/problem+json",
    ...(options.key === undefined ? {} : { authorization: `Bearer ${options.key}` }),
    ...(call.body === undefined ? {} : { "content-type": call.contentType ?? "application/json" }),
    ...(call.waitSeconds === undefined ? {} : { prefer: `wait=${call.waitSeconds}` }),
  };
}

function queryText(query: Call["query"]): string {
  const pairs = Object.entries(query ?? {}).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, String(value)] as [string, string]],
  );
  return pairs.length === 0 ? "" : `?${new URLSearchParams(pairs).toString()}`;
}

function problemOf(text: string): Partial<ProblemRead> {
  try {
    return JSON.parse(text) as Partial<ProblemRead>;
  } catch {
    return { title: "an answer that is no problem document" };
  }
}
