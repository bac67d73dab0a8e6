/**
 * The HTTP server of every service: routes as data in, problem details, access control, OpenAPI and health out.
 *
 * Owns status lines and headers. Knows nothing of what routes do. Invariants: the caller's namespace comes from its key alone; a
 * server that anybody else could reach has keys; every error is `application/problem+json` and repeats nothing secret.
 */
import swagger from "@fastify/swagger";
import swaggerUi from "@fastify/swagger-ui";
import Fastify, {
  LogController,
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
} from "fastify";
import { jsonSchemaTransform, jsonSchemaTransformObject } from "fastify-type-provider-zod";
import { problemSchema } from "@rerate/wire";
import type { Caller, KeyLookup, Role } from "./access.ts";
import { parseBody } from "./body.ts";
import { acceptedHosts, hostName, isLoopback } from "./hosts.ts";
import { callerOf } from "./keys.ts";
import { HttpProblem, problemBody, problemsPage, PROBLEMS, type ProblemName } from "./problem.ts";
import { checkReply, checkRequest } from "./request.ts";
import type { Route, RoutePlugin, RouteReply } from "./route.ts";

export interface ServerOptions {
  readonly plugins: readonly RoutePlugin[];
  /** Undefined: keyless, on loopback only; every caller may do everything in `namespace`. */
  readonly keys: KeyLookup | undefined;
  /** Namespace of keyless callers. Default `default`. */
  readonly namespace?: string;
  readonly host: string;
  /** 0 takes a free port. */
  readonly port: number;
  /** Further names for the Host check. On loopback there always is one; elsewhere only when this is given. */
  readonly allowedHosts?: readonly string[];
  /** Default 8 MiB: some ten thousand events. */
  readonly bodyLimitBytes?: number;
  /**
   * Awaited before a large body is read: while whoever works on earlier ones is behind, it waits as bytes, which cost less to
   * keep than what they hold. Must not take long. Requests that wait for an answer themselves are not held up.
   */
  readonly room?: () => Promise<void>;
  readonly logger?: FastifyBaseLogger;
  readonly info: { readonly title: string; readonly version: string; readonly description?: string };
  /** What `/readyz` checks. */
  readonly ready?: () => readonly ReadyCheck[] | Promise<readonly ReadyCheck[]>;
  /** What `/metrics` answers, in Prometheus' text format. */
  readonly metrics?: () => Promise<{ readonly contentType: string; readonly body: string }>;
  /** Told of every answer, for metrics. `route` is the pattern, never a path with ids in it. */
  readonly onReply?: (reply: {
    readonly method: string;
    readonly route: string;
    readonly status: number;
    readonly milliseconds: number;
  }) => void;
  /** True for errors that mean an engine is down: answered 503 instead of 500. */
  readonly isOutage?: (error: unknown) => boolean;
  /** Checks every reply against its schema and fails loudly: for tests. */
  readonly checkReplies?: boolean;
}

export interface ReadyCheck {
  readonly name: string;
  readonly ok: boolean;
  readonly detail?: string | undefined;
}

export interface HttpServer {
  /** Starts to listen; the address as a URL. Throws `PortInUseError`. */
  listen(): Promise<string>;
  /** A request without a socket, for tests. */
  inject(request: InjectedRequest): Promise<InjectedReply>;
  openapi(): unknown;
  /** Finishes running requests, then closes. */
  close(): Promise<void>;
}

export interface InjectedRequest {
  readonly method: string;
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Objects are sent as JSON. */
  readonly body?: unknown;
}

export interface InjectedReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly text: string;
  /** The parsed body; undefined for anything but JSON. */
  readonly json: unknown;
}

export class PortInUseError extends Error {
  readonly host: string;
  readonly port: number;
  constructor(host: string, port: number) {
    super(`port ${port} on ${host} is in use by another program`);
    this.name = "PortInUseError";
    this.host = host;
    this.port = port;
  }
}

declare module "fastify" {
  interface FastifyContextConfig {
    roles?: readonly Role[] | "public";
    consumes?: readonly string[];
    textBody?: boolean;
  }
  interface FastifyRequest {
    caller?: Caller;
  }
}

/** Builds the server; it listens only after `listen()`. Throws for a configuration that would be unsafe. */
export async function createServer(options: ServerOptions): Promise<HttpServer> {
  if (options.keys === undefined && !isLoopback(options.host)) {
    throw new Error(`refusing to serve ${options.host} without API keys: create keys, or bind 127.0.0.1`);
  }
  const app = Fastify({
    ...(options.logger === undefined ? {} : { loggerInstance: options.logger }),
    // Paths hold ids: `onReply` reports patterns instead.
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: options.bodyLimitBytes ?? 8 * 1024 * 1024,
    requestTimeout: 60_000,
    forceCloseConnections: "idle",
    // Ids may take 256 characters, each escaped as up to twelve.
    routerOptions: { maxParamLength: 4096 },
  });
  takeBodies(app, options.room);
  guard(app, options);
  answerProblems(app, options);
  await document(app, options.info);
  addHealth(app, options);
  for (const plugin of options.plugins)
    for (const route of plugin.routes) addRoute(app, plugin.name, route, options.checkReplies === true);
  await app.ready();
  return serverOf(app, options);
}

function takeBodies(app: FastifyInstance, room: ServerOptions["room"]): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", { parseAs: "buffer" }, (request, bytes, done) => {
    const parse = (): void => {
      try {
        const { consumes = JSON_ONLY, textBody = false } = request.routeOptions.config;
        done(null, parseBody(bytes as Buffer, request.headers["content-type"], consumes, textBody));
      } catch (error) {
        done(error as Error);
      }
    };
    if (room === undefined || bytes.length < LARGE_BODY || request.headers["prefer"] !== undefined) parse();
    else room().then(parse, parse);
  });
  // Requests and replies are checked by our own code, which lists all problems at once; the schemas document.
  app.setValidatorCompiler(() => (value) => ({ value }));
  app.setSerializerCompiler(() => (value) => JSON.stringify(value));
}

/** Some two hundred events. */
const LARGE_BODY = 65_536;
const JSON_ONLY = ["application/json"];

function guard(app: FastifyInstance, options: ServerOptions): void {
  const hosts = acceptedHosts(options.host, options.allowedHosts);
  const local: Caller = { ns: options.namespace ?? "default", role: "local" };
  app.addHook("onRequest", async (request, reply) => {
    reply.header("x-content-type-options", "nosniff");
    if (hosts !== undefined && !hosts.has(hostName(request.headers.host))) {
      throw new HttpProblem("unknown-host", "this server does not answer to that name");
    }
    const { roles } = request.routeOptions.config;
    if (roles === undefined || roles === "public") return;
    request.caller = options.keys === undefined ? local : await callerOf(request.headers.authorization, options.keys);
    admit(request.caller, roles, request.params as Readonly<Record<string, string>>);
  });
  app.addHook("onResponse", async (request, reply) => {
    const route = request.routeOptions.url ?? "";
    options.onReply?.({ method: request.method, route, status: reply.statusCode, milliseconds: reply.elapsedTime });
  });
}

function admit(caller: Caller, roles: readonly Role[], params: Readonly<Record<string, string>>): void {
  if (caller.role === "local") return;
  if (!roles.includes(caller.role)) throw new HttpProblem("forbidden", `a key with the role ${caller.role} may not do this`);
  // A foreign account is answered like an unknown one.
  if (caller.role === "read-account" && params["account"] !== caller.account)
    throw new HttpProblem("not-found", "the account is not known");
}

function answerProblems(app: FastifyInstance, options: ServerOptions): void {
  app.setNotFoundHandler(async (request, reply) =>
    sendProblem(request, reply, new HttpProblem("not-found", "no such route: see /docs")),
  );
  app.setErrorHandler(async (error, request, reply) => {
    const problem = toProblem(error, options);
    if (problem.status >= 500) request.log.error({ err: error, route: request.routeOptions.url }, "request failed");
    return sendProblem(request, reply, problem);
  });
}

function toProblem(error: unknown, options: ServerOptions): HttpProblem {
  if (error instanceof HttpProblem) return error;
  const { statusCode, code } = error as { statusCode?: unknown; code?: unknown };
  if (code === "FST_ERR_CTP_BODY_TOO_LARGE")
    return new HttpProblem("too-large", `the body is larger than ${options.bodyLimitBytes ?? 8 * 1024 * 1024} bytes`);
  if (code === "FST_ERR_CTP_INVALID_MEDIA_TYPE")
    return new HttpProblem("unsupported-media-type", "the media type is not accepted here");
  if (options.isOutage?.(error) === true) return new HttpProblem("unavailable", "the ledger cannot take this now");
  if (typeof statusCode === "number" && statusCode >= 400 && statusCode < 500)
    return new HttpProblem("bad-request", "the request cannot be read");
  return new HttpProblem("internal", "something failed on the server");
}

function sendProblem(request: FastifyRequest, reply: FastifyReply, problem: HttpProblem): FastifyReply {
  const path = request.url.split("?", 1)[0] ?? "";
  if (problem.problem === "unauthorized") reply.header("www-authenticate", 'Bearer realm="rerate"');
  if (problem.problem === "unavailable") reply.header("retry-after", "1");
  const body = JSON.stringify(problemBody(problem, path, request.id));
  return reply.code(problem.status).type("application/problem+json; charset=utf-8").send(body);
}

async function document(app: FastifyInstance, info: ServerOptions["info"]): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: {
        title: info.title,
        version: info.version,
        ...(info.description === undefined ? {} : { description: info.description }),
      },
      components: { securitySchemes: { key: { type: "http", scheme: "bearer", description: "API key rk_<id>_<secret>" } } },
    },
    transform: jsonSchemaTransform,
    transformObject: jsonSchemaTransformObject,
  });
  await app.register(swaggerUi, { routePrefix: "/docs", staticCSP: true });
}

function addHealth(app: FastifyInstance, options: ServerOptions): void {
  app.get("/livez", { schema: { hide: true } }, async () => ({ live: true }));
  app.get("/readyz", { schema: { hide: true } }, async (_request, reply) => {
    const checks = (await options.ready?.()) ?? [];
    const ready = checks.every(({ ok }) => ok);
    return reply.code(ready ? 200 : 503).send({ ready, checks });
  });
  app.get("/problems", { schema: { hide: true } }, async (_request, reply) =>
    reply.type("text/plain; charset=utf-8").send(problemsPage()),
  );
  const { metrics } = options;
  if (metrics === undefined) return;
  app.get("/metrics", { schema: { hide: true } }, async (_request, reply) => {
    const { contentType, body } = await metrics();
    return reply.type(contentType).send(body);
  });
}

function addRoute(app: FastifyInstance, plugin: string, route: Route, checkReplies: boolean): void {
  if (route.roles !== "public" && route.roles.includes("read-account") && !route.path.includes("/:account")) {
    throw new Error(`${route.method} ${route.path} of ${plugin}: a route for read-account keys names its account in the path`);
  }
  app.route({
    method: route.method,
    url: route.path,
    config: { roles: route.roles, consumes: route.consumes ?? JSON_ONLY, textBody: route.textBody === true },
    schema: documentation(route),
    handler: async (request, reply) => {
      const answer = await route.handle(checkRequest(route, request, request.caller ?? NOBODY));
      if (checkReplies) checkReply(route, answer);
      return send(reply, answer);
    },
  });
}

/** The caller of public routes: they must not depend on one. */
const NOBODY: Caller = { ns: "default", role: "local" };

function documentation(route: Route): Record<string, unknown> {
  const refusals: readonly ProblemName[] =
    route.roles === "public" ? ["not-found"] : ["unauthorized", "forbidden", "not-found", "invalid"];
  const problems = refusals
    .filter((name) => route.replies[PROBLEMS[name].status] === undefined)
    .map((name) => [PROBLEMS[name].status, problemSchema]);
  return {
    summary: route.summary,
    tags: [route.tag],
    ...(route.roles === "public" ? {} : { security: [{ key: [] }] }),
    description: [route.description, route.roles === "public" ? undefined : `Roles: ${route.roles.join(", ")}.`]
      .filter(Boolean)
      .join("\n\n"),
    ...(route.params === undefined ? {} : { params: route.params }),
    ...(route.query === undefined ? {} : { querystring: route.query }),
    ...(route.body === undefined ? {} : { body: route.body, consumes: route.consumes ?? JSON_ONLY }),
    response: { ...Object.fromEntries(problems), ...route.replies },
  };
}

function send(reply: FastifyReply, answer: RouteReply): FastifyReply {
  reply.code(answer.status);
  if (answer.headers !== undefined) reply.headers(answer.headers);
  if (answer.body === undefined) return reply.send();
  if (answer.contentType !== undefined) return reply.type(answer.contentType).send(answer.body);
  return reply.type("application/json; charset=utf-8").send(JSON.stringify(answer.body));
}

const IDLE_SWEEP_MS = 50;

function serverOf(app: FastifyInstance, { host, port }: ServerOptions): HttpServer {
  return {
    async listen() {
      try {
        return await app.listen({ host, port });
      } catch (error) {
        if ((error as { code?: unknown }).code === "EADDRINUSE") throw new PortInUseError(host, port);
        throw error;
      }
    },
    async inject({ method, url, headers, body }) {
      const isText = typeof body === "string" || body === undefined;
      const payload = isText ? body : JSON.stringify(body);
      const sent = { ...(isText ? {} : { "content-type": "application/json" }), ...headers };
      const reply = await app.inject({
        method: method as "GET",
        url,
        headers: sent,
        ...(payload === undefined ? {} : { payload }),
      });
      const kept = Object.entries(reply.headers).map(([name, value]) => [name, value === undefined ? undefined : String(value)]);
      const isJson = /json/.test(String(reply.headers["content-type"]));
      return {
        status: reply.statusCode,
        headers: Object.fromEntries(kept),
        text: reply.payload,
        json: isJson ? (JSON.parse(reply.payload) as unknown) : undefined,
      };
    },
    openapi: () => app.swagger(),
    async close() {
      // Connections that turn idle only now would be waited for as long as they may be kept alive.
      const sweep = setInterval(() => app.server.closeIdleConnections(), IDLE_SWEEP_MS);
      try {
        await app.close();
      } finally {
        clearInterval(sweep);
      }
    },
  };
}
