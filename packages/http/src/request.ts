/**
 * Checks of requests against the schemas of their route: every problem of path, query and body in one answer.
 */
import type { z } from "zod";
import { problemsOfIssues } from "@rerate/wire";
import type { Caller } from "./access.ts";
import { invalid, type ProblemError } from "./problem.ts";
import type { Route, RouteReply, RouteRequest } from "./route.ts";

interface RawRequest {
  readonly params: unknown;
  readonly query: unknown;
  readonly body: unknown;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** What the handler gets. Throws an `invalid` problem that lists everything. */
export function checkRequest(route: Route, raw: RawRequest, caller: Caller): RouteRequest<unknown, unknown, unknown> {
  const errors: ProblemError[] = [];
  const params = parsed(route.params, raw.params, (pointer, detail) => errors.push({ parameter: pointer.slice(1), detail }));
  const query = parsed(route.query, raw.query, (pointer, detail) => errors.push({ parameter: pointer.slice(1), detail }));
  const body =
    route.checksBody === true ? raw.body : parsed(route.body, raw.body, (pointer, detail) => errors.push({ pointer, detail }));
  if (errors.length > 0) throw invalid(errors);
  return {
    caller,
    params,
    query,
    body,
    headers: raw.headers as Readonly<Record<string, string | undefined>>,
    waitSeconds: waitSeconds(raw.headers["prefer"]),
  };
}

/** Throws where a reply is not what the route documents. For tests. */
export function checkReply(route: Route, reply: RouteReply): void {
  const schema = route.replies[reply.status];
  const where = `${route.method} ${route.path} answered ${reply.status}`;
  if (schema === undefined) throw new Error(`${where}, which it does not document`);
  if (reply.contentType !== undefined) return;
  const result = schema.safeParse(reply.body);
  if (!result.success) throw new Error(`${where} with another body than documented: ${result.error.message}`);
}

function parsed(schema: z.ZodType | undefined, value: unknown, add: (pointer: string, detail: string) => void): unknown {
  if (schema === undefined) return undefined;
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  for (const { pointer, detail } of problemsOfIssues(result.error.issues)) add(pointer, detail);
  return undefined;
}

const MAX_WAIT_SECONDS = 30;

function waitSeconds(prefer: string | string[] | undefined): number {
  const match = /(?:^|[,;\s])wait=(\d{1,3})(?:$|[,;\s])/.exec(String(prefer ?? ""));
  return Math.min(Number(match?.[1] ?? "0"), MAX_WAIT_SECONDS);
}
