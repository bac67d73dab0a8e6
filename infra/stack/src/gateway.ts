/**
 * One address for all services: sends each request to the service whose route it is. Any ingress can do the same with this table.
 */
import replyFrom from "@fastify/reply-from";
import Fastify from "fastify";

export type ServiceName = "catalog" | "ingest" | "settlement" | "outcome-signal" | "wallet" | "books";

/** First match wins; what matches nothing is read from books. */
export const ROUTES: readonly { readonly method: string; readonly prefix: string; readonly service: ServiceName }[] = [
  { method: "POST", prefix: "/api/v1/events", service: "ingest" },
  { method: "POST", prefix: "/v1/corrections", service: "ingest" },
  { method: "POST", prefix: "/v1/costs", service: "ingest" },
  { method: "POST", prefix: "/v1/imports", service: "ingest" },
  { method: "POST", prefix: "/v1/signals", service: "outcome-signal" },
  { method: "POST", prefix: "/v1/wallets", service: "wallet" },
  { method: "POST", prefix: "/v1/accounts", service: "catalog" },
  { method: "PUT", prefix: "/v1/accounts", service: "catalog" },
  { method: "*", prefix: "/v1/documents", service: "catalog" },
  { method: "*", prefix: "/v1/keys", service: "catalog" },
];

export function serviceOf(method: string, path: string): ServiceName {
  return (
    ROUTES.find((route) => (route.method === "*" || route.method === method) && path.startsWith(route.prefix))?.service ?? "books"
  );
}

export interface Gateway {
  readonly url: string;
  close(): Promise<void>;
}

/** Listens on loopback unless another address is given. `upstream` gives the address of a service, of one of its processes. */
export async function startGateway(
  port: number,
  upstream: (service: ServiceName) => string | undefined,
  host = "127.0.0.1",
): Promise<Gateway> {
  const app = Fastify({ bodyLimit: MOST_BODY, forceCloseConnections: true });
  await app.register(replyFrom, { disableRequestLogging: true });
  // Bodies pass through as they come.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", (_request, payload, done) => done(null, payload));
  app.all("/*", (request, reply) => {
    const base = upstream(serviceOf(request.method, request.url));
    if (base === undefined) return reply.code(503).send({ title: "No process of this service is running." });
    return reply.from(`${base}${request.url}`, {
      // Services check the Host header: theirs, not the gateway's.
      rewriteRequestHeaders: (_request, headers) => ({ ...headers, host: new URL(base).host }),
    });
  });
  const url = await app.listen({ host, port });
  return { url, close: () => app.close() };
}

const MOST_BODY = 64 * 1024 * 1024;
