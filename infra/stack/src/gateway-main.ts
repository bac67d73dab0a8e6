/**
 * The gateway as a process of its own, for containers and other places where the services have addresses:
 * `node infra/stack/src/gateway-main.ts --port 7373 --upstream catalog=http://catalog:7373 …`, once for each service.
 */
import { parseArgs } from "node:util";
import { ROUTES, startGateway } from "./gateway.ts";

const { values } = parseArgs({
  options: {
    host: { type: "string", default: "127.0.0.1" },
    port: { type: "string", default: "7373" },
    upstream: { type: "string", multiple: true, default: [] },
  },
});
const upstreams = new Map(values.upstream.map(pair));
const missing = [...new Set([...ROUTES.map(({ service }) => service), "books"])].filter((service) => !upstreams.has(service));
if (missing.length > 0) throw new Error(`--upstream is missing for ${missing.join(", ")}`);

const { url, close } = await startGateway(Number(values.port), (service) => upstreams.get(service), values.host);
process.stdout.write(`${JSON.stringify({ url, pid: process.pid })}\n`);
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => void close().then(() => process.exit(0)));

function pair(text: string): readonly [string, string] {
  const [service, address] = text.split(/=(.*)/s);
  if (service === undefined || address === undefined || !URL.canParse(address)) {
    throw new Error(`--upstream ${text} is no service=http://host:port`);
  }
  return [service, address.replace(/\/$/, "")];
}
