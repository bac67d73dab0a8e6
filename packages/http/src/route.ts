/**
 * Routes as data: what a service offers over HTTP, with the schemas, roles and documentation of each route in one place.
 *
 * Services write `route({...})` and know neither fastify nor status lines of errors: they return a reply or throw an
 * `HttpProblem`. The server checks caller, parameters and body before a handler runs.
 */
import type { z } from "zod";
import { ROLES, type Caller, type Role } from "./access.ts";

export interface RouteRequest<Params, Query, Body> {
  readonly caller: Caller;
  readonly params: Params;
  readonly query: Query;
  readonly body: Body;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** Seconds of `Prefer: wait=…`, at most 30; 0 without. */
  readonly waitSeconds: number;
}

export interface RouteReply {
  readonly status: number;
  /** JSON, or a text together with `contentType`. */
  readonly body?: unknown;
  readonly contentType?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface RouteDefinition<Params, Query, Body> {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  /** Parameters as `:name`. A parameter `:account` confines `read-account` keys to their own account. */
  readonly path: string;
  readonly roles: readonly Role[] | "public";
  readonly tag: string;
  readonly summary: string;
  readonly description?: string;
  readonly params?: z.ZodType<Params>;
  readonly query?: z.ZodType<Query>;
  readonly body?: z.ZodType<Body>;
  /** True where the handler checks the body itself (the doors' fast path); the schema is then documentation only and the handler sees the body as sent. */
  readonly checksBody?: boolean;
  /** True where the handler wants the text as sent, also of JSON (documents, whose problems are told with line and column). */
  readonly textBody?: boolean;
  /** Media types of the body. Default `application/json`. */
  readonly consumes?: readonly string[];
  /** Documented replies by status. */
  readonly replies: Readonly<Record<number, z.ZodType>>;
  readonly handle: (request: RouteRequest<Params, Query, Body>) => RouteReply | Promise<RouteReply>;
}

/** A route whose types have been checked where it was defined. */
export type Route = RouteDefinition<unknown, unknown, unknown>;

/** What one service adds to the server. */
export interface RoutePlugin {
  readonly name: string;
  readonly routes: readonly Route[];
}

/** Defines a route; the handler's types follow from its schemas. */
export function route<Params = unknown, Query = unknown, Body = unknown>(
  definition: RouteDefinition<Params, Query, Body>,
): Route {
  // The server gives a handler only what its own schemas let through, so forgetting the types here is safe.
  return definition as unknown as Route;
}

export function ok(body: unknown): RouteReply {
  return { status: 200, body };
}

/** One line of the table of all routes: the input of the generated access tests. */
export interface RouteLine {
  readonly plugin: string;
  readonly method: string;
  readonly path: string;
  readonly roles: readonly Role[] | "public";
}

export function routeTable(plugins: readonly RoutePlugin[]): RouteLine[] {
  return plugins.flatMap(({ name, routes }) => routes.map(({ method, path, roles }) => ({ plugin: name, method, path, roles })));
}

/** One case of the access tests: a route, called with a key of a role. */
export interface AccessCase extends RouteLine {
  readonly caller: Role | "none" | "revoked";
  /**
   * What the server must answer before the route's own code runs; `passes`: the route decides. A `read-account` key that asks for
   * a foreign account gets 404 where this says `passes`.
   */
  readonly expected: 401 | 403 | "passes";
}

/** Every route with every kind of caller, and what must come of it. */
export function accessCases(plugins: readonly RoutePlugin[]): AccessCase[] {
  return routeTable(plugins).flatMap((line) =>
    (["none", "revoked", ...ROLES] as const).map((caller) => ({ ...line, caller, expected: expectedFor(line.roles, caller) })),
  );
}

function expectedFor(roles: RouteLine["roles"], caller: AccessCase["caller"]): AccessCase["expected"] {
  if (roles === "public") return "passes";
  if (caller === "none" || caller === "revoked") return 401;
  return roles.includes(caller) ? "passes" : 403;
}
